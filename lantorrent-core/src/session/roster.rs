//! Which transfers a node takes part in, or has lately taken part in: so that none comes to it twice, and so that a
//! second connection for one finds it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::tombstones::Tombstones;
use crate::wire::{Header, SealedReport, SourceHint, TransferId};

/// Finished transfers that are remembered; the oldest go first.
const FINISHED: usize = 256;
/// Results that are remembered, of all of them together.
const RESULTS: usize = 100_000;

/// The transfers of a node. One for all its connections.
#[derive(Debug)]
pub struct Roster {
    entries: HashMap<TransferId, Entry>,
    cancelled: Tombstones,
    retain: Duration,
}

#[derive(Debug)]
struct Entry {
    index: u32,
    source: Option<SourceHint>,
    age: Option<(u64, TransferId)>,
    files: Vec<String>,
    /// Whether no upstream of its session lives.
    orphan: bool,
    state: State,
}

/// Those that are older, and those that are newer than somebody who comes.
#[derive(Debug, Default)]
struct Rivals {
    older: Vec<TransferId>,
    newer: Vec<TransferId>,
}

#[derive(Debug)]
enum State {
    Live,
    Finished { results: Vec<SealedReport>, at: Instant },
}

/// What a proven header of wire 2 leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entrance {
    /// A session of its own, which is on the roster from now on.
    New {
        /// Transfers whose sessions are to be told [`NodeInput::Superseded`](super::NodeInput::Superseded) first: they
        /// write the same files for the same source.
        supersedes: Vec<TransferId>,
        /// Requests that were cancelled before: the session is to be told [`NodeInput::Unwanted`](super::NodeInput::Unwanted)
        /// before anything else.
        unwanted: Vec<String>,
    },
    /// The session that is live: it is to be told [`NodeInput::Claimed`](super::NodeInput::Claimed).
    Claim,
    /// Nothing yet: a newer transfer of the same source writes the same files. It may enter again until
    /// [`Timing::contest`](super::Timing::contest) is over, and is refused as superseded then.
    Outdated,
    /// Nothing: the node has another place in the transfer, this one. The list names it twice, or leads back to it.
    Taken(u32),
    /// The end of the transfer, told again; see [`retell`](super::retell).
    Finished(Vec<SealedReport>),
}

/// What a proven header that cancels requests leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recall {
    /// The session that is live: it is to be told [`NodeInput::Cancelled`](super::NodeInput::Cancelled).
    Live,
    /// A session that does nothing else, and is on no roster; see [`NodeSession::cancel`](super::NodeSession::cancel).
    Gone {
        /// How the transfer has ended here, if it has.
        told: Vec<SealedReport>,
        /// As in [`Entrance::New`].
        supersedes: Vec<TransferId>,
    },
}

impl Roster {
    /// An empty roster that remembers finished transfers for that long.
    pub fn new(retain: Duration) -> Self {
        Self { entries: HashMap::new(), cancelled: Tombstones::new(retain), retain }
    }

    /// Somebody has proven `header`. What is not of wire 2 always has a session of its own, and no entry.
    pub fn enter(&mut self, now: Instant, header: &Header) -> Entrance {
        self.forget_old(now);
        let Some(envelope) = &header.envelope else {
            return Entrance::New { supersedes: Vec::new(), unwanted: Vec::new() };
        };
        if let Some(entry) = self.entries.get(&envelope.transfer) {
            return match &entry.state {
                _ if entry.index != header.node.index => Entrance::Taken(entry.index),
                State::Live => Entrance::Claim,
                State::Finished { results, .. } => Entrance::Finished(results.clone()),
            };
        }
        let Rivals { older, newer } = self.rivals(header);
        if !newer.is_empty() {
            return Entrance::Outdated;
        }
        let entry = Entry {
            index: header.node.index,
            source: envelope.source.clone(),
            age: envelope.age(),
            files: header.node.requests.iter().map(|request| request.filename.clone()).collect(),
            orphan: false,
            state: State::Live,
        };
        self.entries.insert(envelope.transfer, entry);
        let unwanted = self.cancelled.among(now, &envelope.transfer, &header.node.requests);
        Entrance::New { supersedes: older, unwanted }
    }

    /// Somebody has proven `header`, which cancels its requests. They are not begun any more.
    pub fn cancel(&mut self, now: Instant, header: &Header) -> Recall {
        self.forget_old(now);
        let transfer = header.envelope.as_ref().map(|envelope| envelope.transfer);
        if let Some(transfer) = transfer {
            self.cancelled.add(now, transfer, &header.node.requests);
        }
        let told = match transfer.and_then(|transfer| self.entries.get(&transfer)).map(|entry| &entry.state) {
            Some(State::Live) => return Recall::Live,
            Some(State::Finished { results, .. }) => results.clone(),
            None => Vec::new(),
        };
        Recall::Gone { told, supersedes: self.rivals(header).older }
    }

    /// Whether the session of a live transfer has lost its upstream, see [`NodeSession::is_orphan`](super::NodeSession::is_orphan).
    /// To be said before anybody [enters](Self::enter).
    pub fn set_orphan(&mut self, transfer: &TransferId, orphan: bool) {
        if let Some(entry) = self.entries.get_mut(transfer) {
            entry.orphan = orphan;
        }
    }

    /// Whether live transfers would have to let go of their files for this one.
    pub fn would_supersede(&self, header: &Header) -> bool {
        let Rivals { older, newer } = self.rivals(header);
        !(older.is_empty() && newer.is_empty())
    }

    /// The live transfers of the same source to the same files.
    fn rivals(&self, header: &Header) -> Rivals {
        let Some(envelope) = &header.envelope else { return Rivals::default() };
        let Some(source) = &envelope.source else { return Rivals::default() };
        let shares = |entry: &Entry| {
            header.node.requests.iter().any(|request| entry.files.contains(&request.filename))
        };
        let live = self.entries.iter().filter(|(_, entry)| matches!(entry.state, State::Live));
        let rivals = live.filter(|(_, entry)| entry.source.as_ref() == Some(source) && shares(entry));
        // Without an order the one that comes later is the newer one. So it is where nobody sends the other one any more:
        // its sender is gone, and the clock of the next one may have been put back.
        let outranks =
            |entry: &Entry| !entry.orphan && envelope.age().is_some_and(|own| entry.age > Some(own));
        let (newer, older): (Vec<_>, Vec<_>) = rivals.partition(|(_, entry)| outranks(entry));
        let ids = |rivals: Vec<(&TransferId, &Entry)>| rivals.into_iter().map(|(&id, _)| id).collect();
        Rivals { older: ids(older), newer: ids(newer) }
    }

    /// The session of a transfer is over. With `results` it can be asked again for a while; without, it is forgotten
    /// and may begin anew.
    pub fn leave(&mut self, now: Instant, transfer: &TransferId, results: Option<Vec<SealedReport>>) {
        match (results, self.entries.get_mut(transfer)) {
            (Some(results), Some(entry)) => entry.state = State::Finished { results, at: now },
            _ => drop(self.entries.remove(transfer)),
        }
        self.forget_old(now);
    }

    /// Drops finished transfers that are too old, or too many.
    fn forget_old(&mut self, now: Instant) {
        let finished = self.entries.iter().filter_map(|(&id, entry)| match &entry.state {
            State::Live => None,
            State::Finished { at, results } => Some((*at, id, results.len())),
        });
        let mut finished: Vec<(Instant, TransferId, usize)> = finished.collect();
        finished.sort_unstable_by_key(|&(at, ..)| std::cmp::Reverse(at));
        let mut kept = 0;
        for (place, (at, id, results)) in finished.into_iter().enumerate() {
            kept += results;
            let young = now.saturating_duration_since(at) < self.retain;
            // The latest one is kept whatever its size.
            if !young || place >= FINISHED || (place > 0 && kept > RESULTS) {
                self.entries.remove(&id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Code, Destination, Envelope, Keyring, Nonce, Password, Report, Request};

    fn header(transfer: u8, index: u32, file: &str, source: Option<&str>) -> Header {
        begun_at(7, transfer, index, file, source)
    }

    fn begun_at(begun: u64, transfer: u8, index: u32, file: &str, source: Option<&str>) -> Header {
        let hint = |id: &str| SourceHint { size: None, mtime: None, id: id.into() };
        let request = Request { filename: file.into(), id: "0".into(), rename: true };
        Header {
            node: Destination {
                host: "h".into(),
                port: 1,
                index,
                requests: vec![request],
                degree: None,
                block_size: None,
            },
            length: None,
            block_size: 4096,
            degree: 1,
            destinations: Vec::new(),
            envelope: Some(Envelope {
                source: source.map(hint),
                begun: Some(begun),
                ..Envelope::new(TransferId([transfer; 16]), Nonce([0; 16]), 0, ([10, 0, 0, 1], 1).into())
            }),
        }
    }

    fn results(count: usize) -> Vec<SealedReport> {
        let key = Keyring::new(Password::new("p")).result_key(&TransferId([0; 16])).unwrap();
        vec![SealedReport::seal(&Report::refusal(Code::SUCCESS, ""), &key); count]
    }

    fn begins(entrance: &Entrance) -> bool {
        matches!(entrance, Entrance::New { supersedes, unwanted } if supersedes.is_empty() && unwanted.is_empty())
    }

    #[test]
    fn a_transfer_is_live_once_and_then_finished_for_a_while() {
        let mut roster = Roster::new(Duration::from_secs(10));
        let now = Instant::now();
        let header = header(1, 3, "/f", None);
        let id = TransferId([1; 16]);
        assert!(begins(&roster.enter(now, &header)));
        assert_eq!(roster.enter(now, &header), Entrance::Claim);
        assert_eq!(roster.enter(now, &self::header(1, 4, "/f", None)), Entrance::Taken(3));
        roster.leave(now, &id, Some(results(2)));
        assert_eq!(roster.enter(now + Duration::from_secs(9), &header), Entrance::Finished(results(2)));
        assert!(begins(&roster.enter(now + Duration::from_secs(10), &header)));
        roster.leave(now, &id, None);
        assert!(begins(&roster.enter(now, &header)));
    }

    #[test]
    fn the_same_source_for_the_same_file_supersedes() {
        let mut roster = Roster::new(Duration::from_secs(10));
        let now = Instant::now();
        roster.enter(now, &header(1, 0, "/f", Some("a")));
        for other in [header(2, 0, "/g", Some("a")), header(3, 0, "/f", Some("b")), header(4, 0, "/f", None)]
        {
            assert!(begins(&roster.enter(now, &other)));
        }
        let newer = header(5, 7, "/f", Some("a"));
        assert!(roster.would_supersede(&newer));
        let supersedes = vec![TransferId([1; 16])];
        let cancel = Recall::Gone { told: Vec::new(), supersedes: supersedes.clone() };
        assert_eq!(roster.cancel(now, &begun_at(8, 9, 0, "/f", Some("a"))), cancel);
        let cancel = Recall::Gone { told: Vec::new(), supersedes: Vec::new() };
        assert_eq!(roster.cancel(now, &begun_at(6, 9, 0, "/f", Some("a"))), cancel, "it is newer");
        assert_eq!(roster.enter(now, &newer), Entrance::New { supersedes, unwanted: Vec::new() });
        let older = begun_at(6, 9, 0, "/f", Some("a"));
        assert_eq!(roster.enter(now, &older), Entrance::Outdated);
    }

    #[test]
    fn an_earlier_clock_does_not_matter_where_the_sender_of_the_other_is_gone() {
        let mut roster = Roster::new(Duration::from_secs(10));
        let now = Instant::now();
        let first = TransferId([1; 16]);
        roster.enter(now, &begun_at(1000, 1, 0, "/f", Some("a")));
        let repeated = begun_at(800, 2, 0, "/f", Some("a"));
        assert_eq!(roster.enter(now, &repeated), Entrance::Outdated);
        roster.set_orphan(&first, true);
        let cancel = Recall::Gone { told: Vec::new(), supersedes: vec![first] };
        assert_eq!(roster.cancel(now, &begun_at(800, 9, 0, "/f", Some("a"))), cancel);
        let entrance = Entrance::New { supersedes: vec![first], unwanted: Vec::new() };
        assert_eq!(roster.enter(now, &repeated), entrance);
        // It has an upstream, and is the one that counts.
        roster.leave(now, &first, None);
        assert_eq!(roster.enter(now, &begun_at(700, 3, 0, "/f", Some("a"))), Entrance::Outdated);
    }

    #[test]
    fn what_is_cancelled_is_not_begun_whatever_comes_first() {
        let mut roster = Roster::new(Duration::from_secs(10));
        let now = Instant::now();
        let header = header(1, 3, "/f", None);
        let gone = |told| Recall::Gone { told, supersedes: Vec::new() };
        assert_eq!(roster.cancel(now, &header), gone(Vec::new()));
        let unwanted = vec!["0".to_owned()];
        assert_eq!(roster.enter(now, &header), Entrance::New { supersedes: Vec::new(), unwanted });
        assert_eq!(roster.cancel(now, &header), Recall::Live);
        let id = TransferId([1; 16]);
        roster.leave(now, &id, Some(results(1)));
        assert_eq!(roster.cancel(now, &header), gone(results(1)));
        // It ends without a result, and is begun anew.
        roster.leave(now, &id, None);
        assert!(matches!(roster.enter(now, &header), Entrance::New { unwanted, .. } if unwanted == ["0"]));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut roster = Roster::new(Duration::from_secs(1000));
        let now = Instant::now();
        for transfer in 0..=255 {
            roster.enter(now, &header(transfer, 0, "/f", None));
            let at = now + Duration::from_secs(transfer.into());
            roster.leave(at, &TransferId([transfer; 16]), Some(results(1000)));
        }
        let later = now + Duration::from_secs(300);
        assert!(begins(&roster.enter(later, &header(0, 0, "/f", None))), "the oldest made room");
        assert!(matches!(roster.enter(later, &header(255, 0, "/f", None)), Entrance::Finished(_)));
        assert!(roster.entries.len() <= 101);
    }
}
