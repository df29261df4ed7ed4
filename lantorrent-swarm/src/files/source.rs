//! What is to become a torrent: a file, or a folder with all that is in it.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::handles::{Handles, OpenFiles};
use super::hashing::piece_hash;
use super::parallel::each_piece;
use super::{FilesError, Progress};
use crate::metainfo::{FILES, Kind, Layout, MetainfoError};

/// Files as they were when they were found. They have to stay like that until they are hashed.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    name: PathBuf,
    is_folder: bool,
    files: Vec<Seen>,
}

/// A file, below the folder. With an empty path it is the source itself.
#[derive(Debug)]
struct Seen {
    path: PathBuf,
    length: u64,
    kind: Kind,
    stamp: Stamp,
}

/// What changes when a file is written to, or replaced.
#[derive(Debug, PartialEq, Eq)]
struct Stamp(u64, u64, u64, i64, i64);

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self(metadata.dev(), metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec())
    }
}

impl Source {
    /// Looks at the file, or into the folder and those in it. Files come in the order of their names, compared byte by
    /// byte and name by name. A symlink at the path itself is followed. Folders without files are left out, as no torrent
    /// can hold them.
    ///
    /// # Errors
    /// Something in the folder is neither file nor folder: whoever fetched the torrent would lack it.
    pub fn find(path: &Path) -> Result<Self, FilesError> {
        let real = fs::canonicalize(path).map_err(|cause| reading(path, cause))?;
        let metadata = fs::metadata(&real).map_err(|cause| reading(path, cause))?;
        // Of what was asked for, not of what a link leads to.
        let name = path.file_name().or(real.file_name()).map(PathBuf::from);
        let root = || FilesError::NotAFile { path: path.to_owned(), what: "the root of all" };
        let mut this = Self {
            path: real.clone(),
            name: name.ok_or_else(root)?,
            is_folder: metadata.is_dir(),
            files: Vec::new(),
        };
        if this.is_folder {
            this.look_into_all()?;
            this.files.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        } else {
            this.add(PathBuf::new(), &metadata)?;
        }
        if this.files.is_empty() {
            return Err(FilesError::Empty { path: path.to_owned() });
        }
        Ok(this)
    }

    fn look_into_all(&mut self) -> Result<(), FilesError> {
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let here = self.path.join(&folder);
            for entry in fs::read_dir(&here).map_err(|cause| reading(&here, cause))? {
                let entry = entry.map_err(|cause| reading(&here, cause))?;
                let path = folder.join(entry.file_name());
                let metadata = entry.metadata().map_err(|cause| reading(&entry.path(), cause))?;
                if metadata.is_dir() { folders.push(path) } else { self.add(path, &metadata)? }
            }
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf, metadata: &Metadata) -> Result<(), FilesError> {
        if !metadata.is_file() {
            let what = if metadata.is_symlink() { "a symlink" } else { "a device, a socket or a FIFO" };
            return Err(FilesError::NotAFile { path: self.path.join(path), what });
        }
        if self.files.len() == FILES {
            return Err(MetainfoError::TooManyFiles { limit: FILES }.into());
        }
        let kind = if metadata.mode() & 0o100 == 0 { Kind::Plain } else { Kind::Executable };
        self.files.push(Seen { path, length: metadata.len(), kind, stamp: Stamp::of(metadata) });
        Ok(())
    }

    /// Bytes of all files.
    pub fn length(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.length))
    }

    /// The files as a torrent has them.
    pub fn layout(&self, piece_length: u32) -> Result<Layout, MetainfoError> {
        match &self.files[..] {
            [file] if !self.is_folder => Layout::of_file(&self.name, file.length, file.kind, piece_length),
            files => {
                let files = files.iter().map(|file| (file.path.clone(), file.length, file.kind));
                Layout::of_folder(&self.name, files, piece_length)
            }
        }
    }

    /// The SHA-1 of all pieces one after another, for [`Draft::build`](crate::metainfo::Draft::build). On all cores, and
    /// with little memory.
    ///
    /// # Errors
    /// A file is no longer what it was when it was found.
    pub fn hash(&self, layout: &Layout, progress: Progress<'_>) -> Result<Vec<u8>, FilesError> {
        let pieces = layout.geometry().pieces();
        let hashes = Mutex::new(vec![0; pieces as usize * 20]);
        let handles = Handles::of(&OpenFiles::default());
        each_piece(pieces, |piece| {
            let open = |number| handles.get(number, || self.open(number));
            let hash = piece_hash(layout, piece, open).map_err(|error| match error {
                FilesError::Short { path } => FilesError::Changed { path },
                error => error,
            })?;
            // Only a panic on another thread, which ends all of this.
            let mut hashes = hashes.lock().map_err(|_| FilesError::Stopped)?;
            hashes[piece as usize * 20..][..20].copy_from_slice(&hash);
            drop(hashes);
            if progress(layout.geometry().size(piece).into()).is_break() {
                return Err(FilesError::Stopped);
            }
            Ok(())
        })?;
        self.check_unchanged()?;
        hashes.into_inner().map_err(|_| FilesError::Stopped)
    }

    fn open(&self, number: usize) -> Result<File, FilesError> {
        let seen = &self.files[number];
        let path = self.path_of(seen);
        let file = File::open(&path).map_err(|cause| reading(&path, cause))?;
        let metadata = file.metadata().map_err(|cause| reading(&path, cause))?;
        if Stamp::of(&metadata) == seen.stamp { Ok(file) } else { Err(FilesError::Changed { path }) }
    }

    fn check_unchanged(&self) -> Result<(), FilesError> {
        for seen in &self.files {
            let path = self.path_of(seen);
            let metadata = fs::symlink_metadata(&path).map_err(|cause| reading(&path, cause))?;
            if Stamp::of(&metadata) != seen.stamp {
                return Err(FilesError::Changed { path });
            }
        }
        Ok(())
    }

    fn path_of(&self, seen: &Seen) -> PathBuf {
        // A path that ends in a slash is that of a folder.
        if seen.path.as_os_str().is_empty() { self.path.clone() } else { self.path.join(&seen.path) }
    }
}

fn reading(path: &Path, cause: std::io::Error) -> FilesError {
    FilesError::Read { path: path.to_owned(), cause }
}
