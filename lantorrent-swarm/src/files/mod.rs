//! A torrent's bytes on disk.
//!
//! [`Content`] is one torrent below a folder: pieces are written in any order under a name of their own beside the right
//! one, `<name>.lantorrent`, and get the right one when all are there. What was proven outlives a crash: a journal beside
//! it says which pieces are durable, and [`Records`] which torrents are whole, so that nothing is hashed twice.
//!
//! [`Source`] is what is to become a torrent.
//!
//! Nothing here decides when something is done. All of it may be called from several threads, and waits for the disk.

mod blocks;
mod content;
mod error;
mod finish;
mod handles;
mod hashing;
mod journal;
mod names;
mod parallel;
mod pieces;
mod recheck;
mod records;
mod source;
mod taking;

pub use content::{Content, Options, State};
pub use error::FilesError;
pub use lantorrent_core::store::{Durability, StoreError, Tree};
pub use records::Records;
pub use source::Source;

use std::ops::ControlFlow;

/// What is told of work that takes long: how many bytes more have been hashed, from any thread. `Break` ends it with
/// [`FilesError::Stopped`].
pub type Progress<'a> = &'a (dyn Fn(u64) -> ControlFlow<()> + Sync);
