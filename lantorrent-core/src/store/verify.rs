//! Reading a partial file again, to see how much of it is what its journal says.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{Advice, SeekFrom, fadvise, seek};
use rustix::io::Errno;

use super::journal::Journal;
use super::runs::Runs;
use crate::digest::{Digest, zero_digest};

/// How much is read at once.
const CHUNK: usize = 1 << 20;
/// How much is read before it is asked again whether anybody wants that.
const UNASKED: u64 = 4 << 20;

/// A partial file and what was found beside it.
pub(super) struct Found<'a> {
    pub(super) file: &'a File,
    pub(super) journal: &'a Journal,
    /// That of the file when it is whole.
    pub(super) length: Option<u64>,
    /// Whether somebody still wants to go on with it.
    pub(super) wanted: &'a dyn Fn() -> bool,
}

/// Hears of the bytes while they are read, in their order. They may be wrong until they are agreed to.
pub(super) trait Listener {
    fn data(&mut self, bytes: &[u8]);
    fn zeros(&mut self, span: u64);
    /// All bytes so far are what the journal says.
    fn agreed(&mut self) -> io::Result<()>;
}

/// Nobody.
impl Listener for () {
    fn data(&mut self, _: &[u8]) {}
    fn zeros(&mut self, _: u64) {}
    fn agreed(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why it was not read on, although it might be right.
#[derive(Debug)]
pub(super) enum Interrupted {
    NotWanted,
    /// The listener is of no use any more.
    Deaf(io::Error),
}

impl From<io::Error> for Interrupted {
    fn from(error: io::Error) -> Self {
        Self::Deaf(error)
    }
}

impl Found<'_> {
    /// How many bytes at the beginning are whole blocks, or the whole file, and agree with the journal.
    pub(super) fn agreeing(&self, listener: &mut impl Listener) -> Result<u64, Interrupted> {
        // Hints: what they give is speed.
        let _ = fadvise(self.file, 0, None, Advice::Sequential);
        let result = Reader::new(self, listener).agreeing();
        let _ = fadvise(self.file, 0, None, Advice::Normal);
        result
    }
}

struct Reader<'a, L> {
    found: &'a Found<'a>,
    listener: &'a mut L,
    block_size: u64,
    /// How long the file is now.
    there: u64,
    /// How many blocks are there as a whole, without a last one that is shorter than the others.
    whole: u64,
    /// And with it.
    total: u64,
    buffer: Vec<u8>,
    unasked: u64,
    zero_block: Digest,
}

impl<'a, L: Listener> Reader<'a, L> {
    fn new(found: &'a Found<'a>, listener: &'a mut L) -> Self {
        let block_size = u64::from(found.journal.block_size());
        let there = found.file.metadata().map_or(0, |metadata| metadata.len());
        let whole = there.min(found.length.unwrap_or(u64::MAX)) / block_size;
        let total = found
            .length
            .filter(|&length| length <= there)
            .map_or(whole, |length| length.div_ceil(block_size));
        let buffer = vec![0; CHUNK.min(block_size as usize)];
        let zero_block = zero_digest(block_size);
        Self { found, listener, block_size, there, whole, total, buffer, unasked: 0, zero_block }
    }

    fn agreeing(&mut self) -> Result<u64, Interrupted> {
        let journal = self.found.journal;
        let mut agreeing = 0;
        for record in journal.records() {
            let Ok(runs) = record.read(journal.file()) else { break };
            agreeing = self.agreeing_blocks(&runs)?;
            if agreeing < runs.end() {
                break;
            }
        }
        Ok(self.offset(agreeing))
    }

    /// Where a block begins, or where the file ends.
    fn offset(&self, block: u64) -> u64 {
        (block * self.block_size).min(self.found.length.unwrap_or(u64::MAX))
    }

    /// The first block of which `runs` is not right, or that is not there, else the one after its last.
    fn agreeing_blocks(&mut self, runs: &Runs) -> Result<u64, Interrupted> {
        let mut block = runs.first();
        for (digest, blocks) in runs.iter() {
            let end = (block + blocks).min(self.total);
            while block < end {
                let next = if *digest == self.zero_block { self.after_hole(block).min(end) } else { block };
                if next > block {
                    self.listener.zeros((next - block) * self.block_size);
                    block = next;
                } else if self.digest(block)?.as_ref() == Some(digest) {
                    block += 1;
                } else {
                    return Ok(block);
                }
                self.listener.agreed()?;
            }
            if end == self.total {
                break;
            }
        }
        Ok(block)
    }

    /// The first block from this one on that is not all hole. Many times the disk's size can be one hole, which nobody
    /// would want to read.
    fn after_hole(&self, block: u64) -> u64 {
        let data = match seek(self.found.file, SeekFrom::Data(block * self.block_size)) {
            Ok(data) => data,
            Err(Errno::NXIO) => self.there,
            Err(_) => return block,
        };
        // What is not a whole block has another digest, whatever the journal says.
        (data / self.block_size).min(self.whole)
    }

    /// None where it cannot be read.
    fn digest(&mut self, block: u64) -> Result<Option<Digest>, Interrupted> {
        let (mut at, end) = (self.offset(block), self.offset(block + 1));
        let mut hasher = blake3::Hasher::new();
        while at < end {
            self.ask_now_and_then()?;
            let chunk = (end - at).min(self.buffer.len() as u64);
            let chunk = &mut self.buffer[..chunk as usize];
            if self.found.file.read_exact_at(chunk, at).is_err() {
                return Ok(None);
            }
            hasher.update(chunk);
            self.listener.data(chunk);
            at += chunk.len() as u64;
            self.unasked += chunk.len() as u64;
        }
        Ok(Some(*hasher.finalize().as_bytes()))
    }

    fn ask_now_and_then(&mut self) -> Result<(), Interrupted> {
        if self.unasked >= UNASKED {
            self.unasked = 0;
            if !(self.found.wanted)() {
                return Err(Interrupted::NotWanted);
            }
        }
        Ok(())
    }
}
