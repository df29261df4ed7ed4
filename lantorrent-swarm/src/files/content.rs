//! One torrent below a folder: opened, read, and written piece by piece.

use std::collections::BTreeMap;
use std::fs::File;
use std::mem;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use lantorrent_core::store::{Durability, StoreError, Tree, What};

use super::FilesError;
use super::blocks::cut;
use super::handles::Handles;
use super::hashing::{piece_hash, read_at};
use super::journal::Journal;
use super::names::Names;
use super::pieces::Pieces;
use super::records::{Fingerprint, Records};
use crate::Span;
use crate::metainfo::{Info, Kind};

/// How many files may have been written to before they are [synced](Content::sync). Each is open until then.
const MOST_DIRTY: usize = 64;

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
    pending: Mutex<Pending>,
    proof: Mutex<Proof>,
    lost: AtomicBool,
}

/// How a torrent is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// With [`Durability::Sync`] nothing counts before it would survive a power failure. Without, a crash of the system
    /// may leave pieces that are taken for good and are not; that of the program does not.
    pub durability: Durability,
    /// Where it is recorded that torrents are whole. Without, their files are hashed at the next start.
    pub records: Option<Records>,
}

/// Where a torrent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is being written, under another name.
    Partial,
    /// Something has its name, and nobody knows yet whether it is this. [`Content::recheck`] finds out. If it is not whole,
    /// [`Content::repair`] or [`Content::replace`] makes it partial.
    Unproven,
    /// All of it is there and right.
    Whole,
}

/// What was written and may not be durable yet.
#[derive(Debug)]
struct Pending {
    pieces: Pieces,
    /// Held open, as the system reports a failed write to whoever had the file open then.
    dirty: BTreeMap<usize, Arc<File>>,
}

/// What is known for sure.
#[derive(Debug)]
pub(super) struct Proof {
    pub(super) have: Pieces,
    /// Those of them that are not in the journal.
    pub(super) unrecorded: Pieces,
    pub(super) journal: Option<Journal>,
    /// The partial file or folder, which is locked while it is open, and its inode.
    pub(super) lock: Option<(File, u64)>,
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
        Self::new(tree, info, Options { durability: Durability::NoSync, records: None })
    }

    fn new(tree: Arc<Tree>, info: Arc<Info>, options: Options) -> Result<Self, FilesError> {
        let none = Pieces::none(info.geometry().pieces());
        Ok(Self {
            names: Names::of(info.layout().name())?,
            options,
            handles: Handles::default(),
            state: RwLock::new(State::Unproven),
            pending: Mutex::new(Pending { pieces: none.clone(), dirty: BTreeMap::new() }),
            proof: Mutex::new(Proof { have: none.clone(), unrecorded: none, journal: None, lock: None }),
            lost: AtomicBool::new(false),
            tree,
            info,
        })
    }

    fn find_out(&self) -> Result<(), FilesError> {
        let Some(whole) = self.tree.find(&self.names.whole)? else { return self.take_up(None) };
        if self.is_recorded()? {
            self.proof().have = Pieces::all(self.info.geometry().pieces());
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

    fn is_recorded(&self) -> Result<bool, FilesError> {
        let Some(records) = &self.options.records else { return Ok(false) };
        let fingerprint = self.fingerprint(&self.names.whole)?;
        Ok(fingerprint.is_some_and(|fingerprint| records.prove(self.info.hash(), &fingerprint)))
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

    /// Closes the files that nobody uses just now. Up to 32 are kept open otherwise, which is many where there are
    /// thousands of torrents.
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

    /// Writes a piece, given as blocks one behind the other. Its hash is right: nobody looks at it again. From here on it can
    /// be read and offered; a crash may lose it until it is [synced](Self::sync).
    ///
    /// After an error, such as a full disk, the piece is not there, and may be written again.
    pub fn write(&self, piece: u32, blocks: &[&[u8]]) -> Result<(), FilesError> {
        let length: u64 = blocks.iter().map(|block| block.len() as u64).sum();
        let span = self.info.layout().piece(piece);
        if length == 0 || length != u64::from(span.length) || self.state() != State::Partial {
            return Err(FilesError::NoPiece { piece, length });
        }
        self.check_kept()?;
        let (mut begin, mut written) = (0, Vec::new());
        for part in self.info.layout().parts(&span) {
            if self.info.layout().files()[part.file].kind != Kind::Padding {
                let file = self.file(part.file)?;
                let path = self.path(&self.names.partial, part.file);
                self.tree.write_at(&file, &path, &cut(blocks, begin, part.length), part.offset)?;
                written.push((part.file, file));
            }
            begin += part.length;
        }
        // Only now: whoever syncs what is pending has to find all of it in the files.
        let mut pending = self.pending();
        pending.pieces.insert(piece);
        pending.dirty.extend(written);
        let many = pending.dirty.len() >= MOST_DIRTY;
        drop(pending);
        if many { self.sync() } else { Ok(()) }
    }

    /// Waits until all that was written before this is durable, and takes note of it in the journal.
    ///
    /// # Errors
    /// If the disk fails, what was written is lost: everything but reading fails from then on, and what the journal says is
    /// true all the same. After [`FilesError::Record`], which is about the journal alone, one may go on.
    pub fn sync(&self) -> Result<(), FilesError> {
        self.flush(&mut self.proof())
    }

    pub(super) fn flush(&self, proof: &mut Proof) -> Result<(), FilesError> {
        self.check_kept()?;
        let none = Pieces::none(self.info.geometry().pieces());
        let Pending { pieces, dirty } =
            mem::replace(&mut *self.pending(), Pending { pieces: none, dirty: BTreeMap::new() });
        if self.options.durability == Durability::Sync {
            for (&number, file) in &dirty {
                let path = self.path(&self.names.partial, number);
                self.tree.sync(file, &path).inspect_err(|_| self.lost.store(true, Ordering::SeqCst))?;
            }
        }
        for run in pieces.runs() {
            proof.have.insert_all(run.clone());
            proof.unrecorded.insert_all(run);
        }
        self.record(proof)
    }

    fn record(&self, proof: &mut Proof) -> Result<(), FilesError> {
        if let Some(journal) = &mut proof.journal {
            journal.add(&proof.unrecorded).map_err(|cause| self.cannot_record(cause))?;
        }
        proof.unrecorded = Pieces::none(self.info.geometry().pieces());
        Ok(())
    }

    pub(super) fn cannot_record(&self, cause: std::io::Error) -> FilesError {
        FilesError::Record { path: self.tree.path().join(&self.names.journal), cause }
    }

    fn check_kept(&self) -> Result<(), FilesError> {
        if self.lost.load(Ordering::SeqCst) {
            return Err(FilesError::Lost { path: self.tree.path().join(&self.names.partial) });
        }
        Ok(())
    }

    /// Where the file of that index is while the torrent has the name `top`.
    pub(super) fn path(&self, top: &Path, number: usize) -> PathBuf {
        self.info.layout().files().get(number).map_or_else(PathBuf::new, |file| self.names.path(top, file))
    }

    fn state_now(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn proof(&self) -> MutexGuard<'_, Proof> {
        self.proof.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
