//! Holds a connection back where there is a limit, and never waits.

use std::time::{Duration, Instant};

use super::limit::{Limit, Standing, Turn};

/// How long a change of the limit may go unnoticed by a connection whose turn has not come.
const GLANCE: Duration = Duration::from_millis(50);

/// One connection's share of a [`Limit`], for who never waits: asked before bytes are moved, and told how many were.
///
/// ```
/// use std::time::Instant;
///
/// let mut limiter = lantorrent_core::flow::RateLimiter::new(lantorrent_core::Limit::new(None));
/// assert_eq!(limiter.allowance(Instant::now(), 1000), Ok(1000));
/// limiter.went(1000);
/// ```
#[derive(Debug)]
pub struct RateLimiter {
    limit: Limit,
    turn: Option<Turn>,
}

impl RateLimiter {
    /// Of that limit.
    pub fn new(limit: Limit) -> Self {
        Self { limit, turn: None }
    }

    /// How many bytes may go now, of at most so many; or when it is worth asking again.
    pub fn allowance(&mut self, now: Instant, most: usize) -> Result<usize, Instant> {
        loop {
            let turn = *self.turn.get_or_insert_with(|| self.limit.ask(now, most));
            match self.limit.standing(now, &turn) {
                Standing::Now => return Ok(turn.bytes.min(most)),
                Standing::Void => self.turn = None,
                Standing::In(wait) => return Err(now + wait.min(GLANCE)),
            }
        }
    }

    /// So many bytes went. What more was allowed is for others.
    pub fn went(&mut self, bytes: usize) {
        if let Some(turn) = self.turn.take() {
            self.limit.used(&turn, bytes);
        }
    }
}

impl Drop for RateLimiter {
    fn drop(&mut self) {
        self.went(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_held_back_has_its_turn_later_and_others_have_what_it_leaves() {
        let limit = Limit::new(Some(100 << 10));
        let now = Instant::now();
        let (mut one, mut other) = (RateLimiter::new(limit.clone()), RateLimiter::new(limit.clone()));
        let first = one.allowance(now, 1 << 20).unwrap();
        assert!(first < 1 << 20);
        one.went(first);
        let again = one.allowance(now, 1 << 20).unwrap_err();
        assert!(again > now);
        assert_eq!(one.allowance(again, 1), Ok(1), "no more than can be used");
        one.went(1);
        assert!(other.allowance(now, 1 << 20).is_err());
        drop(other);
        limit.set(None);
        assert_eq!(one.allowance(now, 1 << 20), Ok(1 << 20));
    }
}
