//! What shall become of requests: commands and results, worked out against the queue as far as it is durable and against
//! each other, as changes that become durable together.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::clerk::{Novelty, Refusal, RefusalKind, Submitted};
use super::queue::{self, Change, Changes, Queue, Removal, Ticket};
use super::request::{Attempt, Record, State, Wanted};
use super::retry::Retries;
use crate::size;
use crate::time::Timestamp;

/// Requests that are kept, at most, whatever their state.
pub(crate) const MOST_REQUESTS: usize = 1_000_000;
/// Bytes of memory that they take, at most.
pub(crate) const MOST_BYTES: usize = 1 << 30;

/// Changes in the making.
pub(crate) struct Draft<'a> {
    queue: &'a Queue,
    now: Timestamp,
    changes: Changes,
    /// Where these ids are, or are no more, by the changes so far.
    tickets: HashMap<String, Option<Ticket>>,
    next: Ticket,
    /// As in the queue, with what is new. What is removed is not given away again before that is durable.
    len: usize,
    bytes: usize,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(queue: &'a Queue, now: Timestamp) -> Self {
        let (next, len, bytes) = (queue.next(), queue.len(), queue.bytes());
        Self { queue, now, changes: Changes::new(), tickets: HashMap::new(), next, len, bytes }
    }

    pub(crate) fn finish(self) -> Changes {
        self.changes
    }

    pub(crate) fn get(&self, ticket: Ticket) -> Option<&Arc<Record>> {
        match self.changes.get(&ticket) {
            Some(Change::Put(record)) => Some(record),
            Some(Change::Remove(_)) => None,
            None => self.queue.get(ticket),
        }
    }

    pub(crate) fn ticket(&self, id: &str) -> Option<Ticket> {
        self.tickets.get(id).copied().unwrap_or_else(|| self.queue.ticket(id))
    }

    /// Takes all of them in, or none.
    pub(crate) fn submit(&mut self, list: Vec<(String, Wanted)>) -> Result<Vec<Submitted>, Refusal> {
        self.check(&list)?;
        let mut submitted = Vec::with_capacity(list.len());
        for (id, wanted) in list {
            let known = self.ticket(&id).and_then(|ticket| self.get(ticket)).map(Arc::clone);
            let novelty = if known.is_some() { Novelty::Known } else { Novelty::New };
            let record = known.unwrap_or_else(|| self.add(id, wanted));
            submitted.push(Submitted { record: Record::clone(&record), novelty });
        }
        Ok(submitted)
    }

    /// Whether all of them can be taken in.
    fn check(&self, list: &[(String, Wanted)]) -> Result<(), Refusal> {
        let mut new: HashMap<&str, &Wanted> = HashMap::new();
        let (mut len, mut bytes) = (self.len, self.bytes);
        for (index, (id, wanted)) in list.iter().enumerate() {
            let kept = self.ticket(id).and_then(|ticket| self.get(ticket)).map(|record| &record.wanted);
            let same = match kept.or_else(|| new.get(id.as_str()).copied()) {
                Some(known) => known == wanted,
                None => {
                    new.insert(id, wanted);
                    len += 1;
                    bytes += queue::bytes(&self.record(id.clone(), wanted.clone()));
                    true
                }
            };
            if !same {
                let detail = format!(
                    "request {id} was handed in before with another source, destination, host or port; give this one \
                     another id"
                );
                return Err(Refusal { kind: RefusalKind::Conflict, detail, index: Some(index) });
            }
            if len > MOST_REQUESTS || bytes > MOST_BYTES {
                return Err(full(index));
            }
        }
        Ok(())
    }

    fn record(&self, id: String, wanted: Wanted) -> Record {
        Record {
            id,
            wanted,
            state: State::Waiting,
            submitted: self.now,
            ended: None,
            retry_at: None,
            cancelled_at: None,
            attempts: Vec::new(),
        }
    }

    fn add(&mut self, id: String, wanted: Wanted) -> Arc<Record> {
        let record = Arc::new(self.record(id.clone(), wanted));
        self.len += 1;
        self.bytes += queue::bytes(&record);
        self.tickets.insert(id, Some(self.next));
        self.changes.insert(self.next, Change::Put(Arc::clone(&record)));
        self.next += 1;
        record
    }

    /// Takes a request back. One that is being sent is only marked: it ends when its transfer lets go of it.
    pub(crate) fn cancel(&mut self, id: &str) -> Result<Arc<Record>, Refusal> {
        let (ticket, record) = self.known(id)?;
        match record.state {
            State::Done | State::Failed | State::Cancelled => return Ok(record),
            State::Sending if record.cancelled_at.is_some() => return Ok(record),
            State::Sending => self.change(ticket, |record, now| record.cancelled_at = Some(now)),
            State::Waiting => self.change(ticket, cancelled),
        }
        Ok(self.get(ticket).map_or(record, Arc::clone))
    }

    /// Forgets a request that has ended.
    pub(crate) fn acknowledge(&mut self, id: &str) -> Result<(), Refusal> {
        let (ticket, record) = self.known(id)?;
        if !record.state.is_final() {
            let detail = format!(
                "request {id} is still {}; wait for its end, or cancel it, before acknowledging it",
                record.state.name()
            );
            return Err(Refusal { kind: RefusalKind::Conflict, detail, index: None });
        }
        self.remove(ticket, &record, Removal::Acknowledged);
        Ok(())
    }

    /// Forgets those that have ended and have been kept for long enough, as many as `most`.
    pub(crate) fn expire(&mut self, keep: Duration, most: usize) {
        for ticket in self.queue.expired(self.now, keep, most) {
            if let Some(record) = self.get(ticket).map(Arc::clone) {
                self.remove(ticket, &record, Removal::Expired);
            }
        }
    }

    /// An attempt at a request that was being sent has ended. `chance` is any number, drawn anew each time.
    pub(crate) fn attempted(&mut self, ticket: Ticket, attempt: Attempt, retries: Retries, chance: u64) {
        self.change(ticket, |record, now| {
            let (code, ended) = (attempt.code, attempt.ended);
            record.attempts.push(attempt);
            record.retry_at = None;
            record.state = match retries.pause(record.attempts.len(), code, chance) {
                _ if code.is_success() => State::Done,
                _ if record.cancelled_at.is_some() => State::Cancelled,
                None => State::Failed,
                Some(pause) => {
                    record.retry_at = Some(now.after(pause));
                    State::Waiting
                }
            };
            record.ended = record.state.is_final().then_some(ended);
        });
    }

    /// A request that was being sent waits again, as if it had not been.
    pub(crate) fn interrupted(&mut self, ticket: Ticket) {
        self.change(ticket, |record, _| record.state = State::Waiting);
    }

    /// A request that was taken back, and is not being sent, ends.
    pub(crate) fn let_go(&mut self, ticket: Ticket) {
        self.change(ticket, cancelled);
    }

    fn change(&mut self, ticket: Ticket, change: impl FnOnce(&mut Record, Timestamp)) {
        if let Some(before) = self.get(ticket) {
            let mut record = Record::clone(before);
            change(&mut record, self.now);
            self.changes.insert(ticket, Change::Put(Arc::new(record)));
        }
    }

    fn remove(&mut self, ticket: Ticket, record: &Record, why: Removal) {
        self.tickets.insert(record.id.clone(), None);
        self.changes.insert(ticket, Change::Remove(why));
    }

    fn known(&self, id: &str) -> Result<(Ticket, Arc<Record>), Refusal> {
        let ticket = self.ticket(id);
        let record = ticket.and_then(|ticket| self.get(ticket)).map(Arc::clone);
        ticket.zip(record).ok_or_else(|| unknown(id))
    }
}

fn cancelled(record: &mut Record, now: Timestamp) {
    record.state = State::Cancelled;
    record.retry_at = None;
    record.cancelled_at = record.cancelled_at.or(Some(now));
    record.ended = Some(now);
}

pub(crate) fn unknown(id: &str) -> Refusal {
    let id = crate::text::clean(id);
    let detail = format!(
        "there is no request {id}; it was never handed in, or was acknowledged, or kept for long enough"
    );
    Refusal { kind: RefusalKind::Missing, detail, index: None }
}

fn full(index: usize) -> Refusal {
    let detail = format!(
        "{MOST_REQUESTS} requests, or {} of them, are kept already; acknowledge some that have ended, or wait",
        size::bytes(MOST_BYTES as u64)
    );
    Refusal { kind: RefusalKind::Unavailable, detail, index: Some(index) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::testing::wanted;

    #[test]
    fn no_more_are_kept_than_fit() {
        let queue = Queue::default();
        let entry = |id: &str| (id.to_owned(), wanted("/a", "node"));
        let refused = |len, bytes, list: Vec<(String, Wanted)>| {
            let mut draft = Draft { len, bytes, ..Draft::new(&queue, Timestamp(0)) };
            let refusal = draft.submit(list).err()?;
            assert!(draft.finish().is_empty());
            Some((refusal.kind, refusal.index))
        };
        let full = |index| Some((RefusalKind::Unavailable, Some(index)));
        assert_eq!(refused(MOST_REQUESTS - 1, 0, vec![entry("a"), entry("a")]), None);
        assert_eq!(refused(MOST_REQUESTS - 1, 0, vec![entry("a"), entry("b")]), full(1));
        assert_eq!(refused(0, MOST_BYTES, vec![entry("a")]), full(0));
        let long = Wanted { destination: "/".repeat(1 << 14), ..wanted("/a", "node") };
        assert_eq!(refused(0, MOST_BYTES - (1 << 14), vec![("a".into(), long)]), full(0));
    }
}
