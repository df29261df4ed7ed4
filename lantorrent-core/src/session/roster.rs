//! Which transfers a node takes part in, or has lately taken part in: so that none comes to it twice, and so that a
//! second connection for one finds it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::wire::{Header, SealedReport, SourceHint, TransferId};

/// Finished transfers that are remembered; the oldest go first.
const FINISHED: usize = 256;

/// The transfers of a node. One for all its connections.
#[derive(Debug)]
pub struct Roster {
    entries: HashMap<TransferId, Entry>,
    retain: Duration,
}

#[derive(Debug)]
struct Entry {
    index: u32,
    source: Option<SourceHint>,
    files: Vec<String>,
    state: State,
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
        /// Transfers whose sessions are to be told [`Input::Superseded`](super::Input::Superseded) first: they
        /// write the same files for the same source.
        supersedes: Vec<TransferId>,
    },
    /// The session that is live: it is to be told [`Input::Claimed`](super::Input::Claimed).
    Claim,
    /// Nothing: the node has another place in the transfer, this one. The list names it twice, or leads back to it.
    Taken(u32),
    /// The end of the transfer, told again; see [`retell`](super::retell).
    Finished(Vec<SealedReport>),
}

impl Roster {
    /// An empty roster that remembers finished transfers for that long.
    pub fn new(retain: Duration) -> Self {
        Self { entries: HashMap::new(), retain }
    }

    /// Somebody has proven `header`. What is not of wire 2 always has a session of its own, and no entry.
    pub fn enter(&mut self, now: Instant, header: &Header) -> Entrance {
        self.forget_old(now);
        let Some(envelope) = &header.envelope else { return Entrance::New { supersedes: Vec::new() } };
        if let Some(entry) = self.entries.get(&envelope.transfer) {
            return match &entry.state {
                _ if entry.index != header.node.index => Entrance::Taken(entry.index),
                State::Live => Entrance::Claim,
                State::Finished { results, .. } => Entrance::Finished(results.clone()),
            };
        }
        let supersedes = self.superseded_by(header);
        let entry = Entry {
            index: header.node.index,
            source: envelope.source.clone(),
            files: header.node.requests.iter().map(|request| request.filename.clone()).collect(),
            state: State::Live,
        };
        self.entries.insert(envelope.transfer, entry);
        Entrance::New { supersedes }
    }

    /// The live transfers that would have to let go of their files for this one: same source, same file.
    pub fn superseded_by(&self, header: &Header) -> Vec<TransferId> {
        let Some(source) = header.envelope.as_ref().and_then(|envelope| envelope.source.as_ref()) else {
            return Vec::new();
        };
        let shares = |entry: &Entry| {
            header.node.requests.iter().any(|request| entry.files.contains(&request.filename))
        };
        let live = self.entries.iter().filter(|(_, entry)| matches!(entry.state, State::Live));
        let older = live.filter(|(_, entry)| entry.source.as_ref() == Some(source) && shares(entry));
        older.map(|(&transfer, _)| transfer).collect()
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

    fn forget_old(&mut self, now: Instant) {
        let age = |entry: &Entry| match entry.state {
            State::Live => None,
            State::Finished { at, .. } => Some(now.saturating_duration_since(at)),
        };
        self.entries.retain(|_, entry| age(entry).is_none_or(|age| age < self.retain));
        let finished = self.entries.iter().filter_map(|(&id, entry)| Some((age(entry)?, id)));
        let mut finished: Vec<(Duration, TransferId)> = finished.collect();
        if finished.len() > FINISHED {
            finished.sort_unstable_by_key(|&(age, _)| age);
            finished.drain(..FINISHED);
            for (_, id) in &finished {
                self.entries.remove(id);
            }
        }
    }
}
