//! Finds out what there is of a torrent on disk, beside the loop.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lantorrent_core::store::PARTIAL_SUFFIX;

use super::settings::Existing;
use crate::files::{Content, FilesError, Options, State, Tree};
use crate::metainfo::Info;
use crate::swarm::{self, Bitfield};

/// A torrent's files, and which pieces of them are there.
pub(super) struct Opened {
    pub(super) content: Arc<Content>,
    pub(super) have: Bitfield,
}

/// Opens the torrent in that folder, and hashes what nothing proves, unless it is told to stop. Tells how many bytes it has
/// hashed.
pub(super) fn open(
    folder: &Path,
    info: Arc<Info>,
    options: Options,
    existing: Existing,
    (stop, hashed): (&AtomicBool, &(dyn Fn(u64) + Sync)),
) -> Result<Opened, FilesError> {
    let tree = Arc::new(Tree::open(folder)?);
    if existing == Existing::Serve {
        expect_all(&tree, &info)?;
    }
    let content = Arc::new(Content::open(tree, info, options)?);
    if content.state() == State::Unproven {
        let progress = |bytes| {
            hashed(bytes);
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        content.recheck(&progress)?;
        match existing {
            _ if content.state() == State::Whole => {}
            Existing::Repair if is_of_it(&content)? => content.repair()?,
            Existing::Replace => content.replace()?,
            Existing::Serve => return Err(FilesError::Absent { path: path(folder, content.info()) }),
            Existing::Repair | Existing::Refuse => {
                return Err(FilesError::Occupied { path: path(folder, content.info()) });
            }
        }
    }
    let have = content.have();
    Ok(Opened { content, have })
}

/// Whether any piece of it is there, or nothing at all in its files that could be lost.
fn is_of_it(content: &Content) -> Result<bool, FilesError> {
    if !content.proven().is_empty() {
        return Ok(true);
    }
    content.is_blank()
}

/// Refuses what is missing, or still being written: opening it would make it, or go on with it.
fn expect_all(tree: &Tree, info: &Info) -> Result<(), FilesError> {
    let whole = path(tree.path(), info);
    let mut partial = info.layout().name().as_os_str().to_owned();
    partial.push(PARTIAL_SUFFIX);
    let is_there = tree.find(info.layout().name())?.is_some() && tree.find(Path::new(&partial))?.is_none();
    if is_there { Ok(()) } else { Err(FilesError::Absent { path: whole }) }
}

fn path(folder: &Path, info: &Info) -> PathBuf {
    folder.join(info.layout().name())
}

impl Opened {
    pub(super) fn is_whole(&self) -> bool {
        self.content.state() == State::Whole
    }

    /// As the state machine is told.
    pub(super) fn describe(&self) -> swarm::Content {
        let info = self.content.info();
        swarm::Content {
            info: Arc::clone(info.encoded()),
            geometry: *info.geometry(),
            have: self.have.clone(),
            private: info.is_private(),
        }
    }
}
