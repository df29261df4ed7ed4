//! What the journal beside a torrent's partial files says: which pieces are in them, and will be after any crash.
//!
//! All numbers are little-endian. The header:
//!
//! ```text
//! magic (16) | info hash (20) | pieces (4) | inode of the partial file or folder (8) | checksum (20)
//! ```
//!
//! and then records:
//!
//! ```text
//! number of runs (4) | runs: first piece (4), how many (4) | checksum (20)
//! ```
//!
//! A checksum is SHA-1 of what is before it in the header or record, and a record's begins with the checksum before. So a
//! record counts only after those after which it was written.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use lantorrent_core::store::{Synced, sync_file};
use sha1::{Digest, Sha1};

use crate::InfoHash;
use crate::bitfield::Bitfield;

const MAGIC: &[u8; 16] = b"LANTorrent swm 1";
const HEADER: usize = 68;
/// Where the header says which file it is about.
const INODE: Range<usize> = 40..48;
const COUNT: usize = 4;
const RUN: usize = 8;
const CHECKSUM: usize = 20;
/// Runs that one record has at most.
const MOST_RUNS: usize = 512;

/// Whose pieces they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub(super) torrent: InfoHash,
    pub(super) pieces: u32,
    pub(super) inode: u64,
}

/// A journal that was there.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) journal: Journal,
    /// What it says is in the partial files.
    pub(super) pieces: Bitfield,
    /// Else it is about one with another number: such as some file systems give a file each time.
    pub(super) is_of_this_file: bool,
}

/// A journal that is open for more.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    end: u64,
    /// The checksum before that.
    chain: [u8; CHECKSUM],
}

impl Journal {
    /// Begins one in a file that is empty.
    pub(super) fn begin(file: File, subject: &Subject) -> io::Result<Self> {
        let header = header(subject);
        file.write_all_at(&header, 0)?;
        Ok(Self::empty(file, &header))
    }

    fn empty(file: File, header: &[u8; HEADER]) -> Self {
        let mut chain = [0; CHECKSUM];
        chain.copy_from_slice(&header[HEADER - CHECKSUM..]);
        Self { file, end: HEADER as u64, chain }
    }

    /// Reads one that is there, up to the first record that is torn or damaged. None if it is about another torrent.
    pub(super) fn load(file: File, subject: &Subject) -> Option<Loaded> {
        let mut found = [0; HEADER];
        file.read_exact_at(&mut found, 0).ok()?;
        let inode = u64::from_le_bytes(found[INODE].try_into().ok()?);
        if found != header(&Subject { inode, ..*subject }) {
            return None;
        }
        let mut this = Self::empty(file, &found);
        let mut pieces = Bitfield::none(subject.pieces);
        while let Some(runs) = this.next_record() {
            for run in runs {
                pieces.insert_all(run);
            }
        }
        Some(Loaded { journal: this, pieces, is_of_this_file: inode == subject.inode })
    }

    /// Takes the next record, if it is whole.
    fn next_record(&mut self) -> Option<Vec<Range<u32>>> {
        let mut count = [0; COUNT];
        self.file.read_exact_at(&mut count, self.end).ok()?;
        let number = u32::from_le_bytes(count) as usize;
        if !(1..=MOST_RUNS).contains(&number) {
            return None;
        }
        let mut bytes = vec![0; number * RUN + CHECKSUM];
        self.file.read_exact_at(&mut bytes, self.end + COUNT as u64).ok()?;
        let (said, checksum) = bytes.split_at(number * RUN);
        let chain = chained(&self.chain, &count, said);
        if chain != checksum {
            return None;
        }
        self.end += (COUNT + bytes.len()) as u64;
        self.chain = chain;
        let runs = said.as_chunks::<RUN>().0.iter().map(|&[a, b, c, d, e, f, g, h]| {
            let first = u32::from_le_bytes([a, b, c, d]);
            first..first.saturating_add(u32::from_le_bytes([e, f, g, h]))
        });
        Some(runs.collect())
    }

    /// Adds these pieces. After an error it is as if nothing was added.
    pub(super) fn add(&mut self, pieces: &Bitfield) -> io::Result<()> {
        let (mut bytes, mut chain) = (Vec::new(), self.chain);
        for runs in pieces.runs().chunks(MOST_RUNS) {
            let count = (runs.len() as u32).to_le_bytes();
            let said: Vec<u8> = runs
                .iter()
                .flat_map(|run| [run.start, run.end - run.start])
                .flat_map(u32::to_le_bytes)
                .collect();
            chain = chained(&chain, &count, &said);
            bytes.extend_from_slice(&count);
            bytes.extend_from_slice(&said);
            bytes.extend_from_slice(&chain);
        }
        self.file.write_all_at(&bytes, self.end)?;
        self.end += bytes.len() as u64;
        self.chain = chain;
        Ok(())
    }

    /// Waits until it would survive a power failure.
    pub(super) fn sync(&self) -> io::Result<Synced> {
        sync_file(&self.file)
    }
}

fn header(subject: &Subject) -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..16].copy_from_slice(MAGIC);
    bytes[16..36].copy_from_slice(&subject.torrent.0);
    bytes[36..40].copy_from_slice(&subject.pieces.to_le_bytes());
    bytes[INODE].copy_from_slice(&subject.inode.to_le_bytes());
    let checksum = Sha1::digest(&bytes[..HEADER - CHECKSUM]);
    bytes[HEADER - CHECKSUM..].copy_from_slice(&checksum);
    bytes
}

fn chained(before: &[u8; CHECKSUM], count: &[u8], said: &[u8]) -> [u8; CHECKSUM] {
    Sha1::new().chain_update(before).chain_update(count).chain_update(said).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: Subject = Subject { torrent: InfoHash([7; 20]), pieces: 5000, inode: 9 };

    fn with(runs: impl IntoIterator<Item = Range<u32>>) -> Bitfield {
        let mut set = Bitfield::none(SUBJECT.pieces);
        for run in runs {
            set.insert_all(run);
        }
        set
    }

    fn load(file: &File) -> Option<(Journal, Bitfield)> {
        let Loaded { journal, pieces, is_of_this_file } = Journal::load(file.try_clone().unwrap(), &SUBJECT)?;
        assert!(is_of_this_file);
        Some((journal, pieces))
    }

    #[test]
    fn what_was_added_is_found() {
        let file = tempfile::tempfile().unwrap();
        assert!(load(&file).is_none());
        let mut journal = Journal::begin(file.try_clone().unwrap(), &SUBJECT).unwrap();
        assert_eq!(load(&file).unwrap().1, with(None));
        journal.add(&with([3..10, 100..101])).unwrap();
        journal.add(&with(None)).unwrap();
        // More runs than one record has.
        let many: Vec<_> = (600..1200).map(|piece| piece * 2..piece * 2 + 1).collect();
        journal.add(&with(many.clone())).unwrap();
        let (mut journal, found) = load(&file).unwrap();
        let all = [&[3..10, 100..101][..], &many].concat();
        assert_eq!(found, with(all.clone()));
        journal.add(&with(Some(4999..5000))).unwrap();
        assert_eq!(load(&file).unwrap().1, with(all.into_iter().chain(Some(4999..5000))));
    }

    #[test]
    fn what_is_about_something_else_says_nothing() {
        let file = tempfile::tempfile().unwrap();
        Journal::begin(file.try_clone().unwrap(), &SUBJECT).unwrap().add(&with(Some(0..9))).unwrap();
        for other in [Subject { torrent: InfoHash([8; 20]), ..SUBJECT }, Subject { pieces: 4999, ..SUBJECT }]
        {
            assert!(Journal::load(file.try_clone().unwrap(), &other).is_none(), "{other:?}");
        }
        let renumbered = Journal::load(file, &Subject { inode: 8, ..SUBJECT }).unwrap();
        assert!(!renumbered.is_of_this_file);
        assert_eq!(renumbered.pieces, with(Some(0..9)));
    }

    #[test]
    fn damage_anywhere_takes_only_what_is_behind() {
        let written = tempfile::tempfile().unwrap();
        let mut journal = Journal::begin(written.try_clone().unwrap(), &SUBJECT).unwrap();
        let mut ends = vec![(journal.end, 0)];
        for run in 0..20 {
            journal.add(&with(Some(run * 100..run * 100 + run + 1))).unwrap();
            ends.push((journal.end, run + 1));
        }
        let mut good = vec![0; journal.end as usize];
        written.read_exact_at(&mut good, 0).unwrap();
        let expected = |intact: u64| {
            let runs = ends.iter().rev().find(|(end, _)| *end <= intact).map_or(0, |(_, runs)| *runs);
            with((0..runs).map(|run| run * 100..run * 100 + run + 1))
        };
        for at in 0..good.len() {
            let file = tempfile::tempfile().unwrap();
            let mut bytes = good.clone();
            bytes[at] ^= 0x10;
            for bytes in [&bytes[..], &good[..at]] {
                file.set_len(0).unwrap();
                file.write_all_at(bytes, 0).unwrap();
                let found = load(&file);
                assert_eq!(found.is_some(), at >= HEADER, "{at}");
                let Some((mut journal, pieces)) = found else { continue };
                assert_eq!(pieces, expected(at as u64), "{at}");
                // And it goes on from there.
                journal.add(&with(Some(4000..4001))).unwrap();
                let mut more = pieces.clone();
                more.insert(4000);
                assert_eq!(load(&file).unwrap().1, more, "{at}");
            }
        }
    }
}
