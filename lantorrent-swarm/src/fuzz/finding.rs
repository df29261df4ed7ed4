//! What finds peers: trackers, the local network, and the DHT.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::Script;
use crate::dht::{DhtAction, DhtEvent, DhtNode, DhtSettings, Mode, NodeId, Saved};
use crate::local::{Discovery, LocalAction, LocalEvent};
use crate::tracker::{
    Announce, AnnounceEvent, Stats, Tracker, TrackerSettings, UdpAction, UdpClient, UdpEvent, UdpQuestion,
    announce_url, read_announced, read_scraped, scrape_url,
};
use crate::{Compact, InfoHash, PeerId, Seed, Url};

/// Answers of trackers, over HTTP and UDP, and URLs of trackers.
pub fn tracker_reply(input: &[u8]) {
    if let Ok(announced) = read_announced(input) {
        assert!(announced.peers.iter().all(|peer| peer.port() != 0));
    }
    if let Ok(scraped) = read_scraped(input) {
        assert!(scraped.len() <= input.len() / 20);
    }
    let announce = announce();
    if let Some(url) = std::str::from_utf8(input).ok().and_then(|text| text.parse::<Url>().ok()) {
        let asked = [announce_url(&url, &announce, Some(input)), scrape_url(&url, &[announce.info_hash])];
        assert!(
            asked.iter().flatten().all(|url| url.to_string().bytes().all(|byte| byte.is_ascii_graphic()))
        );
        assert_ne!(url.endpoint().1, 0);
    }
    let tracker = address(1);
    let now = Instant::now();
    let mut client = UdpClient::new(Seed([1; 32]), 3);
    let url = "udp://tracker:6969/announce".parse().expect("a good URL");
    let question = UdpQuestion::announce(&url, announce);
    let mut actions = client.handle(now, UdpEvent::Ask { key: (), places: vec![tracker], question });
    let mut script = Script::new(input);
    while !script.is_over() {
        // Under the transaction that waits, or nothing behind it would ever be read.
        let mut datagram = script.chunk().to_vec();
        if let (Some(UdpAction::Send(_, sent)), Some(place)) = (actions.first(), datagram.get_mut(4..8)) {
            place.copy_from_slice(&sent[12..16]);
        }
        let answered = client.handle(now, UdpEvent::Received(tracker, &datagram));
        if !answered.is_empty() {
            actions = answered;
        }
    }
}

/// Requests and datagrams that a tracker gets.
pub fn tracker_request(input: &[u8]) {
    let start = Instant::now();
    let settings = TrackerSettings { peers: 8, torrents: 4, ..TrackerSettings::default() };
    let mut tracker = Tracker::new(settings, Seed([1; 32]), start);
    let mut script = Script::new(input);
    let mut connection = [0; 8];
    while !script.is_over() {
        let (kind, from) = (script.byte(), address(script.byte()));
        let now = start + Duration::from_secs(script.word().into());
        let bytes = script.chunk();
        if kind & 1 == 0 {
            let answer = tracker.http(now, from, bytes);
            assert!(answer.body.len() < 64 << 10);
        } else {
            let mut datagram = bytes.to_vec();
            if let Some(place) = datagram.get_mut(..8).filter(|_| kind & 2 != 0) {
                place.copy_from_slice(&connection);
            }
            if let Some(answer) = tracker.udp(now, from, &datagram) {
                assert!(answer.len() <= 1472);
                if let ([0, 0, 0, 0, ..], Some(id)) = (&answer[..], answer.get(8..16)) {
                    connection.copy_from_slice(id);
                }
            }
        }
        assert!(tracker.peers() <= 8 && tracker.torrents() <= 4);
    }
}

/// Announcements on the local network.
pub fn lpd(input: &[u8]) {
    let now = Instant::now();
    let torrent = InfoHash([0x61; 20]);
    let mut discovery = Discovery::new(6881, Seed([1; 32]));
    discovery.handle(now, LocalEvent::Add(torrent));
    let from = address(1);
    for action in discovery.handle(now, LocalEvent::Received(from, input)) {
        let LocalAction::Found(found, peer) = action else { panic!("{action:?}") };
        assert!(found == torrent && peer.ip() == from.ip() && peer.port() != 0);
    }
}

/// Datagrams to a node of the DHT, and tables that it may have saved.
pub fn dht(input: &[u8]) {
    let mut now = Instant::now();
    let settings = |byte, family| DhtSettings {
        id: NodeId([byte; 20]),
        family,
        mode: Mode::Full,
        seed: Seed([byte; 32]),
    };
    for family in [Compact::V4, Compact::V6] {
        if let Ok(saved) = Saved::read(input, family) {
            assert!(saved.nodes.len() <= input.len() / 26);
        }
    }
    let mut node = DhtNode::new(settings(1, Compact::V4), now);
    let torrent = InfoHash([0x61; 20]);
    let mut script = Script::new(input);
    let mut asked: Vec<(SocketAddr, Vec<u8>)> = Vec::new();
    let mut actions = node.handle(now, DhtEvent::Join { torrent, port: Some(6881) });
    while !script.is_over() {
        for action in actions {
            match action {
                DhtAction::Send(to, datagram) => {
                    assert!(datagram.len() < 1400);
                    asked.extend(transaction(&datagram).map(|transaction| (to, transaction)));
                }
                DhtAction::Found(found, peers) => assert!(found == torrent && !peers.is_empty()),
            }
        }
        let (kind, number) = (script.byte(), script.byte());
        actions = match kind & 3 {
            0 => node.handle(now, DhtEvent::Meet(address(number))),
            1 => {
                now += Duration::from_secs(number.into());
                node.handle(now, DhtEvent::Tick)
            }
            2 => node.handle(now, DhtEvent::Received(address(number), script.chunk())),
            // An answer to something that was asked.
            _ => match asked.pop() {
                Some((from, transaction)) => {
                    let answer = [b"d1:t4:", &transaction[..], b"1:y1:r1:r", script.chunk(), b"e"].concat();
                    node.handle(now, DhtEvent::Received(from, &answer))
                }
                None => Vec::new(),
            },
        };
        assert!(node.deadline(now) > now, "a node that never rests");
    }
}

/// The transaction of a query of ours.
fn transaction(datagram: &[u8]) -> Option<Vec<u8>> {
    let message = crate::bencode::Value::read_whole(datagram).ok()?.dict()?;
    message.get("q")?;
    Some(message.get("t")?.bytes()?.to_vec())
}

fn address(number: u8) -> SocketAddr {
    ([10, 0, number >> 4, number & 15], 6881).into()
}

fn announce() -> Announce {
    Announce {
        info_hash: InfoHash([0x61; 20]),
        peer_id: PeerId([0x62; 20]),
        port: 6881,
        stats: Stats::default(),
        event: AnnounceEvent::Started,
        want: None,
        key: None,
    }
}
