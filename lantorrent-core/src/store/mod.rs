//! Files: a request goes in, a file that is whole and durable comes out, or none.
//!
//! [`Roots`] are the folders, files and devices that may be written. [`Roots::create`] takes a path that nobody has
//! checked yet, together with the wish how the file gets there ([`Placement`]), and gives an [`Output`]: open,
//! locked, inside the roots. It ends by [`Output::finish`], or it was never there.
//!
//! With a wish to [`Resume`], what was written so far outlives a crash or [`Output::keep`]: a journal beside the partial
//! file holds the digests of its blocks, as [`Digests`] does for readers of this process. The next request for the same
//! bytes goes on where those end, after everything has been read again and compared.
//!
//! Who keeps many files below one folder, and decides himself when they are whole, has a [`Tree`].
//!
//! Needed by any program that writes files at the request of others. Of users of a [`Transfer`](crate::Transfer) or a
//! [`Node`](crate::Node) only [`Placement`] and [`Durability`] are asked.
//!
//! Nothing here knows of transfers or of their protocol. Linux only: paths are confined by
//! `openat2`, or where that is refused by a walk from name to name. What a file system cannot promise is a warning in the
//! log, once.

mod alias;
mod beside;
mod clean;
mod confine;
mod digests;
mod error;
mod guarantee;
mod hole;
mod identity;
mod in_place;
mod journal;
mod lock;
mod output;
mod partial;
mod path;
mod probe;
mod recorder;
mod recut;
mod resume;
mod roots;
mod route;
mod runs;
mod space;
mod sparse;
mod tree;
mod verify;
mod writer;

pub use confine::{look_beneath, read_beneath};
pub use digests::Digests;
pub use error::{Remains, StoreError};
pub use guarantee::{Synced, sync_file, sync_folder};
pub use identity::Identity;
pub use lock::Lock;
pub use output::Output;
pub use partial::resize;
pub use path::{JOURNAL_SUFFIX, NEXT_JOURNAL_SUFFIX, PARTIAL_SUFFIX};
pub use roots::Roots;
pub use tree::{Found, Permissions, Tree, What};

pub use crate::digest::{Digest, digest, zero_digest};
pub use crate::rlimit::rlimit;

/// How a file gets to its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Placement {
    /// Written beside its path under another name and renamed when it is whole. Until then whatever was at the path
    /// stays; afterwards it is replaced, at once.
    Rename,
    /// Written where it shall be. The only way for devices; a failure leaves a file that is not whole.
    InPlace,
}

/// Whether [`Output::finish`], or the journal, waits until what was written would survive a power failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// Wait for the disk.
    Sync,
    /// Leave it to the kernel when to write.
    NoSync,
}

/// A file that somebody wants to have written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "arguments by name")]
pub struct Target<'a> {
    /// An absolute path on this machine. It may come from anybody: [`Roots::create`] checks it.
    pub path: &'a str,
    /// How the file gets there.
    pub placement: Placement,
    /// Its length in bytes, where that is known, so that too small a disk is found before the first byte.
    pub length: Option<u64>,
    /// What it needs to be gone on with after an interruption. Only a regular file that gets its name at the end
    /// ([`Placement::Rename`]) is; for others this changes nothing. Without it, what somebody left is overwritten.
    pub resume: Option<Resume<'a>>,
}

/// What tells whether a partial file is the beginning of the file that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "arguments by name")]
pub struct Resume<'a> {
    /// Whatever identifies the content: equal bytes mean equal content. A partial file is gone on with if this and the
    /// length are what they were; any other one that nobody has locked is emptied.
    pub version: &'a [u8],
    /// How many bytes a block has, but for the last one. A partial file in blocks of another size is gone on with too,
    /// from the last of its bytes at which one of these ends.
    pub block_size: u32,
    /// With [`Durability::Sync`] the journal speaks only of what would survive a power failure, and each 16 MiB are
    /// written to the disk in the background for that.
    pub durability: Durability,
}

/// No file is longer than this, in bytes: the kernel counts with a sign.
const LONGEST: u64 = i64::MAX as u64;

/// How often something is tried again that failed because somebody renamed or removed a file in that instant.
const ATTEMPTS: usize = 8;
