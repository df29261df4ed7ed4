//! Why a session does not start, and why a torrent cannot go on.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use thiserror::Error;

use super::quota::NoRoom;
use crate::files::{FilesError, StoreError};
use crate::metainfo::MetainfoError;

/// Why a session cannot be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SessionError {
    /// None of the ports is free, or the process may not listen at them.
    #[error("cannot listen at {address}, ports {first} to {last}: {cause}; give other ports")]
    #[non_exhaustive]
    Listen {
        /// The address of the settings.
        address: IpAddr,
        /// The first port.
        first: u16,
        /// The last port.
        last: u16,
        /// What the system says about the last one.
        cause: io::Error,
    },
    /// The folder of the records cannot be used.
    #[error(transparent)]
    Records(#[from] FilesError),
    /// The proxy of the settings, or of the environment, is not a URL that can be used.
    #[error("{0:?} is no proxy; one looks like http://proxy:3128, or socks5h://proxy:1080")]
    Proxy(String),
    /// The system lacks something: threads, descriptors or random numbers.
    #[error("the system lacks what a swarm takes: {0}")]
    System(#[from] io::Error),
}

/// Why a torrent cannot go on.
///
/// The text of each is a whole message for people, with the path, the cause and what to do about it. `reason` is that text,
/// and nothing to be parsed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TorrentError {
    /// The disk, the device or the user's disk quota is full.
    #[error("{reason}")]
    #[non_exhaustive]
    DiskFull {
        /// The file that does not fit.
        path: PathBuf,
        /// Bytes that it needs.
        needed: u64,
        /// Bytes that there are, where that is known.
        available: Option<u64>,
        /// The whole message.
        reason: String,
    },
    /// The torrent does not fit into the quota of the session ([`Bounds::quota`](super::Bounds::quota)), whatever is
    /// evicted for it.
    #[error(
        "it needs {needed} bytes, and of the quota of {quota} bytes {taken} are taken by torrents that are being fetched \
         or have to stay; raise the quota, or let some of them go"
    )]
    #[non_exhaustive]
    QuotaExceeded {
        /// Bytes of the torrent.
        needed: u64,
        /// The quota, in bytes.
        quota: u64,
        /// Bytes of the torrents that cannot be evicted.
        taken: u64,
    },
    /// A file of the torrent is longer than this process may make one (`RLIMIT_FSIZE`), or than its file system takes.
    #[error("{reason}")]
    #[non_exhaustive]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// Bytes that it would have.
        needed: u64,
        /// `RLIMIT_FSIZE`, where that is the cause.
        limit: Option<u64>,
        /// The whole message.
        reason: String,
    },
    /// What the peers have sent, or what was given, is no torrent that can be used.
    #[error(transparent)]
    BadTorrent(#[from] MetainfoError),
    /// A path must not be written or read, whatever is there: it leads out of its folder, or is not of an accepted form.
    #[error("{reason}")]
    #[non_exhaustive]
    RefusedPath {
        /// The path, or its first characters where all of it would be too long.
        path: PathBuf,
        /// The whole message.
        reason: String,
    },
    /// Something else has the torrent's name, and stays.
    #[error("{reason}")]
    #[non_exhaustive]
    Occupied {
        /// What is in the way.
        path: PathBuf,
        /// The whole message.
        reason: String,
    },
    /// Another process, or another torrent of this one, is writing or has locked it.
    #[error("{reason}")]
    #[non_exhaustive]
    InUse {
        /// The file or folder.
        path: PathBuf,
        /// The whole message.
        reason: String,
    },
    /// The torrent is only to be served ([`Existing::Serve`](super::Existing::Serve)), and is not there, or not whole.
    #[error("{reason}")]
    #[non_exhaustive]
    Incomplete {
        /// What should be there.
        path: PathBuf,
        /// The whole message.
        reason: String,
    },
    /// Another program has changed, renamed or replaced the torrent's files.
    #[error("{reason}")]
    #[non_exhaustive]
    Changed {
        /// The file or folder.
        path: PathBuf,
        /// The whole message.
        reason: String,
    },
    /// The file system cannot hold this torrent: it takes two of its names for one, or loses files by a rename.
    #[error("{reason}")]
    #[non_exhaustive]
    FileSystem {
        /// The file or folder.
        path: PathBuf,
        /// The whole message.
        reason: String,
    },
    /// The system failed to open, read or write it.
    #[error("{reason}")]
    #[non_exhaustive]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What kind of failure it was.
        kind: io::ErrorKind,
        /// The whole message.
        reason: String,
    },
    /// The torrent was removed, or is checked anew, before this was done.
    #[error("stopped")]
    Stopped,
    /// The engine has contradicted itself, which is a bug.
    #[error("{reason}")]
    #[non_exhaustive]
    Internal {
        /// The whole message.
        reason: String,
    },
}

impl From<NoRoom> for TorrentError {
    fn from(NoRoom { needed, allowed, taken }: NoRoom) -> Self {
        Self::QuotaExceeded { needed, quota: allowed, taken }
    }
}

impl From<FilesError> for TorrentError {
    fn from(error: FilesError) -> Self {
        let reason = error.to_string();
        match error {
            FilesError::Store(error) => Self::of_store(error, reason),
            FilesError::Metainfo(error) => Self::BadTorrent(error),
            FilesError::Read { path, cause } | FilesError::Record { path, cause } => {
                Self::Io { path, kind: cause.kind(), reason }
            }
            // The system has reported it when the data was synced.
            FilesError::Lost { path } => Self::Io { path, kind: io::ErrorKind::Other, reason },
            FilesError::Short { path } | FilesError::Changed { path } | FilesError::Foreign { path } => {
                Self::Changed { path, reason }
            }
            FilesError::NotAFile { path, .. } | FilesError::Occupied { path } => {
                Self::Occupied { path, reason }
            }
            FilesError::Empty { path } | FilesError::Absent { path } => Self::Incomplete { path, reason },
            FilesError::SameFile { path, .. } | FilesError::Torn { path } => {
                Self::FileSystem { path, reason }
            }
            FilesError::NoPiece { .. } | FilesError::NotWhole { .. } => Self::Internal { reason },
            FilesError::Stopped => Self::Stopped,
        }
    }
}

impl TorrentError {
    fn of_store(error: StoreError, reason: String) -> Self {
        match error {
            StoreError::NoSpace { path, needed, available, .. } => {
                Self::DiskFull { path, needed, available, reason }
            }
            StoreError::TooLarge { path, needed, limit, .. } => {
                Self::FileTooLarge { path, needed, limit, reason }
            }
            StoreError::NotAllowed { path, .. } => Self::RefusedPath { path, reason },
            StoreError::TooLong { start, .. } => Self::RefusedPath { path: start.into(), reason },
            StoreError::BadRoot { root, .. } => Self::RefusedPath { path: root, reason },
            StoreError::NotAFile { path, .. } | StoreError::OtherName { path, .. } => {
                Self::Occupied { path, reason }
            }
            StoreError::InUse { path } => Self::InUse { path, reason },
            StoreError::Elsewhere { path, .. } => Self::Changed { path, reason },
            StoreError::NotWanted { .. } => Self::Stopped,
            StoreError::CannotOpen { path, cause }
            | StoreError::NoRoot { path, cause, .. }
            | StoreError::CannotWrite { path, cause, .. } => Self::Io { path, kind: cause.kind(), reason },
            _ => Self::FileSystem { path: PathBuf::new(), reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use lantorrent_core::store::Remains;

    use super::*;

    fn path() -> PathBuf {
        "/srv/a.img".into()
    }

    #[test]
    fn a_full_disk_is_told_from_other_failures_of_writing() {
        let full = StoreError::NoSpace {
            path: path(),
            needed: 7,
            available: Some(3),
            quota: false,
            remains: Remains::Open,
        };
        let error = TorrentError::from(FilesError::Store(full));
        assert!(
            matches!(&error, TorrentError::DiskFull { path: at, needed: 7, available: Some(3), .. } if *at == path()),
            "{error:?}"
        );
        let cause = io::ErrorKind::ReadOnlyFilesystem.into();
        let read_only = StoreError::CannotWrite { path: path(), cause, remains: Remains::Open };
        let error = TorrentError::from(FilesError::Store(read_only));
        assert!(
            matches!(error, TorrentError::Io { kind: io::ErrorKind::ReadOnlyFilesystem, .. }),
            "{error:?}"
        );
    }

    #[test]
    fn the_text_is_that_of_its_cause() {
        let causes = || {
            [
                FilesError::Occupied { path: path() },
                FilesError::Absent { path: path() },
                FilesError::SameFile { path: path(), other: path() },
                FilesError::Short { path: path() },
                FilesError::NotWhole { missing: 3 },
                FilesError::Store(StoreError::InUse { path: path() }),
                FilesError::Store(StoreError::NotAllowed { path: path(), why: "it is a secret" }),
                FilesError::Metainfo(MetainfoError::TooLarge { size: 2, limit: 1 }),
                FilesError::Stopped,
            ]
        };
        for cause in causes() {
            let text = cause.to_string();
            assert_eq!(TorrentError::from(cause).to_string(), text);
        }
    }
}
