//! What processes of a node leave for later ones: how transfers have ended, what of them was cancelled, and when old partial
//! files were last looked for.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::placed::{Files, Placed};
use crate::flow::admission::Kept;
use crate::session::Proven;
use crate::wire::{Header, SealedReport, TransferId};

/// Behind the name of a transfer: how it has ended, and what of it was cancelled.
const RESULTS: &str = "results";
const CANCELLED: &str = "cancelled";
/// The same: the key that the node shares with the transfer's source.
const KEY: &str = "key";
/// Behind the name of a file that no process is to read yet.
const UNFINISHED: &str = "new";
const OURS: [&str; 4] = [RESULTS, CANCELLED, KEY, UNFINISHED];
/// Written whenever old partial files are looked for.
const CLEANED: &str = "cleaned";

/// What became of a transfer.
#[derive(Debug, Serialize, Deserialize)]
struct Ended {
    /// The node's place in it.
    index: u32,
    results: Vec<SealedReport>,
    /// Those that are in place.
    files: Files,
}

/// A folder, or nothing where no process is to be told anything.
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

    fn file(&self, transfer: &TransferId, behind: &str) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(format!("{transfer}{behind}")))
    }

    /// What is kept of the transfer of `header`. The files that it has placed go to `placed`.
    pub(super) fn recall(&self, header: &Header, placed: &Placed) -> Kept {
        let Some(transfer) = header.transfer() else {
            return Kept::default();
        };
        let ended = self.file(&transfer, &format!(".{RESULTS}")).and_then(|file| std::fs::read(file).ok());
        let ended: Option<Ended> = ended.and_then(|text| serde_json::from_slice(&text).ok());
        let ended = ended.map(|ended| {
            let files = ended.files.into_iter();
            files.for_each(|(request, file)| placed.add(transfer, &request, file));
            (ended.index, ended.results)
        });
        let key = self.file(&transfer, &format!(".{KEY}")).and_then(|file| std::fs::read(file).ok());
        let node_key = key.and_then(|text| serde_json::from_slice(&text).ok());
        Kept { ended, cancelled: self.cancelled(&transfer), node_key }
    }

    /// The cancelled requests of a transfer.
    fn cancelled(&self, transfer: &TransferId) -> Vec<String> {
        let (begin, end) = (format!("{transfer}-"), format!(".{CANCELLED}"));
        let Some(entries) = self.folder.as_ref().and_then(|folder| folder.read_dir().ok()) else {
            return Vec::new();
        };
        let of_transfer = |name: &OsString| {
            name.to_str().is_some_and(|name| name.starts_with(&begin) && name.ends_with(&end))
        };
        let files = entries.flatten().filter(|entry| of_transfer(&entry.file_name()));
        let texts = files.filter_map(|entry| std::fs::read(entry.path()).ok());
        texts.filter_map(|text| serde_json::from_slice::<Vec<String>>(&text).ok()).flatten().collect()
    }

    /// Keeps what became of a transfer for senders that ask again.
    pub(super) fn keep(&self, transfer: &TransferId, index: u32, results: &[SealedReport], files: Files) {
        let Some(file) = self.file(transfer, &format!(".{RESULTS}")) else { return };
        let ended = Ended { index, results: results.to_vec(), files };
        let written = serde_json::to_vec(&ended).map_err(io::Error::from);
        if let Err(error) = written.and_then(|text| write_whole(&file, &text)) {
            log::warn!("cannot keep the results of a transfer in {}: {error}", file.display());
        }
    }

    /// Keeps the key of a connection that the source has made, for processes that come for its transfer later.
    pub(super) fn keep_key(&self, proven: &Proven) {
        let (Some(envelope), Some(key)) = (&proven.header.envelope, &proven.node_key) else { return };
        let Some(file) = self.file(&envelope.transfer, &format!(".{KEY}")) else { return };
        let written = serde_json::to_vec(&(proven.header.node.index, key)).map_err(io::Error::from);
        if let Err(error) = written.and_then(|text| write_whole(&file, &text)) {
            log::warn!("cannot keep the key of a transfer in {}: {error}", file.display());
        }
    }

    /// Keeps that the requests of `header` are cancelled, for processes that come for them later.
    pub(super) fn record_cancel(&self, header: &Header) {
        let Some((file, text)) = self.cancel_file(header) else { return };
        if let Err(error) = write_whole(&file, &text) {
            log::warn!("cannot keep what was cancelled in {}: {error}", file.display());
        }
    }

    /// Keeps that no more.
    pub(super) fn erase_cancel(&self, header: &Header) {
        let Some((file, _)) = self.cancel_file(header) else { return };
        if let Err(error) = std::fs::remove_file(&file) {
            log::warn!("cannot remove {}: {error}", file.display());
        }
    }

    /// A file for each header, so that no two processes write the same, and what is in it.
    fn cancel_file(&self, header: &Header) -> Option<(PathBuf, Vec<u8>)> {
        let envelope = header.envelope.as_ref()?;
        let ids: Vec<&String> = header.node.requests.iter().map(|request| &request.id).collect();
        let text = serde_json::to_vec(&ids).ok()?;
        let unique = blake3::hash(&[&envelope.nonce.0[..], &text].concat()).to_hex();
        Some((self.file(&envelope.transfer, &format!("-{unique}.{CANCELLED}"))?, text))
    }

    /// Whether it is so long ago that old partial files were looked for. If so, it is now.
    pub(super) fn cleaning_is_due(&self, every: Duration) -> bool {
        let Some(folder) = &self.folder else { return false };
        let file = folder.join(CLEANED);
        if !is_old(&file, every) && file.exists() {
            return false;
        }
        // Before the work: processes that come meanwhile shall not do it as well.
        make(folder).and_then(|()| File::create(&file)).is_ok()
    }

    fn forget_old(&self) {
        let Some(folder) = &self.folder else { return };
        let Ok(entries) = folder.read_dir() else { return };
        for file in entries.flatten().map(|entry| entry.path()) {
            let ours = |extension: &OsStr| OURS.iter().any(|ours| extension == *ours);
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

/// A name that no other process, and no other thread of this one, writes to at the same time.
fn unfinished(file: &Path) -> PathBuf {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let (process, number) = (std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed));
    file.with_extension(format!("{process}-{number}.{UNFINISHED}"))
}

/// No process sees half of it: it gets its name when it is whole.
fn write_whole(file: &Path, text: &[u8]) -> io::Result<()> {
    file.parent().map_or(Ok(()), make)?;
    let new = unfinished(file);
    std::fs::write(&new, text)?;
    std::fs::rename(&new, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_writers_share_an_unfinished_file() {
        let (one, other) = (Path::new("/state/t.key"), Path::new("/state/t.results"));
        let names = [unfinished(one), unfinished(other), unfinished(one)];
        assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2], "{names:?}");
        assert!(names.iter().all(|name| name.extension().is_some_and(|extension| extension == UNFINISHED)));
    }

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
