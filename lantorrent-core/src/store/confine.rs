//! Opening a path below a folder without ever leaving that folder: by the kernel (`openat2`), or where that is refused by a
//! walk from name to name.

mod walk;

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

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

/// Symlinks are followed while they stay below the folder.
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);
const STRICTLY_BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

/// Whether the kernel has refused to confine: it is older than Linux 5.6, or a sandbox does not know the call.
static IS_REFUSED: AtomicBool = AtomicBool::new(false);

/// Opens `path`, relative to `folder`. Symlinks are followed while they stay below `folder`; one that leads out of it,
/// if only for a step, or that is absolute, is `EXDEV`.
pub(super) fn open_beneath(folder: impl AsFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    resolve(folder, Path::new(path), flags, BENEATH)
}

/// The same, but any symlink on the way or at the end is `ELOOP`.
pub(super) fn open_strictly_beneath(folder: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    resolve(folder, path, flags | OFlags::NOFOLLOW, STRICTLY_BENEATH)
}

/// Opens a folder in `folder`. A symlink is `ENOTDIR`, and the root of another file system `EXDEV`.
pub(super) fn open_folder_in(folder: impl AsFd, name: &Path) -> Result<OwnedFd, Errno> {
    resolve(folder, name, FOLDER | OFlags::NOFOLLOW, STRICTLY_BENEATH | ResolveFlags::NO_XDEV)
}

/// Opens what is at `path` below `folder` to look at it and nothing else: not even a device notices. Symlinks are followed
/// while they stay below `folder`.
///
/// # Errors
/// `EXDEV` where one leads out of it, if only for a step, or is absolute.
pub fn look_beneath(folder: impl AsFd, path: &str) -> Result<OwnedFd, Errno> {
    open_beneath(folder, path, LOOK)
}

/// As [`look_beneath`], for reading. It does not wait where there is a FIFO.
pub fn read_beneath(folder: impl AsFd, path: &str) -> Result<OwnedFd, Errno> {
    open_beneath(folder, path, READ_WRITE.difference(OFlags::RDWR))
}

fn resolve(folder: impl AsFd, path: &Path, flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    let mode = if flags.contains(OFlags::CREATE) { MODE } else { Mode::empty() };
    if !IS_REFUSED.load(Ordering::Relaxed) {
        match by_kernel(&folder, path, flags, mode, resolve) {
            Err(errno) if is_refusal(errno) && !is_known() => {
                log::info!("openat2 fails ({errno}): paths are followed name by name instead");
                IS_REFUSED.store(true, Ordering::Relaxed);
            }
            result => return result,
        }
    }
    walk::walk(folder, path, flags, mode, resolve)
}

fn by_kernel(
    folder: impl AsFd,
    path: &Path,
    flags: OFlags,
    mode: Mode,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
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

/// Whether the error may be about the call rather than about the file.
fn is_refusal(errno: Errno) -> bool {
    matches!(errno, Errno::NOSYS | Errno::PERM | Errno::ACCESS | Errno::INVAL | Errno::OPNOTSUPP)
}

/// Whether the call can be had at all: a look at the root is refused by nothing but a kernel or a sandbox without it.
fn is_known() -> bool {
    let probe = openat2(CWD, "/", LOOK, Mode::empty(), ResolveFlags::NO_MAGICLINKS);
    !probe.is_err_and(is_refusal)
}

#[cfg(test)]
mod tests;
