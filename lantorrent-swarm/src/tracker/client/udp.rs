//! Asking UDP trackers: connection ids, and datagrams that get lost (BEP 15).

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::reply::{Announced, TrackerError};
use crate::InfoHash;
use crate::compact::Compact;
use crate::entropy::{Entropy, Seed};
use crate::text::readable;
use crate::tracker::PEERS;
use crate::tracker::announce::{Announce, Scrape};
use crate::tracker::udp::{Answer, Question, Reply, Request};
use crate::url::Url;

/// How long a client may use a connection id.
const CONNECTED: Duration = Duration::from_secs(60);
/// How long the first datagram waits for its answer; each further one twice as long as the one before it.
const FIRST_WAIT: Duration = Duration::from_secs(15);
/// Until the next address of a tracker is asked too, beside those that have not answered yet.
const NEXT_PLACE: Duration = Duration::from_millis(250);
/// Addresses of one tracker that are asked.
const PLACES: usize = 8;
/// As often as BEP 15 sends one: the last then waits for an hour.
const MOST_SENT: u32 = 9;

/// All questions of a client to UDP trackers, told apart by keys that the driver chooses.
///
/// The driver has one UDP socket for each family. For a question it looks up the tracker's
/// [`endpoint`](Url::endpoint) and hands in [`UdpEvent::Ask`]; then it hands in what is received, and
/// [`UdpEvent::Tick`] at the [`deadline`](Self::deadline). Every question is answered once, sooner or later.
#[derive(Debug)]
pub struct UdpClient<K> {
    sent_at_most: u32,
    entropy: Entropy,
    connections: HashMap<SocketAddr, Connection>,
    asks: BTreeMap<u32, Ask<K>>,
}

/// What happens to a [`UdpClient`].
#[derive(Debug)]
#[non_exhaustive]
pub enum UdpEvent<'a, K> {
    /// Time has passed.
    Tick,
    /// Somebody wants to know.
    Ask {
        /// Comes back with the answer.
        key: K,
        /// Where the tracker is: the first of these addresses that answers.
        places: Vec<SocketAddr>,
        /// What to ask.
        question: UdpQuestion,
    },
    /// Nobody wants to know any more. There is no answer, then.
    Cancel(K),
    /// This datagram came from there.
    Received(SocketAddr, &'a [u8]),
}

/// What a UDP tracker is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpQuestion(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Announce { announce: Announce, target: Vec<u8> },
    Scrape(Vec<InfoHash>),
}

/// What the driver of a [`UdpClient`] is to do.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a driver has to carry out every action")]
pub enum UdpAction<K> {
    /// Send this datagram.
    Send(SocketAddr, Vec<u8>),
    /// Tell who asked.
    Answered(K, Result<UdpAnswer, TrackerError>),
}

/// What a UDP tracker has answered.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the questions of BEP 15")]
pub enum UdpAnswer {
    /// To an announcement.
    Announced(Announced),
    /// To a scrape; in the order of the question.
    Scraped(Vec<(InfoHash, Scrape)>),
}

#[derive(Debug, Clone, Copy)]
struct Connection {
    id: u64,
    since: Instant,
}

#[derive(Debug)]
struct Ask<K> {
    key: K,
    /// One, once it has answered.
    places: Vec<SocketAddr>,
    /// How many of them were asked since the datagram was sent for the last time.
    tried: usize,
    kind: Kind,
    phase: Phase,
    sent: u32,
    /// When it is sent to the next place.
    due: Instant,
    /// When it is sent again.
    again: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Connecting,
    Asking,
}

impl UdpQuestion {
    /// An announcement. Of the tracker's URL the path and the query go with it (BEP 41).
    pub fn announce(tracker: &Url, announce: Announce) -> Self {
        Self(Kind::Announce { announce, target: tracker.target().as_bytes().to_vec() })
    }

    /// How many peers these torrents have; at most [`SCRAPED`](crate::tracker::SCRAPED) of them are asked for.
    pub fn scrape(torrents: Vec<InfoHash>) -> Self {
        Self(Kind::Scrape(torrents))
    }
}

impl<K: Copy + PartialEq> UdpClient<K> {
    /// `sent_at_most` is how often a datagram is sent before a question is given up, 1 to 9: after 15 s, 45 s, 105 s
    /// and so on. With 9, as BEP 15 has it, that is after two hours; 3 are enough where there are other trackers.
    pub fn new(seed: Seed, sent_at_most: u32) -> Self {
        Self {
            sent_at_most: sent_at_most.clamp(1, MOST_SENT),
            entropy: Entropy::new(seed),
            connections: HashMap::new(),
            asks: BTreeMap::new(),
        }
    }

    /// When to hand in [`UdpEvent::Tick`].
    pub fn deadline(&self) -> Option<Instant> {
        self.asks.values().map(|ask| ask.due).min()
    }

    /// Something has happened: what to do now.
    pub fn handle(&mut self, now: Instant, event: UdpEvent<'_, K>) -> Vec<UdpAction<K>> {
        match event {
            UdpEvent::Tick => self.tick(now),
            UdpEvent::Ask { key, mut places, question } => {
                places.truncate(PLACES);
                let Some(first) = places.first().copied() else {
                    return vec![UdpAction::Answered(key, Err(TrackerError::Silent))];
                };
                let known = places.iter().copied().find(|place| self.connection(now, *place).is_some());
                let shared = self.asks.values().any(|ask| ask.connects_to(known.unwrap_or(first)));
                let again = now + FIRST_WAIT;
                let ask = Ask {
                    key,
                    places: known.map_or(places, |known| vec![known]),
                    tried: 0,
                    kind: question.0,
                    phase: Phase::Connecting,
                    sent: 0,
                    due: again,
                    again,
                };
                if shared && known.is_none() {
                    let transaction = self.transaction();
                    self.asks.insert(transaction, ask);
                    return Vec::new();
                }
                vec![self.send(now, ask)]
            }
            UdpEvent::Cancel(key) => {
                self.asks.retain(|_, ask| ask.key != key);
                Vec::new()
            }
            UdpEvent::Received(from, datagram) => self.received(now, from, datagram).unwrap_or_default(),
        }
    }

    fn tick(&mut self, now: Instant) -> Vec<UdpAction<K>> {
        self.connections.retain(|_, connection| connection.is_fresh(now));
        let mut actions = self.try_next_places(now);
        let due = self.take_out(|ask| ask.due <= now);
        let act = |ask: Ask<K>| {
            if ask.sent < self.sent_at_most {
                self.send(now, ask)
            } else {
                UdpAction::Answered(ask.key, Err(TrackerError::Silent))
            }
        };
        actions.extend(due.into_iter().map(act));
        actions
    }

    /// Asks further addresses of trackers, under the same transaction, so that each of them may answer.
    fn try_next_places(&mut self, now: Instant) -> Vec<UdpAction<K>> {
        let due = self.asks.iter_mut().filter(|(_, ask)| ask.due <= now && ask.again > now);
        let send = |(transaction, ask): (&u32, &mut Ask<K>)| {
            let place = ask.next_place(now)?;
            let request = Request { transaction: *transaction, question: Question::Connect };
            Some(UdpAction::Send(place, request.write()))
        };
        due.filter_map(send).collect()
    }

    /// None for a datagram that answers nothing.
    fn received(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Option<Vec<UdpAction<K>>> {
        let reply = Reply::read(datagram, Compact::of(&from))?;
        let ask = self.asks.get_mut(&reply.transaction).filter(|ask| ask.has_asked(from))?;
        let answer = match (ask.phase, &ask.kind, reply.answer) {
            (Phase::Connecting, _, Answer::Connection(id)) => {
                self.connections.insert(from, Connection { id, since: now });
                return Some(self.ask_those_who_wait(now, from));
            }
            // Something else may be there, and the tracker at another of its addresses.
            (Phase::Connecting, _, Answer::Error(_)) if ask.places.len() > 1 => {
                ask.forget(from, now);
                return Some(Vec::new());
            }
            (_, _, Answer::Error(reason)) => {
                self.connections.remove(&from);
                Err(TrackerError::Refused { reason: readable(&reason), retry: None })
            }
            (Phase::Asking, Kind::Announce { .. }, Answer::Announced { interval, scrape, mut peers }) => {
                peers.truncate(PEERS);
                let interval = Some(Duration::from_secs(interval.into()));
                Ok(UdpAnswer::Announced(Announced { interval, scrape, peers, ..Announced::default() }))
            }
            (Phase::Asking, Kind::Scrape(torrents), Answer::Scraped(scrapes)) => {
                Ok(UdpAnswer::Scraped(torrents.iter().copied().zip(scrapes).collect()))
            }
            _ => return None,
        };
        let ask = self.asks.remove(&reply.transaction)?;
        Some(vec![UdpAction::Answered(ask.key, answer)])
    }

    fn ask_those_who_wait(&mut self, now: Instant, tracker: SocketAddr) -> Vec<UdpAction<K>> {
        let waiting = self.take_out(|ask| ask.connects_to(tracker));
        // The wait begins anew: the tracker is there.
        let places = || vec![tracker];
        waiting.into_iter().map(|ask| self.send(now, Ask { sent: 0, places: places(), ..ask })).collect()
    }

    fn take_out(&mut self, which: impl Fn(&Ask<K>) -> bool) -> Vec<Ask<K>> {
        let chosen = self.asks.iter().filter(|(_, ask)| which(ask)).map(|(&transaction, _)| transaction);
        let chosen: Vec<u32> = chosen.collect();
        chosen.iter().filter_map(|transaction| self.asks.remove(transaction)).collect()
    }

    /// Sends what the question needs next, under a new transaction.
    fn send(&mut self, now: Instant, mut ask: Ask<K>) -> UdpAction<K> {
        let transaction = self.transaction();
        let place = ask.places[0];
        let connection = self.connection(now, place);
        let question = match (connection, &ask.kind) {
            (None, _) => Question::Connect,
            (Some(connection), Kind::Announce { announce, target }) => {
                Question::Announce { connection, announce: announce.clone(), target: target.clone() }
            }
            (Some(connection), Kind::Scrape(torrents)) => {
                Question::Scrape { connection, torrents: torrents.clone() }
            }
        };
        ask.phase = if connection.is_some() { Phase::Asking } else { Phase::Connecting };
        ask.again = now + FIRST_WAIT * 2_u32.pow(ask.sent);
        ask.sent += 1;
        ask.tried = 0;
        ask.next_place(now);
        self.asks.insert(transaction, ask);
        UdpAction::Send(place, Request { transaction, question }.write())
    }

    fn connection(&self, now: Instant, tracker: SocketAddr) -> Option<u64> {
        self.connections.get(&tracker).filter(|connection| connection.is_fresh(now)).map(|found| found.id)
    }

    /// One that no other question has.
    fn transaction(&mut self) -> u32 {
        loop {
            let transaction = u32::from_be_bytes(self.entropy.bytes());
            if !self.asks.contains_key(&transaction) {
                return transaction;
            }
        }
    }
}

impl Connection {
    fn is_fresh(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < CONNECTED
    }
}

impl<K> Ask<K> {
    fn connects_to(&self, tracker: SocketAddr) -> bool {
        self.places.contains(&tracker) && self.phase == Phase::Connecting
    }

    /// Whether it may be answered from there.
    fn has_asked(&self, place: SocketAddr) -> bool {
        self.places.iter().take(self.tried).any(|asked| *asked == place)
    }

    /// The next of its places is asked now.
    fn next_place(&mut self, now: Instant) -> Option<SocketAddr> {
        let place = self.places.get(self.tried).copied();
        self.tried += usize::from(place.is_some());
        let is_last = self.tried == self.places.len();
        self.due = if is_last { self.again } else { self.again.min(now + NEXT_PLACE) };
        place
    }

    /// That place is none of the tracker's: the next one is asked at once.
    fn forget(&mut self, place: SocketAddr, now: Instant) {
        self.places.retain(|other| *other != place);
        self.tried -= 1;
        if self.tried < self.places.len() {
            self.due = now;
        }
    }
}

#[cfg(test)]
mod tests;
