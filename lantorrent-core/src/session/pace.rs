//! Whether a child is slower than it should be: the reason to bypass a node that holds everybody behind it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What a child must be behind to count as the one that holds the payload up, in bytes. Less is on its way anyway.
const BACKLOG: u64 = 1 << 20;

/// How far a child came, sampled now and then.
#[derive(Debug, Default)]
pub(super) struct Pace {
    samples: VecDeque<Sample>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    sent: u64,
}

impl Pace {
    /// The child was sent `sent` bytes of the `available` ones. One that waits for more holds nobody, so that only the
    /// time counts in which there was something to take.
    pub(super) fn sample(&mut self, at: Instant, sent: u64, available: u64, over: Duration) {
        if available.saturating_sub(sent) < BACKLOG {
            self.samples.clear();
            return;
        }
        self.samples.push_back(Sample { at, sent });
        // One that is older than asked for is what the others are compared with.
        while self.samples.get(1).is_some_and(|second| at.duration_since(second.at) >= over) {
            self.samples.pop_front();
        }
    }

    /// Bytes a second over at least that time, where the child could have taken more throughout.
    pub(super) fn rate(&self, over: Duration) -> Option<u64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let time = last.at.duration_since(first.at);
        if time < over || time.is_zero() {
            return None;
        }
        let bytes = u128::from(last.sent.saturating_sub(first.sent));
        u64::try_from(bytes * 1000 / time.as_millis().max(1)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVER: Duration = Duration::from_secs(5);

    #[test]
    fn a_child_that_waits_for_data_is_not_slow() {
        let mut pace = Pace::default();
        let start = Instant::now();
        for second in 0..20 {
            pace.sample(start + Duration::from_secs(second), second * 10, second * 10 + 100, OVER);
        }
        assert_eq!(pace.rate(OVER), None);
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut pace = Pace::default();
        let start = Instant::now();
        for second in 0..5 {
            pace.sample(start + Duration::from_secs(second), second * 1000, 1 << 30, OVER);
            assert_eq!(pace.rate(OVER), None, "too early to say");
        }
        for second in 5..30 {
            pace.sample(start + Duration::from_secs(second), 4000 + (second - 4) * 10, 1 << 30, OVER);
        }
        assert_eq!(pace.rate(OVER), Some(10));
    }
}
