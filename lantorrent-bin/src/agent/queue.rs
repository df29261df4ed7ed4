//! The requests that are kept, as they stand: what has become durable, and which of them are being sent.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use super::clerk::Filter;
use super::request::{Attempt, Record, State};
use crate::time::Timestamp;

/// A request's place in the order in which requests were handed in.
pub(crate) type Ticket = u64;

/// What a request is changed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Put(Arc<Record>),
    Remove(Removal),
}

/// Why a request is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    Acknowledged,
    Expired,
}

/// Changes that become durable together, each to another request.
pub(crate) type Changes = BTreeMap<Ticket, Change>;

/// All requests.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    records: BTreeMap<Ticket, Arc<Record>>,
    tickets: HashMap<String, Ticket>,
    /// Those that have ended, by when they did.
    ended: BTreeSet<(Timestamp, Ticket)>,
    /// In the order of [`State::ALL`].
    counts: [usize; 5],
    bytes: usize,
    next: Ticket,
}

impl Queue {
    pub(crate) fn get(&self, ticket: Ticket) -> Option<&Arc<Record>> {
        self.records.get(&ticket)
    }

    pub(crate) fn ticket(&self, id: &str) -> Option<Ticket> {
        self.tickets.get(id).copied()
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Arc<Record>> {
        self.get(self.ticket(id)?)
    }

    /// The ticket of the request that is handed in next.
    pub(crate) fn next(&self) -> Ticket {
        self.next
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// Bytes of text in all requests.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn count(&self) -> [usize; 5] {
        self.counts
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Ticket, &Arc<Record>)> {
        self.records.iter().map(|(&ticket, record)| (ticket, record))
    }

    /// Those behind `after` that fit the filter, up to `limit`, after a look at `most` requests at most; and behind which
    /// one to go on, if there is more.
    pub(crate) fn scan(
        &self,
        filter: &Filter,
        after: Option<Ticket>,
        limit: usize,
        most: usize,
    ) -> (Vec<Arc<Record>>, Option<Ticket>) {
        let mut found = Vec::new();
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        for (looked, (&ticket, record)) in self.records.range((start, Bound::Unbounded)).enumerate() {
            if fits(filter, record) {
                found.push(Arc::clone(record));
            }
            if found.len() >= limit || looked + 1 >= most {
                return (found, Some(ticket));
            }
        }
        (found, None)
    }

    /// Those whose answer has been kept for so long, as many as `most`.
    pub(crate) fn expired(&self, now: Timestamp, keep: Duration, most: usize) -> Vec<Ticket> {
        let due = self.ended.iter().take_while(|(ended, _)| ended.after(keep) <= now);
        due.take(most).map(|&(_, ticket)| ticket).collect()
    }

    /// When the first of them ended that has.
    pub(crate) fn first_ended(&self) -> Option<Timestamp> {
        self.ended.first().map(|&(ended, _)| ended)
    }

    /// Takes over a change, and returns how the request was before.
    pub(crate) fn apply(&mut self, ticket: Ticket, change: &Change) -> Option<Arc<Record>> {
        let before = self.records.remove(&ticket);
        if let Some(record) = &before {
            self.counts[place(record.state)] -= 1;
            self.bytes -= bytes(record);
            if let Some(ended) = record.ended {
                self.ended.remove(&(ended, ticket));
            }
        }
        match change {
            Change::Put(record) => {
                self.counts[place(record.state)] += 1;
                self.bytes += bytes(record);
                if let Some(ended) = record.ended {
                    self.ended.insert((ended, ticket));
                }
                if before.is_none() {
                    self.tickets.insert(record.id.clone(), ticket);
                    self.next = self.next.max(ticket + 1);
                }
                self.records.insert(ticket, Arc::clone(record));
            }
            Change::Remove(_) => {
                if let Some(record) = &before {
                    self.tickets.remove(&record.id);
                }
            }
        }
        before
    }
}

fn fits(filter: &Filter, record: &Record) -> bool {
    filter.state.is_none_or(|state| state == record.state)
        && filter.source.as_ref().is_none_or(|source| *source == record.wanted.source)
        && filter.host.as_ref().is_none_or(|host| *host == record.wanted.host)
}

fn place(state: State) -> usize {
    match state {
        State::Waiting => 0,
        State::Sending => 1,
        State::Done => 2,
        State::Failed => 3,
        State::Cancelled => 4,
    }
}

/// Text of a request, with what an entry takes by itself.
pub(super) fn bytes(record: &Record) -> usize {
    let of_attempt = |attempt: &Attempt| size_of::<Attempt>() + attempt.reason.len();
    let wanted = &record.wanted;
    size_of::<Record>()
        + record.id.len()
        + wanted.source.len()
        + wanted.destination.len()
        + wanted.host.len()
        + record.attempts.iter().map(of_attempt).sum::<usize>()
}
