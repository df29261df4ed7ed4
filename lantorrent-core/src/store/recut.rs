//! Another journal for the same bytes, about blocks of another size.

use std::io;

use super::journal::{Header, Journal, MOST_ENTRIES};
use super::partial::Partial;
use super::runs::Runs;
use super::verify::{Found, Interrupted, Listener};
use super::{Durability, sync_file};
use crate::digest::{Digest, hash_zeros, zero_digest};

/// A journal as `header` wants it, for the bytes that were found and agree with the one that is there. Those are read
/// once. Until the new journal is complete, it has another name and the old one stays what it is; then it takes that
/// one's place.
pub(super) fn recut(
    partial: &mut Partial,
    found: &Found<'_>,
    header: &Header,
    durability: Durability,
) -> Result<Journal, Interrupted> {
    let (next, journal) = partial.make_next_journal(header)?;
    match write(journal, found, durability) {
        Ok(journal) => {
            partial.replace_journal(next)?;
            Ok(journal)
        }
        Err(error) => {
            next.remove(partial.folder());
            Err(error)
        }
    }
}

fn write(journal: Journal, found: &Found<'_>, durability: Durability) -> Result<Journal, Interrupted> {
    let mut cutter = Cutter::new(journal);
    let agreeing = found.agreeing(&mut cutter)?;
    let journal = cutter.finish(agreeing, found.length)?;
    if durability == Durability::Sync {
        // Before it gets the name: else a power failure could leave an empty file there.
        sync_file(journal.file())?;
    }
    Ok(journal)
}

/// Cuts what it hears of into blocks, and writes what they are into a journal.
struct Cutter {
    journal: Journal,
    /// What follows on the journal. Blocks that are not agreed to are only in here.
    runs: Runs,
    block_size: u64,
    zero_block: Digest,
    /// The block that is not complete yet.
    hasher: blake3::Hasher,
    /// How much of it there is.
    filled: u64,
}

impl Cutter {
    fn new(journal: Journal) -> Self {
        let block_size = u64::from(journal.block_size());
        let (zero_block, hasher) = (zero_digest(block_size), blake3::Hasher::new());
        Self { runs: Runs::starting_at(journal.blocks()), journal, block_size, zero_block, hasher, filled: 0 }
    }

    fn added(&mut self, bytes: u64) {
        self.filled += bytes;
        if self.filled == self.block_size {
            self.complete_block();
        }
    }

    fn complete_block(&mut self) {
        self.runs.push(self.hasher.finalize().as_bytes(), 1);
        self.hasher.reset();
        self.filled = 0;
    }

    /// Zeros for the block that is not complete yet, at most as many as it lacks.
    fn add_zeros(&mut self, span: u64) {
        hash_zeros(&mut self.hasher, span);
        self.added(span);
    }

    fn write(&mut self) -> io::Result<()> {
        let batch = self.journal.batch(&self.runs);
        batch.write(self.journal.file())?;
        self.journal.add(batch);
        self.runs.forget_before(self.journal.blocks());
        Ok(())
    }

    /// Ends with the first `agreeing` bytes, of which whole blocks count, and a short one where the file ends.
    fn finish(mut self, agreeing: u64, length: Option<u64>) -> io::Result<Journal> {
        self.runs.forget_from(agreeing / self.block_size);
        // Nothing was heard of behind that.
        if length == Some(agreeing) && self.filled > 0 {
            self.complete_block();
        }
        self.write()?;
        Ok(self.journal)
    }
}

impl Listener for Cutter {
    fn data(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let lacking = (self.block_size - self.filled).min(bytes.len() as u64);
            let (part, rest) = bytes.split_at(lacking as usize);
            self.hasher.update(part);
            self.added(lacking);
            bytes = rest;
        }
    }

    fn zeros(&mut self, span: u64) {
        let first = if self.filled > 0 { span.min(self.block_size - self.filled) } else { 0 };
        self.add_zeros(first);
        let rest = span - first;
        self.runs.push(&self.zero_block, rest / self.block_size);
        self.add_zeros(rest % self.block_size);
    }

    fn agreed(&mut self) -> io::Result<()> {
        // Step by step, so that large files take no more memory than small ones.
        if self.runs.iter().len() >= MOST_ENTRIES { self.write() } else { Ok(()) }
    }
}
