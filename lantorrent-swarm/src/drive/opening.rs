//! Finds out what there is of a torrent on disk, beside the loop.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use lantorrent_core::store::PARTIAL_SUFFIX;

use super::running::Home;
use super::settings::{Existing, Trust};
use crate::files::{Content, FilesError, State, StoreError, Tree};
use crate::metainfo::Info;
use crate::swarm::{self, Bitfield};

/// How long it is waited for who has just let go of a torrent, and how often it is looked.
const TURN: Duration = Duration::from_secs(3);
const GLANCE: Duration = Duration::from_millis(20);

/// Is told how many bytes more have been hashed.
type Hashed<'a> = &'a (dyn Fn(u64) + Sync);

/// A torrent's files, and which pieces of them are there.
pub(super) struct Opened {
    pub(super) content: Arc<Content>,
    pub(super) have: Bitfield,
}

/// Opens the torrent where it is at home, and hashes what nothing proves, unless it is told to stop. Tells how many bytes it
/// has hashed.
pub(super) fn open(home: &Home, info: &Arc<Info>, hashed: Hashed<'_>) -> Result<Opened, FilesError> {
    let tree = home.trees.open(&home.folder)?;
    if home.existing == Existing::Serve {
        expect_all(&tree, info)?;
    }
    let content = Arc::new(open_in_turn(&tree, info, home)?);
    if content.state() == State::Unproven || home.trust == Trust::Nothing {
        hash(home, &content, hashed)?;
        match home.existing {
            _ if content.state() != State::Unproven => {}
            Existing::Repair if is_of_it(&content)? => content.repair()?,
            Existing::Replace => content.replace()?,
            Existing::Serve => return Err(FilesError::Absent { path: path(&home.folder, info) }),
            Existing::Repair | Existing::Refuse => {
                return Err(FilesError::Occupied { path: path(&home.folder, info) });
            }
        }
    }
    Opened::of(content)
}

/// Hashes all of a torrent that is open already.
pub(super) fn recheck(home: &Home, content: Arc<Content>, hashed: Hashed<'_>) -> Result<Opened, FilesError> {
    // Another folder may have its path by now.
    if !content.is_in(&home.trees.open(&home.folder)?) {
        let info = Arc::clone(content.info());
        drop(content);
        return open(home, &info, hashed);
    }
    hash(home, &content, hashed)?;
    match home.existing {
        _ if content.state() != State::Unproven => {}
        Existing::Serve => return Err(FilesError::Absent { path: path(&home.folder, content.info()) }),
        // Whatever it is now, it was right, and nothing that somebody else has put there.
        Existing::Repair | Existing::Replace | Existing::Refuse => content.repair()?,
    }
    Opened::of(content)
}

/// Who had it a moment ago, and has let it go, may be writing its last pieces still.
fn open_in_turn(tree: &Arc<Tree>, info: &Arc<Info>, home: &Home) -> Result<Content, FilesError> {
    let until = Instant::now() + TURN;
    loop {
        match Content::open(Arc::clone(tree), Arc::clone(info), home.options.clone()) {
            Err(FilesError::Store(StoreError::InUse { .. }))
                if Instant::now() < until && !home.stop.load(Ordering::Relaxed) =>
            {
                thread::sleep(GLANCE);
            }
            opened => return opened,
        }
    }
}

fn hash(home: &Home, content: &Content, hashed: Hashed<'_>) -> Result<(), FilesError> {
    let progress = |bytes| {
        hashed(bytes);
        if home.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    content.recheck(&progress).map(drop)
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
    fn of(content: Arc<Content>) -> Result<Self, FilesError> {
        // It may have taken long to find out.
        content.check_place()?;
        Ok(Self { have: content.have(), content })
    }

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
