//! Unpredictable numbers, from a seed that the driver brings.

use std::fmt;
use std::time::Duration;

use sha1::{Digest, Sha1};

/// 256 bits from the operating system's random source; a test brings what it likes, and gets the same run again.
#[derive(Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "32 bytes by its cipher")]
pub struct Seed(pub [u8; 32]);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// A stream of numbers that nobody can guess without the seed.
#[derive(Debug, Clone)]
pub(crate) struct Entropy {
    seed: Seed,
    drawn: u64,
}

impl Entropy {
    pub(crate) fn new(seed: Seed) -> Self {
        Self { seed, drawn: 0 }
    }

    /// At most 20 bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        const { assert!(N <= 20) };
        self.drawn += 1;
        let hash = Sha1::new().chain_update(self.seed.0).chain_update(self.drawn.to_be_bytes()).finalize();
        std::array::from_fn(|index| hash[index])
    }

    /// For somebody else's stream of numbers.
    #[cfg(feature = "drive")]
    pub(crate) fn seed(&mut self) -> Seed {
        let (left, right) = (self.bytes::<16>(), self.bytes::<16>());
        Seed(std::array::from_fn(|index| if index < 16 { left[index] } else { right[index - 16] }))
    }

    pub(crate) fn word(&mut self) -> u64 {
        u64::from_be_bytes(self.bytes())
    }

    /// Below that number, which is not 0; for numbers so small that nobody sees which ones come a little more often.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.word() % bound.max(1) as u64) as usize
    }

    /// From no time to all of that, which are at most some centuries.
    pub(crate) fn within(&mut self, most: Duration) -> Duration {
        most.saturating_mul((self.word() >> 32) as u32) / u32::MAX
    }

    /// Keeps so many of the items at random, in random order; all, as they are, if there are no more.
    pub(crate) fn keep<T>(&mut self, items: &mut Vec<T>, most: usize) {
        if items.len() > most {
            for place in 0..most {
                let chosen = place + self.below(items.len() - place);
                items.swap(place, chosen);
            }
            items.truncate(most);
        }
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_again_and_another_others() {
        let draw = |seed| {
            let mut entropy = Entropy::new(Seed([seed; 32]));
            [entropy.word(), entropy.word()]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(draw(1)[0], draw(1)[1]);
    }

    #[test]
    fn all_of_the_range_and_nothing_beyond() {
        let mut entropy = Entropy::new(Seed([7; 32]));
        let mut counts = [0; 5];
        (0..1000).for_each(|_| counts[entropy.below(5)] += 1);
        assert!(counts.iter().all(|&count| count > 100), "{counts:?}");
        assert_eq!(entropy.below(0), 0);
        let most = Duration::from_secs(10);
        let times: Vec<_> = (0..100).map(|_| entropy.within(most)).collect();
        assert!(times.iter().all(|time| *time <= most) && times.iter().any(|time| *time > most / 2));
        let mut few: Vec<_> = (0..100).collect();
        entropy.keep(&mut few, 100);
        assert!(few.is_sorted());
        entropy.keep(&mut few, 10);
        assert!(few.len() == 10 && few.iter().any(|&item| item >= 10));
        few.sort_unstable();
        few.dedup();
        assert_eq!(few.len(), 10);
        let mut items = [1, 2, 3, 4, 5, 6, 7, 8];
        entropy.shuffle(&mut items);
        assert_ne!(items, [1, 2, 3, 4, 5, 6, 7, 8]);
        items.sort_unstable();
        assert_eq!(items, [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
