//! Keeping other processes off a file, where its file system has locks and where it has none.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::StoreError;
use super::guarantee::Guarantee;
use super::identity::Identity;

/// Keeps every other process of our kind off a file, or a folder, until this is dropped and its last descriptor closed.
#[derive(Debug)]
#[must_use]
pub struct Lock(Hold);

#[derive(Debug)]
enum Hold {
    /// The file is locked: it is kept from every process that can open it.
    File,
    /// The file system has no locks. A name that only one socket of this machine can have stands for the inode, and goes
    /// with the process, as a lock does. Another machine or network namespace has names of its own.
    Machine { _name: UnixDatagram },
}

impl Lock {
    /// Takes it. The path is the file's, for what is said.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another has it.
    pub fn take(file: impl AsFd, path: &Path) -> Result<Self, StoreError> {
        match try_flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self(Hold::File)),
            Err(errno) if Guarantee::Locks.is_refused_by(errno) => Self::without_flock(&file, path, errno),
            Err(errno) => Err(StoreError::opening(path, errno)),
        }
    }

    fn without_flock(file: impl AsFd, path: &Path, why: Errno) -> Result<Self, StoreError> {
        let bound = name_of(&file).and_then(|name| UnixDatagram::bind_addr(&name));
        match bound {
            Ok(socket) => {
                Guarantee::Locks.tell_lack(file, &io::Error::from(why));
                Ok(Self(Hold::Machine { _name: socket }))
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                Err(StoreError::InUse { path: path.to_owned() })
            }
            Err(error) => {
                let why = io::Error::from(why);
                let cause = if StoreError::is_about_descriptors(&error) {
                    error
                } else {
                    io::Error::other(format!(
                        "its file system has no locks ({why}), and there can be no socket instead of one ({error}); let \
                         this process make Unix sockets, or use another file system"
                    ))
                };
                Err(StoreError::CannotOpen { path: path.to_owned(), cause })
            }
        }
    }

    /// Whether it keeps off those, too, that run elsewhere than on this machine, where they can open the file.
    pub fn is_for_all(&self) -> bool {
        matches!(self.0, Hold::File)
    }

    /// Gives it up while there are still descriptors of the file.
    pub(super) fn release(self, file: impl AsFd) {
        if self.is_for_all() {
            // Nothing can be wrong with an open file; and at the latest with the last descriptor the lock goes anyway.
            let _ = flock(file, FlockOperation::Unlock);
        }
    }
}

/// Says whether somebody has the lock, without keeping those off who ask the same.
pub(super) fn probe(file: &OwnedFd, path: &Path) -> Result<(), StoreError> {
    match try_flock(file, FlockOperation::NonBlockingLockShared) {
        Err(errno) if Guarantee::Locks.is_refused_by(errno) => {
            if is_name_taken(file) {
                Err(StoreError::InUse { path: path.to_owned() })
            } else {
                Ok(())
            }
        }
        result => result.map_err(|errno| StoreError::opening(path, errno)),
    }
}

/// A name without a socket refuses to be connected to.
fn is_name_taken(file: impl AsFd) -> bool {
    let connect = |socket: UnixDatagram| socket.connect_addr(&name_of(file)?);
    UnixDatagram::unbound().and_then(connect).is_ok()
}

fn try_flock(file: impl AsFd, operation: FlockOperation) -> Result<(), Errno> {
    #[cfg(test)]
    if LACKS_FLOCK.get() {
        return Err(Errno::NOSYS);
    }
    loop {
        match flock(&file, operation) {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

fn name_of(file: impl AsFd) -> io::Result<SocketAddr> {
    let identity = Identity::of_file(&file)?;
    let mut what = identity.to_string().into_bytes();
    if !identity.is_unique() {
        // Its path, in place of a number.
        let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()))?;
        what.extend_from_slice(path.as_os_str().as_encoded_bytes());
    }
    SocketAddr::from_abstract_name(format!("lantorrent-lock-{}", blake3::hash(&what).to_hex()))
}

#[cfg(test)]
thread_local! {
    /// Whether this thread is to find no locks.
    pub(super) static LACKS_FLOCK: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn without_flock(file: &File) -> Result<Lock, StoreError> {
        Lock::without_flock(file, Path::new("/srv/a"), Errno::NOSYS)
    }

    #[test]
    fn a_name_stands_for_the_lock_where_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str| File::create(folder.path().join(name)).unwrap();
        let (first, again, other) = (open("a"), open("a"), open("b"));
        let lock = without_flock(&first).unwrap();
        assert!(!lock.is_for_all() && is_name_taken(&again) && !is_name_taken(&other));
        let _other = without_flock(&other).unwrap();
        assert!(matches!(without_flock(&again), Err(StoreError::InUse { .. })));
        std::fs::rename(folder.path().join("a"), folder.path().join("c")).unwrap();
        assert!(without_flock(&File::open(folder.path().join("c")).unwrap()).is_err(), "it is the same file");
        lock.release(&first);
        assert!(!is_name_taken(&again));
        drop(without_flock(&again).unwrap());
        drop(without_flock(&first).unwrap());
    }

    #[test]
    fn a_folder_can_be_locked_both_ways() {
        let folder = tempfile::tempdir().unwrap();
        let open = || File::open(folder.path()).unwrap();
        let (first, second) = (open(), open());
        let lock = Lock::take(&first, folder.path()).unwrap();
        assert!(lock.is_for_all());
        assert!(matches!(Lock::take(&second, folder.path()), Err(StoreError::InUse { .. })));
        lock.release(&first);
        let lock = without_flock(&first).unwrap();
        assert!(without_flock(&second).is_err());
        drop(lock);
        drop(without_flock(&second).unwrap());
    }
}
