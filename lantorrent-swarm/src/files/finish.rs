//! From partial to whole.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use lantorrent_core::store::{Durability, Remains, What};

use super::FilesError;
use super::content::{Content, Proof, State};
use crate::metainfo::{FileEntry, Kind};

impl Content {
    /// Gives the torrent its name, when all pieces are there. A file that has the name is replaced at once.
    ///
    /// # Errors
    /// Its folder's path leads elsewhere by now: then it stays where it is. If it is [whole](State::Whole) all the same, it may not survive a power failure, or will be hashed at the next start.
    /// Otherwise all is as it was, and it may be tried again.
    pub fn finish(&self) -> Result<(), FilesError> {
        if self.state() != State::Partial {
            return Ok(());
        }
        let mut proof = self.proof();
        match self.flush(&mut proof) {
            // It is not needed any more.
            Err(FilesError::Record { .. }) => {}
            flushed => flushed?,
        }
        if !proof.have.is_full() {
            return Err(FilesError::NotWhole { missing: proof.have.pieces() - proof.have.count() });
        }
        self.check_without_lock(&mut proof)?;
        // Before anything is replaced in a folder that is not meant any more.
        self.check_place()?;
        let recorded = self.record_whole(&mut proof, &self.names.partial);
        let held = proof.held.as_ref().map(|held| Arc::clone(&held.file));
        let held = held.ok_or_else(|| self.foreign(&self.names.partial))?;
        self.swap_names(&self.names.partial, &self.names.whole, &held, State::Whole)?;
        (proof.journal, proof.held) = (None, None);
        self.check_renamed(&mut proof)?;
        drop(proof);
        self.settle()?;
        self.handles.clear();
        self.check_place()?;
        recorded
    }

    /// Where other machines could write to the files, as the file system has no locks, all of it is read again.
    fn check_without_lock(&self, proof: &mut Proof) -> Result<(), FilesError> {
        if proof.held.as_ref().is_none_or(|held| held.lock.is_for_all()) {
            return Ok(());
        }
        let right = self.right_of(&proof.have)?;
        let missing = right.pieces() - right.count();
        if missing == 0 {
            return Ok(());
        }
        self.say_anew(proof, right)?;
        Err(FilesError::NotWhole { missing })
    }

    /// Refuses what a file system has lost on the way. Where it gives renamed files other numbers, the record follows.
    fn check_renamed(&self, proof: &mut Proof) -> Result<(), FilesError> {
        let top = &self.names.whole;
        // The kernel may show for a while what was there; what is opened has to be there.
        let is_file = |file: &FileEntry| file.kind != Kind::Padding;
        let first = self.info.layout().files().iter().position(is_file);
        let opened = first.map(|number| self.tree.read(&self.path(top, number))).transpose();
        match self.fingerprint(top)?.filter(|_| opened.is_ok()) {
            Some(found) if proof.fingerprint.as_ref() == Some(&found) => Ok(()),
            Some(_) => self.record_whole(proof, top),
            None => {
                *self.state.write().unwrap_or_else(PoisonError::into_inner) = State::Unproven;
                Err(FilesError::Torn { path: self.tree.path().join(top) })
            }
        }
    }

    /// Refuses unless the path of the folder still leads to it.
    pub(crate) fn check_place(&self) -> Result<(), FilesError> {
        let name = if self.state() == State::Partial { &self.names.partial } else { &self.names.whole };
        Ok(self.tree.check_place(name)?)
    }

    /// Takes note that the files, which have that name now, are whole.
    pub(super) fn record_whole(&self, proof: &mut Proof, top: &Path) -> Result<(), FilesError> {
        let fingerprint = proof.fingerprint.insert(self.fingerprint(top)?.ok_or_else(|| self.foreign(top))?);
        match &self.options.records {
            Some(records) if !proof.is_unsure => records.write(self.info.hash(), fingerprint),
            // It is hashed again at the next start.
            _ => Ok(()),
        }
    }

    /// Gives the file or folder another name, durably, if it is the one that is open. Then this is where it stands.
    pub(super) fn swap_names(
        &self,
        from: &Path,
        to: &Path,
        open: &File,
        then: State,
    ) -> Result<(), FilesError> {
        let is_it = |name: &Path| Ok::<_, FilesError>(self.tree.is_at(open, name)?);
        // Nobody opens a file by its path meanwhile.
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if !is_it(from)? {
            return Err(self.foreign(from));
        }
        let is_folder =
            |name| Ok::<_, FilesError>(self.tree.find(name)?.is_some_and(|found| found.what == What::Folder));
        if is_folder(to)? {
            return Err(FilesError::Occupied { path: self.tree.path().join(to) });
        }
        self.tree.rename(from, to)?;
        // A rename goes by name. Whoever took that in the last instant must not pass for us.
        if !is_it(to)? {
            return Err(self.foreign(to));
        }
        let remains = if then == State::Whole { Remains::Placed } else { Remains::Open };
        *state = then;
        drop(state);
        if self.options.durability == Durability::Sync {
            self.tree.sync_folder(Path::new("."), remains)?;
        }
        Ok(())
    }
}
