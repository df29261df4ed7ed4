//! A torrent's bytes on disk.
//!
//! [`Content`] is one torrent below a folder: pieces are written in any order under a name of their own beside the right
//! one, `<name>.lantorrent`, and get the right one when all are there. What was proven outlives a crash: a journal beside
//! it says which pieces are durable, and [`Records`] which torrents are whole, so that nothing is hashed twice.
//!
//! [`Source`] is what is to become a torrent.
//!
//! Nothing here decides when something is done. All of it may be called from several threads, and waits for the disk.
//!
//! ```no_run
//! use std::{ops::ControlFlow, path::Path, sync::Arc};
//!
//! use lantorrent_swarm::files::{Content, Options, Records, State, Tree};
//! use lantorrent_swarm::metainfo::Metainfo;
//!
//! # fn fetch(_piece: u32) -> Vec<u8> { Vec::new() }
//! let torrent = Metainfo::read(&std::fs::read("tool-1.0.torrent")?)?;
//! let tree = Arc::new(Tree::open(Path::new("/srv/torrents"))?);
//! let records = Some(Records::open(Path::new("/var/lib/lantorrent/whole"))?);
//! let content = Content::open(tree, Arc::new(torrent.info), Options::default().records(records))?;
//! if content.state() == State::Unproven {
//!     // Something of that name is there: with a record it would have been recognised.
//!     content.recheck(&|_bytes| ControlFlow::Continue(()))?;
//!     content.repair()?;
//! }
//! let mut missing = vec![true; content.info().geometry().pieces() as usize];
//! for run in content.proven() {
//!     missing[run.start as usize..run.end as usize].fill(false);
//! }
//! for piece in (0..).zip(missing).filter_map(|(piece, missing)| missing.then_some(piece)) {
//!     // Verified, and in blocks as they came.
//!     content.write(piece, &[&fetch(piece)])?;
//! }
//! content.finish()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod blocks;
mod content;
mod deleting;
mod error;
mod finish;
mod handles;
mod hashing;
mod journal;
mod names;
mod parallel;
mod recheck;
mod records;
mod source;
mod taking;
mod writing;

pub use content::{Content, Options, State};
pub use error::FilesError;
pub use handles::OpenFiles;
pub use lantorrent_core::store::{Durability, StoreError, Tree};
pub use records::Records;
pub use source::Source;

use std::ops::ControlFlow;

/// What is told of work that takes long: how many bytes more have been hashed, from any thread. `Break` ends it with
/// [`FilesError::Stopped`].
pub type Progress<'a> = &'a (dyn Fn(u64) -> ControlFlow<()> + Sync);
