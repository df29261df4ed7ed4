//! A file on its way: `<name>.lantorrent`, beside the name that it gets when it is whole, and its journal beside both.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use std::sync::Arc;

use rustix::fs::{
    Access, AtFlags, FileType, FlockOperation, OFlags, Stat, accessat, flock, fstat, renameat, statat,
    unlinkat,
};
use rustix::io::Errno;

use super::beside::Beside;
use super::confine::{READ_WRITE, open_beneath};
use super::journal::{Header, Journal};
use super::route::Route;
use super::{ATTEMPTS, JOURNAL_SUFFIX, NEXT_JOURNAL_SUFFIX, PARTIAL_SUFFIX, Remains, StoreError};

/// The names of a partial file and its journal, and the duty to rename or remove them. Dropping it removes the files,
/// so it must be dropped while the lock on the partial file is held.
#[derive(Debug)]
pub(super) struct Partial {
    route: Route,
    folder: Arc<File>,
    name_until_whole: String,
    id: FileId,
    journal: Option<Beside>,
    /// What became of it, once something did.
    settled: Option<Remains>,
}

/// What tells a file from every other one, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(super) fn of(stat: &Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

impl Partial {
    /// Opens and locks the partial file for what is at the end of `route`. One that nobody has locked is what a killed
    /// process left, and is taken over as it is.
    pub(super) fn open(route: Route) -> Result<(Self, OwnedFd), StoreError> {
        let folder = route.open_folder()?;
        let path = route.path();
        refuse_irreplaceable(&folder, route.name(), path)?;
        let partial = format!("{}{PARTIAL_SUFFIX}", route.name());
        let beside = path.with_file_name(&partial);
        let opening = |errno: Errno| StoreError::opening(&beside, errno);

        for _ in 0..ATTEMPTS {
            let file = open_plain(&folder, &partial, OFlags::CREATE, &beside)?;
            lock(&file, path)?;
            // Asked under the lock: only now does nobody of our kind rename or remove it any more.
            let stat = fstat(&file).map_err(opening)?;
            let id = FileId::of(&stat);
            if id_of_name(&folder, &partial) != Some(id) {
                continue;
            }
            refuse_several_names(&stat, &beside)?;
            let folder = Arc::new(folder);
            let name_until_whole = partial;
            return Ok((Self { route, folder, name_until_whole, id, journal: None, settled: None }, file));
        }
        Err(StoreError::InUse { path: path.to_owned() })
    }

    pub(super) fn route(&self) -> &Route {
        &self.route
    }

    pub(super) fn folder(&self) -> &Arc<File> {
        &self.folder
    }

    /// The journal that is there already, if it is about these bytes.
    pub(super) fn find_journal(&mut self, header: &Header) -> Option<Journal> {
        // What is to be left alone is spoken of when a new one is wanted.
        let (beside, file) = Beside::open(&self.folder, &self.journal_name()).ok()??;
        let journal = Journal::load(file, header)?;
        self.journal = Some(beside);
        Some(journal)
    }

    /// A new journal, in a new file: who still reads the old one finds there what he knows.
    pub(super) fn make_journal(&mut self, header: &Header) -> io::Result<Journal> {
        self.forget_journal()?;
        let (beside, file) = Beside::create(&self.folder, &self.journal_name())?;
        self.journal = Some(beside);
        Journal::begin(file, header).inspect_err(|_| self.remove_journal())
    }

    /// An empty journal beside the one that is there, to [replace](Self::replace_journal) it once it says as much.
    pub(super) fn make_next_journal(&self, header: &Header) -> io::Result<(Beside, Journal)> {
        let (beside, file) = Beside::create(&self.folder, &self.next_journal_name())?;
        match Journal::begin(file, header) {
            Ok(journal) => Ok((beside, journal)),
            Err(error) => {
                beside.remove(&self.folder);
                Err(error)
            }
        }
    }

    /// Has the next journal take the place of the one that was found.
    pub(super) fn replace_journal(&mut self, mut next: Beside) -> io::Result<()> {
        let replaced = match &self.journal {
            Some(journal) => next.replace(&self.folder, journal),
            None => Err(io::Error::other("there is none to replace")),
        };
        match replaced {
            Ok(()) => self.journal = Some(next),
            Err(_) => next.remove(&self.folder),
        }
        replaced
    }

    /// Removes a next journal that somebody did not get ready.
    pub(super) fn forget_next_journal(&self) {
        // What is to be left alone is spoken of when one is wanted.
        if let Ok(Some((stale, _))) = Beside::open(&self.folder, &self.next_journal_name()) {
            stale.remove(&self.folder);
        }
    }

    /// Removes a journal that somebody left.
    pub(super) fn forget_journal(&mut self) -> io::Result<()> {
        self.journal = None;
        if let Some((stale, _)) = Beside::open(&self.folder, &self.journal_name())? {
            stale.remove(&self.folder);
        }
        Ok(())
    }

    fn remove_journal(&mut self) {
        if let Some(journal) = self.journal.take() {
            journal.remove(&self.folder);
        }
    }

    fn journal_name(&self) -> String {
        format!("{}{JOURNAL_SUFFIX}", self.route.name())
    }

    fn next_journal_name(&self) -> String {
        format!("{}{NEXT_JOURNAL_SUFFIX}", self.route.name())
    }

    /// Leaves everything where it is, for somebody who goes on with it.
    pub(super) fn keep(&mut self) {
        self.settled.get_or_insert(Remains::Partial);
    }

    /// Refuses to go on in a folder to which the path does not lead any more, and leaves everything there as it is.
    pub(super) fn check_folder(&mut self, file: &File) -> Result<(), StoreError> {
        let checked = self.route.check_folder(&self.folder, file);
        checked.inspect_err(|_| self.keep())
    }

    /// Gives the file its name, in place of whatever had it.
    pub(super) fn place(&mut self) -> io::Result<()> {
        if id_of_name(&self.folder, &self.name_until_whole) != Some(self.id) {
            self.settled = Some(Remains::Foreign);
            return Err(io::Error::other("somebody removed or replaced the partial file"));
        }
        renameat(&self.folder, &self.name_until_whole, &self.folder, self.route.name())?;
        self.settled = Some(Remains::Placed);
        // A rename goes by name. Whoever took that in the last instant must not pass for us.
        if id_of_name(&self.folder, self.route.name()) != Some(self.id) {
            self.settled = Some(Remains::Foreign);
            return Err(io::Error::other("somebody replaced the file while it was being renamed"));
        }
        Ok(())
    }

    /// Makes the new name durable.
    pub(super) fn sync_name(&self) -> io::Result<()> {
        self.folder.sync_all()
    }

    /// Removes the files if they are still there and ours, and says what is left. The journal stays with a partial
    /// file that stays, as without it nobody would dare to remove that.
    pub(super) fn remove(&mut self) -> Remains {
        let remains = self.settled.unwrap_or_else(|| self.remove_partial());
        self.settled = Some(remains);
        if remains != Remains::Partial {
            self.remove_journal();
        }
        remains
    }

    fn remove_partial(&self) -> Remains {
        if id_of_name(&self.folder, &self.name_until_whole) != Some(self.id) {
            Remains::Foreign
        } else if unlinkat(&self.folder, &self.name_until_whole, AtFlags::empty()).is_ok() {
            Remains::Nothing
        } else {
            Remains::Partial
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Opens a regular file, and nothing else that may have its name.
pub(super) fn open_plain(
    folder: impl AsFd,
    name: &str,
    flags: OFlags,
    path: &Path,
) -> Result<OwnedFd, StoreError> {
    let refuse = |what| Err(StoreError::NotAFile { path: path.to_owned(), what });
    let file = match open_beneath(folder, name, READ_WRITE | OFlags::NOFOLLOW | flags) {
        Ok(file) => file,
        Err(Errno::LOOP) => return refuse("a symlink"),
        Err(Errno::ISDIR) => return refuse("a folder"),
        Err(Errno::NXIO) => return refuse("a socket or an unknown device"),
        Err(errno) => return Err(StoreError::opening(path, errno)),
    };
    let stat = fstat(&file).map_err(|errno| StoreError::opening(path, errno))?;
    if file_type(&stat) != FileType::RegularFile {
        return refuse("a device or a FIFO");
    }
    Ok(file)
}

pub(super) fn refuse_several_names(stat: &Stat, path: &Path) -> Result<(), StoreError> {
    if stat.st_nlink == 1 {
        return Ok(());
    }
    let what = "a file with several names, of which only one would be renamed";
    Err(StoreError::NotAFile { path: path.to_owned(), what })
}

/// Refuses a folder in which no files can be made or renamed.
pub(super) fn may_make_files(folder: impl AsFd, path: &Path) -> Result<(), StoreError> {
    accessat(folder, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
        .map_err(|errno| StoreError::opening(path, errno))
}

/// Takes the lock that keeps everybody else of our kind off the file, until its last descriptor is closed.
pub(super) fn lock(file: impl AsFd, path: &Path) -> Result<(), StoreError> {
    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| StoreError::opening(path, errno))
}

/// Gives the lock up while there are still descriptors of the file.
pub(super) fn unlock(file: impl AsFd) {
    // Nothing can be wrong with an open file; and at the latest with the last descriptor the lock goes anyway.
    let _ = flock(file, FlockOperation::Unlock);
}

pub(super) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Refuses what a rename could not, or should not replace. It would fail for a folder, after the whole transfer; and
/// a device would be gone, with the file on the wrong disk.
pub(super) fn refuse_irreplaceable(folder: impl AsFd, name: &str, path: &Path) -> Result<(), StoreError> {
    let what = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(StoreError::opening(path, errno)),
        Ok(stat) => match file_type(&stat) {
            FileType::RegularFile | FileType::Symlink => return Ok(()),
            FileType::Directory => "a folder",
            _ => "no regular file, so it is not replaced by one (rename: false writes to a device)",
        },
    };
    Err(StoreError::NotAFile { path: path.to_owned(), what })
}

/// Whether `name` is that of the open file, and no other name is.
pub(super) fn still_named(folder: impl AsFd, name: &str, file: impl AsFd) -> bool {
    fstat(file).is_ok_and(|stat| stat.st_nlink == 1 && id_of_name(folder, name) == Some(FileId::of(&stat)))
}

pub(super) fn id_of_name(folder: impl AsFd, name: &str) -> Option<FileId> {
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok().map(|stat| FileId::of(&stat))
}
