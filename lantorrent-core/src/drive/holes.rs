//! The holes of a file that is sent: found while it is read, and looked at once more at the end.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use crate::digest::is_zero;

/// How many holes are remembered, at 16 bytes each. A file that has more is read from there on.
const MOST: usize = 1 << 18;
/// How much of what was a hole is read at once.
const CHUNK: usize = 64 << 10;

/// Finds the holes of a file, in its order.
///
/// What a file system calls a hole was zeros when it was asked. Whoever writes there later changes the time of the file,
/// also through a mapping, since the first write to a page of a hole is a fault that the file system hears of. But the
/// time can be set back, and its clock is coarse: what is written in the same tick as what came last before the file was
/// opened changes nothing. So [`check`](Self::check) looks at the holes themselves, at the end.
///
/// Not covered: a hole that was written to and punched again, or written to behind the check, if the time does not tell;
/// and for what was read there is the time alone, which says nothing of a page that somebody had mapped and changed
/// before the file was opened, and that has not been written back since.
#[derive(Debug)]
pub(super) struct Holes {
    file: Arc<File>,
    length: u64,
    block_size: u64,
    /// The file system has said that there is no whole block of hole before this.
    data_until: u64,
    /// What was taken for zeros, in order.
    taken: Vec<Range<u64>>,
}

impl Holes {
    pub(super) fn new(file: Arc<File>, length: u64, block_size: u32) -> Self {
        Self { file, length, block_size: block_size.into(), data_until: 0, taken: Vec::new() }
    }

    /// How many bytes from `offset` on, where a block begins, are a hole, at most `most`: whole blocks, unless the file
    /// ends in it. They are taken for zeros from now on.
    pub(super) fn take(&mut self, offset: u64, most: u64) -> u64 {
        if offset < self.data_until || self.taken.len() >= MOST {
            return 0;
        }
        let span = hole_at(&self.file, offset, self.length, self.block_size).min(most);
        if span == 0 {
            self.data_until = self.end_of_data(offset);
            return 0;
        }
        let end = offset + span;
        match self.taken.last_mut().filter(|last| last.end == offset) {
            Some(last) => last.end = end,
            None => self.taken.push(offset..end),
        }
        span
    }

    /// Where the next block begins that may be all hole.
    fn end_of_data(&self, offset: u64) -> u64 {
        let data = next_data(&self.file, offset, self.length);
        next_hole(&self.file, data, self.length).max(offset + 1).next_multiple_of(self.block_size)
    }

    /// Fails if what was taken for zeros is none any more.
    pub(super) fn check(&self) -> io::Result<()> {
        self.taken.iter().try_for_each(|range| check_zeros(&self.file, range.clone()))
    }
}

/// How many bytes of `file` from `offset` on, where a block begins, are a hole: whole blocks, unless the hole goes on to
/// `end`. None if the file system cannot say.
pub(super) fn hole_at(file: &File, offset: u64, end: u64, block_size: u64) -> u64 {
    whole_blocks(offset, next_data(file, offset, end), end, block_size)
}

fn whole_blocks(offset: u64, data: u64, end: u64, block_size: u64) -> u64 {
    if data >= end { end - offset } else { (data - offset) / block_size * block_size }
}

/// The data of a file, in order: what is between its holes.
pub(super) fn data(file: &File, length: u64) -> impl Iterator<Item = Range<u64>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = next_data(file, at, length);
        at = next_hole(file, start, length);
        (start < length).then_some(start..at)
    })
}

/// Where data begins, at `offset` or behind it.
fn next_data(file: &File, offset: u64, end: u64) -> u64 {
    match seek(file, SeekFrom::Data(offset)) {
        Ok(data) => data.clamp(offset, end),
        // There is none up to the end.
        Err(Errno::NXIO) => end,
        // Not every file system, and no disk, can say: then all of it is data.
        Err(_) => offset,
    }
}

/// Where the data ends that is at `offset`.
fn next_hole(file: &File, offset: u64, end: u64) -> u64 {
    seek(file, SeekFrom::Hole(offset)).map_or(end, |hole| hole.clamp(offset, end))
}

fn check_zeros(file: &File, range: Range<u64>) -> io::Result<()> {
    let (mut at, mut buffer) = (range.start, Vec::new());
    loop {
        at = next_data(file, at, range.end);
        if at >= range.end {
            return Ok(());
        }
        // Not a hole any more, which may be no more than that somebody read there, where room was set aside: what counts
        // are the bytes.
        buffer.resize(CHUNK, 0);
        let part = (range.end - at).min(CHUNK as u64);
        let bytes = &mut buffer[..part as usize];
        match file.read_exact_at(bytes, at) {
            Ok(()) if is_zero(bytes) => at += part,
            Ok(()) => return Err(io::Error::other("a hole in it was written to while it was being sent")),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                return Err(io::Error::other("it became shorter while it was being sent"));
            }
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: u64 = 16 << 10;

    /// A file of 16 blocks with data at the beginning of the third block, across the next two, and in the last one.
    fn sparse() -> Arc<File> {
        let file = tempfile::tempfile().unwrap();
        file.set_len(16 * BLOCK).unwrap();
        file.write_all_at(&[1; 4096], 2 * BLOCK).unwrap();
        file.write_all_at(&[1; 16 << 10], 3 * BLOCK + 8192).unwrap();
        file.write_all_at(&[1], 16 * BLOCK - 1).unwrap();
        Arc::new(file)
    }

    fn spans(holes: &mut Holes) -> Vec<(u64, u64)> {
        let mut found = Vec::new();
        let mut offset = 0;
        while offset < holes.length {
            let span = holes.take(offset, u64::MAX);
            if span > 0 {
                found.push((offset / BLOCK, span));
            }
            offset += span.max(BLOCK);
        }
        found
    }

    #[test]
    fn whole_blocks_of_hole_are_found_and_blocks_with_data_are_not() {
        let mut holes = Holes::new(sparse(), 16 * BLOCK, BLOCK as u32);
        assert_eq!(spans(&mut holes), [(0, 2 * BLOCK), (5, 10 * BLOCK)]);
        holes.check().unwrap();
    }

    #[test]
    fn a_hole_to_the_end_need_not_be_whole_blocks() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(3 * BLOCK + 5).unwrap();
        let mut holes = Holes::new(Arc::new(file), 3 * BLOCK + 5, BLOCK as u32);
        assert_eq!(spans(&mut holes), [(0, 3 * BLOCK + 5)]);
        assert_eq!(whole_blocks(BLOCK, 3 * BLOCK - 1, 3 * BLOCK, BLOCK), BLOCK);
        assert_eq!(whole_blocks(BLOCK, BLOCK, 3 * BLOCK, BLOCK), 0);
    }

    #[test]
    fn what_cannot_say_where_its_holes_are_is_data() {
        let file = Arc::new(File::open("/dev/zero").unwrap());
        assert_eq!(Holes::new(file, 16 * BLOCK, BLOCK as u32).take(0, u64::MAX), 0);
    }

    #[test]
    fn a_hole_that_was_written_to_is_found_out_whatever_the_time_of_the_file_says() {
        let file = sparse();
        let mut holes = Holes::new(Arc::clone(&file), 16 * BLOCK, BLOCK as u32);
        spans(&mut holes);
        let before = file.metadata().unwrap().modified().unwrap();
        // Zeros over a hole are no change.
        file.write_all_at(&[0; 5000], 10 * BLOCK + 5).unwrap();
        holes.check().unwrap();
        file.write_all_at(&[1], 15 * BLOCK - 1).unwrap();
        file.set_modified(before).unwrap();
        assert!(holes.check().unwrap_err().to_string().contains("written to"));
    }

    #[test]
    fn data_outside_the_holes_is_not_their_affair() {
        let file = sparse();
        let mut holes = Holes::new(Arc::clone(&file), 16 * BLOCK, BLOCK as u32);
        spans(&mut holes);
        file.write_all_at(&[2; BLOCK as usize], 4 * BLOCK).unwrap();
        holes.check().unwrap();
    }
}
