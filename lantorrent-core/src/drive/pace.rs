//! Holds a connection back where there is a limit, and never waits.

use std::time::{Duration, Instant};

use super::super::limit::{Limit, Standing, Turn};

/// How long a change of the limit may go unnoticed by a connection whose turn has not come.
const GLANCE: Duration = Duration::from_millis(50);

/// One connection's share of a limit.
#[derive(Debug)]
pub(super) struct Pace {
    limit: Limit,
    turn: Option<Turn>,
    /// When to look again.
    held_until: Option<Instant>,
}

impl Pace {
    pub(super) fn new(limit: Limit) -> Self {
        Self { limit, turn: None, held_until: None }
    }

    /// How many bytes may go now, of at most so many. None if it is not their turn yet: then it is worth looking again at
    /// the [deadline](Self::deadline).
    pub(super) fn allowance(&mut self, now: Instant, most: usize) -> Option<usize> {
        self.held_until = None;
        loop {
            let turn = *self.turn.get_or_insert_with(|| self.limit.ask(now, most));
            match self.limit.standing(now, &turn) {
                Standing::Now => return Some(turn.bytes.min(most)),
                Standing::Void => self.turn = None,
                Standing::In(wait) => {
                    self.held_until = Some(now + wait.min(GLANCE));
                    return None;
                }
            }
        }
    }

    /// So many bytes went. What more was allowed is for others.
    pub(super) fn went(&mut self, bytes: usize) {
        self.held_until = None;
        if let Some(turn) = self.turn.take() {
            self.limit.used(&turn, bytes);
        }
    }

    /// When it is worth looking again; none for who is not held back.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.held_until
    }
}

impl Drop for Pace {
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
        let (mut one, mut other) = (Pace::new(limit.clone()), Pace::new(limit.clone()));
        let first = one.allowance(now, 1 << 20).unwrap();
        assert!(first < 1 << 20 && one.deadline().is_none());
        one.went(first);
        assert_eq!(one.allowance(now, 1 << 20), None);
        let again = one.deadline().unwrap();
        assert!(again > now);
        assert_eq!(one.allowance(again, 1), Some(1), "no more than can be used");
        one.went(1);
        assert_eq!(other.allowance(now, 1 << 20), None);
        drop(other);
        limit.set(None);
        assert_eq!(one.allowance(now, 1 << 20), Some(1 << 20));
    }
}
