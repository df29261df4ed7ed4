//! How long a child that is slower than the disk is waited for.

use std::time::{Duration, Instant};

/// Time that may be spent on waiting for a child that has fallen to the end of the ring: half of all time, and never
/// more than `MOST` at once. So a child of at least half the speed is served from memory, and one that hangs is waited
/// for only so long.
#[derive(Debug)]
pub(super) struct Patience {
    left: Duration,
    since: Instant,
}

impl Patience {
    const MOST: Duration = Duration::from_millis(200);

    pub(super) fn new() -> Self {
        Self { left: Self::MOST, since: Instant::now() }
    }

    pub(super) fn left(&mut self) -> Duration {
        let now = Instant::now();
        self.left = (self.left + (now - self.since) / 2).min(Self::MOST);
        self.since = now;
        // What is too short to be waited for is left to grow.
        if self.left < Duration::from_millis(1) { Duration::ZERO } else { self.left }
    }

    pub(super) fn spend(&mut self, time: Duration) {
        self.left = self.left.saturating_sub(time);
    }
}
