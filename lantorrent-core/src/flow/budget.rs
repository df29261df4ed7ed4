//! How much of what is best effort may go over one connection.

use std::time::{Duration, Instant};

use crate::wire::limits::EXTENSION_RATE;

/// Token bucket: [`EXTENSION_RATE`] bytes at once, and as many a second.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
    /// As of when.
    at: Instant,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: EXTENSION_RATE, at: now }
    }

    /// Takes so many bytes out of it, if it has them.
    pub(super) fn take(&mut self, now: Instant, bytes: u64) -> bool {
        self.refill(now);
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at);
        let earned = if passed >= Duration::from_secs(1) {
            EXTENSION_RATE
        } else {
            EXTENSION_RATE * u64::from(passed.subsec_micros()) / 1_000_000
        };
        // Where it is less than a byte the time counts on.
        if earned > 0 {
            self.left = EXTENSION_RATE.min(self.left + earned);
            self.at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_span_of_time_has_more_than_a_burst_and_the_rate() {
        let start = Instant::now();
        for (step, size) in [(0, 1000), (1, 90), (7, 65_592), (250, 65_536), (999, 56), (5000, 65_592)] {
            let (mut budget, mut now, mut sent) = (Budget::new(start), start, 0);
            for _ in 0..10_000 {
                now += Duration::from_micros(step * 1000 + 1);
                while budget.take(now, size) {
                    sent += size;
                }
                let allowed = EXTENSION_RATE + EXTENSION_RATE * (now - start).as_micros() as u64 / 1_000_000;
                assert!(sent <= allowed, "{sent} of {allowed} after {:?}", now - start);
            }
            assert!(sent >= EXTENSION_RATE - size, "{sent}");
        }
    }

    #[test]
    fn it_is_full_again_after_a_second() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        assert!(budget.take(start, EXTENSION_RATE) && !budget.take(start, 1));
        assert!(budget.take(start + Duration::from_millis(500), EXTENSION_RATE / 2));
        assert!(!budget.take(start + Duration::from_millis(500), 1));
        assert!(budget.take(start + Duration::from_secs(7), EXTENSION_RATE));
    }
}
