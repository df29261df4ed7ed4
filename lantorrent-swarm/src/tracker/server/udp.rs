//! What a tracker answers to datagrams (BEP 15), without remembering who sent them.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use sha1::{Digest, Sha1};

use super::registry::{Reach, Registry};
use crate::compact::Compact;
use crate::entropy::Entropy;
use crate::tracker::udp::{Answer, Question, Reply, Request};

/// How long the id that is handed out now is the same, in seconds. It is good for two or three times that: clients use
/// one for a minute, and may have waited for it.
const WINDOW: u64 = 60;
const WINDOWS: u64 = 3;
/// Peers that fit into a datagram.
const REACH: [Reach; 2] =
    [Reach { families: &[Compact::V4], most: 200 }, Reach { families: &[Compact::V6], most: 75 }];

/// Makes connection ids and knows them again. An id is a keyed hash of the address and the time.
#[derive(Debug)]
pub(super) struct Door {
    secret: [u8; 20],
    start: Instant,
}

impl Door {
    pub(super) fn new(now: Instant, entropy: &mut Entropy) -> Self {
        Self { secret: entropy.bytes(), start: now }
    }

    /// The answer to a datagram; none if it deserves none. Who has no good id, and whose address may therefore be
    /// another one's, is answered with no more bytes than came.
    pub(super) fn answer(
        &self,
        registry: &mut Registry,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Option<Vec<u8>> {
        let request = Request::read(datagram).filter(|_| from.port() != 0)?;
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let answer = match request.question {
            Question::Connect => Answer::Connection(self.id(from, self.window(now))),
            Question::Announce { connection, .. } | Question::Scrape { connection, .. }
                if !self.knows(now, from, connection) =>
            {
                Answer::Error(b"expired".to_vec())
            }
            Question::Announce { announce, .. } => {
                let reach = REACH[usize::from(from.is_ipv6())];
                match registry.announce(now, from.ip(), &announce, reach) {
                    Ok(answer) => Answer::Announced {
                        interval: u32::try_from(answer.interval.as_secs()).unwrap_or(u32::MAX),
                        scrape: answer.scrape,
                        peers: answer.peers.into_iter().map(|(address, _)| address).collect(),
                    },
                    Err(refusal) => Answer::Error(refusal.to_string().into_bytes()),
                }
            }
            Question::Scrape { torrents, .. } => {
                Answer::Scraped(torrents.iter().map(|torrent| registry.scrape(torrent)).collect())
            }
        };
        Some(Reply { transaction: request.transaction, answer }.write())
    }

    fn window(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.start).as_secs() / WINDOW
    }

    fn knows(&self, now: Instant, from: SocketAddr, id: u64) -> bool {
        let now = self.window(now);
        (0..WINDOWS).filter_map(|ago| now.checked_sub(ago)).any(|window| self.id(from, window) == id)
    }

    fn id(&self, from: SocketAddr, window: u64) -> u64 {
        let hash = Sha1::new().chain_update(self.secret).chain_update(window.to_be_bytes());
        let hash = match from.ip() {
            IpAddr::V4(address) => hash.chain_update(address.octets()),
            IpAddr::V6(address) => hash.chain_update(address.octets()),
        };
        let hash = hash.chain_update(from.port().to_be_bytes()).finalize();
        u64::from_be_bytes(std::array::from_fn(|index| hash[index]))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::entropy::Seed;
    use crate::tracker::{Announce, AnnounceEvent, Stats, TrackerSettings};
    use crate::{InfoHash, PeerId};

    struct Lab {
        registry: Registry,
        door: Door,
        start: Instant,
    }

    impl Lab {
        fn new() -> Self {
            let start = Instant::now();
            let door = Door::new(start, &mut Entropy::new(Seed([2; 32])));
            Self { registry: Registry::new(TrackerSettings::default(), Seed([1; 32]), start), door, start }
        }

        fn bytes(&mut self, seconds: u64, from: &str, datagram: &[u8]) -> Option<Vec<u8>> {
            let now = self.start + Duration::from_secs(seconds);
            self.door.answer(&mut self.registry, now, from.parse().unwrap(), datagram)
        }

        fn asks(&mut self, seconds: u64, from: &str, question: Question) -> Answer {
            let datagram = Request { transaction: 5, question }.write();
            let family = if from.starts_with("[fd") { Compact::V6 } else { Compact::V4 };
            let answer = self.bytes(seconds, from, &datagram).unwrap();
            let reply = Reply::read(&answer, family).unwrap();
            assert_eq!(reply.transaction, 5);
            if matches!(reply.answer, Answer::Connection(_) | Answer::Error(_)) {
                assert!(answer.len() <= datagram.len(), "an amplifier");
            }
            reply.answer
        }

        fn connects(&mut self, seconds: u64, from: &str) -> u64 {
            let Answer::Connection(id) = self.asks(seconds, from, Question::Connect) else { panic!() };
            id
        }
    }

    fn announce(connection: u64, port: u16) -> Question {
        let announce = Announce {
            info_hash: InfoHash([1; 20]),
            peer_id: PeerId([2; 20]),
            port,
            stats: Stats { left: 1, ..Stats::default() },
            event: AnnounceEvent::Started,
            want: None,
            key: None,
        };
        Question::Announce { connection, announce, target: Vec::new() }
    }

    #[test]
    fn who_has_connected_may_announce_for_two_minutes() {
        let mut lab = Lab::new();
        let id = lab.connects(59, "10.0.0.1:1");
        assert!(matches!(
            lab.asks(179, "10.0.0.1:1", announce(id, 7)),
            Answer::Announced { interval: 900, .. }
        ));
        for (seconds, from, id) in [
            (180, "10.0.0.1:1", id),
            (60, "10.0.0.2:1", id),
            (60, "10.0.0.1:2", id),
            (60, "10.0.0.1:1", id ^ 1),
        ] {
            assert_eq!(lab.asks(seconds, from, announce(id, 7)), Answer::Error(b"expired".to_vec()));
        }
        let scrape = Question::Scrape { connection: 0, torrents: Vec::new() };
        assert_eq!(lab.asks(60, "10.0.0.1:1", scrape), Answer::Error(b"expired".to_vec()));
        assert_eq!(lab.registry.peers(), 1);
    }

    #[test]
    fn peers_of_the_family_and_counts() {
        let mut lab = Lab::new();
        for from in ["10.0.0.1:1", "10.0.0.2:1", "[fd00::1]:1", "[fd00::2]:1", "[::ffff:10.0.0.3]:1"] {
            let id = lab.connects(0, from);
            lab.asks(0, from, announce(id, 7));
        }
        for (from, count) in [("10.0.0.1:1", 2), ("[fd00::1]:1", 1)] {
            let id = lab.connects(0, from);
            let Answer::Announced { peers, scrape, .. } = lab.asks(0, from, announce(id, 7)) else {
                panic!()
            };
            assert_eq!((peers.len(), scrape.leechers), (count, 5));
        }
        let id = lab.connects(0, "10.0.0.9:1");
        let torrents = vec![InfoHash([1; 20]), InfoHash([2; 20])];
        let Answer::Scraped(scrapes) =
            lab.asks(0, "10.0.0.9:1", Question::Scrape { connection: id, torrents })
        else {
            panic!();
        };
        assert_eq!(scrapes.iter().map(|scrape| scrape.leechers).collect::<Vec<_>>(), [5, 0]);
    }

    #[test]
    fn the_largest_answers_fit_into_a_datagram() {
        let mut lab = Lab::new();
        for host in 0..500_u32 {
            for from in [format!("10.0.{}.{}:1", host / 250, host % 250), format!("[fd00::{host:x}]:1")] {
                let id = lab.connects(0, &from);
                let Question::Announce { announce, .. } = announce(id, 7) else { panic!() };
                let announce = Announce { want: Some(10_000), ..announce };
                let question = Question::Announce { connection: id, announce, target: Vec::new() };
                let datagram = Request { transaction: 1, question }.write();
                assert!(lab.bytes(0, &from, &datagram).unwrap().len() < 1400);
            }
        }
        assert_eq!(lab.registry.peers(), 1000);
    }

    #[test]
    fn what_is_no_question_has_no_answer() {
        let mut lab = Lab::new();
        for datagram in [&b""[..], &[0; 15], &[0; 16], &[0xff; 98]] {
            assert_eq!(lab.bytes(0, "10.0.0.1:1", datagram), None);
        }
    }
}
