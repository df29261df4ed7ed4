//! Deadlines by name. A machine says each of them in one place; when to wake up and what is due then follow from it.

use std::collections::BTreeMap;
use std::time::Instant;

/// What is due when. `K` is an enum of deadlines, in the order in which those that are due at once are dealt with.
#[derive(Debug)]
pub(super) struct Timers<K>(BTreeMap<K, Instant>);

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Copy> Timers<K> {
    /// `key` is due at that time; never, where that is None.
    pub(super) fn set(&mut self, key: K, at: impl Into<Option<Instant>>) {
        match at.into() {
            Some(at) => _ = self.0.insert(key, at),
            None => self.clear(key),
        }
    }

    pub(super) fn clear(&mut self, key: K) {
        self.0.remove(&key);
    }

    /// When `key` is due.
    pub(super) fn get(&self, key: K) -> Option<Instant> {
        self.0.get(&key).copied()
    }

    /// The earliest of all.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().min().copied()
    }

    /// What is due, first by the order of the keys. It is clear from then on.
    pub(super) fn expired(&mut self, now: Instant) -> Option<K> {
        let (&key, _) = self.0.iter().find(|(_, at)| **at <= now)?;
        self.0.remove(&key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_due_comes_once_in_the_order_of_the_keys() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        timers.set('b', at(1));
        timers.set('a', at(2));
        timers.set('c', at(3));
        assert_eq!(timers.next(), Some(at(1)));
        assert_eq!([(); 3].map(|()| timers.expired(at(2))), [Some('a'), Some('b'), None]);
        timers.set('c', at(5));
        assert_eq!((timers.next(), timers.get('c')), (Some(at(5)), Some(at(5))), "the later word counts");
        timers.set('c', None);
        assert_eq!((timers.next(), timers.get('c')), (None, None));
    }
}
