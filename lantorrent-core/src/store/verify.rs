//! Reading a partial file again, to see how much of it is what its journal says.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{Advice, SeekFrom, fadvise, seek};
use rustix::io::Errno;

use super::journal::Journal;
use super::runs::{Digest, Runs};

/// How much is read at once.
const CHUNK: usize = 1 << 20;

/// How many blocks at the beginning of `file` are whole and agree with the journal. `length` is that of the file when
/// it is whole: a last block that is shorter than the others is not counted.
pub(super) fn agreeing_blocks(file: &File, journal: &Journal, block_size: u32, length: Option<u64>) -> u64 {
    let there = file.metadata().map_or(0, |metadata| metadata.len());
    let whole = there.min(length.unwrap_or(u64::MAX)) / u64::from(block_size);
    // Hints: what they give is speed.
    let _ = fadvise(file, 0, None, Advice::Sequential);
    let mut reader = Reader::new(file, block_size, there);
    let mut agreeing = 0;
    for record in journal.records() {
        let Ok(runs) = record.read(journal.file()) else { break };
        agreeing = reader.agreeing(&runs, whole);
        if agreeing < runs.end() {
            break;
        }
    }
    let _ = fadvise(file, 0, None, Advice::Normal);
    agreeing
}

struct Reader<'a> {
    file: &'a File,
    block_size: u64,
    length: u64,
    buffer: Vec<u8>,
    zero_block: Digest,
}

impl<'a> Reader<'a> {
    fn new(file: &'a File, block_size: u32, length: u64) -> Self {
        let mut buffer = vec![0; CHUNK.min(block_size as usize)];
        let block_size = u64::from(block_size);
        let hash = in_chunks(block_size, &mut buffer, |_, _| Ok(()));
        let zero_block = hash.unwrap_or_default();
        Self { file, block_size, length, buffer, zero_block }
    }

    /// The first block of which `runs` is not right, or that is not before `whole`, else the one after its last.
    fn agreeing(&mut self, runs: &Runs, whole: u64) -> u64 {
        let mut block = runs.first();
        for (digest, blocks) in runs.iter() {
            let end = (block + blocks).min(whole);
            while block < end {
                if *digest == self.zero_block {
                    block = self.after_hole(block).min(end).max(block);
                    if block == end {
                        break;
                    }
                }
                if self.digest(block).ok().as_ref() != Some(digest) {
                    return block;
                }
                block += 1;
            }
            if end == whole {
                break;
            }
        }
        block
    }

    /// The first block from this one on that is not all hole. Many times the disk's size can be one hole, which nobody
    /// would want to read.
    fn after_hole(&self, block: u64) -> u64 {
        let data = match seek(self.file, SeekFrom::Data(block * self.block_size)) {
            Ok(data) => data,
            Err(Errno::NXIO) => self.length,
            Err(_) => return block,
        };
        data / self.block_size
    }

    fn digest(&mut self, block: u64) -> io::Result<Digest> {
        let start = block * self.block_size;
        let file = self.file;
        in_chunks(self.block_size, &mut self.buffer, |chunk, at| file.read_exact_at(chunk, start + at))
    }
}

/// BLAKE3 of `size` bytes, which `fill` gives piece by piece.
fn in_chunks(
    size: u64,
    buffer: &mut [u8],
    fill: impl Fn(&mut [u8], u64) -> io::Result<()>,
) -> io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    let mut at = 0;
    while at < size {
        let chunk = (size - at).min(buffer.len() as u64);
        let buffer = &mut buffer[..chunk as usize];
        fill(buffer, at)?;
        hasher.update(buffer);
        at += chunk;
    }
    Ok(*hasher.finalize().as_bytes())
}
