//! How long a child that is slower than the disk is waited for.

use std::time::{Duration, Instant};

/// Time that may be spent on waiting for a child that has fallen to the end of the ring: half of all time, and never
/// more than `MOST` at once. So a child of at least half the speed is served from memory, and one that hangs is waited
/// for only so long.
#[derive(Debug)]
pub(super) struct Patience {
    left: Duration,
    /// When `left` was last brought up to date, and for how long since then a wait had been over and went on.
    since: Option<Instant>,
    late: Duration,
    /// Since when the producer waits for room that a child stands in the way of.
    waiting: Option<Instant>,
    /// Whether it was woken before that was over.
    woken: bool,
}

impl Patience {
    const MOST: Duration = Duration::from_millis(200);
    /// What is too short to be waited for is left to grow.
    const LEAST: Duration = Duration::from_millis(1);

    pub(super) fn new() -> Self {
        Self { left: Self::MOST, since: None, late: Duration::ZERO, waiting: None, woken: false }
    }

    /// The producer is woken, and looks again as soon as it can.
    pub(super) fn wake(&mut self) {
        self.woken = true;
    }

    /// Ends a wait for a child, if there was one: the time that it took is spent.
    pub(super) fn settle(&mut self, now: Instant) {
        if let Some(since) = self.waiting.take() {
            let waited = now.saturating_duration_since(since);
            if !self.woken {
                self.late += waited.saturating_sub(self.left);
            }
            self.left = self.left.saturating_sub(waited);
        }
    }

    /// Begins to wait for a child. Returns for how long at most; none if there is no patience left.
    pub(super) fn wait(&mut self, now: Instant) -> Option<Duration> {
        let passed = self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        // Where timers are late every time, what grew in that time would never be used up.
        let passed = passed.saturating_sub(std::mem::take(&mut self.late));
        self.left = (self.left + passed / 2).min(Self::MOST);
        self.since = Some(now);
        if self.left < Self::LEAST {
            return None;
        }
        self.waiting = Some(now);
        self.woken = false;
        Some(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_hangs_is_waited_for_only_so_long_however_late_that_ends() {
        for late in [1, 5, 100, 1000].map(Duration::from_millis) {
            let (start, mut patience) = (Instant::now(), Patience::new());
            let mut now = start;
            while let Some(wait) = patience.wait(now) {
                now += wait + late;
                patience.settle(now);
                assert!(now - start < 2 * Patience::MOST + 10 * late, "{late:?} late each time");
            }
        }
    }

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
