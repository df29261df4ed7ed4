//! Deadlines of an event loop: when a key is due although nothing has happened to it.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Instant;

/// At most one time for each key.
#[derive(Debug)]
pub struct Timers<K> {
    order: BTreeSet<(Instant, K)>,
    times: HashMap<K, Instant>,
}

impl<K: Copy + Ord + Hash> Default for Timers<K> {
    fn default() -> Self {
        Self { order: BTreeSet::new(), times: HashMap::new() }
    }
}

impl<K: Copy + Ord + Hash> Timers<K> {
    /// Instead of the time that was set before, if any.
    pub fn set(&mut self, key: K, at: Option<Instant>) {
        if self.times.get(&key).copied() == at {
            return;
        }
        if let Some(before) = self.times.remove(&key) {
            self.order.remove(&(before, key));
        }
        if let Some(at) = at {
            self.times.insert(key, at);
            self.order.insert((at, key));
        }
    }

    /// At that time, unless one was set that comes before it.
    pub fn set_earlier(&mut self, key: K, at: Instant) {
        if self.times.get(&key).is_none_or(|set| *set > at) {
            self.set(key, Some(at));
        }
    }

    /// When the first key is due.
    pub fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes out the keys whose time has come, the earliest first. One that is set again meanwhile has its turn behind what
    /// else happens.
    pub fn due(&mut self, now: Instant) -> Vec<K> {
        let mut due = Vec::new();
        while let Some(&(at, key)) = self.order.first()
            && at <= now
        {
            self.order.pop_first();
            self.times.remove(&key);
            due.push(key);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_earliest_comes_first_and_none_before_its_time() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        for key in [3, 1, 2] {
            timers.set(key, Some(at(key)));
        }
        assert_eq!(timers.next(), Some(at(1)));
        assert_eq!(timers.due(now), [0; 0]);
        assert_eq!(timers.due(at(2)), [1, 2]);
        assert_eq!(timers.due(at(2)), [0; 0]);
        timers.set(3, Some(at(9)));
        assert_eq!((timers.due(at(8)), timers.next()), (vec![], Some(at(9))));
        timers.set(3, None);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_time_is_replaced_or_only_made_earlier() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        for key in [3, 1, 2] {
            timers.set(key, Some(at(key)));
        }
        timers.set(1, Some(at(9)));
        timers.set_earlier(2, at(7));
        assert_eq!(timers.next(), Some(at(2)));
        timers.set_earlier(1, at(8));
        assert_eq!(timers.times.get(&1).copied(), Some(at(8)));
        timers.set(1, Some(at(9)));
        timers.set(3, None);
        assert_eq!(timers.due(at(8)), [2]);
        assert_eq!(timers.due(at(8)), [0; 0]);
        assert_eq!(timers.next(), Some(at(9)));
    }
}
