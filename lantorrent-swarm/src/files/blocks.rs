//! Data in blocks.

/// What of the blocks, one behind the other, is from `begin` on, so many bytes of it.
pub(super) fn cut<'a>(blocks: &[&'a [u8]], begin: u64, length: u64) -> Vec<&'a [u8]> {
    let (mut at, end) = (0, begin + length);
    let mut cut = Vec::with_capacity(blocks.len());
    for block in blocks {
        let (start, stop) = (at, at + block.len() as u64);
        if start.max(begin) < stop.min(end) {
            // Within the block, whose length is one of memory.
            let range = (begin.max(start) - start) as usize..(end.min(stop) - start) as usize;
            cut.push(&block[range]);
        }
        at = stop;
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anywhere() {
        let blocks: [&[u8]; 4] = [b"abc", b"", b"de", b"fghi"];
        for begin in 0..=9 {
            for length in 0..=9 - begin {
                let cut = cut(&blocks, begin as u64, length as u64).concat();
                assert_eq!(cut, b"abcdefghi"[begin..begin + length], "{length} from {begin} on");
            }
        }
    }
}
