//! When something is to be done about a request.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use super::queue::Ticket;

/// At most one alarm for each request.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    by_time: BTreeSet<(Instant, Ticket)>,
    times: HashMap<Ticket, Instant>,
}

impl Alarms {
    /// In place of the one that the request had.
    pub(crate) fn set(&mut self, ticket: Ticket, at: Instant) {
        self.clear(ticket);
        self.times.insert(ticket, at);
        self.by_time.insert((at, ticket));
    }

    pub(crate) fn clear(&mut self, ticket: Ticket) {
        if let Some(at) = self.times.remove(&ticket) {
            self.by_time.remove(&(at, ticket));
        }
    }

    /// The first that is due, which is cleared by that.
    pub(crate) fn ring(&mut self, now: Instant) -> Option<Ticket> {
        let &(at, ticket) = self.by_time.first()?;
        (at <= now).then(|| {
            self.clear(ticket);
            ticket
        })
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|&(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn they_ring_in_their_order() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut alarms = Alarms::default();
        for (ticket, seconds) in [(1, 5), (2, 3), (3, 4), (2, 6)] {
            alarms.set(ticket, at(seconds));
        }
        alarms.clear(3);
        assert_eq!(alarms.next(), Some(at(5)));
        assert_eq!(alarms.ring(at(4)), None);
        assert_eq!((alarms.ring(at(9)), alarms.ring(at(9)), alarms.ring(at(9))), (Some(1), Some(2), None));
        assert_eq!(alarms.next(), None);
    }
}
