//! One file being written, from the first byte to its name.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{OFlags, fcntl_setfl, fstat};

use super::in_place::{Medium, Opened, too_small};
use super::partial::Partial;
use super::{Durability, LONGEST, Placement, Remains, StoreError, hole, space};

/// A destination, open and locked. Dropped before [`finish`](Self::finish), it is [discarded](Self::discard).
///
/// Writing takes `&self`, and the calls may come from several threads; they are carried out one after the other.
/// After one that failed, `finish` fails too. The lock lasts until the last [`read_back`](Self::read_back) is dropped.
#[derive(Debug)]
pub struct Output {
    // Above `file`, whose closing gives up the lock: a partial file is removed while it is locked.
    place: Place,
    file: Arc<File>,
    medium: Medium,
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
enum Place {
    Rename(Partial),
    /// With the folder, when the file was not there before.
    InPlace(Option<File>),
}

#[derive(Debug)]
struct State {
    /// The length of the file or device, in bytes.
    length: u64,
    /// Whether something could not be written.
    failed: bool,
}

impl Output {
    pub(super) fn from_partial(
        (partial, file): (Partial, OwnedFd),
        path: &Path,
        wanted: Option<u64>,
    ) -> Result<Self, StoreError> {
        // Asked only now: what a partial file left by somebody took up is free again. On error it goes.
        let this = Self::new(file, Place::Rename(partial), Medium::File, path, 0)?;
        if let Place::Rename(partial) = &this.place {
            space::check(partial.folder(), path, wanted.unwrap_or(0))?;
        }
        Ok(this)
    }

    pub(super) fn in_place(opened: Opened, path: &Path) -> Result<Self, StoreError> {
        Self::new(opened.file, Place::InPlace(opened.made_in), opened.medium, path, opened.length)
    }

    fn new(
        file: OwnedFd,
        place: Place,
        medium: Medium,
        path: &Path,
        length: u64,
    ) -> Result<Self, StoreError> {
        // It was for opening only.
        fcntl_setfl(&file, OFlags::empty()).map_err(|errno| StoreError::opening(path, errno))?;
        Ok(Self {
            place,
            file: Arc::new(File::from(file)),
            medium,
            path: path.to_owned(),
            state: Mutex::new(State { length, failed: false }),
        })
    }

    /// How the file gets to its path.
    pub fn placement(&self) -> Placement {
        match self.place {
            Place::Rename(_) => Placement::Rename,
            Place::InPlace(_) => Placement::InPlace,
        }
    }

    /// For reading again, at any offset, what was written. None for `/dev/null`.
    pub fn read_back(&self) -> Option<Arc<File>> {
        (self.medium != Medium::Null).then(|| Arc::clone(&self.file))
    }

    /// Writes all of `data`.
    pub fn write_at(&self, data: &[u8], offset: u64) -> Result<(), StoreError> {
        self.change(offset, data.len() as u64, |_| self.file.write_all_at(data, offset))
    }

    /// Makes `span` bytes read as zeros: as a hole where the file system can, else by writing them.
    pub fn zero(&self, offset: u64, span: u64) -> Result<(), StoreError> {
        self.change(offset, span, |length| match self.medium {
            Medium::Null => Ok(()),
            Medium::Device => hole::zero_device(&self.file, offset, span),
            Medium::File => {
                let end = offset + span;
                hole::punch(&self.file, offset, end.min(length).saturating_sub(offset))?;
                // Beyond the end there is nothing to free; but who reads back must find zeros, not the end.
                if end > length { self.file.set_len(end) } else { Ok(()) }
            }
        })
    }

    /// Gives the file exactly `size` bytes and its name. Unless this returns `Ok`, the file is not whole; of a renamed
    /// one nothing is left then, and what was at the path before is still there. [`Remains`] tells the exceptions.
    pub fn finish(mut self, size: u64, durability: Durability) -> Result<(), StoreError> {
        let Err(error) = self.complete(size, durability) else { return Ok(()) };
        Err(error.leaving(match &mut self.place {
            Place::Rename(partial) => partial.remove(),
            Place::InPlace(_) => Remains::InPlace,
        }))
    }

    /// Gives the file up. A partial file is removed, if it is still ours; what was written in place stays as it is.
    pub fn discard(self) {
        drop(self);
    }

    fn complete(&mut self, size: u64, durability: Durability) -> Result<(), StoreError> {
        let fail = |cause: io::Error| StoreError::writing(&self.path, size, cause);
        let State { length, failed } = *self.state();
        if failed {
            return Err(fail(io::Error::other("something before could not be written")));
        }
        match self.medium {
            Medium::Null => return Ok(()),
            Medium::Device if size > length => return Err(too_small(&self.path, size, length)),
            Medium::Device => {}
            Medium::File if size > LONGEST => return Err(beyond_all_files(&self.path, size)),
            Medium::File => self.file.set_len(size).map_err(fail)?,
        }
        if durability == Durability::Sync {
            self.file.sync_data().map_err(fail)?;
        }
        match &mut self.place {
            Place::Rename(partial) => {
                partial.place().map_err(fail)?;
                if durability == Durability::Sync {
                    partial.sync_name().map_err(fail)?;
                }
            }
            Place::InPlace(made_in) => {
                // Whole it may be, but under no name. (A device is itself under any.)
                if self.medium == Medium::File
                    && fstat(&self.file).map_err(|errno| fail(errno.into()))?.st_nlink == 0
                {
                    return Err(fail(io::Error::other("somebody removed or replaced the file")));
                }
                if let (Some(folder), Durability::Sync) = (made_in, durability) {
                    folder.sync_all().map_err(fail)?;
                }
            }
        }
        Ok(())
    }

    /// Carries out a change of `span` bytes, given the length that there is.
    fn change(
        &self,
        offset: u64,
        span: u64,
        how: impl FnOnce(u64) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        let end = offset.saturating_add(span);
        let result = if end > LONGEST {
            Err(beyond_all_files(&self.path, end))
        } else if self.medium == Medium::Device && end > state.length {
            Err(too_small(&self.path, end, state.length))
        } else {
            how(state.length).map_err(|cause| StoreError::writing(&self.path, end, cause))
        };
        match result {
            Ok(()) => state.length = state.length.max(end),
            Err(_) => state.failed = true,
        }
        result
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Who panicked while holding it did so in the middle of a change: `failed` says no more than that.
        self.state.lock().unwrap_or_else(|poisoned: PoisonError<_>| {
            let mut state = poisoned.into_inner();
            state.failed = true;
            state
        })
    }
}

/// No file can have `size` bytes.
pub(super) fn beyond_all_files(path: &Path, size: u64) -> StoreError {
    let (path, available, remains) = (path.to_owned(), Some(LONGEST), Remains::Open);
    StoreError::NoSpace { path, needed: size, available, remains }
}
