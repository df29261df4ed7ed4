//! How fast something goes.

use std::time::{Duration, Instant};

const SLOT: Duration = Duration::from_millis(125);
const SLOTS: usize = 8;

/// Bytes counted over the last second.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    began: Option<Instant>,
    /// The slot of time that was counted in last.
    newest: usize,
    bytes: [u64; SLOTS],
    total: u64,
}

impl Rate {
    pub(super) fn add(&mut self, now: Instant, bytes: u32) {
        let began = *self.began.get_or_insert(now);
        let slot = self.slot(began, now);
        for passed in (self.newest + 1..=slot).take(SLOTS) {
            self.bytes[passed % SLOTS] = 0;
        }
        // Slots older than those that have just been cleared are all cleared by then too.
        self.newest = self.newest.max(slot);
        self.bytes[slot % SLOTS] += u64::from(bytes);
        self.total += u64::from(bytes);
    }

    /// Bytes in a second, as of now.
    pub(super) fn value(&self, now: Instant) -> u64 {
        let Some(began) = self.began else { return 0 };
        let slot = self.slot(began, now);
        let oldest = (slot + 1).saturating_sub(SLOTS);
        let counted: u64 = (oldest..=self.newest).map(|slot| self.bytes[slot % SLOTS]).sum();
        let window = SLOT * SLOTS as u32;
        let time = now.saturating_duration_since(began).clamp(SLOT, window);
        counted * 1000 / time.as_millis() as u64
    }

    /// Bytes in all.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    fn slot(&self, began: Instant, now: Instant) -> usize {
        let slot = now.saturating_duration_since(began).as_millis() / SLOT.as_millis();
        usize::try_from(slot).unwrap_or(usize::MAX).max(self.newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_the_last_second() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut rate = Rate::default();
        assert_eq!(rate.value(at(0)), 0);
        rate.add(at(0), 1000);
        assert_eq!(rate.value(at(1)), 8000, "as if a whole slot had passed");
        assert_eq!(rate.value(at(500)), 2000);
        rate.add(at(500), 1000);
        assert_eq!(rate.value(at(999)), 2002);
        assert_eq!(rate.value(at(1100)), 1000, "the first has left the window");
        assert_eq!(rate.value(at(1700)), 0);
        rate.add(at(60_000), 500);
        assert_eq!((rate.value(at(60_001)), rate.total()), (500, 2500));
    }

    #[test]
    fn a_steady_flow() {
        let start = Instant::now();
        let mut rate = Rate::default();
        for step in 0..1000 {
            rate.add(start + Duration::from_millis(step * 10), 100);
        }
        let value = rate.value(start + Duration::from_millis(9990));
        assert!((8_700..=10_100).contains(&value), "{value}");
    }
}
