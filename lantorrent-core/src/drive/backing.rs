//! Reading again, for a child, what is not in memory any more.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock};

use super::holes::hole_at;
use crate::flow::{Block, Item, Pool};
use crate::store::Digests;
use crate::wire::{Digest, Wire, digest, limits, zero_digest};

/// A file that blocks can be read from again: the handle by which a ring names it.
#[derive(Debug, Clone)]
pub(super) struct BackingFile {
    pub(super) file: Arc<File>,
    /// What each block has to be. None where nobody could say: on wire 1, and at the source, whose file is the truth.
    pub(super) digests: Option<Arc<Digests>>,
}

/// Reads the backing files of one transfer.
#[derive(Debug)]
pub(super) struct BackingReader {
    pool: Arc<Pool>,
    wire: Wire,
    // Made when it is needed: most children are served from memory.
    zero_block: OnceLock<Digest>,
}

impl BackingReader {
    pub(super) fn new(pool: Arc<Pool>, wire: Wire) -> Self {
        Self { pool, wire, zero_block: OnceLock::new() }
    }

    /// What begins at `offset`, and has no more than `len` bytes. What is not as it was received is given to nobody.
    pub(super) fn item(&self, backing: &BackingFile, offset: u64, len: u64) -> Result<Item, String> {
        match self.hole(backing, offset, len) {
            0 => self.block(backing, offset, len).map(|block| Item::Data(Arc::new(block))),
            span => Ok(Item::Hole { offset, span }),
        }
    }

    /// How many bytes are known to be zeros: by what they were when they came, or at the source by its file system.
    fn hole(&self, backing: &BackingFile, offset: u64, len: u64) -> u64 {
        if self.wire == Wire::One {
            return 0;
        }
        let block_size = self.pool.block_size();
        let len = len.min(limits::HOLE_BLOCKS * block_size);
        let Some(digests) = &backing.digests else {
            return hole_at(&backing.file, offset, offset + len, block_size);
        };
        match digests.run(offset / block_size) {
            Some((found, blocks)) if found == *self.zero_block() => {
                blocks.saturating_mul(block_size).min(len)
            }
            _ => 0,
        }
    }

    fn zero_block(&self) -> &Digest {
        self.zero_block.get_or_init(|| zero_digest(self.pool.block_size()))
    }

    fn block(&self, backing: &BackingFile, offset: u64, len: u64) -> Result<Block, String> {
        let mut buffer = self.pool.take();
        let len = len.min(buffer.len() as u64) as u32;
        let data = &mut buffer[..len as usize];
        let read = backing.file.read_exact_at(data, offset);
        read.map_err(|error| format!("the file cannot be read: {error}"))?;
        let digest = (self.wire == Wire::Two).then(|| digest(data));
        let known = backing.digests.as_ref().filter(|_| self.wire == Wire::Two);
        match known {
            Some(digests) if digests.get(offset / self.pool.block_size()) != digest => {
                Err("the file is not what was written".to_owned())
            }
            _ => Ok(Block { buffer, offset, len, digest }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Placement, Roots, Target};

    const SIZE: u32 = 4096;
    const AT: u64 = SIZE as u64;

    fn backing(blocks: &[u8]) -> BackingFile {
        let file = tempfile::tempfile().unwrap();
        for (place, &fill) in (0..).zip(blocks) {
            // Zeros are written, so that only what is known of them tells.
            file.write_all_at(&[fill; SIZE as usize], place * AT).unwrap();
        }
        BackingFile { file: Arc::new(file), digests: None }
    }

    fn reader(wire: Wire) -> BackingReader {
        BackingReader::new(Pool::new(SIZE, 2), wire)
    }

    fn data(item: &Item) -> &[u8] {
        let Item::Data(block) = item else { panic!("{item:?}") };
        block.data()
    }

    #[test]
    fn a_block_comes_with_its_digest_where_the_wire_has_any() {
        let backing = backing(&[1, 2]);
        for wire in [Wire::One, Wire::Two] {
            let item = reader(wire).item(&backing, AT, 10).unwrap();
            assert_eq!(data(&item), [2; 10]);
            let Item::Data(block) = &item else { panic!() };
            assert_eq!(block.digest, (wire == Wire::Two).then(|| digest(&[2; 10])));
        }
    }

    #[test]
    fn a_hole_of_the_source_is_served_as_one_but_for_wire_1() {
        let backing = backing(&[1]);
        backing.file.set_len(9 * AT).unwrap();
        let Item::Hole { offset, span } = reader(Wire::Two).item(&backing, AT, 7 * AT).unwrap() else {
            panic!("no hole")
        };
        assert_eq!((offset, span), (AT, 7 * AT));
        assert_eq!(data(&reader(Wire::One).item(&backing, AT, 7 * AT).unwrap()), [0; SIZE as usize]);
    }

    #[test]
    fn zeros_that_came_are_served_as_a_hole_and_what_was_damaged_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots::open(&[folder.path().to_owned()]).unwrap();
        let path = folder.path().join("a");
        let target =
            Target { path: path.to_str().unwrap(), placement: Placement::Rename, length: None, resume: None };
        let output = roots.create(&target).unwrap();
        for (place, fill) in [0, 0, 0, 5, 6].into_iter().enumerate() {
            let block = [fill; SIZE as usize];
            output.write_at(&block, place as u64 * AT).unwrap();
            output.note(&digest(&block), 1);
        }
        let backing = BackingFile { file: output.read_back().unwrap(), digests: Some(output.digests()) };
        let reader = reader(Wire::Two);
        for (offset, len, expected) in [(0, 5 * AT, 3 * AT), (AT, 5 * AT, 2 * AT), (0, 2 * AT, 2 * AT)] {
            let Ok(Item::Hole { span, .. }) = reader.item(&backing, offset, len) else { panic!("no hole") };
            assert_eq!(span, expected);
        }
        assert_eq!(data(&reader.item(&backing, 3 * AT, AT).unwrap()), [5; SIZE as usize]);
        backing.file.write_all_at(b"x", 4 * AT).unwrap();
        assert!(reader.item(&backing, 4 * AT, AT).unwrap_err().contains("not what was written"));
    }

    #[test]
    fn what_is_cut_off_is_said_to_be_missing() {
        assert!(reader(Wire::One).item(&backing(&[1]), AT, AT).unwrap_err().contains("cannot be read"));
    }
}
