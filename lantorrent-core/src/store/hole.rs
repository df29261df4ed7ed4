//! Making a range of a file or a device read as zeros, at the least cost.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::partial::resize;

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Frees the range of a regular file. Its length stays.
pub(super) fn punch(file: &File, offset: u64, span: u64) -> io::Result<()> {
    zero(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, span)
}

/// Makes a regular file of `length` bytes longer, by zeros that take no room.
pub(super) fn extend(file: &File, length: u64, end: u64) -> io::Result<()> {
    if file.metadata()?.len() < end {
        resize(file, end)?;
    }
    // Some file systems have set room aside behind the end, for what might be appended, and it would stay. Where holes
    // cannot be made that was it: the range reads as zeros as it is.
    while fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, length, end - length)
        == Err(Errno::INTR)
    {}
    Ok(())
}

/// Zeroes the range of a block device. The blocks stay allocated: freed ones need not read as zeros everywhere.
pub(super) fn zero_device(device: &File, offset: u64, span: u64) -> io::Result<()> {
    zero(device, FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE, offset, span)
}

fn zero(file: &File, how: FallocateFlags, offset: u64, span: u64) -> io::Result<()> {
    if span == 0 {
        return Ok(());
    }
    loop {
        match fallocate(file, how, offset, span) {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => {}
            // Not supported, not aligned, whatever: what truly hinders writing will show below.
            Err(_) => return write_zeros(file, offset, span),
        }
    }
}

fn write_zeros(file: &File, mut offset: u64, mut span: u64) -> io::Result<()> {
    while span > 0 {
        let part = span.min(ZEROS.len() as u64);
        file.write_all_at(&ZEROS[..part as usize], offset)?;
        offset += part;
        span -= part;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_written_where_no_hole_can_be_made() {
        let file = tempfile::tempfile().unwrap();
        let length = 3 * ZEROS.len();
        file.write_all_at(&vec![7; length], 0).unwrap();
        write_zeros(&file, 10, length as u64 - 20).unwrap();
        let mut found = vec![1; length];
        file.read_exact_at(&mut found, 0).unwrap();
        assert!(found[..10].iter().chain(&found[length - 10..]).all(|&byte| byte == 7));
        assert!(found[10..length - 10].iter().all(|&byte| byte == 0));
        assert_eq!(file.metadata().unwrap().len(), length as u64);
    }

    #[test]
    fn an_unsupported_call_falls_back_to_writing() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; 100], 0).unwrap();
        // The kernel refuses to punch without KEEP_SIZE.
        zero(&file, FallocateFlags::PUNCH_HOLE, 1, 98).unwrap();
        let mut found = [1; 100];
        file.read_exact_at(&mut found, 0).unwrap();
        assert_eq!((found[0], found[99]), (7, 7));
        assert!(found[1..99].iter().all(|&byte| byte == 0));
    }
}
