//! What a whole file sums up to: the root over the h of all blocks, and wire 1's MD5.

use super::id::{from_hex, to_hex};
use super::signature::SignedRoot;
use crate::digest::{Digest, zero_digest};

/// The MD5 of a whole file, as the footer of wire 1 carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a number of the wire, and nothing else")]
pub struct Md5Sum(pub [u8; 16]);

impl Md5Sum {
    /// Lower-case hex, as in the footer.
    pub fn to_hex(self) -> String {
        to_hex(&self.0)
    }

    /// Reads 32 hex digits, upper-case ones too: 0.2 takes either.
    pub fn from_hex(text: &str) -> Option<Self> {
        from_hex(&text.to_ascii_lowercase()).map(Self)
    }
}

/// What a whole file sums up to, by the wire that carried it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "each wire has its own, and there are two wires")]
pub enum Sum {
    /// Wire 1: the MD5 of the content.
    Md5(Md5Sum),
    /// Wire 2: the BLAKE3 over the h of all blocks in order, signed by the source. PROTOCOL.md, "Root".
    Root(SignedRoot),
}

impl Sum {
    /// Lower-case hex of the MD5, or of the root.
    pub fn to_hex(self) -> String {
        match self {
            Self::Md5(sum) => sum.to_hex(),
            Self::Root(signed) => to_hex(&signed.root),
        }
    }
}

/// Computes the root of a file from the h of its blocks, given in order.
#[derive(Clone)]
pub struct RootHasher {
    hasher: blake3::Hasher,
    block_size: u32,
    // Made on the first hole: most files have none.
    zero_block: Option<Digest>,
}

impl RootHasher {
    /// A hasher that has seen no block yet of a file that is cut into blocks of `block_size` bytes.
    pub fn new(block_size: u32) -> Self {
        Self { hasher: blake3::Hasher::new(), block_size, zero_block: None }
    }

    /// Bytes of a block.
    pub fn block_size(&self) -> u32 {
        self.block_size
    }

    /// The next block, by its h.
    pub fn block(&mut self, digest: &Digest) {
        self.hasher.update(digest);
    }

    /// The next `count` blocks, which all have that h.
    pub fn blocks(&mut self, digest: &Digest, mut count: u64) {
        // BLAKE3 is quick only where it gets much at once, and a hole may have millions of blocks.
        const MOST: u64 = 512;
        let many = digest.repeat(count.min(MOST) as usize);
        while count > 0 {
            let part = count.min(MOST);
            self.hasher.update(&many[..part as usize * digest.len()]);
            count -= part;
        }
    }

    /// The next `span` bytes are zero. `span` is a multiple of the block size unless it ends the file.
    pub fn hole(&mut self, span: u64) {
        let block_size = u64::from(self.block_size);
        let zero_block = *self.zero_block.get_or_insert_with(|| zero_digest(block_size));
        self.blocks(&zero_block, span / block_size);
        if !span.is_multiple_of(block_size) {
            self.block(&zero_digest(span % block_size));
        }
    }

    /// The root over everything so far.
    pub fn root(&self) -> Digest {
        *self.hasher.finalize().as_bytes()
    }
}

impl std::fmt::Debug for RootHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootHasher").field("block_size", &self.block_size).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::digest;

    #[test]
    fn a_hole_counts_as_its_zero_blocks() {
        let mut blocks = RootHasher::new(8192);
        let mut hole = RootHasher::new(8192);
        for _ in 0..3 {
            blocks.block(&digest(&[0; 8192]));
        }
        blocks.block(&digest(&[0; 5000]));
        hole.hole(3 * 8192 + 5000);
        assert_eq!(blocks.root(), hole.root());
        assert_ne!(blocks.root(), RootHasher::new(8192).root());
    }

    #[test]
    fn equal_blocks_count_one_by_one_however_many_they_are() {
        for count in [0, 1, 511, 512, 513, 2000] {
            let (mut one_by_one, mut at_once) = (RootHasher::new(4096), RootHasher::new(4096));
            (0..count).for_each(|_| one_by_one.block(&digest(b"x")));
            at_once.blocks(&digest(b"x"), count);
            assert_eq!(one_by_one.root(), at_once.root(), "{count}");
        }
    }
}
