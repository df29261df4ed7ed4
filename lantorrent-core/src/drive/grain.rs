//! How finely a file with holes is cut, so that few zeros go along with the data.

use std::fs::File;
use std::ops::Range;

use super::holes;

/// No smaller blocks than that: each costs something, too.
const SMALLEST: u32 = 16 << 10;
/// How many pieces of data are looked at. They tell what the others are like.
const PIECES: usize = 1 << 16;
/// The part of the data, in hundredths, that may go along in zeros.
const WASTE: u64 = 1;

/// The size of blocks, at most `most`, with which little more than the data of a file is sent.
pub(super) fn block_size(file: &File, length: u64, most: u32) -> u32 {
    let mut cuts: Vec<Cut> = sizes(most).map(Cut::new).collect();
    let mut bytes = 0;
    for piece in holes::data(file, length).take(PIECES) {
        bytes += piece.end - piece.start;
        for cut in &mut cuts {
            cut.add(&piece, length);
        }
    }
    largest_frugal(&cuts, bytes).unwrap_or(most)
}

/// The powers of two that come into question, the largest first.
fn sizes(most: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(most), |size| Some(size / 2))
        .take_while(move |&size| size >= SMALLEST.min(most))
}

/// What of a file is sent in blocks of one size.
#[derive(Debug)]
struct Cut {
    block_size: u32,
    /// The end of the last block with data.
    end: u64,
    sent: u64,
}

impl Cut {
    fn new(block_size: u32) -> Self {
        Self { block_size, end: 0, sent: 0 }
    }

    /// Takes in the next piece of data.
    fn add(&mut self, piece: &Range<u64>, length: u64) {
        let size = u64::from(self.block_size);
        let start = (piece.start / size * size).max(self.end);
        let end = piece.end.next_multiple_of(size).min(length);
        self.sent += end.saturating_sub(start);
        self.end = self.end.max(end);
    }
}

/// Where none is, the one that sends least.
fn largest_frugal(cuts: &[Cut], bytes: u64) -> Option<u32> {
    let frugal = cuts.iter().find(|cut| cut.sent <= bytes + bytes / 100 * WASTE);
    frugal.or(cuts.last()).map(|cut| cut.block_size)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    const KIB: u64 = 1 << 10;

    fn chosen(pieces: &[Range<u64>], length: u64) -> u32 {
        let file = tempfile::tempfile().unwrap();
        file.set_len(length).unwrap();
        for piece in pieces {
            file.write_all_at(&vec![1; (piece.end - piece.start) as usize], piece.start).unwrap();
        }
        block_size(&file, length, 256 << 10)
    }

    #[test]
    fn large_pieces_are_sent_in_large_blocks() {
        assert_eq!(chosen(&[], 1 << 30), 256 << 10);
        assert_eq!(chosen(&[0..1 << 20, 8 << 20..12 << 20], 1 << 30), 256 << 10);
        // The last block ends where the file does.
        assert_eq!(chosen(&[512 * KIB..516 * KIB], 516 * KIB), 256 << 10);
    }

    #[test]
    fn the_more_pieces_the_smaller_the_blocks() {
        assert_eq!(chosen(&[64 * KIB..3 << 20], 1 << 30), 64 << 10);
        let scattered: Vec<Range<u64>> =
            (0..50).map(|piece| piece << 20).map(|at| at..at + 4 * KIB).collect();
        assert_eq!(chosen(&scattered, 1 << 30), 16 << 10);
    }

    #[test]
    fn pieces_of_one_block_count_once() {
        let mut cut = Cut::new(256 << 10);
        for at in [0, 8 * KIB, 250 * KIB, 1024 * KIB] {
            cut.add(&(at..at + 8 * KIB), 1 << 30);
        }
        assert_eq!(cut.sent, 3 * 256 * KIB, "the third goes on in the next block");
    }

    #[test]
    fn blocks_are_never_larger_than_asked_for() {
        assert_eq!(sizes(4096).collect::<Vec<_>>(), [4096]);
        assert_eq!(sizes(64 << 10).collect::<Vec<_>>(), [64 << 10, 32 << 10, 16 << 10]);
    }
}
