//! Something to send.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::interrupt::Interrupt;
use crate::exit::Failure;

const BLOCK: usize = 1 << 20;

/// Writes `bytes` random bytes: no block is like another, so that a copy with blocks in the wrong place differs, and
/// nothing between can pass by compressing them.
pub(super) fn write(path: &Path, bytes: u64, interrupt: &Interrupt) -> Result<(), Failure> {
    let cannot = |error: String| {
        Failure::local(
            format_args!("cannot write {}: {error}", path.display()),
            "set TMPDIR to a folder with more room, or give a smaller --size",
        )
    };
    let seed = getrandom::u64().map_err(|error| cannot(error.to_string()))?;
    let mut file = File::create_new(path).map_err(|error| cannot(error.to_string()))?;
    let mut noise = Noise(seed);
    let mut block = vec![0; BLOCK];
    let mut left = bytes;
    while left > 0 {
        interrupt.check()?;
        let part = usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK));
        noise.fill(&mut block);
        file.write_all(&block[..part]).map_err(|error| cannot(error.to_string()))?;
        left -= part as u64;
    }
    Ok(())
}

/// `SplitMix64`: far faster than a disk, and random enough for bytes that nobody guesses at.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn fill(&mut self, block: &mut [u8]) {
        for word in block.chunks_exact_mut(8) {
            word.copy_from_slice(&self.next().to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_exact_and_blocks_differ() {
        let folder = tempfile::tempdir().unwrap();
        for bytes in [0, 1, BLOCK as u64, 2 * BLOCK as u64 + 5] {
            let path = folder.path().join(bytes.to_string());
            write(&path, bytes, &Interrupt::never()).unwrap();
            let content = std::fs::read(path).unwrap();
            assert_eq!(content.len() as u64, bytes);
            if content.len() > 2 * BLOCK {
                assert_ne!(content[..BLOCK], content[BLOCK..2 * BLOCK]);
            }
        }
    }
}
