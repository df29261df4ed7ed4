//! A folder with all that is below it, for who keeps many files there and decides himself when each is whole.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, fchmod, fcntl_setfl, fstat, mkdirat, open, renameat, statat,
    unlinkat,
};
use rustix::io::{Errno, pwritev};

use super::alias::refuse_other_name;
use super::confine::{FOLDER, LOOK, READ_WRITE, open_strictly_beneath};
use super::guarantee::{Guarantee, Synced, sync_file, sync_folder};
use super::identity::{Identity, is_named};
use super::lock::Lock;
use super::partial::{file_type, refuse_several_names, resize};
use super::{Remains, StoreError, space};

/// Folders are the owner's to change and everybody's to look into, less what the umask takes.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);

/// A folder that is open. All paths are relative to it, and lead through no symlink at all: two of them are never the same
/// file, and none is elsewhere.
///
/// Nothing is durable by itself: [`File::sync_data`] is for what is in a file, [`sync_folder`](Self::sync_folder) for the
/// names in a folder.
#[derive(Debug)]
pub struct Tree {
    folder: OwnedFd,
    path: PathBuf,
}

/// What has a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// What it is.
    pub what: What,
    /// Its bytes.
    pub length: u64,
    /// What tells it from every other file of the file system, whatever its name.
    pub inode: u64,
    /// When it was last written to, in nanoseconds since 1970.
    pub modified: i128,
}

/// What there can be at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symlink, a device or something else that is never touched.
    Other,
}

/// Who may do what with a file that is made, less what the umask takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Permissions {
    /// The owner may write it, and everybody may read it.
    Data,
    /// Whoever may read it may execute it, too.
    Program,
}

impl Tree {
    /// Opens the folder, which has to be there. Symlinks on the way to it are followed: its path is the operator's.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let folder = open(path, FOLDER, Mode::empty()).map_err(|errno| StoreError::opening(path, errno))?;
        open_strictly_beneath(&folder, Path::new("."), LOOK | OFlags::DIRECTORY)
            .map_err(|errno| StoreError::opening(path, errno))?;
        Ok(Self { folder, path: path.to_owned() })
    }

    /// The folder's own path, as it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Refuses unless the folder's path, followed anew, still leads to this folder: a disk may have been mounted or
    /// unmounted, or a folder on the way renamed or replaced. `path` is what was written in it, for what is said.
    ///
    /// # Errors
    /// [`StoreError::Elsewhere`].
    pub fn check_place(&self, path: &Path) -> Result<(), StoreError> {
        let own =
            Identity::of_file(&self.folder).map_err(|cause| StoreError::writing(&self.path, 0, cause))?;
        let found = open(&self.path, FOLDER, Mode::empty()).map_err(io::Error::from);
        let found = match found.and_then(Identity::of_file) {
            Ok(found) if found == own => return Ok(()),
            Ok(_) => "into another folder".to_owned(),
            // That says nothing of the folder.
            Err(cause) if StoreError::is_about_descriptors(&cause) => return Ok(()),
            Err(cause) => format!("nowhere ({cause})"),
        };
        let place = match std::fs::read_link(format!("/proc/self/fd/{}", self.folder.as_raw_fd())) {
            // Escaped: its names may come from anybody.
            Ok(place) => format!("{:?} ({own})", place.join(path).to_string_lossy()),
            Err(_) => format!("in a folder that is open still ({own})"),
        };
        Err(StoreError::Elsewhere { path: self.path.join(path), found, place })
    }

    /// What has that path. None if nothing has it, be it that there is a symlink on the way.
    pub fn find(&self, path: &Path) -> Result<Option<Found>, StoreError> {
        let look = |path: &Path, flags| open_strictly_beneath(&self.folder, path, LOOK | flags);
        let found = look(parent(path), OFlags::DIRECTORY)
            .and_then(|folder| statat(folder, name(path)?, AtFlags::SYMLINK_NOFOLLOW));
        match found {
            Ok(stat) => Ok(Some(Found::from(&stat))),
            // A name that is too long for the file system is that of nothing there.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => Ok(None),
            Err(errno) => Err(self.opening(path, errno)),
        }
    }

    /// Opens a file that is there, for reading.
    pub fn read(&self, path: &Path) -> Result<File, StoreError> {
        self.open_file(path, OFlags::RDONLY)
    }

    /// Opens a file that is there, for reading and writing. One with several names is refused: it would change under all
    /// of them.
    pub fn write(&self, path: &Path) -> Result<File, StoreError> {
        let file = self.open_file(path, OFlags::RDWR)?;
        let stat = fstat(&file).map_err(|errno| self.opening(path, errno))?;
        refuse_several_names(&stat, &self.path.join(path))?;
        Ok(file)
    }

    /// Opens a file as [`write`](Self::write) does, or makes it with the folders on the way.
    pub fn make(&self, path: &Path, permissions: Permissions) -> Result<File, StoreError> {
        let file = match self.write(path) {
            Err(error) if error.is_missing() => {
                self.make_folder(parent(path))?;
                self.open_file(path, OFlags::RDWR | OFlags::CREATE)?
            }
            file => file?,
        };
        if permissions == Permissions::Program
            && let Err(errno) = allow_execution(&file)
        {
            if !Guarantee::Modes.is_refused_by(errno) {
                return Err(self.opening(path, errno));
            }
            Guarantee::Modes.tell_lack(&file, &io::Error::from(errno));
        }
        Ok(file)
    }

    /// Gives a file of that path that length. What it is longer by is a hole.
    pub fn set_length(&self, file: &File, path: &Path, length: u64) -> Result<(), StoreError> {
        resize(file, length).map_err(|cause| StoreError::writing(&self.path.join(path), length, cause))
    }

    /// Makes the folder, and those on the way, where they are missing.
    pub fn make_folder(&self, path: &Path) -> Result<(), StoreError> {
        let mut missing = Vec::new();
        for folder in path.ancestors().filter(|path| path.file_name().is_some()) {
            if self.find(folder)?.is_some_and(|found| found.what == What::Folder) {
                break;
            }
            missing.push(folder);
        }
        for folder in missing.into_iter().rev() {
            match self.in_parent(folder, |parent, name| mkdirat(parent, name, FOLDER_MODE)) {
                // By somebody else, a moment ago; or it is none.
                Err(Errno::EXIST) => drop(self.open_folder(folder)?),
                made => made.map_err(|errno| self.making(folder, errno))?,
            }
        }
        Ok(())
    }

    /// Opens a folder, to hold or [lock](Self::lock) it.
    pub fn open_folder(&self, path: &Path) -> Result<File, StoreError> {
        open_strictly_beneath(&self.folder, path, FOLDER)
            .map(File::from)
            .map_err(|errno| self.opening(path, errno))
    }

    /// Keeps everybody else of our kind off what has that path, for as long as it is open and the lock is kept.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if somebody else has locked it, or if what is open has that path no more.
    pub fn lock(&self, file: &File, path: &Path) -> Result<Lock, StoreError> {
        let lock = Lock::take(file, &self.path.join(path))?;
        // Asked under the lock: only now does nobody of our kind rename or remove it any more.
        if self.is_at(file, path)? { Ok(lock) } else { Err(StoreError::InUse { path: self.path.join(path) }) }
    }

    /// Whether a file or folder that is open has that path.
    pub fn is_at(&self, file: &File, path: &Path) -> Result<bool, StoreError> {
        let folder = match open_strictly_beneath(&self.folder, parent(path), LOOK | OFlags::DIRECTORY) {
            Ok(folder) => folder,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(false),
            Err(errno) => return Err(self.opening(path, errno)),
        };
        let name = name(path).map_err(|errno| self.opening(path, errno))?;
        Ok(is_named(folder, name, file))
    }

    /// Refuses a path whose last name is not listed although something has it, as another name is that the file system
    /// takes for the same.
    ///
    /// # Errors
    /// [`StoreError::OtherName`].
    pub fn refuse_other_name(&self, path: &Path) -> Result<(), StoreError> {
        let Some(name) = path.file_name().and_then(OsStr::to_str) else { return Ok(()) };
        refuse_other_name(&self.open_folder(parent(path))?, name, &self.path.join(path))
    }

    /// Opens whatever has that path, to tell later whether it [has](Self::is_at) another.
    pub fn look(&self, path: &Path) -> Result<File, StoreError> {
        open_strictly_beneath(&self.folder, path, LOOK)
            .map(File::from)
            .map_err(|errno| self.opening(path, errno))
    }

    /// Gives a file, or a folder with all that is in it, another path. A file there is replaced at once, a folder only if
    /// it is empty.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<(), StoreError> {
        let renamed = self.in_parent(from, |old, old_name| {
            self.in_parent(to, |new, new_name| renameat(old, old_name, new, new_name))
        });
        renamed.map_err(|errno| StoreError::writing(&self.path.join(to), 0, errno))
    }

    /// Removes a file, if there is one.
    pub fn remove(&self, path: &Path) -> Result<(), StoreError> {
        match self.in_parent(path, |folder, name| unlinkat(folder, name, AtFlags::empty())) {
            Ok(()) | Err(Errno::NOENT | Errno::NAMETOOLONG) => Ok(()),
            Err(errno) => Err(self.removing(path, errno)),
        }
    }

    /// Removes a folder, if there is one and nothing is in it.
    pub fn remove_empty_folder(&self, path: &Path) -> Result<(), StoreError> {
        match self.in_parent(path, |folder, name| unlinkat(folder, name, AtFlags::REMOVEDIR)) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            Err(errno) => Err(self.removing(path, errno)),
        }
    }

    /// Waits until the names in that folder would survive a power failure. An error says that this `remains`.
    pub fn sync_folder(&self, path: &Path, remains: Remains) -> Result<Synced, StoreError> {
        let synced = sync_folder(&self.open_folder(path)?);
        // Without the dot of the folder itself.
        let shown: PathBuf = self.path.join(path).components().collect();
        synced.map_err(|cause| StoreError::writing(&shown, 0, cause).leaving(remains))
    }

    /// Refuses when the disk has less than `needed` bytes left.
    pub fn check_space(&self, needed: u64) -> Result<(), StoreError> {
        space::check(&self.folder, &self.path, needed)
    }

    /// Writes all of the blocks, one behind the other from `offset` on. The path is that of the file, for what is said.
    pub fn write_at(
        &self,
        file: &File,
        path: &Path,
        blocks: &[&[u8]],
        offset: u64,
    ) -> Result<(), StoreError> {
        let length: usize = blocks.iter().map(|block| block.len()).sum();
        let end = offset.saturating_add(length as u64);
        write_all_at(file, blocks, offset)
            .map_err(|cause| StoreError::writing(&self.path.join(path), end, cause))
    }

    /// Waits until what was written to the file would survive a power failure. An error is final: what was written may be
    /// lost, and the next time there would be none.
    pub fn sync(&self, file: &File, path: &Path) -> Result<Synced, StoreError> {
        sync_file(file).map_err(|cause| StoreError::writing(&self.path.join(path), 0, cause))
    }

    fn open_file(&self, path: &Path, flags: OFlags) -> Result<File, StoreError> {
        let refuse = |what| Err(StoreError::NotAFile { path: self.path.join(path), what });
        // The flags that keep a FIFO or a terminal from doing harm.
        let harmless = READ_WRITE.difference(OFlags::RDWR);
        let file = match open_strictly_beneath(&self.folder, path, flags | harmless) {
            Ok(file) => file,
            Err(Errno::LOOP) => return refuse("a symlink, or behind one"),
            Err(Errno::ISDIR) => return refuse("a folder"),
            Err(Errno::NXIO) => return refuse("a socket or an unknown device"),
            Err(errno) if flags.contains(OFlags::CREATE) => return Err(self.making(path, errno)),
            Err(errno) => return Err(self.opening(path, errno)),
        };
        let stat = fstat(&file).map_err(|errno| self.opening(path, errno))?;
        match file_type(&stat) {
            FileType::RegularFile => {}
            FileType::Directory => return refuse("a folder"),
            _ => return refuse("a device or a FIFO"),
        }
        // It was for opening only.
        fcntl_setfl(&file, OFlags::empty()).map_err(|errno| self.opening(path, errno))?;
        Ok(file.into())
    }

    fn in_parent<T>(
        &self,
        path: &Path,
        act: impl FnOnce(OwnedFd, &OsStr) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        act(open_strictly_beneath(&self.folder, parent(path), FOLDER)?, name(path)?)
    }

    fn opening(&self, path: &Path, errno: Errno) -> StoreError {
        let full = self.path.join(path);
        match errno {
            Errno::LOOP => StoreError::NotAFile { path: full, what: "a symlink, or behind one" },
            Errno::NOTDIR => StoreError::NotAFile { path: full, what: "no folder, or behind what is none" },
            errno => StoreError::looking(&full, path, errno),
        }
    }

    fn making(&self, path: &Path, errno: Errno) -> StoreError {
        match errno {
            Errno::LOOP | Errno::NOTDIR => self.opening(path, errno),
            errno => StoreError::making(&self.path.join(path), path, errno),
        }
    }

    fn removing(&self, path: &Path, errno: Errno) -> StoreError {
        let cause = io::Error::other(format!("it cannot be removed: {}", io::Error::from(errno)));
        StoreError::writing(&self.path.join(path), 0, cause)
    }
}

impl From<&Stat> for Found {
    fn from(stat: &Stat) -> Self {
        let what = match file_type(stat) {
            FileType::RegularFile => What::File,
            FileType::Directory => What::Folder,
            _ => What::Other,
        };
        let length = u64::try_from(stat.st_size).unwrap_or(0);
        let modified = i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec);
        Self { what, length, inode: stat.st_ino, modified }
    }
}

/// The folder that it is in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn name(path: &Path) -> Result<&OsStr, Errno> {
    path.file_name().ok_or(Errno::INVAL)
}

fn write_all_at(file: &File, blocks: &[&[u8]], mut offset: u64) -> io::Result<()> {
    /// More than that the kernel does not take at once.
    const MOST: usize = 1024;
    let mut slices: Vec<IoSlice<'_>> = blocks.iter().map(|block| IoSlice::new(block)).collect();
    let mut rest = &mut slices[..];
    // Empty blocks at the beginning go by this.
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match pwritev(file, &rest[..rest.len().min(MOST)], offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                IoSlice::advance_slices(&mut rest, written);
                offset += written as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Lets everybody execute the file who may read it.
fn allow_execution(file: impl AsFd) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(fstat(&file)?.st_mode);
    let readers = mode & (Mode::RUSR | Mode::RGRP | Mode::ROTH);
    let wanted = mode | Mode::from_raw_mode(readers.bits() >> 2);
    // Where all files are programs, as on many mounts of vfat, there is nothing to ask for.
    if wanted == mode { Ok(()) } else { fchmod(file, wanted) }
}
