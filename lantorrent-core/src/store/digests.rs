//! The digests of all blocks that were written: for those who serve them again, and for the journal.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::journal::{Batch, Journal};
use super::runs::Runs;
use crate::digest::Digest;

/// The digests of a file's blocks, in order and without a gap from the first block on.
///
/// To be asked by any thread while the file is being written. What the journal holds is read from there; memory is
/// taken only by what is not in it yet, or by all where there is no journal.
#[derive(Debug)]
pub struct Digests(Mutex<Known>);

#[derive(Debug)]
struct Known {
    journal: Option<Journal>,
    /// What follows on the journal.
    pending: Runs,
}

impl Digests {
    /// BLAKE3 of a block's data. None for a block that was not noted yet, and where the journal cannot be read.
    pub fn get(&self, block: u64) -> Option<Digest> {
        self.run(block).map(|(digest, _)| digest)
    }

    /// As [`get`](Self::get), with the number of blocks from that one on that are known to have the same: at least
    /// this one, and where a hole was noted most of what is left of it.
    pub fn run(&self, block: u64) -> Option<(Digest, u64)> {
        let (record, file) = {
            let known = self.known();
            if block >= known.pending.first() {
                return known.pending.get(block);
            }
            let journal = known.journal.as_ref()?;
            (journal.record_of(block)?, Arc::clone(journal.file()))
        };
        // Without the lock: whoever notes must not wait for this to be read.
        record.find(&file, block).ok()?
    }

    pub(super) fn new(journal: Option<Journal>) -> Self {
        let pending = Runs::starting_at(journal.as_ref().map_or(0, Journal::blocks));
        Self(Mutex::new(Known { journal, pending }))
    }

    /// Goes on with a journal, of which only the first blocks are to count.
    pub(super) fn resumed(mut journal: Journal, blocks: u64) -> io::Result<Self> {
        let pending = journal.cut(blocks)?;
        Ok(Self(Mutex::new(Known { journal: Some(journal), pending })))
    }

    pub(super) fn note(&self, digest: &Digest, blocks: u64) {
        self.known().pending.push(digest, blocks);
    }

    /// Forgets the blocks from `block` on. Where the journal cannot forget, there is none from here on.
    pub(super) fn rewind(&self, block: u64) -> io::Result<()> {
        let mut known = self.known();
        if block >= known.pending.first() {
            known.pending.forget_from(block);
            return Ok(());
        }
        let cut = known.journal.as_mut().map_or_else(|| Ok(Runs::default()), |journal| journal.cut(block));
        match cut {
            Ok(pending) => {
                known.pending = pending;
                Ok(())
            }
            Err(error) => {
                *known = Known { journal: None, pending: Runs::starting_at(block) };
                Err(error)
            }
        }
    }

    /// What the journal lacks, and its file. Only one thread may write and [`commit`](Self::commit) that.
    pub(super) fn batch(&self) -> Option<(Batch, Arc<File>)> {
        let known = self.known();
        let journal = known.journal.as_ref().filter(|_| known.pending.end() > known.pending.first())?;
        Some((journal.batch(&known.pending), Arc::clone(journal.file())))
    }

    pub(super) fn commit(&self, batch: Batch) {
        let mut known = self.known();
        let Some(journal) = known.journal.as_mut() else { return };
        journal.add(batch);
        let recorded = journal.blocks();
        known.pending.forget_before(recorded);
    }

    /// About how many blocks the journal speaks.
    pub(super) fn recorded(&self) -> u64 {
        self.known().journal.as_ref().map_or(0, Journal::blocks)
    }

    pub(super) fn journal_file(&self) -> Option<Arc<File>> {
        self.known().journal.as_ref().map(|journal| Arc::clone(journal.file()))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Nothing in here panics half-way; and a wrong digest would only be one that fits no block.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
