//! Whether a partial file could be opened, found out without leaving a trace.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{OFlags, fstat};
use rustix::io::Errno;

use super::alias::refuse_other_name;
use super::beside::Beside;
use super::journal::{Header, Journal};
use super::partial::{may_make_files, open_plain, refuse_irreplaceable, refuse_several_names};
use super::route::Route;
use super::{JOURNAL_SUFFIX, PARTIAL_SUFFIX, StoreError, Target, lock, space};

/// Whether the partial file for what is at the end of `route` could be opened now, and has room.
pub(super) fn probe(route: &Route, target: &Target<'_>) -> Result<(), StoreError> {
    let (path, name) = (route.path(), route.name());
    space::check_length(path, target.length.unwrap_or(0))?;
    let folder = route.open_folder()?;
    refuse_irreplaceable(&folder, name, path)?;
    may_make_files(&folder, path)?;
    let partial = format!("{name}{PARTIAL_SUFFIX}");
    let beside = path.with_file_name(&partial);
    refuse_other_name(&folder, &partial, &beside)?;
    let held = match open_plain(&folder, &partial, OFlags::empty(), &beside) {
        Ok(file) => {
            lock::probe(&file, path)?;
            held(&folder, &file, name, target, &beside)?
        }
        Err(error) if error.is_missing() => 0,
        Err(error) => return Err(error),
    };
    space::check(&folder, path, target.length.unwrap_or(0).saturating_sub(held))
}

/// How many bytes of the file need no more room: either it is gone on with, or its room is free again.
fn held(
    folder: &File,
    file: &OwnedFd,
    name: &str,
    target: &Target<'_>,
    beside: &Path,
) -> Result<u64, StoreError> {
    let stat = fstat(file).map_err(|errno: Errno| StoreError::opening(beside, errno))?;
    refuse_several_names(&stat, beside)?;
    let occupied = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
    let length = u64::try_from(stat.st_size).unwrap_or(0);
    // Not read again, which takes long: this much it can be at most.
    Ok(occupied.max(recorded(folder, name, target).min(length)))
}

/// How many bytes a journal for the same content speaks of, in whatever blocks. They are more than the file occupies where it has holes.
fn recorded(folder: &File, name: &str, target: &Target<'_>) -> u64 {
    let journal = || {
        let resume = target.resume.as_ref()?;
        let header = Header::new(resume, target.length)?;
        let (_, file) = Beside::open(folder, &format!("{name}{JOURNAL_SUFFIX}")).ok()??;
        let journal = Journal::load(file, &header)?;
        Some(journal.blocks().saturating_mul(u64::from(journal.block_size())))
    };
    journal().unwrap_or(0)
}
