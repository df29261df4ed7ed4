//! A set of pieces.

use std::ops::Range;

/// Which of a torrent's pieces, by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pieces {
    words: Vec<u64>,
    of: u32,
    count: u32,
}

impl Pieces {
    /// None of so many.
    pub(super) fn none(of: u32) -> Self {
        Self { words: vec![0; of.div_ceil(64) as usize], of, count: 0 }
    }

    /// All of so many.
    pub(super) fn all(of: u32) -> Self {
        let mut all = Self::none(of);
        all.insert_all(0..of);
        all
    }

    pub(super) fn contains(&self, piece: u32) -> bool {
        self.words.get(piece as usize / 64).is_some_and(|word| word >> (piece % 64) & 1 == 1)
    }

    /// Adds the piece. One that there cannot be is left out.
    pub(super) fn insert(&mut self, piece: u32) {
        if piece < self.of && !self.contains(piece) {
            self.words[piece as usize / 64] |= 1 << (piece % 64);
            self.count += 1;
        }
    }

    pub(super) fn insert_all(&mut self, pieces: Range<u32>) {
        (pieces.start..pieces.end.min(self.of)).for_each(|piece| self.insert(piece));
    }

    pub(super) fn remove(&mut self, piece: u32) {
        if self.contains(piece) {
            self.words[piece as usize / 64] &= !(1 << (piece % 64));
            self.count -= 1;
        }
    }

    /// How many of all are not in it.
    pub(super) fn missing(&self) -> u32 {
        self.of - self.count
    }

    /// The runs of pieces that are in it, in order.
    pub(super) fn runs(&self) -> Vec<Range<u32>> {
        let mut runs: Vec<Range<u32>> = Vec::new();
        for piece in (0..self.of).filter(|&piece| self.contains(piece)) {
            match runs.last_mut() {
                Some(run) if run.end == piece => run.end += 1,
                _ => runs.push(piece..piece + 1),
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_what_was_put_in() {
        let mut pieces = Pieces::none(130);
        for piece in [0, 1, 63, 64, 65, 129, 1, 130, u32::MAX] {
            pieces.insert(piece);
        }
        assert_eq!(pieces.runs(), [0..2, 63..66, 129..130]);
        assert_eq!(pieces.missing(), 124);
        pieces.remove(64);
        pieces.remove(64);
        pieces.remove(500);
        assert_eq!((pieces.runs(), pieces.missing()), (vec![0..2, 63..64, 65..66, 129..130], 125));
        assert!(pieces.contains(129) && !pieces.contains(130) && !pieces.contains(u32::MAX));
        pieces.insert_all(0..u32::MAX);
        assert_eq!((pieces.missing(), pieces.clone()), (0, Pieces::all(130)));
        assert_eq!(Pieces::all(0).runs(), []);
    }
}
