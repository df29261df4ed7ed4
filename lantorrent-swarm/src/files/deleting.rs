//! Making room: a torrent's files are deleted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use super::FilesError;
use super::content::{Content, State};
use crate::metainfo::Kind;

impl Content {
    /// Deletes the files of a torrent that is [whole](State::Whole), and the folders in which nothing is left. What else
    /// somebody has put there stays.
    ///
    /// # Errors
    /// [`FilesError::Foreign`], and nothing is deleted, if a file is not what it was when the torrent was found whole. After
    /// any other error some of the files may be gone; nothing proves the torrent whole any more.
    pub fn delete(&self) -> Result<(), FilesError> {
        let known = self.proof().fingerprint.take();
        if self.state() != State::Whole || known.is_none() || known != self.fingerprint(&self.names.whole)? {
            return Err(self.foreign(&self.names.whole));
        }
        if let Some(records) = &self.options.records {
            records.forget(self.info.hash())?;
        }
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = State::Unproven;
        self.close_files();
        let mut folders = BTreeSet::new();
        for (number, file) in self.info.layout().files().iter().enumerate() {
            let path = self.path(&self.names.whole, number);
            if file.kind != Kind::Padding {
                self.tree.remove(&path)?;
            }
            folders.extend(path.ancestors().skip(1).filter(|folder| is_below(folder)).map(Path::to_owned));
        }
        // What is in a folder comes behind it.
        folders.iter().rev().try_for_each(|folder: &PathBuf| Ok(self.tree.remove_empty_folder(folder)?))
    }
}

/// Whether that is not the folder that the torrent is kept in.
fn is_below(folder: &Path) -> bool {
    folder.file_name().is_some()
}
