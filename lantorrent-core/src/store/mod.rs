//! Files: a request goes in, a file that is whole and durable comes out, or none.
//!
//! [`Roots`] are the folders, files and devices that may be written. [`Roots::create`] takes a path that nobody has
//! checked yet, together with the wish how the file gets there ([`Placement`]), and gives an [`Output`]: open,
//! locked, inside the roots. It ends by [`Output::finish`], or it was never there.
//!
//! Nothing here knows of transfers or of their protocol. Linux only: the confinement is the kernel's (`openat2`).

mod confine;
mod error;
mod hole;
mod in_place;
mod output;
mod partial;
mod path;
mod roots;
mod space;

pub use error::{Remains, StoreError};
pub use output::Output;
pub use path::PARTIAL_SUFFIX;
pub use roots::Roots;

/// How a file gets to its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Placement {
    /// Written beside its path under another name and renamed when it is whole. Until then whatever was at the path
    /// stays; afterwards it is replaced, at once.
    Rename,
    /// Written where it shall be. The only way for devices; a failure leaves a file that is not whole.
    InPlace,
}

/// Whether [`Output::finish`] waits until the file would survive a power failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Durability {
    /// Wait for the disk.
    Sync,
    /// Leave it to the kernel when to write.
    NoSync,
}

/// A file that somebody wants to have written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// An absolute path on this machine. It may come from anybody: [`Roots::create`] checks it.
    pub path: &'a str,
    /// How the file gets there.
    pub placement: Placement,
    /// Its length in bytes, where that is known, so that too small a disk is found before the first byte.
    pub length: Option<u64>,
}

/// No file is longer than this, in bytes: the kernel counts with a sign.
const LONGEST: u64 = i64::MAX as u64;

/// How often something is tried again that failed because somebody renamed or removed a file in that instant.
const ATTEMPTS: usize = 8;
