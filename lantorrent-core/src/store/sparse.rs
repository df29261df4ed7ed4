//! Zeros among data.

use std::ops::Range;

use crate::digest::is_zero;

/// What file systems give room in, most of them: what is smaller or not aligned cannot be left out.
const GRANULE: usize = 4096;

/// Bytes in a row that are all zeros, or that are to be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Run {
    Data(Range<usize>),
    Zeros(Range<usize>),
}

/// Divides `data`, which begins at the border of a granule, into runs of whole granules; the last one may be short.
pub(super) fn runs(data: &[u8]) -> impl Iterator<Item = Run> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let zero = is_zero(granule(data, at)?);
        while granule(data, at).is_some_and(|next| is_zero(next) == zero) {
            at += GRANULE;
        }
        let run = start..at.min(data.len());
        Some(if zero { Run::Zeros(run) } else { Run::Data(run) })
    })
}

fn granule(data: &[u8], at: usize) -> Option<&[u8]> {
    data.get(at..)?.chunks(GRANULE).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_anywhere_is_seen() {
        for len in [0, 1, GRANULE - 1, GRANULE, GRANULE + 1, 3 * GRANULE + 5] {
            let mut data = vec![0; len];
            assert!(is_zero(&data));
            for place in [0, len / 2, len.saturating_sub(1)] {
                if place < len {
                    data[place] = 1;
                    assert!(!is_zero(&data), "{place} of {len}");
                    data[place] = 0;
                }
            }
        }
    }

    #[test]
    fn runs_follow_each_other_and_break_at_granules() {
        let mut data = vec![0; 6 * GRANULE + 10];
        assert_eq!(runs(&data).collect::<Vec<_>>(), [Run::Zeros(0..data.len())]);
        data[GRANULE + 7] = 1;
        data[3 * GRANULE - 1] = 1;
        data[6 * GRANULE + 9] = 1;
        let expected = [
            Run::Zeros(0..GRANULE),
            Run::Data(GRANULE..3 * GRANULE),
            Run::Zeros(3 * GRANULE..6 * GRANULE),
            Run::Data(6 * GRANULE..6 * GRANULE + 10),
        ];
        assert_eq!(runs(&data).collect::<Vec<_>>(), expected);
        assert_eq!(runs(&[]).count(), 0);
        assert_eq!(runs(&[1; 5]).collect::<Vec<_>>(), [Run::Data(0..5)]);
    }
}
