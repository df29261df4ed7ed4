//! Whether a disk has room for a file, asked before the first byte is written.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::process::Resource;

use super::{Remains, StoreError};
use crate::rlimit::rlimit;

/// Refuses when the file system that `place` is on has less than `needed` bytes left.
pub(super) fn check(place: impl AsFd, path: &Path, needed: u64) -> Result<(), StoreError> {
    match available(place) {
        Some(available) if available < needed => Err(StoreError::NoSpace {
            path: path.to_owned(),
            needed,
            available: Some(available),
            quota: false,
            remains: Remains::Nothing,
        }),
        // Where nobody knows, writing will tell.
        _ => Ok(()),
    }
}

/// The longest file that this process may write (`RLIMIT_FSIZE`), if one of `length` bytes is longer.
pub(super) fn limit(length: u64) -> Option<u64> {
    rlimit(Resource::Fsize).current.filter(|&limit| limit < length)
}

/// Refuses a file that would be longer than this process may write.
pub(super) fn check_length(path: &Path, length: u64) -> Result<(), StoreError> {
    let Some(limit) = limit(length) else { return Ok(()) };
    let (path, remains) = (path.to_owned(), Remains::Nothing);
    Err(StoreError::TooLarge { path, needed: length, limit: Some(limit), remains })
}

fn available(place: impl AsFd) -> Option<u64> {
    let stat = rustix::fs::fstatvfs(place).ok()?;
    // A file system without a size, such as a tmpfs without limit, says 0 of 0.
    (stat.f_blocks > 0).then(|| stat.f_bavail.saturating_mul(stat.f_frsize))
}
