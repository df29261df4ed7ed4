//! One connection's share of a limit, for who must not wait for it.

use std::time::{Duration, Instant};

use super::super::TELL;
use super::super::limit::{Limit, Standing, Turn};

/// How long a change of the limit may go unnoticed by who waits for a turn.
const GLANCE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(super) struct Throttle {
    limit: Limit,
    /// What it waits for.
    turn: Option<Turn>,
    /// When to ask again.
    again: Option<Instant>,
    excused: Option<Instant>,
}

impl Throttle {
    pub(super) fn new(limit: Limit) -> Self {
        Self { limit, turn: None, again: None, excused: None }
    }

    /// A turn of at most so many bytes, if it has come.
    pub(super) fn turn(&mut self, now: Instant, most: usize) -> Option<Turn> {
        loop {
            let turn = self.turn.take().unwrap_or_else(|| self.limit.ask(now, most));
            match self.limit.standing(now, &turn) {
                Standing::Now => {
                    self.again = None;
                    return Some(turn);
                }
                Standing::Void => {}
                Standing::In(wait) => {
                    self.turn = Some(turn);
                    self.again = Some(now + wait.min(GLANCE));
                    return None;
                }
            }
        }
    }

    /// Of a turn only so many bytes were of use.
    pub(super) fn used(&self, turn: &Turn, bytes: usize) {
        self.limit.used(turn, bytes);
    }

    /// When to ask again, while it waits.
    pub(super) fn again_at(&self) -> Option<Instant> {
        self.again
    }

    /// Whether it waits, and it is time to say once more that nobody is to blame for that.
    pub(super) fn is_to_be_excused(&mut self, now: Instant) -> bool {
        let due = self.again.is_some() && self.excused.is_none_or(|excused| now >= excused + TELL);
        if due {
            self.excused = Some(now);
        }
        due
    }
}

impl Drop for Throttle {
    /// Its turn goes to others.
    fn drop(&mut self) {
        if let Some(turn) = &self.turn {
            self.limit.used(turn, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 1000 << 10;

    #[test]
    fn what_comes_out_is_what_was_asked_for() {
        let (mut throttle, start) = (Throttle::new(Limit::new(Some(RATE))), Instant::now());
        let (mut now, mut moved) = (start, 0_u64);
        while now < start + Duration::from_secs(10) {
            match throttle.turn(now, 64 << 10) {
                Some(turn) => moved += turn.bytes as u64,
                None => now = throttle.again_at().unwrap(),
            }
        }
        // What may be caught up on is 20 ms.
        assert!(moved.abs_diff(10 * RATE) <= RATE / 25, "{moved}");
    }

    #[test]
    fn who_waits_is_excused_now_and_then_and_a_lifted_limit_holds_up_nobody() {
        let limit = Limit::new(Some(Limit::LEAST));
        let (mut throttle, now) = (Throttle::new(limit.clone()), Instant::now());
        while throttle.turn(now, 1 << 20).is_some() {
            assert!(!throttle.is_to_be_excused(now));
        }
        assert!(throttle.is_to_be_excused(now));
        assert!(!throttle.is_to_be_excused(now));
        assert!(throttle.is_to_be_excused(now + TELL));
        limit.set(None);
        assert_eq!(throttle.turn(now, 1 << 20).map(|turn| turn.bytes), Some(1 << 20));
        assert_eq!(throttle.again_at(), None);
    }
}
