//! Pieces that are written, and when they are durable.

use std::collections::BTreeMap;
use std::fs::File;
use std::mem;
use std::sync::{Arc, MutexGuard, PoisonError};

use lantorrent_core::store::{Durability, Synced};

use super::FilesError;
use super::blocks::cut;
use super::content::{Content, Proof, State};
use crate::bitfield::Bitfield;
use crate::metainfo::Kind;

/// How many files may have been written to before they are [synced](Content::sync), where many may be open. Each is open
/// until then.
const MOST_DIRTY: usize = 64;

/// What was written and may not be durable yet.
#[derive(Debug)]
pub(super) struct Pending {
    pieces: Bitfield,
    /// Held open, as the system reports a failed write to whoever had the file open then.
    dirty: BTreeMap<usize, Arc<File>>,
    /// The disk lost something, which cannot be told from what it has.
    lost: bool,
}

impl Pending {
    /// Nothing of a torrent of so many pieces.
    pub(super) fn none(pieces: u32) -> Self {
        Self { pieces: Bitfield::none(pieces), dirty: BTreeMap::new(), lost: false }
    }
}

impl Content {
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
        let mut begin = 0;
        for part in self.info.layout().parts(&span) {
            if self.info.layout().files()[part.file].kind != Kind::Padding {
                let file = self.file(part.file)?;
                let path = self.path(&self.names.partial, part.file);
                self.tree.write_at(&file, &path, &cut(blocks, begin, part.length), part.offset)?;
                self.note_dirty(part.file, file)?;
            }
            begin += part.length;
        }
        // Only now: whoever syncs what is pending has to find all of it in the files.
        self.pending().pieces.insert(piece);
        Ok(())
    }

    /// Something was written to that file. A piece may be in thousands of them.
    fn note_dirty(&self, number: usize, file: Arc<File>) -> Result<(), FilesError> {
        if self.options.durability == Durability::NoSync {
            return Ok(());
        }
        let mut pending = self.pending();
        pending.dirty.entry(number).or_insert(file);
        let many = pending.dirty.len() >= self.options.open_files.most().div_ceil(4).min(MOST_DIRTY);
        drop(pending);
        match if many { self.sync() } else { Ok(()) } {
            // It is tried again, and told, when somebody asks for it.
            Err(FilesError::Record { .. }) => Ok(()),
            done => done,
        }
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
        let none = Pending::none(self.info.geometry().pieces());
        let Pending { pieces, dirty, .. } = mem::replace(&mut *self.pending(), none);
        for (&number, file) in &dirty {
            let path = self.path(&self.names.partial, number);
            let synced = self.tree.sync(file, &path).inspect_err(|_| self.pending().lost = true)?;
            proof.is_unsure |= synced == Synced::Unknown;
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
        proof.unrecorded = Bitfield::none(self.info.geometry().pieces());
        Ok(())
    }

    fn check_kept(&self) -> Result<(), FilesError> {
        if self.pending().lost {
            return Err(FilesError::Lost { path: self.tree.path().join(&self.names.partial) });
        }
        Ok(())
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use lantorrent_core::store::Tree;

    use super::*;
    use crate::files::Options;
    use crate::metainfo::{Draft, Layout};

    #[test]
    fn what_the_disk_lost_is_never_claimed() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::of_file(Path::new("a"), 3, Kind::Plain, 1).unwrap();
        let info = Arc::new(Draft::default().build(&layout, &[7; 60]).unwrap().info);
        let open = || {
            let tree = Arc::new(Tree::open(folder.path()).unwrap());
            Content::open(tree, Arc::clone(&info), Options::default())
        };
        let content = open().unwrap();
        content.write(1, &[b"x"]).unwrap();
        content.sync().unwrap();
        content.write(0, &[b"x"]).unwrap();
        // Something that can not be synced: what is open only to look at it.
        let look = lantorrent_core::store::look_beneath(File::open(folder.path()).unwrap(), "a.lantorrent");
        content.pending().dirty.insert(0, Arc::new(look.unwrap().into()));
        assert!(matches!(content.sync(), Err(FilesError::Store(_))));
        let lost = |result| assert!(matches!(result, Err(FilesError::Lost { .. })), "{result:?}");
        lost(content.sync());
        lost(content.write(2, &[b"x"]));
        lost(content.finish());
        let runs = |content: &Content| content.proven().into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(runs(&content), [1]);
        drop(content);
        assert_eq!(runs(&open().unwrap()), [1]);
        assert!(!fs::exists(folder.path().join("a")).unwrap());
    }
}
