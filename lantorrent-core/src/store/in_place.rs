//! Opening what is written where it stands: devices, `/dev/null`, files that must keep their inode.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, OFlags, SeekFrom, Stat, fstat, major, minor, seek, statat};
use rustix::io::Errno;

use super::alias::refuse_other_name;
use super::confine::{LOOK, READ_WRITE, open_beneath};
use super::lock::Lock;
use super::partial::{file_type, may_make_files};
use super::route::Route;
use super::{ATTEMPTS, Remains, StoreError, space};

/// What kind of thing bytes go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    /// A regular file, which has the length it is given.
    File,
    /// A block device, which has a length of its own.
    Device,
    /// `/dev/null`.
    Null,
}

/// Something opened in place.
pub(super) struct Opened {
    pub(super) file: OwnedFd,
    /// None for `/dev/null`.
    pub(super) lock: Option<Lock>,
    pub(super) medium: Medium,
    /// Its length now, in bytes.
    pub(super) length: u64,
    /// The folder, when the file was not there before.
    pub(super) made_in: Option<File>,
}

/// Opens what is at the end of `route`, or makes a file there.
pub(super) fn open(route: &Route, wanted: Option<u64>) -> Result<Opened, StoreError> {
    let path = route.path();
    for _ in 0..ATTEMPTS {
        match open_existing(route, wanted) {
            Err(error) if error.is_missing() && route.has_folder() => {}
            result => return result,
        }
        let folder = route.open_folder()?;
        // Before it is made, so that nothing needs to be removed.
        space::check(&folder, path, wanted.unwrap_or(0))?;
        let file = match open_beneath(&folder, route.name(), READ_WRITE | OFlags::CREATE | OFlags::EXCL) {
            Ok(file) => file,
            Err(Errno::EXIST) => continue,
            Err(errno) => {
                return Err(StoreError::making(path, Path::new(path.file_name().unwrap_or_default()), errno));
            }
        };
        let lock = Some(Lock::take(&file, path)?);
        return Ok(Opened { file, lock, medium: Medium::File, length: 0, made_in: Some(folder) });
    }
    Err(dangling(path))
}

/// Whether [`open`] could succeed now.
pub(super) fn probe(route: &Route, wanted: Option<u64>) -> Result<(), StoreError> {
    let path = route.path();
    match open_existing(route, wanted) {
        Err(error) if error.is_missing() && route.has_folder() => {}
        result => return result.map(drop),
    }
    let folder = route.open_folder()?;
    if statat(&folder, route.name(), AtFlags::SYMLINK_NOFOLLOW).is_ok() {
        return Err(dangling(path));
    }
    may_make_files(&folder, path)?;
    space::check(&folder, path, wanted.unwrap_or(0))
}

fn dangling(path: &Path) -> StoreError {
    StoreError::NotAFile { path: path.to_owned(), what: "a symlink that leads to nothing" }
}

/// Opens what is at the end of `route`, if that is something to write to.
fn open_existing(route: &Route, wanted: Option<u64>) -> Result<Opened, StoreError> {
    let path = route.path();
    let opening = |errno| StoreError::opening(path, errno);
    let classify = |file: &OwnedFd| {
        let stat = fstat(file).map_err(opening)?;
        let medium = medium(&stat).map_err(|what| StoreError::NotAFile { path: path.to_owned(), what })?;
        Ok((medium, stat))
    };
    // A look first: to open some devices is to use them (a tape rewinds, a watchdog starts).
    let (expected, _) = classify(&route.open(LOOK)?)?;
    // For a device EXCL means: not while it is mounted or part of another one.
    let exclusive = if expected == Medium::Device { OFlags::EXCL } else { OFlags::empty() };
    let file = route.open(READ_WRITE | exclusive)?;
    let (medium, _) = classify(&file)?;
    if medium != expected {
        return Err(StoreError::InUse { path: path.to_owned() });
    }
    let lock = if medium == Medium::Null { None } else { Some(Lock::take(&file, path)?) };
    if medium == Medium::File && route.has_folder() {
        refuse_other_name(&route.open_folder()?, route.name(), path)?;
    }
    let length = match medium {
        Medium::File => u64::try_from(classify(&file)?.1.st_size).unwrap_or(0),
        Medium::Device => seek(&file, SeekFrom::End(0)).map_err(opening)?,
        Medium::Null => 0,
    };
    let more = wanted.unwrap_or(0).saturating_sub(length);
    match medium {
        Medium::File => space::check(&file, path, more)?,
        Medium::Device if more > 0 => return Err(too_small(path, length + more, length)),
        Medium::Device | Medium::Null => {}
    }
    Ok(Opened { file, lock, medium, length, made_in: None })
}

/// A device of `available` bytes shall hold `needed`.
pub(super) fn too_small(path: &Path, needed: u64, available: u64) -> StoreError {
    let (path, available, remains) = (path.to_owned(), Some(available), Remains::Open);
    StoreError::NoSpace { path, needed, available, quota: false, remains }
}

fn medium(stat: &Stat) -> Result<Medium, &'static str> {
    match file_type(stat) {
        FileType::RegularFile => Ok(Medium::File),
        FileType::BlockDevice => Ok(Medium::Device),
        FileType::CharacterDevice if (major(stat.st_rdev), minor(stat.st_rdev)) == (1, 3) => Ok(Medium::Null),
        FileType::Directory => Err("a folder"),
        FileType::Fifo => Err("a FIFO"),
        FileType::Socket => Err("a socket"),
        FileType::CharacterDevice => Err("a terminal or another character device"),
        FileType::Symlink | FileType::Unknown => Err("neither a file nor a block device"),
    }
}
