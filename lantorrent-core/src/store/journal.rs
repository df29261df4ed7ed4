//! What the journal beside a partial file says: whose bytes these are, and the digests of its blocks from the first on.
//!
//! All numbers are little-endian. The header:
//!
//! ```text
//! magic (16) | BLAKE3 of the version (32) | block size (4) | length is known (4) | length (8) | checksum (32)
//! ```
//!
//! and then records, each about the blocks that follow those of the one before:
//!
//! ```text
//! number of entries (4) | entries: digest (32), how many blocks in a row have it (8) | checksum (32)
//! ```
//!
//! A checksum is BLAKE3 of what is before it in the header or record, and a record's begins with the checksum before.
//! So a record counts only after those after which it was written; the rest of a file that was cut and written again
//! can not pass for a continuation.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::Resume;
use super::runs::Runs;
use crate::digest::Digest;

const MAGIC: &[u8; 16] = b"LANTorrent jrn 1";
const HEADER: usize = 96;
/// Where the header says which version it is about.
const VERSION: Range<usize> = 16..48;
/// Where the header says the block size.
const BLOCK_SIZE: Range<usize> = 48..52;
/// Where it says the length, and whether that is known.
const LENGTH: Range<usize> = 52..64;
const COUNT: usize = 4;
const ENTRY: usize = 40;
const CHECKSUM: usize = 32;
/// How many entries one record has at most, so that one is read at once when a digest is looked up.
pub(super) const MOST_ENTRIES: usize = 512;

/// Whose bytes the partial file holds.
#[derive(Debug)]
pub(super) struct Header([u8; HEADER]);

impl Header {
    /// None where the wish makes no sense.
    pub(super) fn new(resume: &Resume<'_>, length: Option<u64>) -> Option<Self> {
        if resume.block_size == 0 {
            return None;
        }
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(blake3::hash(resume.version).as_bytes());
        bytes.extend_from_slice(&resume.block_size.to_le_bytes());
        bytes.extend_from_slice(&u32::from(length.is_some()).to_le_bytes());
        bytes.extend_from_slice(&length.unwrap_or(0).to_le_bytes());
        let checksum = blake3::hash(&bytes);
        bytes.extend_from_slice(checksum.as_bytes());
        bytes.try_into().ok().map(Self)
    }

    /// Whether the file begins with a header, of any content.
    pub(super) fn is_in(file: &File) -> bool {
        Self::read(file).is_some()
    }

    /// Whether the file begins with a header that is about that version, of whatever length.
    pub(super) fn is_about(file: &File, version: &[u8]) -> bool {
        Self::read(file).is_some_and(|header| header.0[VERSION] == *blake3::hash(version).as_bytes())
    }

    fn read(file: &File) -> Option<Self> {
        let mut bytes = [0; HEADER];
        file.read_exact_at(&mut bytes, 0).ok()?;
        let (said, checksum) = bytes.split_at(HEADER - CHECKSUM);
        (said.starts_with(MAGIC) && blake3::hash(said).as_bytes() == checksum).then_some(Self(bytes))
    }

    /// How many bytes a block has. Never 0 in one that was made here.
    pub(super) fn block_size(&self) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.0[BLOCK_SIZE]);
        u32::from_le_bytes(bytes)
    }

    /// Whether both are about the same bytes, in whatever blocks.
    fn is_about_the_same(&self, other: &Self) -> bool {
        let but_blocks = |header: &Self| [&header.0[..BLOCK_SIZE.start], &header.0[LENGTH]].concat();
        but_blocks(self) == but_blocks(other)
    }
}

/// Where a record is and what it is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    first: u64,
    end: u64,
    /// Where its entries begin in the file.
    at: u64,
    entries: usize,
}

impl Record {
    /// All it says.
    pub(super) fn read(&self, file: &File) -> io::Result<Runs> {
        let mut bytes = vec![0; self.entries * ENTRY];
        file.read_exact_at(&mut bytes, self.at)?;
        let mut runs = Runs::starting_at(self.first);
        for (digest, blocks) in entries(&bytes) {
            runs.push(&digest, blocks);
        }
        Ok(runs)
    }

    /// What it says of a block, and of how many from that one on.
    pub(super) fn find(&self, file: &File, block: u64) -> io::Result<Option<(Digest, u64)>> {
        // Mostly there are no runs in it, and the place of an entry follows from the block.
        if self.end - self.first == self.entries as u64 {
            let mut digest = Digest::default();
            file.read_exact_at(&mut digest, self.at + (block - self.first) * ENTRY as u64)?;
            return Ok(Some((digest, 1)));
        }
        Ok(self.read(file)?.get(block))
    }
}

fn entries(bytes: &[u8]) -> impl Iterator<Item = (Digest, u64)> {
    bytes.chunks_exact(ENTRY).map(|entry| {
        let (digest, blocks) = entry.split_at(32);
        let mut parts = (Digest::default(), [0; 8]);
        parts.0.copy_from_slice(digest);
        parts.1.copy_from_slice(blocks);
        (parts.0, u64::from_le_bytes(parts.1))
    })
}

/// A journal that is open. Its records are in the file; here is only where.
#[derive(Debug)]
pub(super) struct Journal {
    file: Arc<File>,
    block_size: u32,
    records: Vec<Record>,
    /// Where the next record goes.
    end: u64,
    /// The checksum before that.
    chain: [u8; CHECKSUM],
}

/// Records to be written to the journal's file, which then are [added](Journal::add) to the journal.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    at: u64,
    records: Vec<Record>,
    chain: [u8; CHECKSUM],
}

impl Journal {
    /// Begins one in a file that is empty.
    pub(super) fn begin(file: impl Into<Arc<File>>, header: &Header) -> io::Result<Self> {
        let file = file.into();
        file.write_all_at(&header.0, 0)?;
        Ok(Self::empty(file, header))
    }

    fn empty(file: Arc<File>, header: &Header) -> Self {
        let mut chain = [0; CHECKSUM];
        chain.copy_from_slice(&header.0[HEADER - CHECKSUM..]);
        let block_size = header.block_size();
        Self { file, block_size, records: Vec::new(), end: HEADER as u64, chain }
    }

    /// Reads one that is there, up to the first record that is torn or damaged. None if it is about other bytes; but
    /// its blocks may have another size than those of `header`.
    pub(super) fn load(file: impl Into<Arc<File>>, header: &Header) -> Option<Self> {
        let file = file.into();
        let found = Header::read(&file)?;
        if !found.is_about_the_same(header) || found.block_size() == 0 {
            return None;
        }
        let mut this = Self::empty(file, &found);
        while let Some((record, chain)) = this.next_record() {
            this.end = record.at + (record.entries * ENTRY + CHECKSUM) as u64;
            this.records.push(record);
            this.chain = chain;
        }
        Some(this)
    }

    fn next_record(&self) -> Option<(Record, [u8; CHECKSUM])> {
        let mut count = [0; COUNT];
        self.file.read_exact_at(&mut count, self.end).ok()?;
        let number = u32::from_le_bytes(count) as usize;
        if !(1..=MOST_ENTRIES).contains(&number) {
            return None;
        }
        let at = self.end + COUNT as u64;
        let mut bytes = vec![0; number * ENTRY + CHECKSUM];
        self.file.read_exact_at(&mut bytes, at).ok()?;
        let (said, checksum) = bytes.split_at(number * ENTRY);
        let chain = chained(&self.chain, &count, said);
        if chain != checksum {
            return None;
        }
        let first = self.blocks();
        let end = entries(said)
            .try_fold(first, |end, (_, blocks)| end.checked_add(blocks).filter(|&next| next > end))?;
        Some((Record { first, end, at, entries: number }, chain))
    }

    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// How many bytes each of its blocks has, but for the last one.
    pub(super) fn block_size(&self) -> u32 {
        self.block_size
    }

    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    /// About how many blocks it speaks.
    pub(super) fn blocks(&self) -> u64 {
        self.records.last().map_or(0, |record| record.end)
    }

    /// The record about a block.
    pub(super) fn record_of(&self, block: u64) -> Option<Record> {
        self.records.get(self.records.partition_point(|record| record.end <= block)).copied()
    }

    /// Takes away all that is said of the blocks from `blocks` on. A record that is about some before, too, goes as a
    /// whole; what it says of those is returned.
    pub(super) fn cut(&mut self, blocks: u64) -> io::Result<Runs> {
        let keep = self.records.partition_point(|record| record.end <= blocks);
        let mut rest = Runs::starting_at(keep.checked_sub(1).map_or(0, |last| self.records[last].end));
        if let Some(record) = self.records.get(keep) {
            rest = record.read(&self.file)?;
            rest.forget_from(blocks);
            self.end = record.at - COUNT as u64;
            self.file.read_exact_at(&mut self.chain, self.end - CHECKSUM as u64)?;
            self.records.truncate(keep);
        }
        // With it goes what was torn.
        self.file.set_len(self.end)?;
        Ok(rest)
    }

    /// What is to be written to say this too. The runs go on where the journal ends.
    pub(super) fn batch(&self, runs: &Runs) -> Batch {
        let mut batch = Batch { bytes: Vec::new(), at: self.end, records: Vec::new(), chain: self.chain };
        let mut first = runs.first();
        let mut runs = runs.iter();
        while runs.len() > 0 {
            let entries = runs.len().min(MOST_ENTRIES);
            let start = batch.bytes.len();
            batch.bytes.extend_from_slice(&(entries as u32).to_le_bytes());
            let mut end = first;
            for (digest, blocks) in runs.by_ref().take(entries) {
                batch.bytes.extend_from_slice(digest);
                batch.bytes.extend_from_slice(&blocks.to_le_bytes());
                end += blocks;
            }
            let (count, said) = batch.bytes[start..].split_at(COUNT);
            batch.chain = chained(&batch.chain, count, said);
            batch.bytes.extend_from_slice(&batch.chain);
            batch.records.push(Record { first, end, at: batch.at + (start + COUNT) as u64, entries });
            first = end;
        }
        batch
    }

    /// Takes note that a batch is in the file.
    pub(super) fn add(&mut self, batch: Batch) {
        self.end = batch.at + batch.bytes.len() as u64;
        self.records.extend(batch.records);
        self.chain = batch.chain;
    }
}

impl Batch {
    /// Writes it, at once: what a crash leaves of it is a whole beginning and a torn end.
    pub(super) fn write(&self, file: &File) -> io::Result<()> {
        file.write_all_at(&self.bytes, self.at)
    }
}

fn chained(before: &[u8; CHECKSUM], count: &[u8], said: &[u8]) -> [u8; CHECKSUM] {
    *blake3::Hasher::new().update(before).update(count).update(said).finalize().as_bytes()
}
