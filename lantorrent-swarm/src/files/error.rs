//! What can go wrong with files.

use std::io;
use std::path::PathBuf;

use lantorrent_core::store::StoreError;
use thiserror::Error;

use crate::metainfo::MetainfoError;

/// Why a torrent's files cannot be read or written, or no torrent be made of them.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The store refuses, or the system does.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No torrent can have these files.
    #[error(transparent)]
    Metainfo(#[from] MetainfoError),
    /// The system failed to read it.
    #[error("cannot read {path:?}: {cause}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// What is known about a torrent cannot be kept.
    #[error("cannot write {path:?}: {cause}; without it the torrent is hashed again at the next start")]
    Record {
        /// The record.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// It ends before it should.
    #[error("{path:?} is too short; have it checked, so that what is missing is fetched again")]
    Short {
        /// The file.
        path: PathBuf,
    },
    /// It is not what it was a moment ago.
    #[error("{path:?} changed while it was read; try again when nobody writes to it")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// It is nothing that a torrent holds.
    #[error("{path:?} cannot be in a torrent: it is {what}; take it away, or pack all into an archive")]
    NotAFile {
        /// What is there.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A folder without files makes no torrent.
    #[error("there is no file in {path:?}, so there is nothing to make a torrent of")]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// It is to be served, and is not there, or not all of it.
    #[error("{path:?} is not there, or not whole; fetch the torrent, or give the folder that it is in")]
    Absent {
        /// What should be there.
        path: PathBuf,
    },
    /// Something else has the torrent's name, and can not be replaced by it.
    #[error("{path:?} is something else than this torrent; move it away, or give another folder")]
    Occupied {
        /// What is in the way.
        path: PathBuf,
    },
    /// Two files of the torrent would be one.
    #[error(
        "{path:?} and {other:?} are one file there: the file system takes both names for the same; give a folder on another"
    )]
    SameFile {
        /// One of them.
        path: PathBuf,
        /// The other.
        other: PathBuf,
    },
    /// The name was given, and what bears it is not what was there before.
    #[error(
        "{path:?} lacks files since it was renamed, which its file system does not do right; give a folder on another"
    )]
    Torn {
        /// The torrent.
        path: PathBuf,
    },
    /// Data was to be written that is no piece of this torrent, or to files that are whole.
    #[error("these {length} bytes are not piece {piece} of a torrent that is being written")]
    NoPiece {
        /// Which piece it should be.
        piece: u32,
        /// The bytes that there were.
        length: u64,
    },
    /// Not all pieces are there yet.
    #[error("{missing} pieces are missing still")]
    NotWhole {
        /// How many.
        missing: u32,
    },
    /// The disk lost what was written, once; nothing after that can be trusted.
    #[error("the disk failed to keep what was written to {path:?}; look at its health, and start again")]
    Lost {
        /// The torrent.
        path: PathBuf,
    },
    /// Somebody else has taken the name in the last moment.
    #[error("somebody else renamed or replaced {path:?}; keep others away from it, and start again")]
    Foreign {
        /// The name.
        path: PathBuf,
    },
    /// Who asked for it wants it no more.
    #[error("stopped")]
    Stopped,
}

impl FilesError {
    /// Whether it is only that too many files are open.
    pub(crate) fn lacks_descriptors(&self) -> bool {
        match self {
            Self::Store(error) => error.lacks_descriptors(),
            Self::Read { cause, .. } => StoreError::is_about_descriptors(cause),
            _ => false,
        }
    }
}
