//! Holds a connection back where there is a limit, by waiting.

use std::time::{Duration, Instant};

use super::super::limit::Limit;
use super::super::pace::Pace;
use super::TELL;

/// One connection's share of a limit.
#[derive(Debug)]
pub(super) struct Brake {
    pace: Pace,
    told: Option<Instant>,
}

/// What one who waits does meanwhile.
pub(super) trait Waiting {
    /// Waits for so long. False if there is no reason to wait any longer.
    fn pause(&self, time: Duration) -> bool;

    /// Called now and then: says that nobody is to blame.
    fn excuse(&self);
}

impl Brake {
    pub(super) fn new(limit: Limit) -> Self {
        Self { pace: Pace::new(limit), told: None }
    }

    /// Waits until some of so many bytes may go, and returns how many. None if there is no reason to wait for it any more.
    pub(super) fn turn(&mut self, most: usize, waiting: &impl Waiting) -> Option<usize> {
        loop {
            let now = Instant::now();
            let again = match self.pace.allowance(now, most) {
                Ok(bytes) => return Some(bytes),
                Err(again) => again,
            };
            if self.told.is_none_or(|told| now.duration_since(told) >= TELL) {
                self.told = Some(now);
                waiting.excuse();
            }
            if !waiting.pause(again.saturating_duration_since(now)) {
                self.pace.went(0);
                return None;
            }
        }
    }

    /// Of those only so many went.
    pub(super) fn used(&mut self, bytes: usize) {
        self.pace.went(bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::super::super::limit::Turn;
    use super::*;

    /// Waits as long as it is told to, but only so often.
    struct Patience {
        pauses: Cell<u32>,
        excuses: Cell<u32>,
    }

    impl Waiting for Patience {
        fn pause(&self, time: Duration) -> bool {
            std::thread::sleep(time);
            self.pauses.set(self.pauses.get().saturating_sub(1));
            self.pauses.get() > 0
        }

        fn excuse(&self) {
            self.excuses.set(self.excuses.get() + 1);
        }
    }

    #[test]
    fn a_wait_is_given_up_and_its_turn_goes_to_others() {
        let limit = Limit::new(Some(Limit::LEAST));
        let mut brake = Brake::new(limit.clone());
        let waiting = Patience { pauses: Cell::new(1), excuses: Cell::new(0) };
        let first = brake.turn(1 << 20, &waiting).unwrap();
        brake.used(first);
        assert_eq!(waiting.excuses.get(), 0, "nothing had to be waited for");
        // Many others are before it, so that its turn cannot have come by the first look.
        let others: Vec<Turn> = (0..100).map(|_| limit.ask(Instant::now(), 1 << 20)).collect();
        assert_eq!(brake.turn(1 << 20, &waiting), None);
        assert_eq!(waiting.excuses.get(), 1);
        for turn in &others {
            limit.used(turn, 0);
        }
        let again = Patience { pauses: Cell::new(u32::MAX), excuses: Cell::new(0) };
        assert!(brake.turn(1 << 20, &again).is_some());
    }

    #[test]
    fn who_waits_notices_that_there_is_no_limit_any_more() {
        let limit = Limit::new(Some(Limit::LEAST));
        for _ in 0..10_000 {
            limit.ask(Instant::now(), 1 << 20);
        }
        let mut brake = Brake::new(limit.clone());
        let waiting = std::thread::spawn(move || {
            let forever = Patience { pauses: Cell::new(u32::MAX), excuses: Cell::new(0) };
            brake.turn(1 << 20, &forever)
        });
        limit.set(None);
        assert_eq!(waiting.join().unwrap(), Some(1 << 20));
    }
}
