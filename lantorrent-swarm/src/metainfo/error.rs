//! Why a torrent is refused.

use std::path::PathBuf;

use thiserror::Error;

use crate::bencode::BencodeError;

/// Why bytes are no torrent that can be used. Nothing of such a torrent is repaired: what other clients make of it may
/// differ, and so would the files.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MetainfoError {
    /// It is longer than anything that is read.
    #[error("the torrent has {size} bytes, and at most {limit} are read; make it anew with larger pieces")]
    TooLarge {
        /// Its bytes.
        size: usize,
        /// How many are read.
        limit: usize,
    },
    /// It is no bencoded data at all.
    #[error("this is no torrent: {0}")]
    Encoding(#[from] BencodeError),
    /// A torrent has something there, and this one does not.
    #[error("the torrent has no `{key}`, or one that is no {expected}")]
    Missing {
        /// The key in the dictionary.
        key: &'static str,
        /// What its value has to be.
        expected: &'static str,
    },
    /// It has hashes of version 2 alone.
    #[error(
        "the torrent is for version 2 of the protocol (BEP 52) alone; make it anew as version 1 or as a hybrid"
    )]
    VersionTwo,
    /// It says both that it is one file and that it is a folder.
    #[error("the torrent has a `length` and a list of `files`, so nobody can tell what it is; make it anew")]
    Ambiguous,
    /// The pieces have no length that is possible.
    #[error("the torrent's pieces have {0} bytes each; between 1 and {limit} are possible", limit = super::PIECE_LENGTH)]
    PieceLength(i64),
    /// A file has fewer than no bytes, or all have more than a disk can hold.
    #[error("{path:?} has {length} bytes, which makes a length that no file can have")]
    Length {
        /// The file, or the folder of all files.
        path: PathBuf,
        /// What it says.
        length: i128,
    },
    /// The hashes are not those of as many pieces as the length makes.
    #[error("the torrent has {found} bytes of hashes, and {expected} would be right; it is damaged")]
    Hashes {
        /// Their bytes.
        found: usize,
        /// What they should be: twenty for each piece.
        expected: u64,
    },
    /// There are too many files.
    #[error("the torrent has more than {limit} files; make several of it, or pack them")]
    TooManyFiles {
        /// How many there may be.
        limit: usize,
    },
    /// A file or the whole has a name that would lead elsewhere, or to nothing.
    #[error("the name {name:?} in the torrent is refused: {why}")]
    Name {
        /// The name, or the whole path.
        name: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two files have one name, or one has the name of the folder that another is in.
    #[error("{path:?} is in the torrent twice, as a file and again as {again}")]
    Twice {
        /// The path.
        path: PathBuf,
        /// As what else it is there.
        again: &'static str,
    },
}
