//! Peers of the same network, on a simulated clock.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lantorrent_swarm::local::{Discovery, Group, LocalAction, LocalEvent};
use lantorrent_swarm::{InfoHash, Seed};

fn torrent(number: u32) -> InfoHash {
    InfoHash::of(&number.to_be_bytes())
}

/// One client and its clock.
struct Client {
    discovery: Discovery,
    address: SocketAddr,
    now: Instant,
}

impl Client {
    fn new(number: u8, now: Instant) -> Self {
        let address = SocketAddr::from(([10, 0, 0, number], 6771));
        Self { discovery: Discovery::new(6881, Seed([number; 32])), address, now }
    }

    fn does(&mut self, event: LocalEvent<'_>) -> Vec<LocalAction> {
        self.discovery.handle(self.now, event)
    }

    fn deadline(&self) -> Option<Instant> {
        self.discovery.deadline(self.now)
    }

    /// Lets time pass until the end, and returns what it does meanwhile, and when.
    fn runs(&mut self, until: Instant) -> Vec<(Instant, LocalAction)> {
        let mut done = Vec::new();
        while let Some(due) = self.deadline().filter(|&due| due <= until) {
            self.now = due;
            let actions = self.does(LocalEvent::Tick);
            assert!(!actions.is_empty(), "a deadline at which nothing is to be done");
            done.extend(actions.into_iter().map(|action| (due, action)));
        }
        self.now = until;
        done
    }
}

fn sent(actions: &[LocalAction], group: Group) -> Vec<&[u8]> {
    let of_group = |action| match action {
        &LocalAction::Send(to, ref datagram) if to == group => Some(datagram.as_slice()),
        _ => None,
    };
    actions.iter().filter_map(of_group).collect()
}

#[test]
fn a_torrent_is_announced_at_once_and_after_two_and_four_seconds_and_then_every_five_minutes() {
    let start = Instant::now();
    let mut client = Client::new(1, start);
    let actions = client.does(LocalEvent::Add(torrent(1)));
    assert_eq!((sent(&actions, Group::V4).len(), sent(&actions, Group::V6).len()), (1, 1));
    assert_eq!(client.does(LocalEvent::Add(torrent(1))), [], "it is known");
    let done = client.runs(start + Duration::from_secs(3600));
    let times: BTreeSet<u64> = done.iter().map(|(at, _)| at.duration_since(start).as_secs()).collect();
    let times: Vec<u64> = times.into_iter().collect();
    assert_eq!(times[..2], [2, 4]);
    assert!(times[1..].windows(2).all(|pair| (270..=300).contains(&(pair[1] - pair[0]))), "{times:?}");
    client.does(LocalEvent::Remove(torrent(1)));
    assert_eq!(client.deadline(), None);
}

#[test]
fn two_that_come_find_each_other_at_once_whoever_is_first() {
    let start = Instant::now();
    let (mut old, mut new) = (Client::new(1, start), Client::new(2, start));
    old.does(LocalEvent::Add(torrent(1)));
    old.now = start + Duration::from_secs(100);
    let announced = new.does(LocalEvent::Add(torrent(1)));
    for group in Group::ALL {
        let datagram = sent(&announced, group)[0];
        let found = old.does(LocalEvent::Received(new.address, datagram));
        assert_eq!(found, [LocalAction::Found(torrent(1), "10.0.0.2:6881".parse().unwrap())]);
        assert_eq!(new.does(LocalEvent::Received(new.address, datagram)), [], "its own");
    }
}

#[test]
fn what_is_of_no_interest_is_not_found() {
    let mut client = Client::new(1, Instant::now());
    let mut other = Client::new(2, client.now);
    let announced = other.does(LocalEvent::Add(torrent(1)));
    let datagram = sent(&announced, Group::V4)[0];
    assert_eq!(client.does(LocalEvent::Received(other.address, datagram)), [], "not ours");
    client.does(LocalEvent::Add(torrent(1)));
    assert_eq!(client.does(LocalEvent::Received("0.0.0.0:6771".parse().unwrap(), datagram)), []);
    assert_eq!(client.does(LocalEvent::Received("224.0.0.1:6771".parse().unwrap(), datagram)), []);
    assert_eq!(client.does(LocalEvent::Received(other.address, b"garbage")), []);
    client.does(LocalEvent::Remove(torrent(1)));
    assert_eq!(client.does(LocalEvent::Received(other.address, datagram)), [], "not any more");
}

#[test]
fn a_link_local_address_keeps_its_scope() {
    let mut client = Client::new(1, Instant::now());
    let datagram = format!("BT-SEARCH * HTTP/1.1\r\nPort: 7\r\n{}\r\n", {
        let line = format!("Infohash: {}\r\n", torrent(1));
        line.repeat(2)
    });
    client.does(LocalEvent::Add(torrent(1)));
    let from = std::net::SocketAddrV6::new("fe80::2".parse().unwrap(), 6771, 0, 3);
    let peer = std::net::SocketAddrV6::new("fe80::2".parse().unwrap(), 7, 0, 3);
    let found = client.does(LocalEvent::Received(from.into(), datagram.as_bytes()));
    assert_eq!(found, [LocalAction::Found(torrent(1), peer.into())], "once, and in its scope");
}

#[test]
fn thousands_of_torrents_are_announced_in_turn_and_a_new_one_before_them() {
    let start = Instant::now();
    let mut client = Client::new(1, start);
    let mut datagrams: usize =
        (0..5000).map(|number| sent(&client.does(LocalEvent::Add(torrent(number))), Group::V4).len()).sum();
    assert_eq!(datagrams, 20, "a burst");
    datagrams += client.runs(start + Duration::from_secs(1)).len() / 2;
    assert_eq!(datagrams, 40);

    client.does(LocalEvent::Add(torrent(9999)));
    let done = client.runs(client.now + Duration::from_millis(50));
    let announced: Vec<_> = done.into_iter().map(|(_, action)| action).collect();
    let text = String::from_utf8_lossy(sent(&announced, Group::V4)[0]).into_owned();
    assert!(text.contains(&torrent(9999).to_string()), "{text}");

    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for (_, action) in client.runs(start + Duration::from_secs(5000)) {
        if let LocalAction::Send(Group::V4, datagram) = action {
            *counts.entry(String::from_utf8(datagram).unwrap()).or_default() += 1;
        }
    }
    assert!(counts.len() >= 5000, "{}", counts.len());
    let most = counts.values().max().unwrap();
    assert!(counts.values().all(|count| count + 4 >= *most), "nobody starves");
}

/// Announcements of a torrent, 20,000 in ten seconds: the first by that host, and so on. How many are believed of each.
fn flood(hosts: &[&str]) -> Vec<usize> {
    let start = Instant::now();
    let mut client = Client::new(1, start);
    client.does(LocalEvent::Add(torrent(1)));
    let mut found = vec![0; hosts.len()];
    for number in 0..20_000_u32 {
        client.now = start + Duration::from_secs(10) * number / 20_000;
        let at = number as usize % hosts.len();
        let text = format!(
            "BT-SEARCH * HTTP/1.1\r\nPort: {}\r\nInfohash: {}\r\n\r\n",
            number % 60_000 + 1,
            torrent(1)
        );
        let from = format!("{}:6771", hosts[at]).parse().unwrap();
        found[at] += client.does(LocalEvent::Received(from, text.as_bytes())).len();
    }
    found
}

#[test]
fn a_flood_is_not_believed() {
    let many: Vec<String> = (1..=200).map(|host| format!("10.0.0.{host}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let found: usize = flood(&many).iter().sum();
    assert!((1000..2000).contains(&found), "{found}");
    let one = flood(&["10.0.0.9"])[0];
    assert!((300..400).contains(&one), "{one}, which leaves room for others");
}

#[test]
fn another_network_hears_everything_anew() {
    let start = Instant::now();
    let mut client = Client::new(1, start);
    (0..3).for_each(|number| drop(client.does(LocalEvent::Add(torrent(number)))));
    client.runs(start + Duration::from_secs(60));
    assert_eq!(sent(&client.does(LocalEvent::NetworkChanged), Group::V4).len(), 3);
    assert_eq!(client.runs(client.now + Duration::from_secs(10)).len(), 2 * 2 * 3);
}
