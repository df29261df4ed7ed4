//! What a file system cannot promise, told apart from what it failed at: the one is a warning, given once, the other an
//! error.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{fstat, major, minor};
use rustix::io::Errno;

/// A promise that some file systems, and some sandboxes, cannot keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Guarantee {
    /// A lock keeps every other process off a file.
    Locks,
    /// What was written to a file survives a power failure.
    Data,
    /// The names in a folder survive a power failure.
    Names,
    /// A file has the mode that it is given.
    Modes,
}

/// Whether something would survive a power failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Synced {
    /// It would.
    Durable,
    /// The file system does not say. A warning has told that.
    Unknown,
}

impl Guarantee {
    /// Whether `errno` says that the call cannot be had there, rather than that it was tried and failed.
    pub(super) fn is_refused_by(self, errno: Errno) -> bool {
        // What kernels, FUSE servers, network file systems and sandboxes say that do not know a call.
        let unknown =
            [Errno::NOSYS, Errno::OPNOTSUPP, Errno::INVAL, Errno::NOTTY, Errno::PERM, Errno::ACCESS];
        let more: &[Errno] = match self {
            // No lock daemon; on NFS, a file that is open for reading alone.
            Self::Locks => &[Errno::NOLCK, Errno::BADF],
            // Some sync nothing that is open for reading alone, as a folder always is.
            Self::Names => &[Errno::BADF, Errno::ISDIR],
            Self::Data => &[],
            // A mount that can be written to, but whose modes are fixed.
            Self::Modes => &[Errno::ROFS],
        };
        // ENOTSUPP is the kernel's own, and shows where a driver lets it out.
        unknown.contains(&errno) || more.contains(&errno) || errno.raw_os_error() == 524
    }

    /// Tells that the file system of `file` does not give this, once for each file system.
    pub(super) fn tell_lack(self, file: impl AsFd, why: &dyn std::fmt::Display) {
        let device = fstat(&file).map_or(0, |stat| stat.st_dev);
        if self.is_news_of(device) {
            log::warn!("the file system of {} {}", place(file, device), self.lack(why));
        }
    }

    /// Whether it is told of that file system for the first time.
    fn is_news_of(self, device: u64) -> bool {
        static TOLD: Mutex<BTreeSet<(u64, Guarantee)>> = Mutex::new(BTreeSet::new());
        TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert((device, self))
    }

    fn lack(self, why: &dyn std::fmt::Display) -> String {
        match self {
            Self::Locks => format!(
                "has no locks ({why}): processes of this machine are kept apart all the same, those of other machines \
                 and containers are not; let only one of them write there"
            ),
            Self::Data => format!(
                "cannot sync files ({why}): those written there are whole, but might not survive a power failure"
            ),
            Self::Names => format!(
                "cannot sync folders ({why}): files there are whole and in their place, but their names might not survive \
                 a power failure"
            ),
            Self::Modes => format!(
                "refuses modes ({why}): programs of a torrent are whole, but may lack the permission to execute them; \
                 mount it with an fmask that has it"
            ),
        }
    }
}

/// The folder that it is, or is in, for a message.
fn place(file: impl AsFd, device: u64) -> String {
    let file = file.as_fd();
    let Ok(path) = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())) else {
        return format!("device {}:{}", major(device), minor(device));
    };
    let is_folder = fstat(file).is_ok_and(|stat| super::partial::file_type(&stat).is_dir());
    let folder = if is_folder { path.as_path() } else { path.parent().unwrap_or(&path) };
    // Escaped: its names may come from a peer.
    format!("{:?}", folder.to_string_lossy())
}

/// Waits until what was written to the file would survive a power failure.
///
/// # Errors
/// The disk failed, or is full. A file system that cannot tell is [`Synced::Unknown`].
pub fn sync_file(file: &File) -> io::Result<Synced> {
    settle(Guarantee::Data, file, file.sync_data())
}

/// Waits until the names in an open folder would survive a power failure.
///
/// # Errors
/// As for [`sync_file`].
pub fn sync_folder(folder: &File) -> io::Result<Synced> {
    settle(Guarantee::Names, folder, folder.sync_all())
}

fn settle(guarantee: Guarantee, file: &File, result: io::Result<()>) -> io::Result<Synced> {
    match result {
        Ok(()) => Ok(Synced::Durable),
        Err(error) if Errno::from_io_error(&error).is_some_and(|errno| guarantee.is_refused_by(errno)) => {
            guarantee.tell_lack(file, &error);
            Ok(Synced::Unknown)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_no_failure_and_a_failure_no_refusal() {
        let file = tempfile::tempfile().unwrap();
        let settled = |guarantee, errno: Errno| settle(guarantee, &file, Err(errno.into()));
        let own = Errno::from_raw_os_error(524);
        for errno in [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::PERM, own] {
            for guarantee in [Guarantee::Data, Guarantee::Names] {
                assert_eq!(settled(guarantee, errno).unwrap(), Synced::Unknown, "{errno:?}");
            }
        }
        for errno in [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::STALE] {
            for guarantee in [Guarantee::Data, Guarantee::Names] {
                assert!(settled(guarantee, errno).is_err(), "{errno:?}");
            }
        }
        assert_eq!(settled(Guarantee::Names, Errno::BADF).unwrap(), Synced::Unknown);
        assert!(settled(Guarantee::Data, Errno::BADF).is_err());
        for errno in [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP, Errno::BADF] {
            assert!(Guarantee::Locks.is_refused_by(errno), "{errno:?}");
        }
        for errno in [Errno::WOULDBLOCK, Errno::INTR, Errno::IO, Errno::NOMEM] {
            assert!(!Guarantee::Locks.is_refused_by(errno), "{errno:?}");
        }
    }

    #[test]
    fn a_lack_is_told_once_for_each_file_system() {
        // Devices that there are not.
        let [one, other] = [u64::MAX, u64::MAX - 1];
        assert!(Guarantee::Names.is_news_of(one) && !Guarantee::Names.is_news_of(one));
        assert!(Guarantee::Names.is_news_of(other) && Guarantee::Data.is_news_of(one));
    }

    #[test]
    fn what_cannot_be_synced_is_told_apart() {
        // The kernel says EINVAL for a device that has nothing to sync.
        let null = File::options().write(true).open("/dev/null").unwrap();
        assert_eq!(sync_file(&null).unwrap(), Synced::Unknown);
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(sync_folder(&File::open(folder.path()).unwrap()).unwrap(), Synced::Durable);
    }

    #[test]
    fn messages_name_the_folder_and_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("a\u{1b}")).unwrap();
        assert_eq!(place(&file, 0), format!("{:?}", folder.path()));
        assert_eq!(place(File::open(folder.path()).unwrap(), 0), format!("{:?}", folder.path()));
        for guarantee in [Guarantee::Locks, Guarantee::Data, Guarantee::Names, Guarantee::Modes] {
            assert!(guarantee.lack(&"the reason").contains("(the reason)"));
        }
    }
}
