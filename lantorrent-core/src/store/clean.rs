//! Removing what was interrupted: what nobody has gone on with for long, and what is not wanted any more.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, Dir, FileType, OFlags, statat, unlinkat};

use super::beside::Beside;
use super::confine::{FOLDER, open_beneath, open_folder_in};
use super::journal::Header;
use super::lock::Lock;
use super::partial::{file_type, open_plain, still_named};
use super::route::Route;
use super::{JOURNAL_SUFFIX, NEXT_JOURNAL_SUFFIX, PARTIAL_SUFFIX, Remains, StoreError};

/// How many folders below one another are looked into. Each is open while those in it are.
const DEPTH: usize = 32;

/// Removes what is stale below a root, and says how many.
pub(super) fn clean(root: impl AsFd, older_than: Duration) -> usize {
    let Some(before) = SystemTime::now().checked_sub(older_than) else { return 0 };
    open_beneath(root, ".", FOLDER).map_or(0, |folder| clean_folder(folder, before, DEPTH))
}

fn clean_folder(folder: OwnedFd, before: SystemTime, depth: usize) -> usize {
    let folder = File::from(folder);
    let Ok(Entries { folders, journals }) = entries(&folder) else { return 0 };
    let mut cleaned = journals.iter().filter(|name| clean_one(&folder, name, before)).count();
    if depth > 0 {
        for name in &folders {
            if let Ok(below) = open_folder_in(&folder, Path::new(OsStr::from_bytes(name.to_bytes()))) {
                cleaned += clean_folder(below, before, depth - 1);
            }
        }
    }
    cleaned
}

/// What matters in a folder.
#[derive(Default)]
struct Entries {
    folders: Vec<CString>,
    /// The names of files for which there are journals.
    journals: Vec<String>,
}

fn entries(folder: &File) -> rustix::io::Result<Entries> {
    let mut found = Entries::default();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let kind = match entry.file_type() {
            // Not every file system says it here.
            FileType::Unknown => match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => file_type(&stat),
                Err(_) => continue,
            },
            kind => kind,
        };
        match kind {
            FileType::Directory => found.folders.push(name.to_owned()),
            FileType::RegularFile => found.journals.extend(name_of_file(name)),
            _ => {}
        }
    }
    Ok(found)
}

fn name_of_file(journal: &CStr) -> Option<String> {
    let name = journal.to_str().ok()?.strip_suffix(JOURNAL_SUFFIX)?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// Removes a journal, and the partial file if there is one, if both are stale.
fn clean_one(folder: &File, name: &str, before: SystemTime) -> bool {
    let is_stale = |journal: &File| is_older(journal, before) && Header::is_in(journal);
    let removed = remove_one(folder, name, Path::new(name), is_stale, |partial| is_older(partial, before));
    removed.unwrap_or(false)
}

/// Removes the partial file for what is at the end of `route`, and its journal, if they are about that version. Whatever
/// else is there stays.
pub(super) fn remove(route: &Route, version: &[u8]) -> Result<(), StoreError> {
    let (name, path) = (route.name(), route.path());
    match route.open_folder() {
        Ok(folder) => {
            remove_one(&folder, name, path, |journal| Header::is_about(journal, version), |_| true).map(drop)
        }
        // No folder, nothing in it.
        Err(StoreError::CannotOpen { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes the journal for a file if it is the right one, and then the partial file too, if that may go. Returns whether it
/// did.
fn remove_one(
    folder: &File,
    name: &str,
    path: &Path,
    is_right: impl Fn(&File) -> bool,
    may_go: impl Fn(&File) -> bool,
) -> Result<bool, StoreError> {
    let partial = format!("{name}{PARTIAL_SUFFIX}");
    let journal = format!("{name}{JOURNAL_SUFFIX}");
    let find = || {
        let (journal, file) = Beside::open(folder, &journal).ok()??;
        is_right(&file).then_some(journal)
    };
    // First without the lock, which somebody may want just now.
    if find().is_none() {
        return Ok(false);
    }
    let Some((file, _lock, made)) = lock_partial(folder, &partial, path)? else { return Ok(false) };
    let found = find().filter(|_| made || may_go(&file));
    if found.is_some() || made {
        // This first: a journal alone can still be cleaned up, a partial file alone nobody would dare to remove.
        unlinkat(folder, &partial, AtFlags::empty()).map_err(|errno| StoreError::CannotWrite {
            path: path.to_owned(),
            cause: errno.into(),
            remains: Remains::Partial,
        })?;
    }
    // With the lock nobody is making one.
    if let Ok(Some((next, _))) = Beside::open(folder, &format!("{name}{NEXT_JOURNAL_SUFFIX}")) {
        next.remove(folder);
    }
    Ok(found.map(|journal| journal.remove(folder)).is_some())
}

/// Opens and locks the partial file, or makes it where there is none: who has the lock may touch the journal. Says
/// whether it was made. None where something else has the name, or the file has several.
fn lock_partial(folder: &File, name: &str, path: &Path) -> Result<Option<(File, Lock, bool)>, StoreError> {
    let open = |flags| open_plain(folder, name, flags, path);
    let (file, made) = match open(OFlags::empty()) {
        Ok(file) => (file, false),
        Err(error) if error.is_missing() => (open(OFlags::CREATE | OFlags::EXCL)?, true),
        Err(StoreError::NotAFile { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let lock = Lock::take(&file, path)?;
    Ok(still_named(folder, name, &file).then(|| (File::from(file), lock, made)))
}

fn is_older(file: &File, before: SystemTime) -> bool {
    file.metadata().and_then(|metadata| metadata.modified()).is_ok_and(|modified| modified < before)
}
