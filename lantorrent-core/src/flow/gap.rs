//! Zeros on their way: those that follow each other become one frame, as long as nobody waits for it.

use std::ops::Range;
use std::time::{Duration, Instant};

/// Zeros that were found and not handed on yet.
#[derive(Debug)]
pub(super) struct Gap {
    /// How long they are held back at most.
    hold: Duration,
    /// How many bytes of them are handed on at once.
    most: u64,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    range: Range<u64>,
    since: Instant,
}

impl Gap {
    pub(super) fn new(hold: Duration, most: u64) -> Self {
        Self { hold, most, held: None }
    }

    /// How many bytes more go with what is held, or into a gap of their own.
    pub(super) fn room(&self) -> u64 {
        self.most - self.held.as_ref().map_or(0, Held::span)
    }

    /// Takes in what follows on everything so far: no more than there is [room](Self::room) for. Returns what is to be
    /// handed on now.
    pub(super) fn add(&mut self, now: Instant, range: Range<u64>) -> Option<Range<u64>> {
        let held = self.held.get_or_insert(Held { range: range.start..range.start, since: now });
        held.range.end = range.end;
        let due = held.span() >= self.most || now.saturating_duration_since(held.since) >= self.hold;
        if due { self.take() } else { None }
    }

    /// What is held, because something else comes now.
    pub(super) fn take(&mut self) -> Option<Range<u64>> {
        self.held.take().map(|held| held.range)
    }
}

impl Held {
    fn span(&self) -> u64 {
        self.range.end - self.range.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Duration = Duration::from_millis(100);

    #[test]
    fn zeros_are_collected_until_they_are_enough_or_it_is_time() {
        let start = Instant::now();
        let mut gap = Gap::new(HOLD, 10);
        assert_eq!(gap.add(start, 5..9), None);
        assert_eq!(gap.room(), 6);
        assert_eq!(gap.add(start + HOLD / 2, 9..11), None);
        assert_eq!(gap.add(start + HOLD, 11..12), Some(5..12));
        assert_eq!(gap.room(), 10);
        assert_eq!(gap.add(start + HOLD, 12..22), Some(12..22), "no more goes into one");
        assert_eq!(gap.take(), None);
    }

    #[test]
    fn whatever_else_comes_finds_them_handed_on() {
        let mut gap = Gap::new(HOLD, 10);
        assert_eq!(gap.add(Instant::now(), 0..3), None);
        assert_eq!(gap.take(), Some(0..3));
        assert_eq!(gap.take(), None);
    }

    #[test]
    fn where_the_next_may_be_long_in_coming_nothing_is_held() {
        let mut gap = Gap::new(Duration::ZERO, 10);
        assert_eq!(gap.add(Instant::now(), 0..3), Some(0..3));
    }
}
