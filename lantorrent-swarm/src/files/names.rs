//! What a torrent's files are called until they are whole.

use std::path::{Path, PathBuf};

use lantorrent_core::store::{JOURNAL_SUFFIX, NEXT_JOURNAL_SUFFIX, PARTIAL_SUFFIX, StoreError};

use crate::metainfo::FileEntry;

/// Bytes of a name that Linux takes.
const NAME_LIMIT: usize = 255;

/// The names beside each other in the folder that a torrent is kept in. Those of a file that is copied down a chain are
/// the same, so that nobody writes both at once.
#[derive(Debug)]
pub(super) struct Names {
    /// The torrent's own.
    pub(super) whole: PathBuf,
    /// Of the file, or of the folder of all files, until it is whole.
    pub(super) partial: PathBuf,
    /// Of what says which pieces are in it.
    pub(super) journal: PathBuf,
    /// Of what is about to replace that.
    pub(super) next_journal: PathBuf,
}

impl Names {
    pub(super) fn of(name: &Path) -> Result<Self, StoreError> {
        let with = |suffix| {
            let mut name = name.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let refuse = |why| Err(StoreError::NotAllowed { path: name.to_owned(), why });
        let text = name.as_os_str().as_encoded_bytes();
        // Else what is whole would be taken for what somebody left unfinished.
        let is_taken = |suffix: &&str| text.ends_with(suffix.as_bytes());
        if [PARTIAL_SUFFIX, JOURNAL_SUFFIX, NEXT_JOURNAL_SUFFIX].iter().any(is_taken) {
            return refuse("names like this are for what is not whole");
        }
        Ok(Self {
            whole: name.to_owned(),
            partial: with(PARTIAL_SUFFIX),
            journal: with(JOURNAL_SUFFIX),
            next_journal: with(NEXT_JOURNAL_SUFFIX),
        })
    }

    /// Refuses a name that has no room for what is added to it until all is there.
    ///
    /// What is whole is served under any name.
    pub(super) fn check_length(&self) -> Result<(), StoreError> {
        if self.journal.as_os_str().len() <= NAME_LIMIT {
            return Ok(());
        }
        let why = "the name is longer than 236 bytes, and more is added until it is whole";
        Err(StoreError::NotAllowed { path: self.whole.clone(), why })
    }

    /// Where a file is while the torrent has the name `top`.
    pub(super) fn path(&self, top: &Path, file: &FileEntry) -> PathBuf {
        // That of a single file is the torrent's name, and a path that ends in a slash would be that of a folder.
        match file.path.strip_prefix(&self.whole) {
            Ok(below) if !below.as_os_str().is_empty() => top.join(below),
            _ => top.to_owned(),
        }
    }
}
