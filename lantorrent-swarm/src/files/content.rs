//! One torrent below a folder: opened, and read.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use lantorrent_core::store::{Durability, Lock, StoreError, Tree, What};

use super::FilesError;
use super::handles::{Handles, OpenFiles};
use super::hashing::{piece_hash, read_at};
use super::journal::Journal;
use super::names::Names;
use super::records::{Fingerprint, Records};
use super::writing::Pending;
use crate::Span;
use crate::bitfield::Bitfield;
use crate::metainfo::{Info, Kind};

/// A torrent's files below a folder.
///
/// While it is [`State::Partial`], pieces whose hash is right are [written](Self::write) in any order, [synced](Self::sync)
/// now and then, and [finished](Self::finish) when all are there. Dropped before, it stays as it is, to be gone on with.
#[derive(Debug)]
pub struct Content {
    pub(super) tree: Arc<Tree>,
    pub(super) info: Arc<Info>,
    pub(super) names: Names,
    pub(super) options: Options,
    pub(super) handles: Handles,
    pub(super) state: RwLock<State>,
    pub(super) pending: Mutex<Pending>,
    proof: Mutex<Proof>,
}

/// How a torrent is kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// With [`Durability::Sync`] nothing counts before it would survive a power failure. Without, a crash of the system
    /// may leave pieces that are taken for good and are not; that of the program does not.
    pub durability: Durability,
    /// Where it is recorded that torrents are whole. Without, their files are hashed at the next start.
    pub records: Option<Records>,
    /// The files that are kept open, of this torrent and of all others that share it.
    pub open_files: OpenFiles,
}

impl Options {
    /// Sets when a write counts as done.
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// Records whole torrents there.
    pub fn records(self, records: impl Into<Option<Records>>) -> Self {
        Self { records: records.into(), ..self }
    }

    /// Shares these open files.
    pub fn open_files(self, open_files: OpenFiles) -> Self {
        Self { open_files, ..self }
    }
}

impl Default for Options {
    /// Durable, and not recorded.
    fn default() -> Self {
        Self { durability: Durability::Sync, records: None, open_files: OpenFiles::default() }
    }
}

/// Where a torrent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It is being written, under another name.
    Partial,
    /// Something has its name, and nobody knows yet whether it is this. [`Content::recheck`] finds out. If it is not whole,
    /// [`Content::repair`] or [`Content::replace`] makes it partial.
    Unproven,
    /// All of it is there and right.
    Whole,
}

/// What is known for sure.
#[derive(Debug)]
pub(super) struct Proof {
    pub(super) have: Bitfield,
    /// Those of them that are not in the journal.
    pub(super) unrecorded: Bitfield,
    pub(super) journal: Option<Journal>,
    /// The partial file or folder, while it is being written.
    pub(super) held: Option<Held>,
    /// The file system does not say whether what was written would survive a power failure.
    pub(super) is_unsure: bool,
    /// What the files looked like when all of them were right.
    pub(super) fingerprint: Option<Fingerprint>,
}

/// The partial file or folder: open, and locked.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) inode: u64,
    // Above the file, as it is the file's.
    pub(super) lock: Lock,
    pub(super) file: Arc<File>,
}

impl Content {
    /// Opens the torrent in that folder. What is there already is gone on with; a torrent that is not there is made, with
    /// all its folders and files.
    ///
    /// # Errors
    /// Something else has its name and cannot be replaced, somebody else is writing it, or there is no room for it.
    pub fn open(tree: Arc<Tree>, info: Arc<Info>, options: Options) -> Result<Self, FilesError> {
        let this = Self::new(tree, info, options)?;
        this.find_out()?;
        Ok(this)
    }

    /// Takes what has the torrent's name in that folder as [`State::Unproven`], whatever it is, to read and
    /// [check](Self::recheck) it. Nothing is made or changed.
    pub fn look(tree: Arc<Tree>, info: Arc<Info>) -> Result<Self, FilesError> {
        Self::new(tree, info, Options { durability: Durability::NoSync, ..Options::default() })
    }

    fn new(tree: Arc<Tree>, info: Arc<Info>, options: Options) -> Result<Self, FilesError> {
        let none = Bitfield::none(info.geometry().pieces());
        Ok(Self {
            names: Names::of(info.layout().name())?,
            handles: Handles::of(&options.open_files),
            options,
            state: RwLock::new(State::Unproven),
            pending: Mutex::new(Pending::none(info.geometry().pieces())),
            proof: Mutex::new(Proof {
                have: none.clone(),
                unrecorded: none,
                journal: None,
                held: None,
                is_unsure: false,
                fingerprint: None,
            }),
            tree,
            info,
        })
    }

    fn find_out(&self) -> Result<(), FilesError> {
        let Some(whole) = self.tree.find(&self.names.whole)? else { return self.take_up(None) };
        if let Some(fingerprint) = self.recorded()? {
            let mut proof = self.proof();
            proof.have = Bitfield::all(self.info.geometry().pieces());
            proof.fingerprint = Some(fingerprint);
            drop(proof);
            return self.settle();
        }
        let is_begun = self.tree.find(&self.names.partial)?.is_some();
        match (self.info.layout().is_folder(), whole.what) {
            (false, What::File) if is_begun => self.take_up(None),
            (false, What::File) => Ok(()),
            (true, What::Folder) if !is_begun => Ok(()),
            _ => Err(FilesError::Occupied { path: self.tree.path().join(&self.names.whole) }),
        }
    }

    /// What the files look like, if it is recorded that they are whole then.
    fn recorded(&self) -> Result<Option<Fingerprint>, FilesError> {
        let Some(records) = &self.options.records else { return Ok(None) };
        let fingerprint = self.fingerprint(&self.names.whole)?;
        Ok(fingerprint.filter(|fingerprint| records.prove(self.info.hash(), fingerprint)))
    }

    /// It is whole, and has its name.
    pub(super) fn settle(&self) -> Result<(), FilesError> {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = State::Whole;
        // Somebody may have been killed just before he did this. With another partial file it would be the journal of that.
        if self.tree.find(&self.names.journal)?.is_some() && self.tree.find(&self.names.partial)?.is_none() {
            self.tree.remove(&self.names.journal)?;
        }
        Ok(())
    }

    pub(super) fn fingerprint(&self, top: &Path) -> Result<Option<Fingerprint>, FilesError> {
        Fingerprint::of(&self.tree, &self.info, |number| self.path(top, number))
    }

    /// Whether it is in that folder.
    #[cfg(feature = "drive")]
    pub(crate) fn is_in(&self, tree: &Arc<Tree>) -> bool {
        Arc::ptr_eq(&self.tree, tree)
    }

    /// What it is.
    pub fn info(&self) -> &Arc<Info> {
        &self.info
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        *self.state_now()
    }

    /// The pieces that are there for sure, in runs: what a crash would leave. Those that were written and not yet
    /// [synced](Self::sync) are not among them.
    pub fn proven(&self) -> Vec<Range<u32>> {
        self.proof().have.runs()
    }

    /// The same as a set, as the state machine is told.
    pub fn have(&self) -> Bitfield {
        self.proof().have.clone()
    }

    /// Whether there is nothing in what has its name: its files are missing, or have no bytes.
    pub fn is_blank(&self) -> Result<bool, FilesError> {
        for number in 0..self.info.layout().files().len() {
            let found = self.tree.find(&self.path(&self.names.whole, number))?;
            if found.is_some_and(|found| found.length > 0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Opens a file, by its index in [`Layout::files`](crate::metainfo::Layout::files), to read or send the
    /// [parts](crate::metainfo::Layout::parts) that are in it. It stays the same file when the torrent gets its name.
    /// Padding has no file.
    pub fn file(&self, number: usize) -> Result<Arc<File>, FilesError> {
        let state = self.state_now();
        self.handles.get(number, || match *state {
            State::Partial => Ok(self.tree.write(&self.path(&self.names.partial, number))?),
            State::Unproven | State::Whole => Ok(self.tree.read(&self.path(&self.names.whole, number))?),
        })
    }

    /// Closes the files that nobody uses just now. Otherwise those stay open that were used last
    /// ([`Options::open_files`]).
    pub fn close_files(&self) {
        self.handles.clear();
    }

    /// Reads a span, which has to be as long as the buffer.
    pub fn read(&self, span: &Span, buffer: &mut [u8]) -> Result<(), FilesError> {
        if !self.info.geometry().contains(span) || buffer.len() != span.length as usize {
            return Err(FilesError::NoPiece { piece: span.piece, length: buffer.len() as u64 });
        }
        let mut rest = buffer;
        for part in self.info.layout().parts(span) {
            let entry = &self.info.layout().files()[part.file];
            // A part of a span, whose length is one of memory.
            let (here, behind) = rest.split_at_mut(part.length as usize);
            match entry.kind {
                Kind::Padding => here.fill(0),
                Kind::Plain | Kind::Executable => {
                    read_at(&*self.file(part.file)?, &entry.path, here, part.offset)?;
                }
            }
            rest = behind;
        }
        Ok(())
    }

    /// Reads a piece and compares its hash. A file that is missing, too short or none is a piece that is not there.
    pub fn verify(&self, piece: u32) -> Result<bool, FilesError> {
        match piece_hash(self.info.layout(), piece, |number| self.file(number)) {
            Ok(hash) => Ok(self.info.piece_hash(piece) == Some(hash)),
            Err(FilesError::Short { .. } | FilesError::Store(StoreError::NotAFile { .. })) => Ok(false),
            Err(FilesError::Store(StoreError::CannotOpen { cause, .. }))
                if cause.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn cannot_record(&self, cause: std::io::Error) -> FilesError {
        FilesError::Record { path: self.tree.path().join(&self.names.journal), cause }
    }

    /// Where the file of that index is while the torrent has the name `top`.
    pub(super) fn path(&self, top: &Path, number: usize) -> PathBuf {
        self.info.layout().files().get(number).map_or_else(PathBuf::new, |file| self.names.path(top, file))
    }

    fn state_now(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn proof(&self) -> MutexGuard<'_, Proof> {
        self.proof.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
