//! When somebody is to be looked at although nothing has happened.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Instant;

/// One time for each, or none.
#[derive(Debug)]
pub(super) struct Timers<K> {
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
    pub(super) fn set(&mut self, who: K, at: Option<Instant>) {
        if self.times.get(&who).copied() == at {
            return;
        }
        if let Some(before) = self.times.remove(&who) {
            self.order.remove(&(before, who));
        }
        if let Some(at) = at {
            self.times.insert(who, at);
            self.order.insert((at, who));
        }
    }

    /// At that time, unless one was set that comes before it.
    pub(super) fn set_earlier(&mut self, who: K, at: Instant) {
        if self.times.get(&who).is_none_or(|set| *set > at) {
            self.set(who, Some(at));
        }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Somebody whose time has come. It is set no more.
    pub(super) fn due(&mut self, now: Instant) -> Option<K> {
        self.next().filter(|at| *at <= now)?;
        let (_, who) = self.order.pop_first()?;
        self.times.remove(&who);
        Some(who)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_earliest_comes_first_and_nobody_before_his_time() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        let at = |seconds| Some(now + Duration::from_secs(seconds));
        for who in [3, 1, 2] {
            timers.set(who, at(who));
        }
        assert_eq!((timers.next(), timers.due(now)), (at(1), None));
        timers.set(1, at(9));
        timers.set_earlier(2, now + Duration::from_secs(7));
        assert_eq!(timers.next(), at(2));
        timers.set_earlier(1, now + Duration::from_secs(8));
        assert_eq!(timers.times.get(&1).copied(), at(8));
        timers.set(1, at(9));
        timers.set(3, None);
        assert_eq!(timers.due(now + Duration::from_secs(8)), Some(2));
        assert_eq!(timers.due(now + Duration::from_secs(8)), None);
        assert_eq!(timers.next(), at(9));
    }
}
