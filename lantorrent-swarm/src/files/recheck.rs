//! Finding out what is really there, and what to do then.

use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use lantorrent_core::store::Durability;

use super::content::{Content, Proof, State};
use super::journal::Subject;
use super::parallel::each_piece;
use super::{FilesError, Progress};
use crate::bitfield::Bitfield;
use crate::metainfo::Kind;

impl Content {
    /// Reads and hashes everything, on all cores, and returns the pieces that are right, in runs. What was thought before
    /// is forgotten. Nobody may write meanwhile.
    pub fn recheck(&self, progress: Progress<'_>) -> Result<Vec<Range<u32>>, FilesError> {
        // What is open may not be what has the name.
        self.close_files();
        let before = self.fingerprint(&self.names.whole)?;
        let found = Mutex::new(Bitfield::none(self.info.geometry().pieces()));
        each_piece(self.info.geometry().pieces(), |piece| {
            if self.verify(piece)? {
                found.lock().unwrap_or_else(PoisonError::into_inner).insert(piece);
            }
            let size = self.info.geometry().size(piece);
            if progress(size.into()).is_break() { Err(FilesError::Stopped) } else { Ok(()) }
        })?;
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        let runs = found.runs();
        if self.state() == State::Partial {
            self.prove_partial(found)?;
            return Ok(runs);
        }
        let is_whole =
            found.is_full() && before.is_some() && before == self.fingerprint(&self.names.whole)?;
        let mut proof = self.proof();
        proof.have = found;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) =
            if is_whole { State::Whole } else { State::Unproven };
        if is_whole {
            self.record_whole(&mut proof, &self.names.whole)?;
        } else if let Some(records) = &self.options.records {
            records.forget(self.info.hash())?;
        }
        Ok(runs)
    }

    /// Those of the pieces that are right. The partial files are read for that.
    pub(super) fn right_of(&self, claimed: &Bitfield) -> Result<Bitfield, FilesError> {
        let right = Mutex::new(Bitfield::none(claimed.pieces()));
        each_piece(claimed.pieces(), |piece| {
            if claimed.contains(piece) && self.verify(piece)? {
                right.lock().unwrap_or_else(PoisonError::into_inner).insert(piece);
            }
            Ok::<_, FilesError>(())
        })?;
        Ok(right.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// The journal says anew what is in the partial files.
    fn prove_partial(&self, found: Bitfield) -> Result<(), FilesError> {
        let mut proof = self.proof();
        self.flush(&mut proof)?;
        self.sync_files(&self.names.partial)?;
        self.say_anew(&mut proof, found)
    }

    /// These pieces are in the partial files, and no others.
    pub(super) fn say_anew(&self, proof: &mut Proof, found: Bitfield) -> Result<(), FilesError> {
        let Some(inode) = proof.held.as_ref().map(|held| held.inode) else { return Ok(()) };
        let subject = Subject { torrent: self.info.hash(), pieces: self.info.geometry().pieces(), inode };
        proof.journal = Some(self.begin_journal(&subject, &found)?);
        proof.have = found;
        Ok(())
    }

    /// Waits for the disk, whoever wrote the files.
    fn sync_files(&self, top: &Path) -> Result<(), FilesError> {
        if self.options.durability == Durability::NoSync {
            return Ok(());
        }
        for (number, file) in self.info.layout().files().iter().enumerate() {
            let path = self.path(top, number);
            if file.kind != Kind::Padding && self.tree.find(&path)?.is_some() {
                self.tree.sync(&self.tree.read(&path)?, &path)?;
            }
        }
        Ok(())
    }

    /// Makes partial again what has the torrent's name but is not whole, as [`recheck`](Self::recheck) found, and goes on
    /// with the pieces that are right. For what is damaged, or was begun by another program. It does nothing to a torrent
    /// that is whole, or partial already.
    pub fn repair(&self) -> Result<(), FilesError> {
        if self.state() != State::Unproven {
            return Ok(());
        }
        self.names.check_length()?;
        self.tree.refuse_other_name(&self.names.whole)?;
        let have = self.proof().have.clone();
        self.sync_files(&self.names.whole)?;
        let found = self.tree.look(&self.names.whole)?;
        if self.tree.find(&self.names.partial)?.is_some() {
            return Err(FilesError::Occupied { path: self.tree.path().join(&self.names.partial) });
        }
        self.swap_names(&self.names.whole, &self.names.partial, &found, State::Partial)?;
        self.take_up(Some(have))
    }

    /// Leaves what has the torrent's name until this is whole, and begins anew beside it. For what is another version. It
    /// does nothing to a torrent that is whole, or partial already.
    ///
    /// # Errors
    /// It is a folder: that cannot be replaced at once.
    pub fn replace(&self) -> Result<(), FilesError> {
        if self.state() != State::Unproven {
            return Ok(());
        }
        if self.info.layout().is_folder() {
            return Err(FilesError::Occupied { path: self.tree.path().join(&self.names.whole) });
        }
        self.tree.refuse_other_name(&self.names.whole)?;
        self.take_up(None)
    }
}
