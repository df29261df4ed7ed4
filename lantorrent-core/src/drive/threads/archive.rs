//! What processes of a node leave for those that come after them: how transfers have ended, and when old partial files were
//! last looked for.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::placed::Files;
use crate::session::Ask;
use crate::wire::{SealedReport, TransferId};

/// Behind the name of a file that nobody is to read yet.
const UNFINISHED: &str = "new";
/// Written whenever old partial files are looked for.
const CLEANED: &str = "cleaned";

/// What became of a transfer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The node's place in it.
    pub(super) index: u32,
    pub(super) results: Vec<SealedReport>,
    /// Those that are in place.
    pub(super) files: Files,
}

/// A folder, or nothing where nobody is to be told anything.
#[derive(Debug)]
pub(super) struct Archive {
    folder: Option<PathBuf>,
    retain: Duration,
}

impl Archive {
    /// Results in it are forgotten after `retain`. The folder is made when it is needed.
    pub(super) fn open(folder: Option<PathBuf>, retain: Duration) -> Self {
        let this = Self { folder, retain };
        this.forget_old();
        this
    }

    fn results_file(&self, transfer: &TransferId) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(format!("{transfer}.results")))
    }

    /// How a transfer has ended here, if it has of late, in whatever place of its list.
    pub(super) fn results(&self, ask: &Ask) -> Option<Kept> {
        let text = std::fs::read(self.results_file(&ask.transfer)?).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Keeps what became of a transfer for whoever asks again.
    pub(super) fn keep(&self, transfer: &TransferId, index: u32, results: &[SealedReport], files: Files) {
        let Some(file) = self.results_file(transfer) else { return };
        if let Err(error) = write_whole(&file, &Kept { index, results: results.to_vec(), files }) {
            log::warn!("cannot keep the results of a transfer in {}: {error}", file.display());
        }
    }

    /// Whether it is so long ago that old partial files were looked for. If so, it is now.
    pub(super) fn cleaning_is_due(&self, every: Duration) -> bool {
        let Some(folder) = &self.folder else { return false };
        let file = folder.join(CLEANED);
        if !is_old(&file, every) && file.exists() {
            return false;
        }
        // Before the work: those that come meanwhile shall not do it as well.
        make(folder).and_then(|()| File::create(&file)).is_ok()
    }

    fn forget_old(&self) {
        let Some(folder) = &self.folder else { return };
        let Ok(entries) = folder.read_dir() else { return };
        for file in entries.flatten().map(|entry| entry.path()) {
            let ours = |extension: &std::ffi::OsStr| extension == "results" || extension == UNFINISHED;
            if file.extension().is_some_and(ours) && is_old(&file, self.retain) {
                let _ = std::fs::remove_file(file);
            }
        }
    }
}

fn is_old(file: &Path, age: Duration) -> bool {
    let changed = file.metadata().and_then(|metadata| metadata.modified());
    changed.is_ok_and(|time| time.elapsed().is_ok_and(|since| since >= age))
}

fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Nobody sees half of it: it gets its name when it is whole.
fn write_whole(file: &Path, kept: &Kept) -> io::Result<()> {
    file.parent().map_or(Ok(()), make)?;
    let new = file.with_extension(UNFINISHED);
    std::fs::write(&new, serde_json::to_vec(kept)?)?;
    std::fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cleaning_is_due_once_in_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::open(Some(folder.path().join("state")), Duration::ZERO);
        let hour = Duration::from_secs(3600);
        assert!(archive.cleaning_is_due(hour));
        assert!(!archive.cleaning_is_due(hour));
        assert!(archive.cleaning_is_due(Duration::ZERO));
        assert!(!Archive::open(None, hour).cleaning_is_due(Duration::ZERO));
    }
}
