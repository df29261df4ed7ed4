//! When somebody is to be looked at although nothing has happened.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use mio::Token;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    Session(u64),
    Stranger(Token),
    /// Connections can be accepted again.
    Door,
    /// Old partial files are looked for.
    Cleaning,
}

/// Nothing is ever taken out before its time: whoever was set to a later time since says so when asked.
#[derive(Debug, Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Instant, Who)>>);

impl Timers {
    pub(super) fn set(&mut self, at: Instant, who: Who) {
        self.0.push(Reverse((at, who)));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// Somebody whose time has come, and when that was.
    pub(super) fn due(&mut self, now: Instant) -> Option<(Instant, Who)> {
        let Reverse(first) = self.0.peek().filter(|Reverse((at, _))| *at <= now)?;
        let first = *first;
        self.0.pop();
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_earliest_comes_first_and_nobody_before_his_time() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        let at = |seconds| now + Duration::from_secs(seconds);
        for (seconds, session) in [(3, 3), (1, 1), (2, 2)] {
            timers.set(at(seconds), Who::Session(session));
        }
        assert_eq!(timers.next(), Some(at(1)));
        assert_eq!(timers.due(now), None);
        assert_eq!(timers.due(at(2)), Some((at(1), Who::Session(1))));
        assert_eq!(timers.due(at(2)), Some((at(2), Who::Session(2))));
        assert_eq!(timers.due(at(2)), None);
    }
}
