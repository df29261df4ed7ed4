//! The journal's file, beside the partial file. Whoever touches it holds the lock on the partial file.

use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, OFlags, fstat, renameat, unlinkat};
use rustix::io::Errno;

use super::confine::{READ_WRITE, open_beneath};
use super::identity::is_named;
use super::partial::file_type;

/// The name of a journal that is ours, and the means to remove it.
#[derive(Debug)]
pub(super) struct Beside {
    name: String,
    file: Arc<File>,
}

impl Beside {
    /// Opens what has the name, if that can be a journal. `Ok(None)` when nothing has it; an error when something
    /// does that is to be left alone.
    pub(super) fn open(folder: &File, name: &str) -> io::Result<Option<(Self, Arc<File>)>> {
        let file = match open_beneath(folder, name, READ_WRITE | OFlags::NOFOLLOW) {
            Ok(file) => Arc::new(File::from(file)),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(io::Error::other("there is a symlink")),
            Err(errno) => return Err(errno.into()),
        };
        let stat = fstat(&file)?;
        if file_type(&stat) != FileType::RegularFile || stat.st_nlink > 1 {
            return Err(io::Error::other("there is no file, or one with several names"));
        }
        Ok(Some((Self { name: name.to_owned(), file: Arc::clone(&file) }, file)))
    }

    /// Makes an empty one where there is none.
    pub(super) fn create(folder: &File, name: &str) -> io::Result<(Self, Arc<File>)> {
        let file = open_beneath(folder, name, READ_WRITE | OFlags::CREATE | OFlags::EXCL)?;
        let file = Arc::new(File::from(file));
        Ok((Self { name: name.to_owned(), file: Arc::clone(&file) }, file))
    }

    /// Takes the name of `other`, which is lost by that, at once: whoever looks finds the one or the other.
    pub(super) fn replace(&mut self, folder: &File, other: &Self) -> io::Result<()> {
        if !self.has_its_name(folder) || !other.has_its_name(folder) {
            return Err(io::Error::other("somebody removed or replaced it"));
        }
        renameat(folder, &self.name, folder, &other.name)?;
        self.name.clone_from(&other.name);
        Ok(())
    }

    fn has_its_name(&self, folder: &File) -> bool {
        is_named(folder, &self.name, &self.file)
    }

    /// Removes it, if it still has its name. If that fails, it speaks of a file that is not there, and is removed when
    /// the next one comes or when somebody cleans up.
    pub(super) fn remove(self, folder: &File) {
        if self.has_its_name(folder) {
            let _ = unlinkat(folder, &self.name, AtFlags::empty());
        }
    }
}
