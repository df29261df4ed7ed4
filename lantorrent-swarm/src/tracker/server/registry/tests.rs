//! Who is told of whom.

use super::*;
use crate::tracker::Stats;

const BOTH: Reach = Reach { families: &[Compact::V4, Compact::V6], most: 200 };

struct Lab {
    registry: Registry,
    start: Instant,
}

impl Lab {
    fn new(settings: TrackerSettings) -> Self {
        let start = Instant::now();
        Self { registry: Registry::new(settings, Seed([1; 32]), start), start }
    }

    fn at(&mut self, seconds: u64, from: &str, announce: &Announce) -> Answer {
        let address: SocketAddr = from.parse().unwrap();
        let announce = Announce { port: address.port(), ..announce.clone() };
        let now = self.start + Duration::from_secs(seconds);
        self.registry.announce(now, address.ip(), &announce, BOTH).unwrap()
    }

    fn addresses(&mut self, from: &str, announce: &Announce) -> Vec<String> {
        let peers = self.at(0, from, announce).peers;
        peers.iter().map(|(address, _)| address.to_string()).collect()
    }
}

fn leecher() -> Announce {
    Announce {
        info_hash: InfoHash([1; 20]),
        peer_id: PeerId([2; 20]),
        port: 0,
        stats: Stats { left: 7, ..Stats::default() },
        event: AnnounceEvent::Started,
        want: None,
        key: None,
    }
}

fn seed() -> Announce {
    Announce { stats: Stats::default(), ..leecher() }
}

fn stopped(announce: &Announce) -> Announce {
    Announce { event: AnnounceEvent::Stopped, ..announce.clone() }
}

/// That is what aria2 says when it starts with a magnet link.
#[test]
fn who_starts_with_nothing_left_is_told_of_seeds() {
    let mut lab = Lab::new(TrackerSettings::default());
    lab.addresses("10.0.0.1:1", &seed());
    assert_eq!(lab.addresses("10.0.0.2:2", &seed()), ["10.0.0.1:1"]);
    assert_eq!(lab.addresses("10.0.0.2:2", &Announce { event: AnnounceEvent::Regular, ..seed() }), [""; 0]);
}

#[test]
fn peers_are_told_of_each_other_and_seeds_not_of_seeds() {
    let mut lab = Lab::new(TrackerSettings::default());
    let seed = || Announce { event: AnnounceEvent::Regular, ..seed() };
    assert_eq!(lab.addresses("10.0.0.1:1", &seed()), [""; 0]);
    assert_eq!(lab.addresses("10.0.0.2:2", &leecher()), ["10.0.0.1:1"]);
    assert_eq!(lab.addresses("10.0.0.3:3", &seed()), ["10.0.0.2:2"]);
    assert_eq!(lab.addresses("10.0.0.2:2", &leecher()).len(), 2, "itself is not among them");
    assert_eq!(lab.addresses("[fd00::1]:1", &leecher()).len(), 3);
    assert_eq!(lab.addresses("10.0.0.1:1", &seed()).len(), 2, "both families");
    assert_eq!(lab.addresses("10.0.0.9:9", &Announce { info_hash: InfoHash([9; 20]), ..leecher() }).len(), 0);
    let want = |want| Announce { want: Some(want), ..leecher() };
    assert_eq!([0, 1, 2, u32::MAX].map(|most| lab.addresses("10.0.0.2:2", &want(most)).len()), [0, 1, 2, 3]);
}

#[test]
fn the_own_network_comes_first_and_others_are_among_them() {
    let mut lab = Lab::new(TrackerSettings::default());
    for host in 0..200 {
        lab.at(0, &format!("10.0.1.{host}:1"), &leecher());
        lab.at(0, &format!("10.0.{}.7:1", host + 2), &leecher());
    }
    let told = lab.addresses("10.0.1.250:1", &leecher());
    let near = told.iter().take_while(|address| address.starts_with("10.0.1.")).count();
    assert_eq!((told.len(), near), (USUAL, 38));
    assert!(told[near..].iter().filter(|address| !address.starts_with("10.0.1.")).count() > 2);
    let told = lab.addresses("10.0.99.250:1", &leecher());
    assert_eq!((told.len(), told[0].as_str()), (USUAL, "10.0.99.7:1"));
    assert_ne!(lab.addresses("10.0.1.250:1", &leecher()), lab.addresses("10.0.1.250:1", &leecher()));
    let unique: HashSet<_> = told.iter().collect();
    assert_eq!(unique.len(), told.len());
}

#[test]
fn counts() {
    let mut lab = Lab::new(TrackerSettings::default());
    let completed = Announce { event: AnnounceEvent::Completed, ..seed() };
    lab.at(0, "10.0.0.1:1", &leecher());
    lab.at(0, "10.0.0.2:1", &completed);
    let counts = |seeds, leechers, completed| Scrape { seeds, leechers, completed };
    assert_eq!(lab.registry.scrape(&InfoHash([1; 20])), counts(1, 1, 0), "it never was a leecher here");
    assert_eq!(lab.at(0, "10.0.0.1:1", &completed).scrape, counts(2, 0, 1));
    assert_eq!(lab.at(0, "10.0.0.1:1", &completed).scrape, counts(2, 0, 1), "once only");
    assert_eq!(lab.registry.scrape(&InfoHash([3; 20])), Scrape::default());
    assert_eq!((lab.registry.peers(), lab.registry.torrents()), (2, 1));
}

#[test]
fn who_stops_or_falls_silent_is_forgotten() {
    let settings = TrackerSettings { interval: Duration::from_secs(100), ..TrackerSettings::default() };
    let mut lab = Lab::new(settings);
    lab.at(0, "10.0.0.1:1", &leecher());
    lab.at(0, "10.0.0.2:1", &seed());
    lab.at(150, "10.0.0.1:1", &leecher());
    assert_eq!(lab.at(210, "10.0.0.3:1", &leecher()).peers.len(), 2);
    assert_eq!(lab.at(271, "10.0.0.3:1", &leecher()).peers.len(), 1, "the silent one is gone");
    lab.at(272, "10.0.0.1:1", &stopped(&leecher()));
    assert_eq!(lab.registry.peers(), 1);
    lab.at(272, "10.0.0.3:1", &stopped(&seed()));
    assert_eq!((lab.registry.peers(), lab.registry.torrents()), (0, 0));
}

#[test]
fn nobody_ends_what_is_not_its_own() {
    let mut lab = Lab::new(TrackerSettings::default());
    let keyed = |key| Announce { key: Some(key), ..leecher() };
    lab.at(0, "10.0.0.1:1", &keyed(1));
    lab.at(0, "10.0.0.2:1", &stopped(&keyed(1)));
    lab.at(0, "10.0.0.1:2", &stopped(&keyed(1)));
    lab.at(0, "10.0.0.1:1", &stopped(&keyed(2)));
    assert_eq!(lab.registry.peers(), 1);
    lab.at(0, "10.0.0.1:1", &stopped(&keyed(1)));
    assert_eq!(lab.registry.peers(), 0);
}

#[test]
fn there_is_room_for_so_many() {
    let settings =
        TrackerSettings { peers: 5, peers_of_torrent: 3, torrents: 2, ..TrackerSettings::default() };
    let mut lab = Lab::new(settings);
    let of = |torrent| Announce { info_hash: InfoHash([torrent; 20]), ..leecher() };
    let mut kept = |torrent, from: &str| lab.at(0, from, &of(torrent)).kept;
    for host in 1..4 {
        assert_eq!(kept(1, &format!("10.0.0.{host}:1")), Kept::Yes);
    }
    assert_eq!(kept(1, "10.0.0.4:1"), Kept::Full);
    assert_eq!(kept(2, "10.0.0.4:1"), Kept::Yes);
    assert_eq!(kept(3, "10.0.0.4:1"), Kept::Full, "no more torrents");
    assert_eq!(kept(2, "10.0.0.5:1"), Kept::Yes);
    assert_eq!(kept(2, "10.0.0.6:1"), Kept::Full, "no more peers");
    assert_eq!(kept(1, "10.0.0.1:1"), Kept::Yes, "it is there already");
    assert_eq!(lab.at(0, "10.0.0.4:1", &of(1)).peers.len(), 3, "it is told of others all the same");
}

#[test]
fn only_listed_torrents_are_served() {
    let whitelist = Some(HashSet::from([InfoHash([1; 20])]));
    let mut lab = Lab::new(TrackerSettings { whitelist, ..TrackerSettings::default() });
    assert_eq!(lab.at(0, "10.0.0.1:1", &leecher()).kept, Kept::Yes);
    let other = Announce { info_hash: InfoHash([2; 20]), port: 1, ..leecher() };
    let refused = lab.registry.announce(lab.start, "10.0.0.1".parse().unwrap(), &other, BOTH);
    assert_eq!(refused, Err(Refusal::Unlisted));
    assert_eq!(lab.at(0, "10.0.0.2:0", &leecher()).kept, Kept::No, "nobody can connect to it");
}

#[test]
fn another_whitelist_forgets_what_is_not_in_it() {
    let mut lab = Lab::new(TrackerSettings::default());
    let (one, other) = (leecher(), Announce { info_hash: InfoHash([9; 20]), ..leecher() });
    lab.at(0, "10.0.0.1:1", &one);
    lab.at(0, "10.0.0.1:1", &other);
    lab.at(0, "10.0.0.2:1", &other);
    lab.registry.set_whitelist(Some(HashSet::from([other.info_hash])));
    assert_eq!((lab.registry.torrents(), lab.registry.peers()), (1, 2));
    let from = IpAddr::from([10, 0, 0, 1]);
    assert!(matches!(lab.registry.announce(lab.start, from, &one, BOTH), Err(Refusal::Unlisted)));
    lab.registry.set_whitelist(None);
    lab.at(0, "10.0.0.1:1", &one);
    assert_eq!(lab.registry.peers(), 3);
}
