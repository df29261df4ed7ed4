//! Our queries that wait for answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::id::NodeId;
use super::message::Contact;
use crate::entropy::Entropy;

/// Queries at the same time.
const MOST: usize = 512;
/// Who has not answered by then is not waited for, though its answer is welcome.
const SLOW: Duration = Duration::from_secs(1);
/// Who has not answered by then does not.
const DEAD: Duration = Duration::from_secs(4);

/// What a query is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To make the acquaintance of a node, or to see whether it is still there.
    Meeting,
    /// A step of that lookup.
    Lookup(u32),
    /// To leave an announcement.
    Announcing,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Query {
    pub(super) address: SocketAddr,
    /// Who is expected to answer, if that is known.
    pub(super) id: Option<NodeId>,
    pub(super) purpose: Purpose,
    sent: Instant,
    is_slow: bool,
}

#[derive(Debug, Default)]
pub(super) struct Pending {
    queries: BTreeMap<u32, Query>,
}

/// A query that has got old.
#[derive(Clone, Copy, Debug)]
pub(super) enum Late {
    Slow(Query),
    Dead(Query),
}

impl Query {
    /// The node that was asked, if its name was known.
    pub(super) fn contact(&self) -> Option<Contact> {
        Some(Contact { id: self.id?, address: self.address })
    }
}

impl Pending {
    pub(super) fn has_room(&self) -> bool {
        self.queries.len() < MOST
    }

    /// Whether that node is being asked something already.
    pub(super) fn includes(&self, address: SocketAddr) -> bool {
        self.queries.values().any(|query| query.address == address)
    }

    /// A new query, under a transaction that nobody can guess.
    pub(super) fn add(
        &mut self,
        now: Instant,
        (address, id): (SocketAddr, Option<NodeId>),
        purpose: Purpose,
        entropy: &mut Entropy,
    ) -> Vec<u8> {
        let transaction = loop {
            let transaction = u32::from_be_bytes(entropy.bytes());
            if !self.queries.contains_key(&transaction) {
                break transaction;
            }
        };
        self.queries.insert(transaction, Query { address, id, purpose, sent: now, is_slow: false });
        transaction.to_be_bytes().to_vec()
    }

    /// The query that is answered from there under that transaction.
    pub(super) fn take(&mut self, transaction: &[u8], from: SocketAddr) -> Option<Query> {
        let transaction = u32::from_be_bytes(transaction.try_into().ok()?);
        let query = self.queries.get(&transaction).filter(|query| query.address == from).copied()?;
        self.queries.remove(&transaction);
        Some(query)
    }

    /// Those that have got old since the last time.
    pub(super) fn late(&mut self, now: Instant) -> Vec<Late> {
        let mut late = Vec::new();
        self.queries.retain(|_, query| {
            let age = now.saturating_duration_since(query.sent);
            if age >= DEAD {
                late.push(Late::Dead(*query));
                return false;
            }
            if age >= SLOW && !query.is_slow {
                query.is_slow = true;
                late.push(Late::Slow(*query));
            }
            true
        });
        late
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let due = |query: &Query| query.sent + if query.is_slow { DEAD } else { SLOW };
        self.queries.values().map(due).min()
    }
}
