//! Who has announced what, and who is told of whom.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use thiserror::Error;

use super::pool::{Peer, Place, Pool};
use crate::compact::Compact;
use crate::entropy::{Entropy, Seed};
use crate::tracker::announce::{Announce, AnnounceEvent, Scrape};
use crate::{InfoHash, PeerId};

/// Peers that are named where nobody says how many.
const USUAL: usize = 50;
/// How often those are forgotten that do not announce any more.
const SWEEP: Duration = Duration::from_secs(60);

/// How a tracker keeps its peers.
#[derive(Clone, Debug)]
pub struct TrackerSettings {
    /// How often clients are to announce.
    pub interval: Duration,
    /// How often they may, when they lack peers.
    pub min_interval: Duration,
    /// Peers of all torrents together; those that come when there are so many are told of others, but not kept.
    pub peers: usize,
    /// Peers of one torrent, likewise.
    pub peers_of_torrent: usize,
    /// Torrents, likewise.
    pub torrents: usize,
    /// The torrents that it serves; none: any.
    pub whitelist: Option<HashSet<InfoHash>>,
}

impl Default for TrackerSettings {
    /// Every 15 minutes, or every minute; 100,000 peers of 50,000 torrents, which take less than 64 MiB.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(15 * 60),
            min_interval: Duration::from_secs(60),
            peers: 100_000,
            peers_of_torrent: 100_000,
            torrents: 50_000,
            whitelist: None,
        }
    }
}

/// The peers of all torrents.
#[derive(Debug)]
pub(super) struct Registry {
    settings: TrackerSettings,
    torrents: HashMap<InfoHash, Torrent>,
    peers: usize,
    entropy: Entropy,
    start: Instant,
    swept: Instant,
}

#[derive(Debug, Default)]
struct Torrent {
    pools: [Pool; 4],
    completed: u32,
}

/// Which peers an answer may name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    pub(super) families: &'static [Compact],
    pub(super) most: usize,
}

/// What a client is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) interval: Duration,
    pub(super) min_interval: Duration,
    pub(super) scrape: Scrape,
    pub(super) peers: Vec<(SocketAddr, PeerId)>,
    pub(super) kept: Kept,
}

/// Whether the client is known from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Yes,
    No,
    /// There are too many.
    Full,
}

/// Why a client is told nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Refusal {
    #[error("this tracker does not serve this torrent")]
    Unlisted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Leecher,
    Seed,
}

fn pool(family: Compact, role: Role) -> usize {
    usize::from(family == Compact::V6) * 2 + usize::from(role == Role::Seed)
}

impl Registry {
    pub(super) fn new(settings: TrackerSettings, seed: Seed, now: Instant) -> Self {
        let torrents = HashMap::new();
        Self { settings, torrents, peers: 0, entropy: Entropy::new(seed), start: now, swept: now }
    }

    /// Peers of all torrents together.
    pub(super) fn peers(&self) -> usize {
        self.peers
    }

    pub(super) fn torrents(&self) -> usize {
        self.torrents.len()
    }

    /// Somebody at that address announces.
    pub(super) fn announce(
        &mut self,
        now: Instant,
        from: IpAddr,
        announce: &Announce,
        reach: Reach,
    ) -> Result<Answer, Refusal> {
        self.sweep(now);
        let torrent = announce.info_hash;
        if self.settings.whitelist.as_ref().is_some_and(|listed| !listed.contains(&torrent)) {
            return Err(Refusal::Unlisted);
        }
        let address = SocketAddr::new(from.to_canonical(), announce.port);
        let kept = match announce.event {
            AnnounceEvent::Stopped => self.forget(address, announce),
            _ if announce.port == 0 => Kept::No,
            _ => self.keep(now, address, announce),
        };
        let peers = match announce.event {
            AnnounceEvent::Stopped => Vec::new(),
            _ => self.pick(address, announce, reach),
        };
        let (interval, min_interval) = (self.settings.interval, self.settings.min_interval);
        let min_interval = min_interval.min(interval);
        Ok(Answer { interval, min_interval, scrape: self.scrape(&torrent), peers, kept })
    }

    pub(super) fn scrape(&self, torrent: &InfoHash) -> Scrape {
        self.torrents.get(torrent).map(Torrent::scrape).unwrap_or_default()
    }

    /// Nobody takes another one's entry away: the address is the one that the announcement came from, and what shares
    /// an address has keys of its own.
    fn forget(&mut self, address: SocketAddr, announce: &Announce) -> Kept {
        let Some(torrent) = self.torrents.get_mut(&announce.info_hash) else { return Kept::No };
        let place = Place::of(address);
        for role in [Role::Leecher, Role::Seed] {
            let pool = &mut torrent.pools[pool(Compact::of(&address), role)];
            let owns = |peer: &mut Peer| match (peer.key, announce.key) {
                (Some(known), Some(key)) => known == key,
                _ => true,
            };
            if pool.get_mut(&place).is_some_and(owns) && pool.remove(&place).is_some() {
                self.peers -= 1;
            }
        }
        if torrent.is_empty() {
            self.torrents.remove(&announce.info_hash);
        }
        Kept::No
    }

    fn keep(&mut self, now: Instant, address: SocketAddr, announce: &Announce) -> Kept {
        let family = Compact::of(&address);
        let roles = [Role::Leecher, Role::Seed];
        let (role, other) =
            if announce.stats.is_seed() { (roles[1], roles[0]) } else { (roles[0], roles[1]) };
        let seen = self.seconds(now);
        let place = Place::of(address);
        let peer = Peer { place, id: announce.peer_id, key: announce.key, seen };
        if let Some(torrent) = self.torrents.get_mut(&announce.info_hash) {
            if let Some(known) = torrent.pools[pool(family, role)].get_mut(&place) {
                *known = peer;
                return Kept::Yes;
            }
            if torrent.pools[pool(family, other)].remove(&place).is_some() {
                torrent.completed =
                    torrent.completed.saturating_add(u32::from(announce.event == AnnounceEvent::Completed));
                torrent.pools[pool(family, role)].insert(peer);
                return Kept::Yes;
            }
        }
        let of_torrent = self.torrents.get(&announce.info_hash).map(Torrent::len);
        if self.peers >= self.settings.peers
            || of_torrent.unwrap_or(0) >= self.settings.peers_of_torrent
            || of_torrent.is_none() && self.torrents.len() >= self.settings.torrents
        {
            return Kept::Full;
        }
        let torrent = self.torrents.entry(announce.info_hash).or_default();
        torrent.pools[pool(family, role)].insert(peer);
        self.peers += 1;
        Kept::Yes
    }

    /// Peers of the asker's own network first, then any: of the network no more than three quarters, so that
    /// networks do not fall apart into islands. Seeds have no use for seeds.
    fn pick(&mut self, asker: SocketAddr, announce: &Announce, reach: Reach) -> Vec<(SocketAddr, PeerId)> {
        let Some(torrent) = self.torrents.get(&announce.info_hash) else { return Vec::new() };
        let want = announce.want.map_or(USUAL, |want| want as usize).min(reach.most);
        let roles: &[Role] =
            if announce.stats.is_seed() { &[Role::Leecher] } else { &[Role::Seed, Role::Leecher] };
        let pools = |families: &[Compact]| -> Vec<&Pool> {
            let pairs = families.iter().flat_map(|&family| roles.iter().map(move |&role| pool(family, role)));
            pairs.map(|index| &torrent.pools[index]).collect()
        };
        let own = Place::of(asker);
        let mut chosen =
            Chosen { most: (want * 3).div_ceil(4), peers: Vec::new(), places: HashSet::from([own]) };
        if reach.families.contains(&Compact::of(&asker)) {
            for pool in pools(&[Compact::of(&asker)]) {
                chosen.take(pool.near(&own, &mut self.entropy));
            }
        }
        chosen.most = want;
        chosen.take_any(&pools(reach.families), &mut self.entropy);
        chosen.peers
    }

    /// Forgets those who have been silent for one and a half intervals, and a minute for the way.
    fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        let lifetime = self.settings.interval * 3 / 2 + SWEEP;
        let since = self.seconds(now).saturating_sub(u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX));
        let peers = &mut self.peers;
        self.torrents.retain(|_, torrent| {
            for pool in &mut torrent.pools {
                *peers -= pool.expire(since);
            }
            !torrent.is_empty()
        });
    }

    fn seconds(&self, now: Instant) -> u32 {
        u32::try_from(now.saturating_duration_since(self.start).as_secs()).unwrap_or(u32::MAX)
    }
}

impl Torrent {
    fn len(&self) -> usize {
        self.pools.iter().map(Pool::len).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn scrape(&self) -> Scrape {
        let count = |role| {
            let pools = [Compact::V4, Compact::V6].map(|family| self.pools[pool(family, role)].len());
            u32::try_from(pools.iter().sum::<usize>()).unwrap_or(u32::MAX)
        };
        Scrape { seeds: count(Role::Seed), leechers: count(Role::Leecher), completed: self.completed }
    }
}

/// Those who are picked, each once.
struct Chosen {
    most: usize,
    peers: Vec<(SocketAddr, PeerId)>,
    /// Theirs, and the asker's own.
    places: HashSet<Place>,
}

impl Chosen {
    fn take<'a>(&mut self, peers: impl Iterator<Item = &'a Peer>) {
        for peer in peers {
            if self.peers.len() >= self.most {
                return;
            }
            if self.places.insert(peer.place) {
                self.peers.push((peer.place.address(), peer.id));
            }
        }
    }

    fn take_any(&mut self, pools: &[&Pool], entropy: &mut Entropy) {
        let all: usize = pools.iter().map(|pool| pool.len()).sum();
        let nth = |mut index: usize| {
            pools.iter().find_map(|pool| {
                let found = pool.at(index);
                index = index.saturating_sub(pool.len());
                found
            })
        };
        if all < 4 * (self.most + self.places.len()) {
            let mut order: Vec<usize> = (0..all).collect();
            entropy.shuffle(&mut order);
            self.take(order.into_iter().filter_map(nth));
            return;
        }
        // Three of four are new, so that this is enough for nearly all.
        for _ in 0..2 * self.most {
            self.take(nth(entropy.below(all)).into_iter());
        }
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn peers_are_told_of_each_other_and_seeds_not_of_seeds() {
        let mut lab = Lab::new(TrackerSettings::default());
        assert_eq!(lab.addresses("10.0.0.1:1", &seed()), [""; 0]);
        assert_eq!(lab.addresses("10.0.0.2:2", &leecher()), ["10.0.0.1:1"]);
        assert_eq!(lab.addresses("10.0.0.3:3", &seed()), ["10.0.0.2:2"]);
        assert_eq!(lab.addresses("10.0.0.2:2", &leecher()).len(), 2, "itself is not among them");
        assert_eq!(lab.addresses("[fd00::1]:1", &leecher()).len(), 3);
        assert_eq!(lab.addresses("10.0.0.1:1", &seed()).len(), 2, "both families");
        assert_eq!(
            lab.addresses("10.0.0.9:9", &Announce { info_hash: InfoHash([9; 20]), ..leecher() }).len(),
            0
        );
        let want = |want| Announce { want: Some(want), ..leecher() };
        assert_eq!(
            [0, 1, 2, u32::MAX].map(|most| lab.addresses("10.0.0.2:2", &want(most)).len()),
            [0, 1, 2, 3]
        );
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
}
