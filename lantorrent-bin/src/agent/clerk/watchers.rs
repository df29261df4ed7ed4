//! Those who wait for the end of a request.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver, Sender};

use crate::agent::queue::Ticket;

/// One who waits: for which request, and a number that no other has.
pub(super) type Watch = (Ticket, u64);

#[derive(Debug, Default)]
pub(super) struct Watchers {
    bells: BTreeMap<Watch, Sender<()>>,
    last: u64,
}

impl Watchers {
    /// Something can be received, or nothing ever, once the request has ended.
    pub(super) fn add(&mut self, ticket: Ticket) -> (Watch, Receiver<()>) {
        let (bell, rung) = mpsc::channel();
        self.last += 1;
        let watch = (ticket, self.last);
        self.bells.insert(watch, bell);
        (watch, rung)
    }

    pub(super) fn remove(&mut self, watch: Watch) {
        self.bells.remove(&watch);
    }

    /// The request has ended, or is forgotten. Dropping a bell wakes who waits for it.
    pub(super) fn ring(&mut self, ticket: Ticket) {
        let watches: Vec<Watch> =
            self.bells.range((ticket, 0)..=(ticket, u64::MAX)).map(|(&watch, _)| watch).collect();
        for watch in watches {
            self.bells.remove(&watch);
        }
    }

    pub(super) fn ring_all(&mut self) {
        self.bells.clear();
    }
}
