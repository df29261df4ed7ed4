//! When somebody is to be looked at although nothing has happened.

use std::collections::BTreeSet;
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

/// One time for each, or none.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Instant, Who)>);

impl Timers {
    pub(super) fn set(&mut self, at: Instant, who: Who) {
        self.0.insert((at, who));
    }

    /// From one time to another.
    pub(super) fn reset(&mut self, before: Option<Instant>, at: Option<Instant>, who: Who) {
        if before == at {
            return;
        }
        if let Some(before) = before {
            self.0.remove(&(before, who));
        }
        if let Some(at) = at {
            self.set(at, who);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Somebody whose time has come. It is set no more.
    pub(super) fn due(&mut self, now: Instant) -> Option<Who> {
        self.next().filter(|at| *at <= now)?;
        self.0.pop_first().map(|(_, who)| who)
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
        assert_eq!(timers.due(at(2)), Some(Who::Session(1)));
        assert_eq!(timers.due(at(2)), Some(Who::Session(2)));
        assert_eq!(timers.due(at(2)), None);
        timers.reset(Some(at(3)), Some(at(9)), Who::Session(3));
        assert_eq!((timers.due(at(8)), timers.len()), (None, 1));
        timers.reset(Some(at(9)), None, Who::Session(3));
        assert_eq!(timers.next(), None);
    }
}
