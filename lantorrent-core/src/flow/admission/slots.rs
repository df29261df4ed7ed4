//! Connections of a node, and of them the pending ones: those that have not proved the password yet.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many connections a node has at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Connections in all.
    pub connections: usize,
    /// Of them, pending ones: each may cost as much memory as a header is long.
    pub pending: usize,
}

/// What becomes of a connection that was just accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Slot {
    /// It may introduce itself.
    Granted,
    /// The same, and this pending connection is to be closed for it: peers that only hold a connection cannot keep others
    /// out.
    InPlaceOf(u64),
    /// It is to be closed: the limit is reached.
    Full,
}

/// The connections that hold a slot. They are numbered in the order in which they were accepted.
#[derive(Debug)]
pub struct Slots {
    capacity: Capacity,
    /// None once the password is proven.
    connections: HashMap<u64, Option<IpAddr>>,
    /// The pending ones of each address.
    pending: BTreeMap<IpAddr, BTreeSet<u64>>,
    /// All of them together.
    pending_count: usize,
}

impl Slots {
    /// No connection yet, and never more than that.
    pub fn new(capacity: Capacity) -> Self {
        Self { capacity, connections: HashMap::new(), pending: BTreeMap::new(), pending_count: 0 }
    }

    /// A connection from that address was accepted.
    pub fn enter(&mut self, number: u64, from: IpAddr) -> Slot {
        let is_free =
            self.pending_count < self.capacity.pending && self.connections.len() < self.capacity.connections;
        let crowded_out = if is_free { None } else { self.to_be_crowded_out() };
        if !is_free && crowded_out.is_none() {
            log::warn!("closed a connection: connection limit reached ({})", self.capacity.connections);
            return Slot::Full;
        }
        crowded_out.inspect(|&number| self.leave(number));
        let from = from.to_canonical();
        self.connections.insert(number, Some(from));
        self.pending.entry(from).or_default().insert(number);
        self.pending_count += 1;
        crowded_out.map_or(Slot::Granted, Slot::InPlaceOf)
    }

    /// The oldest pending connection of the address that has most of them; of several addresses, the oldest of all.
    fn to_be_crowded_out(&self) -> Option<u64> {
        let oldest = |numbers: &BTreeSet<u64>| numbers.first().copied();
        let most = self
            .pending
            .values()
            .max_by_key(|numbers| (numbers.len(), oldest(numbers).map(std::cmp::Reverse)));
        most.and_then(oldest)
    }

    /// Its sender has proven the password.
    pub fn prove(&mut self, number: u64) {
        let Some(from) = self.connections.get_mut(&number).and_then(Option::take) else { return };
        self.pending_count -= 1;
        if let Some(numbers) = self.pending.get_mut(&from) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.pending.remove(&from);
            }
        }
    }

    /// It is closed.
    pub fn leave(&mut self, number: u64) {
        self.prove(number);
        self.connections.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        [10, 0, 0, last].into()
    }

    fn slots(connections: usize, pending: usize) -> Slots {
        Slots::new(Capacity { connections, pending })
    }

    #[test]
    fn pending_connections_make_room_and_proven_ones_do_not() {
        let mut slots = slots(4, 2);
        assert_eq!(slots.enter(1, address(1)), Slot::Granted);
        assert_eq!(slots.enter(2, address(1)), Slot::Granted);
        assert_eq!(slots.enter(3, address(1)), Slot::InPlaceOf(1), "too many pending");
        for number in [2, 3] {
            slots.prove(number);
            assert_eq!(slots.enter(number + 2, address(1)), Slot::Granted);
        }
        // Two are proven, and two are pending.
        assert_eq!(slots.enter(6, address(1)), Slot::InPlaceOf(4), "too many in all");
        slots.prove(5);
        slots.prove(6);
        assert_eq!(slots.enter(7, address(1)), Slot::Full);
        slots.leave(2);
        assert_eq!(slots.enter(8, address(1)), Slot::Granted);
    }

    #[test]
    fn one_address_crowds_out_itself_and_no_other() {
        let mut slots = slots(100, 4);
        assert_eq!(slots.enter(1, address(1)), Slot::Granted);
        for number in 2..5 {
            assert_eq!(slots.enter(number, address(2)), Slot::Granted);
        }
        for number in 5..50 {
            assert_eq!(slots.enter(number, address(2)), Slot::InPlaceOf(number - 3));
        }
        assert_eq!(slots.enter(50, address(1)), Slot::InPlaceOf(47));
        // As many each: the oldest.
        assert_eq!(slots.enter(51, address(2)), Slot::InPlaceOf(1));
    }

    #[test]
    fn an_address_is_one_however_it_is_written() {
        let mut slots = slots(100, 3);
        let mapped: IpAddr = "::ffff:10.0.0.2".parse().unwrap();
        assert_eq!(slots.enter(1, address(1)), Slot::Granted);
        assert_eq!(slots.enter(2, address(2)), Slot::Granted);
        assert_eq!(slots.enter(3, mapped), Slot::Granted);
        assert_eq!(slots.enter(4, address(3)), Slot::InPlaceOf(2));
    }

    #[test]
    fn nothing_is_left_of_what_has_left() {
        let mut slots = slots(10, 10);
        for number in 0..5 {
            let _ = slots.enter(number, address(number as u8));
        }
        slots.prove(0);
        for number in [0, 1, 2, 3, 4, 4, 9] {
            slots.leave(number);
        }
        slots.prove(3);
        assert!(slots.connections.is_empty() && slots.pending.is_empty() && slots.pending_count == 0);
    }
}
