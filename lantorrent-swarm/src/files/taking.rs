//! How partial files are taken up, or made.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use lantorrent_core::store::{Durability, Permissions, Remains, Synced, What};

use super::FilesError;
use super::content::{Content, Held, State};
use super::journal::{Journal, Loaded, Subject};
use crate::bitfield::Bitfield;
use crate::metainfo::{FileEntry, Kind};

impl Content {
    /// Takes up the partial files, or makes them. The journal says which pieces are in them, unless it is `known`.
    pub(super) fn take_up(&self, known: Option<Bitfield>) -> Result<(), FilesError> {
        self.names.check_length()?;
        if self.tree.find(&self.names.partial)?.is_none() {
            self.tree.check_space(self.info.geometry().length())?;
        } else {
            self.tree.refuse_other_name(&self.names.partial)?;
        }
        let (held, subject) = self.lock_partial()?;
        let loaded = if known.is_none() { self.load_journal(&subject) } else { None };
        let is_sure = match &loaded {
            Some(loaded) => loaded.is_of_this_file && !self.is_unsure_of(&loaded.journal)?,
            None => true,
        };
        let (journal, found) = loaded.map(|loaded| (loaded.journal, loaded.pieces)).unzip();
        let mut have = known.or(found).unwrap_or_else(|| Bitfield::none(subject.pieces));
        let count = have.count();
        let folders = self.prepare_files(&mut have)?;
        self.refuse_same_files()?;
        if self.options.durability == Durability::Sync {
            for folder in &folders {
                self.tree.sync_folder(folder, Remains::Open)?;
            }
        }
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = State::Partial;
        self.handles.clear();
        if !is_sure {
            have = self.right_of(&have)?;
        }
        let journal = match journal {
            // It would go on saying what is no longer so.
            Some(journal) if is_sure && have.count() == count => journal,
            _ => self.begin_journal(&subject, &have)?,
        };
        let mut proof = self.proof();
        (proof.have, proof.journal, proof.held) = (have, Some(journal), Some(held));
        Ok(())
    }

    /// Whether a journal may say more than a power failure has left, as its file system cannot sync.
    fn is_unsure_of(&self, journal: &Journal) -> Result<bool, FilesError> {
        if self.options.durability == Durability::NoSync {
            return Ok(false);
        }
        let synced = journal.sync().map_err(|cause| self.cannot_record(cause))?;
        Ok(synced == Synced::Unknown)
    }

    /// Locks the partial file or folder, which is made if need be, against everybody else of our kind.
    fn lock_partial(&self) -> Result<(Held, Subject), FilesError> {
        let partial = &self.names.partial;
        let file = match self.info.layout().files() {
            [file] if !self.info.layout().is_folder() => self.tree.make(partial, permissions(file))?,
            _ => {
                self.tree.make_folder(partial)?;
                self.tree.open_folder(partial)?
            }
        };
        let lock = self.tree.lock(&file, partial)?;
        let found = self.tree.find(partial)?.ok_or_else(|| self.foreign(partial))?;
        let pieces = self.info.geometry().pieces();
        let held = Held { inode: found.inode, lock, file: Arc::new(file) };
        Ok((held, Subject { torrent: self.info.hash(), pieces, inode: found.inode }))
    }

    fn load_journal(&self, subject: &Subject) -> Option<Loaded> {
        // Whatever else has the name is replaced.
        let file = self.tree.write(&self.names.journal).ok()?;
        Journal::load(file, subject)
    }

    /// Makes what is missing, gives everything its length, and takes out of `have` what was in files that have changed.
    /// Returns the folders with new names in them.
    fn prepare_files(&self, have: &mut Bitfield) -> Result<BTreeSet<PathBuf>, FilesError> {
        let mut folders = BTreeSet::from([PathBuf::from(".")]);
        for (number, file) in self.info.layout().files().iter().enumerate() {
            if file.kind == Kind::Padding {
                continue;
            }
            let path = self.path(&self.names.partial, number);
            let found = self.tree.find(&path)?;
            if found.is_some_and(|found| found.what == What::File && found.length == file.length) {
                continue;
            }
            let made = self.tree.make(&path, permissions(file))?;
            self.tree.set_length(&made, &path, file.length)?;
            // What is behind the end of a longer file was never a piece.
            if found.is_none_or(|found| found.length < file.length) {
                self.info.layout().pieces_of(file).for_each(|piece| _ = have.remove(piece));
            }
            let ancestors = path.ancestors().skip(1).filter(|folder| folder.file_name().is_some());
            folders.extend(ancestors.map(Path::to_owned));
        }
        Ok(folders)
    }

    /// Refuses two files that are one, as where a file system ignores case.
    fn refuse_same_files(&self) -> Result<(), FilesError> {
        let mut numbers = HashMap::new();
        for (number, file) in self.info.layout().files().iter().enumerate() {
            if file.kind == Kind::Padding {
                continue;
            }
            let path = self.path(&self.names.partial, number);
            let Some(found) = self.tree.find(&path)? else { continue };
            if let Some(other) = numbers.insert(found.inode, path.clone())
                && self.is_same_file(&path, &other)?
            {
                let full = |path: &Path| self.tree.path().join(path);
                return Err(FilesError::SameFile { path: full(&path), other: full(&other) });
            }
        }
        Ok(())
    }

    /// Whether both names are those of one file. Their numbers are the same, which not every file system keeps apart; so
    /// one is made longer for a moment, to see whether the other is as well.
    fn is_same_file(&self, path: &Path, other: &Path) -> Result<bool, FilesError> {
        let file = self.tree.write(path)?;
        let length = |path| Ok::<_, FilesError>(self.tree.find(path)?.map(|found| found.length));
        let (Some(own), before) = (length(path)?, length(other)?) else { return Ok(false) };
        self.tree.set_length(&file, path, own + 1)?;
        let after = length(other);
        self.tree.set_length(&file, path, own)?;
        Ok(before == Some(own) && after? == Some(own + 1))
    }

    /// A journal that says this, in place of any that there is.
    pub(super) fn begin_journal(&self, subject: &Subject, have: &Bitfield) -> Result<Journal, FilesError> {
        self.tree.remove(&self.names.next_journal)?;
        let file = self.tree.make(&self.names.next_journal, Permissions::Data)?;
        let begin = || {
            let mut journal = Journal::begin(file, subject)?;
            journal.add(have)?;
            if self.options.durability == Durability::Sync {
                journal.sync()?;
            }
            Ok(journal)
        };
        let journal = begin().map_err(|cause| self.cannot_record(cause))?;
        self.tree.rename(&self.names.next_journal, &self.names.journal)?;
        Ok(journal)
    }

    pub(super) fn foreign(&self, name: &Path) -> FilesError {
        FilesError::Foreign { path: self.tree.path().join(name) }
    }
}

fn permissions(file: &FileEntry) -> Permissions {
    match file.kind {
        Kind::Executable => Permissions::Program,
        Kind::Plain | Kind::Padding => Permissions::Data,
    }
}
