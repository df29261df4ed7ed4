//! Sets of pieces.

/// A set of pieces, one bit each.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Bitfield {
    /// The first piece is the highest bit of the first word, as on the wire. Bits beyond the last piece are zero.
    words: Vec<u64>,
    pieces: u32,
    count: u32,
}

const WORD: u32 = u64::BITS;

impl Bitfield {
    /// None of so many pieces.
    pub fn none(pieces: u32) -> Self {
        Self { words: vec![0; pieces.div_ceil(WORD) as usize], pieces, count: 0 }
    }

    /// All of so many pieces.
    pub fn all(pieces: u32) -> Self {
        let mut words = vec![u64::MAX; pieces.div_ceil(WORD) as usize];
        if let Some(last) = words.last_mut()
            && !pieces.is_multiple_of(WORD)
        {
            *last <<= WORD - pieces % WORD;
        }
        Self { words, pieces, count: pieces }
    }

    /// As it stands on the wire (BEP 3). None unless it has as many bytes as that number of pieces needs, and no bit
    /// beyond the last.
    pub fn from_bytes(bytes: &[u8], pieces: u32) -> Option<Self> {
        if bytes.len() != pieces.div_ceil(8) as usize {
            return None;
        }
        let word = |chunk: &[u8]| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_be_bytes(word)
        };
        let words: Vec<u64> = bytes.chunks(8).map(word).collect();
        let beyond =
            words.last().is_some_and(|last| !pieces.is_multiple_of(WORD) && last << (pieces % WORD) != 0);
        let count = words.iter().map(|word| word.count_ones()).sum();
        (!beyond).then_some(Self { words, pieces, count })
    }

    /// As it stands on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.truncate(self.pieces.div_ceil(8) as usize);
        bytes
    }

    /// How many pieces there could be.
    pub fn pieces(&self) -> u32 {
        self.pieces
    }

    /// How many are in it.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Whether all are in it.
    pub fn is_full(&self) -> bool {
        self.count == self.pieces
    }

    /// Whether that piece is in it.
    pub fn contains(&self, piece: u32) -> bool {
        self.words.get((piece / WORD) as usize).is_some_and(|word| word & bit(piece) != 0)
    }

    /// Puts it in. False if it was in already, or if there is none of that number.
    pub fn insert(&mut self, piece: u32) -> bool {
        if piece >= self.pieces || self.contains(piece) {
            return false;
        }
        self.words[(piece / WORD) as usize] |= bit(piece);
        self.count += 1;
        true
    }

    /// Takes it out. False if it was not in.
    pub fn remove(&mut self, piece: u32) -> bool {
        if !self.contains(piece) {
            return false;
        }
        self.words[(piece / WORD) as usize] &= !bit(piece);
        self.count -= 1;
        true
    }

    /// Puts all of these in, of which there may be too many.
    #[cfg(any(test, feature = "files"))]
    pub(crate) fn insert_all(&mut self, pieces: std::ops::Range<u32>) {
        for piece in pieces.start..pieces.end.min(self.pieces) {
            self.insert(piece);
        }
    }

    /// The runs of those in it, in order.
    #[cfg(any(test, feature = "files"))]
    pub(crate) fn runs(&self) -> Vec<std::ops::Range<u32>> {
        let mut runs: Vec<std::ops::Range<u32>> = Vec::new();
        for piece in self.iter() {
            match runs.last_mut() {
                Some(run) if run.end == piece => run.end += 1,
                _ => runs.push(piece..piece + 1),
            }
        }
        runs
    }

    /// Those in it, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        ones((0..).zip(self.words.iter().copied()))
    }

    /// Those in both, in order.
    pub fn common(&self, other: &Self) -> impl Iterator<Item = u32> {
        self.common_from(other, 0)
    }

    /// Those in both, from about that piece on, and behind the last from the first on.
    pub(crate) fn common_from(&self, other: &Self, piece: u32) -> impl Iterator<Item = u32> {
        let words = self.words.len();
        let start = ((piece / WORD) as usize).min(words);
        let order = (start..words).chain(0..start);
        ones(order.map(move |at| (at as u32, self.words[at] & other.words.get(at).unwrap_or(&0))))
    }

    /// Those that are not in it, in order.
    pub fn missing(&self) -> impl Iterator<Item = u32> {
        ones((0..).zip(self.words.iter().map(|word| !word))).take_while(|&piece| piece < self.pieces)
    }
}

fn bit(piece: u32) -> u64 {
    1 << (WORD - 1 - piece % WORD)
}

/// The pieces whose bits are set in these words, which come with their places.
fn ones(words: impl Iterator<Item = (u32, u64)>) -> impl Iterator<Item = u32> {
    words.flat_map(|(index, mut word)| {
        std::iter::from_fn(move || {
            let first = word.leading_zeros();
            (first < WORD).then(|| {
                word &= !(1 << (WORD - 1 - first));
                index * WORD + first
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_the_wire() {
        let mut set = Bitfield::none(10);
        assert!(set.insert(0) && set.insert(9) && !set.insert(9) && !set.insert(10));
        assert_eq!(set.to_bytes(), [0x80, 0x40]);
        assert_eq!(Bitfield::from_bytes(&[0x80, 0x40], 10), Some(set));
        assert_eq!(Bitfield::from_bytes(&[0x80, 0x20], 10), None, "a bit beyond the last piece");
        assert_eq!(Bitfield::from_bytes(&[0x80], 10), None);
        assert_eq!(Bitfield::from_bytes(&[0x80, 0, 0], 10), None);
        assert_eq!(Bitfield::from_bytes(&[], 0), Some(Bitfield::none(0)));
    }

    #[test]
    fn all_of_any_number() {
        for pieces in [0, 1, 7, 8, 63, 64, 65, 128, 130] {
            let all = Bitfield::all(pieces);
            assert!(all.is_full() && all.iter().eq(0..pieces) && all.missing().next().is_none());
            assert_eq!(Bitfield::from_bytes(&all.to_bytes(), pieces), Some(all));
            assert!(Bitfield::none(pieces).missing().eq(0..pieces));
        }
    }

    #[test]
    fn runs_of_what_was_put_in() {
        let mut set = Bitfield::none(130);
        for piece in [0, 1, 63, 64, 65, 129] {
            set.insert(piece);
        }
        assert_eq!(set.runs(), [0..2, 63..66, 129..130]);
        set.remove(64);
        assert_eq!(set.runs(), [0..2, 63..64, 65..66, 129..130]);
        set.insert_all(100..u32::MAX);
        assert_eq!((set.count(), set.runs().pop()), (34, Some(100..130)));
        assert_eq!(Bitfield::all(0).runs(), []);
    }

    #[test]
    fn in_both() {
        let set = |members: &[u32]| {
            let mut set = Bitfield::none(200);
            for &piece in members {
                assert!(set.insert(piece));
            }
            set
        };
        let (mut one, other) = (set(&[0, 63, 64, 150, 199]), set(&[63, 65, 150, 199]));
        assert!(one.common(&other).eq([63, 150, 199]));
        assert!(one.common_from(&other, 130).eq([150, 199, 63]));
        assert!(
            one.common_from(&other, 999).eq([63, 150, 199]) && one.common_from(&set(&[]), 9).next().is_none()
        );
        assert!(one.remove(63) && !one.remove(63) && !one.remove(500));
        assert!(one.iter().eq([0, 64, 150, 199]));
        assert_eq!(one.count(), 4);
        assert_eq!(one.missing().count(), 196);
    }
}
