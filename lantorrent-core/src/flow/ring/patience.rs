//! How long a child that is slower than the disk is waited for.

use std::time::{Duration, Instant};

/// Time that may be spent on waiting for a child that has fallen to the end of the ring: half of all time, and never
/// more than `MOST` at once. So a child of at least half the speed is served from memory, and one that hangs is waited
/// for only so long.
#[derive(Debug)]
pub(super) struct Patience {
    left: Duration,
    /// When `left` was last brought up to date.
    since: Option<Instant>,
    /// Since when the producer waits for room that a child stands in the way of.
    waiting: Option<Instant>,
}

impl Patience {
    const MOST: Duration = Duration::from_millis(200);
    /// What is too short to be waited for is left to grow.
    const LEAST: Duration = Duration::from_millis(1);

    pub(super) fn new() -> Self {
        Self { left: Self::MOST, since: None, waiting: None }
    }

    /// Ends a wait for a child, if there was one: the time that it took is spent.
    pub(super) fn settle(&mut self, now: Instant) {
        if let Some(since) = self.waiting.take() {
            self.left = self.left.saturating_sub(now.saturating_duration_since(since));
        }
    }

    /// Begins to wait for a child. Returns for how long at most; none if there is no patience left.
    pub(super) fn wait(&mut self, now: Instant) -> Option<Duration> {
        let passed = self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        self.left = (self.left + passed / 2).min(Self::MOST);
        self.since = Some(now);
        if self.left < Self::LEAST {
            return None;
        }
        self.waiting = Some(now);
        Some(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_all_time_may_be_spent_on_waiting() {
        let start = Instant::now();
        let mut patience = Patience::new();
        let wait = patience.wait(start).unwrap();
        assert_eq!(wait, Patience::MOST);
        let spent = start + wait;
        patience.settle(spent);
        // The wait itself has let half as much grow again.
        assert_eq!(patience.wait(spent), Some(Patience::MOST / 2));
        patience.settle(spent + Patience::MOST / 2);
        patience.settle(spent + Patience::MOST);
        let later = spent + Duration::from_secs(60);
        assert_eq!(patience.wait(later), Some(Patience::MOST), "never more than that at once");
    }
}
