//! How a torrent's bytes are cut.

/// Bytes that are asked for at once. Every client answers requests of this size, and some answer no larger ones.
pub const BLOCK: u32 = 16 << 10;

/// A torrent as one run of bytes, its files one after another, cut into pieces of equal length but for the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    length: u64,
    piece_length: u32,
    pieces: u32,
}

/// A part of a piece, as peers ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "BEP 3 has three numbers")]
pub struct Span {
    /// Which piece, from 0.
    pub piece: u32,
    /// Its first byte within the piece.
    pub begin: u32,
    /// Its bytes.
    pub length: u32,
}

impl Geometry {
    /// For `length` bytes in pieces of `piece_length`. None if a piece has no bytes, or if there are more pieces than the
    /// wire can number.
    pub fn new(length: u64, piece_length: u32) -> Option<Self> {
        let pieces = length.checked_next_multiple_of(u64::from(piece_length))? / u64::from(piece_length);
        Some(Self { length, piece_length, pieces: u32::try_from(pieces).ok()? })
    }

    /// Bytes in all.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Bytes of every piece but the last.
    pub fn piece_length(&self) -> u32 {
        self.piece_length
    }

    /// How many pieces there are.
    pub fn pieces(&self) -> u32 {
        self.pieces
    }

    /// Bytes of that piece; 0 if there is none of that number.
    pub fn size(&self, piece: u32) -> u32 {
        if piece >= self.pieces {
            return 0;
        }
        let left = self.length - self.start(piece);
        u32::try_from(left).map_or(self.piece_length, |left| left.min(self.piece_length))
    }

    /// The offset of the piece's first byte in the torrent.
    pub fn start(&self, piece: u32) -> u64 {
        u64::from(piece) * u64::from(self.piece_length)
    }

    /// How many blocks the piece is asked for in.
    pub fn blocks(&self, piece: u32) -> u32 {
        self.size(piece).div_ceil(BLOCK)
    }

    /// That block of the piece. Empty if there is none of that number.
    pub fn block(&self, piece: u32, block: u32) -> Span {
        let begin = block.saturating_mul(BLOCK).min(self.size(piece));
        Span { piece, begin, length: (self.size(piece) - begin).min(BLOCK) }
    }

    /// Whether all of the span lies within its piece.
    pub fn contains(&self, span: &Span) -> bool {
        span.begin.checked_add(span.length).is_some_and(|end| end <= self.size(span.piece)) && span.length > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_piece_is_shorter() {
        let geometry = Geometry::new(100_000, 40_000).unwrap();
        assert_eq!([0, 1, 2, 3].map(|piece| geometry.size(piece)), [40_000, 40_000, 20_000, 0]);
        assert_eq!((geometry.pieces(), geometry.start(2)), (3, 80_000));
        assert_eq!([0, 2, 3].map(|piece| geometry.blocks(piece)), [3, 2, 0]);
        assert_eq!(geometry.block(0, 2), Span { piece: 0, begin: 32_768, length: 7_232 });
        assert_eq!(geometry.block(0, u32::MAX).length, 0);
    }

    #[test]
    fn whole_pieces_and_none() {
        let geometry = Geometry::new(80_000, 40_000).unwrap();
        assert_eq!((geometry.pieces(), geometry.size(1), geometry.size(2)), (2, 40_000, 0));
        assert_eq!(Geometry::new(0, 1).unwrap().pieces(), 0);
        assert_eq!(Geometry::new(u64::from(u32::MAX), 1).unwrap().pieces(), u32::MAX);
        assert_eq!(Geometry::new(1 << 32, 1), None);
        assert_eq!(Geometry::new(u64::MAX, 2), None);
    }

    #[test]
    fn what_lies_within() {
        let geometry = Geometry::new(100_000, 40_000).unwrap();
        let within = |piece, begin, length| geometry.contains(&Span { piece, begin, length });
        assert!(within(0, 0, 40_000) && within(2, 19_999, 1));
        assert!(!within(0, 1, 40_000) && !within(2, 19_999, 2) && !within(3, 0, 1) && !within(0, 0, 0));
        assert!(!within(0, u32::MAX, u32::MAX));
    }
}
