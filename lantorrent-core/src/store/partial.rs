//! A file on its way: `<name>.lantorrent`, beside the name that it gets when it is whole.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, FlockOperation, OFlags, Stat, flock, fstat, ftruncate, renameat, statat, unlinkat,
};
use rustix::io::Errno;

use super::confine::{FOLDER, READ_WRITE, open_beneath};
use super::{ATTEMPTS, PARTIAL_SUFFIX, Remains, StoreError};

/// The name of a partial file, and the duty to rename or remove it. Dropping it removes the file, so it must be
/// dropped while the lock on the file is held.
#[derive(Debug)]
pub(super) struct Partial {
    folder: File,
    name: String,
    name_until_whole: String,
    id: FileId,
    /// What became of it, once something did.
    settled: Option<Remains>,
}

/// What tells a file from every other one, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(stat: &Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

impl Partial {
    /// Opens, locks and empties the partial file for `name` in the folder `parents` below `root`. One that nobody
    /// has locked is what a killed process left, and is taken over.
    pub(super) fn open(
        root: impl AsFd,
        parents: &str,
        name: &str,
        path: &Path,
    ) -> Result<(Self, OwnedFd), StoreError> {
        let folder = open_folder(root, parents, path)?;
        refuse_irreplaceable(&folder, name, path)?;
        let partial = format!("{name}{PARTIAL_SUFFIX}");
        let beside = path.with_file_name(&partial);
        let opening = |errno: Errno| StoreError::opening(&beside, errno);
        let refuse = |what| Err(StoreError::NotAFile { path: beside.clone(), what });

        for _ in 0..ATTEMPTS {
            let file = match open_beneath(&folder, &partial, READ_WRITE | OFlags::CREATE | OFlags::NOFOLLOW) {
                Ok(file) => file,
                Err(Errno::LOOP) => return refuse("a symlink"),
                Err(Errno::ISDIR) => return refuse("a folder"),
                Err(Errno::NXIO) => return refuse("a socket or an unknown device"),
                Err(errno) => return Err(opening(errno)),
            };
            if file_type(&fstat(&file).map_err(opening)?) != FileType::RegularFile {
                return refuse("a device or a FIFO");
            }
            lock(&file, path)?;
            // Asked under the lock: only now does nobody of our kind rename or remove it any more.
            let stat = fstat(&file).map_err(opening)?;
            let id = FileId::of(&stat);
            if id_of_name(&folder, &partial) != Some(id) {
                continue;
            }
            if stat.st_nlink != 1 {
                return refuse("a file with several names, of which only one would be renamed");
            }
            let this = Self { folder, name: name.to_owned(), name_until_whole: partial, id, settled: None };
            ftruncate(&file, 0).map_err(opening)?;
            return Ok((this, file));
        }
        Err(StoreError::InUse { path: path.to_owned() })
    }

    pub(super) fn folder(&self) -> &File {
        &self.folder
    }

    /// Gives the file its name, in place of whatever had it.
    pub(super) fn place(&mut self) -> io::Result<()> {
        if id_of_name(&self.folder, &self.name_until_whole) != Some(self.id) {
            self.settled = Some(Remains::Foreign);
            return Err(io::Error::other("somebody removed or replaced the partial file"));
        }
        renameat(&self.folder, &self.name_until_whole, &self.folder, &self.name)?;
        self.settled = Some(Remains::Placed);
        // A rename goes by name. Whoever took that in the last instant must not pass for us.
        if id_of_name(&self.folder, &self.name) != Some(self.id) {
            self.settled = Some(Remains::Foreign);
            return Err(io::Error::other("somebody replaced the file while it was being renamed"));
        }
        Ok(())
    }

    /// Makes the new name durable.
    pub(super) fn sync_name(&self) -> io::Result<()> {
        self.folder.sync_all()
    }

    /// Removes the file if it is still there and ours, and says what is left.
    pub(super) fn remove(&mut self) -> Remains {
        if let Some(remains) = self.settled {
            return remains;
        }
        let remains = if id_of_name(&self.folder, &self.name_until_whole) != Some(self.id) {
            Remains::Foreign
        } else if unlinkat(&self.folder, &self.name_until_whole, AtFlags::empty()).is_ok() {
            Remains::Nothing
        } else {
            Remains::Partial
        };
        self.settled = Some(remains);
        remains
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Opens the folder in which `path` is or will be.
pub(super) fn open_folder(root: impl AsFd, parents: &str, path: &Path) -> Result<File, StoreError> {
    let say = |why: &str| {
        let cause = io::Error::new(io::ErrorKind::NotFound, why);
        StoreError::CannotOpen { path: path.to_owned(), cause }
    };
    open_beneath(root, parents, FOLDER).map(File::from).map_err(|errno| match errno {
        Errno::NOENT => say("the folder it should be in does not exist, and folders are not created"),
        Errno::NOTDIR => say("what should be the folder it is in is no folder"),
        errno => StoreError::opening(path, errno),
    })
}

/// Takes the lock that keeps everybody else of our kind off the file, until its last descriptor is closed.
pub(super) fn lock(file: impl AsFd, path: &Path) -> Result<(), StoreError> {
    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| StoreError::opening(path, errno))
}

pub(super) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Refuses what a rename could not, or should not replace. It would fail for a folder, after the whole transfer; and
/// a device would be gone, with the file on the wrong disk.
fn refuse_irreplaceable(folder: impl AsFd, name: &str, path: &Path) -> Result<(), StoreError> {
    let what = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(StoreError::opening(path, errno)),
        Ok(stat) => match file_type(&stat) {
            FileType::RegularFile | FileType::Symlink => return Ok(()),
            FileType::Directory => "a folder",
            _ => "no regular file, so it is not replaced by one (rename: false writes to a device)",
        },
    };
    Err(StoreError::NotAFile { path: path.to_owned(), what })
}

fn id_of_name(folder: impl AsFd, name: &str) -> Option<FileId> {
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok().map(|stat| FileId::of(&stat))
}
