//! Which torrents are known to be whole, so that thousands of them are served at once and none is hashed again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use lantorrent_core::store::{Tree, What};
use sha1::{Digest, Sha1};

use super::FilesError;
use crate::InfoHash;
use crate::metainfo::{Info, Kind};

const MAGIC: &[u8; 16] = b"LANTorrent whl 1";

/// A folder with a small file for each torrent that is whole: what its files looked like then. It is of no use to anybody
/// else, and may be emptied at any time: then torrents are hashed again.
#[derive(Clone, Debug)]
pub struct Records {
    folder: PathBuf,
}

/// The lengths, inodes and times of all files of a torrent, as one hash.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 20]);

impl Fingerprint {
    /// Of the files below `top`. None if one is missing, or has another length.
    pub(super) fn of(
        tree: &Tree,
        info: &Info,
        path: impl Fn(usize) -> PathBuf,
    ) -> Result<Option<Self>, FilesError> {
        let mut hasher = Sha1::new();
        for (number, file) in info.layout().files().iter().enumerate() {
            if file.kind == Kind::Padding {
                continue;
            }
            let found = match tree.find(&path(number))? {
                Some(found) if found.what == What::File && found.length == file.length => found,
                _ => return Ok(None),
            };
            let name = file.path.as_os_str().as_bytes();
            hasher.update((name.len() as u64).to_le_bytes());
            hasher.update(name);
            hasher.update(found.length.to_le_bytes());
            hasher.update(found.inode.to_le_bytes());
            hasher.update(found.modified.to_le_bytes());
        }
        Ok(Some(Self(hasher.finalize().into())))
    }
}

impl Records {
    /// In that folder, which is made if need be.
    pub fn open(folder: &Path) -> Result<Self, FilesError> {
        let failed = |cause| FilesError::Read { path: folder.to_owned(), cause };
        fs::create_dir_all(folder).map_err(failed)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Whether the torrent was whole when its files looked like that.
    pub(super) fn prove(&self, torrent: InfoHash, fingerprint: &Fingerprint) -> bool {
        fs::read(self.path(torrent)).is_ok_and(|record| record == content(torrent, fingerprint))
    }

    /// Takes note that it is.
    pub(super) fn write(&self, torrent: InfoHash, fingerprint: &Fingerprint) -> Result<(), FilesError> {
        let path = self.path(torrent);
        let new = path.with_extension("new");
        let write = || -> io::Result<()> {
            let mut file = File::create(&new)?;
            file.write_all(&content(torrent, fingerprint))?;
            fs::rename(&new, &path)
        };
        write().map_err(|cause| FilesError::Record { path, cause })
    }

    /// Forgets that it was.
    pub(super) fn forget(&self, torrent: InfoHash) -> Result<(), FilesError> {
        let path = self.path(torrent);
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(FilesError::Record { path, cause }),
            _ => Ok(()),
        }
    }

    fn path(&self, torrent: InfoHash) -> PathBuf {
        self.folder.join(torrent.to_string())
    }
}

/// All of a record. What is torn or damaged is not this, and says nothing.
fn content(torrent: InfoHash, fingerprint: &Fingerprint) -> Vec<u8> {
    [&MAGIC[..], &torrent.0, &fingerprint.0].concat()
}
