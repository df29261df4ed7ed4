//! Opening a path below a folder without ever leaving that folder.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::path::Arg;

use super::ATTEMPTS;

/// What every file is opened with. `NONBLOCK`, because there may be a FIFO or a terminal where a file should be.
pub(super) const READ_WRITE: OFlags =
    OFlags::RDWR.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// What a folder is opened with. For reading, because without it a folder cannot be synced.
pub(super) const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// What is opened to look at it and nothing else: not even a device notices.
pub(super) const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// Files are the owner's to write and everybody's to read, less what the umask takes.
const MODE: Mode = Mode::from_raw_mode(0o644);

/// Opens `path`, relative to `folder`. Symlinks are followed while they stay below `folder`; one that leads out of it,
/// if only for a step, or that is absolute, is `EXDEV`.
pub(super) fn open_beneath(folder: impl AsFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    resolve(folder, path, flags, ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS)
}

/// The same, but any symlink on the way or at the end is `ELOOP`.
pub(super) fn open_strictly_beneath(folder: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    resolve(folder, path, flags | OFlags::NOFOLLOW, ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)
}

fn resolve(
    folder: impl AsFd,
    path: impl Arg + Copy,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let mode = if flags.contains(OFlags::CREATE) { MODE } else { Mode::empty() };
    let mut tries = 0;
    loop {
        match openat2(&folder, path, flags, mode, resolve) {
            // Something was renamed while the kernel followed a `..` in a symlink.
            Err(Errno::AGAIN) if tries < ATTEMPTS => tries += 1,
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
