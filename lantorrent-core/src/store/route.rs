//! The way to a file: a root and the names below it. Nothing on the way is kept open: a disk may be mounted, a folder
//! replaced or a link switched at any time, and a file counts only where its path leads when that is said.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::confine::{FOLDER, LOOK, open_beneath};
use super::identity::{Identity, is_same};
use super::{Placement, StoreError};

/// How often, and how soon, to look again where only descriptors were lacking.
const TRIES: u32 = 50;
const RETRY: Duration = Duration::from_millis(20);

/// A path as requested, and how to get there.
#[derive(Debug, Clone)]
pub(super) struct Route {
    root: PathBuf,
    /// None where the root is the file itself.
    below: Option<Below>,
    path: PathBuf,
}

#[derive(Debug, Clone)]
struct Below {
    parents: String,
    name: String,
}

impl Route {
    /// To a root that is no folder.
    pub(super) fn to_single(root: &Path, path: PathBuf) -> Self {
        Self { root: root.to_owned(), below: None, path }
    }

    /// To a file below a root, in a folder that is some `parents` away.
    pub(super) fn below(root: &Path, parents: &[&str], name: &str, path: PathBuf) -> Self {
        let parents = if parents.is_empty() { ".".to_owned() } else { parents.join("/") };
        Self { root: root.to_owned(), below: Some(Below { parents, name: name.to_owned() }), path }
    }

    /// The path in the one form for all messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The last name; empty where the root is the file itself.
    pub(super) fn name(&self) -> &str {
        self.below.as_ref().map_or("", |below| &below.name)
    }

    /// Whether the file has a folder in which others may be made.
    pub(super) fn has_folder(&self) -> bool {
        self.below.is_some()
    }

    /// Opens the folder in which the file is or will be.
    pub(super) fn open_folder(&self) -> Result<File, StoreError> {
        let parents = self.below.as_ref().map_or(".", |below| &below.parents);
        let say = |why: &str| {
            let cause = io::Error::new(io::ErrorKind::NotFound, why);
            StoreError::CannotOpen { path: self.path.clone(), cause }
        };
        let root = open_root(&self.root).map_err(|errno| self.without_root(errno))?;
        open_beneath(root, parents, FOLDER).map(File::from).map_err(|errno| match errno {
            Errno::NOENT => say("the folder it should be in does not exist, and folders are not created"),
            Errno::NOTDIR => say("what should be the folder it is in is no folder"),
            errno => StoreError::looking(&self.path, Path::new(parents), errno),
        })
    }

    /// Opens what is at the path.
    pub(super) fn open(&self, flags: OFlags) -> Result<OwnedFd, StoreError> {
        let opening = |errno| StoreError::looking(&self.path, Path::new(self.name()), errno);
        let Some(Below { parents, name }) = &self.below else {
            return open(&self.root, flags, Mode::empty()).map_err(opening);
        };
        let root = open_root(&self.root).map_err(|errno| self.without_root(errno))?;
        open_beneath(root, &format!("{parents}/{name}"), flags).map_err(opening)
    }

    /// Refuses unless the folder that is open is the one to which the path leads. `file` is what was written there.
    pub(super) fn check_folder(&self, folder: &File, file: &File) -> Result<(), StoreError> {
        let found = look(|| self.open_folder()).and_then(|found| Ok((Identity::of_file(&found)?, found)));
        match found {
            Ok((_, found)) if is_same(folder, &found) => Ok(()),
            Ok((found, _)) => Err(self.elsewhere(file, &format!("into another folder ({found})"))),
            Err(error) => Err(self.elsewhere(file, &format!("nowhere ({error})"))),
        }
    }

    /// Refuses unless the path leads to that very file. Returns what it is told by there.
    pub(super) fn check(&self, file: &File, placement: Placement) -> Result<Identity, StoreError> {
        match self.look_up(placement) {
            Ok((identity, found)) if is_same(file, &found) => Ok(identity),
            Ok((found, _)) => Err(self.elsewhere(file, &format!("to {found}"))),
            Err(error) => Err(self.elsewhere(file, &format!("nowhere ({error})"))),
        }
    }

    /// The same for a file that is not open any more.
    pub(super) fn check_known(&self, known: Identity, placement: Placement) -> Result<(), StoreError> {
        let found = match self.look_up(placement) {
            Ok((found, _)) if found == known => return Ok(()),
            Ok((found, _)) => format!("to {found}"),
            Err(error) => format!("nowhere ({error})"),
        };
        Err(StoreError::Elsewhere { path: self.path.clone(), found, place: known.to_string() })
    }

    /// What the path leads to.
    fn look_up(&self, placement: Placement) -> io::Result<(Identity, OwnedFd)> {
        let flags = match placement {
            Placement::Rename => LOOK | OFlags::NOFOLLOW,
            Placement::InPlace => LOOK,
        };
        let found = look(|| self.open(flags))?;
        Ok((Identity::of_file(&found)?, found))
    }

    fn elsewhere(&self, file: &File, found: &str) -> StoreError {
        let identity = Identity::of_file(file).map(|identity| format!(" ({identity})")).unwrap_or_default();
        let place = match std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) {
            // Escaped: its names may come from anybody.
            Ok(place) => format!("{:?}{identity}", place.to_string_lossy()),
            Err(_) => format!("open still{identity}"),
        };
        StoreError::Elsewhere { path: self.path.clone(), found: found.to_owned(), place }
    }

    fn without_root(&self, cause: Errno) -> StoreError {
        let (path, root) = (self.path.clone(), self.root.clone());
        StoreError::NoRoot { path, root, cause: cause.into() }
    }
}

/// Looks until there are descriptors for it: a lack of those says nothing of the file.
fn look<T>(open: impl Fn() -> Result<T, StoreError>) -> io::Result<T> {
    for _ in 0..TRIES {
        match open() {
            Err(error) if error.lacks_descriptors() => thread::sleep(RETRY),
            Err(StoreError::CannotOpen { cause, .. }) => return Err(cause),
            result => return result.map_err(io::Error::other),
        }
    }
    Err(Errno::MFILE.into())
}

/// Opens a root that is a folder, as the operator named it: symlinks on the way are followed, and what is to be mounted
/// when it is used is mounted.
pub(super) fn open_root(path: &Path) -> Result<OwnedFd, Errno> {
    open(path, LOOK | OFlags::DIRECTORY, Mode::empty())
}
