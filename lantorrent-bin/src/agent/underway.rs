//! The batches that are being sent, and which requests are still without a result.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::queue::Ticket;
use crate::time::Timestamp;

/// A batch's number, in this process.
pub(crate) type BatchId = u64;

#[derive(Debug, Default)]
pub(crate) struct Underway {
    batches: HashMap<BatchId, Sent>,
    of: HashMap<Ticket, BatchId>,
    last: BatchId,
}

/// A batch.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) source: Arc<str>,
    /// The transfer's id, once it has begun.
    pub(crate) transfer: Option<String>,
    pub(crate) started: Timestamp,
    /// How many requests it had at first.
    pub(crate) size: usize,
    /// Those without a result.
    pub(crate) left: BTreeSet<Ticket>,
}

impl Underway {
    pub(crate) fn start(&mut self, now: Timestamp, source: Arc<str>, tickets: &[Ticket]) -> BatchId {
        self.last += 1;
        self.of.extend(tickets.iter().map(|&ticket| (ticket, self.last)));
        let left: BTreeSet<Ticket> = tickets.iter().copied().collect();
        let sent = Sent { source, transfer: None, started: now, size: tickets.len(), left };
        self.batches.insert(self.last, sent);
        self.last
    }

    pub(crate) fn get(&self, batch: BatchId) -> Option<&Sent> {
        self.batches.get(&batch)
    }

    pub(crate) fn began(&mut self, batch: BatchId, transfer: &str) {
        if let Some(sent) = self.batches.get_mut(&batch) {
            sent.transfer = Some(transfer.to_owned());
        }
    }

    /// The batch in which the request is.
    pub(crate) fn of(&self, ticket: Ticket) -> Option<BatchId> {
        self.of.get(&ticket).copied()
    }

    /// The request is in no batch any more.
    pub(crate) fn release(&mut self, ticket: Ticket) {
        if let Some(batch) = self.of.remove(&ticket)
            && let Some(sent) = self.batches.get_mut(&batch)
        {
            sent.left.remove(&ticket);
        }
    }

    /// The batch is over. Returns its source.
    pub(crate) fn end(&mut self, batch: BatchId) -> Option<Arc<str>> {
        let sent = self.batches.remove(&batch)?;
        for ticket in &sent.left {
            self.of.remove(ticket);
        }
        Some(sent.source)
    }
}
