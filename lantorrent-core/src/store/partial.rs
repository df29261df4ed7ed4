//! A file on its way: `<name>.lantorrent`, beside the name that it gets when it is whole, and its journal beside both.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{
    Access, AtFlags, FileType, Mode, OFlags, RenameFlags, Stat, accessat, fstat, openat, renameat,
    renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use super::alias::refuse_other_name;
use super::beside::Beside;
use super::confine::{READ_WRITE, open_beneath};
use super::identity::is_named;
use super::journal::{Header, Journal};
use super::lock::Lock;
use super::route::Route;
use super::{
    ATTEMPTS, JOURNAL_SUFFIX, NEXT_JOURNAL_SUFFIX, PARTIAL_SUFFIX, Remains, StoreError, sync_folder,
};

/// The names of a partial file and its journal, and the duty to rename or remove them. Dropping it removes the files,
/// so it must be dropped while the lock on the partial file is held.
#[derive(Debug)]
pub(super) struct Partial {
    route: Route,
    folder: Arc<File>,
    name_until_whole: String,
    file: Arc<File>,
    journal: Option<Beside>,
    /// None once it was let go.
    lock: Option<Lock>,
    /// Nobody else can be writing to the file, whatever machine it is on: it is locked, or was made here under a name that
    /// was free.
    is_ours_alone: bool,
    /// What became of it, once something did.
    settled: Option<Remains>,
}

impl Partial {
    /// Opens and locks the partial file for what is at the end of `route`. One that nobody has locked is what a killed
    /// process left, and is taken over as it is.
    pub(super) fn open(route: Route) -> Result<(Self, Arc<File>), StoreError> {
        let folder = route.open_folder()?;
        let path = route.path();
        refuse_irreplaceable(&folder, route.name(), path)?;
        let partial = format!("{}{PARTIAL_SUFFIX}", route.name());
        let beside = path.with_file_name(&partial);
        let opening = |errno: Errno| StoreError::opening(&beside, errno);

        for _ in 0..ATTEMPTS {
            let Some((file, is_new)) = open_or_make(&folder, &partial, &beside)? else { continue };
            let lock = Lock::take(&file, path)?;
            // Asked under the lock: only now does nobody of our kind rename or remove it any more.
            if !is_named(&folder, &partial, &file) {
                continue;
            }
            refuse_several_names(&fstat(&file).map_err(opening)?, &beside)?;
            let file = Arc::new(File::from(file));
            let (folder, name_until_whole) = (Arc::new(folder), partial);
            let (is_ours_alone, lock) = (is_new || lock.is_for_all(), Some(lock));
            let (journal, settled) = (None, None);
            let own = Arc::clone(&file);
            let this =
                Self { route, folder, name_until_whole, file: own, journal, lock, is_ours_alone, settled };
            return Ok((this, file));
        }
        Err(StoreError::InUse { path: path.to_owned() })
    }

    /// Whether nobody else can be writing to the file. Else it is one that another machine may be writing as well, without
    /// a lock to tell: such a one is neither cut nor emptied.
    pub(super) fn is_ours_alone(&self) -> bool {
        self.is_ours_alone
    }

    /// Empties the file, or where another machine may be writing to it gives a new one its name and returns that.
    pub(super) fn empty(&mut self) -> io::Result<Option<Arc<File>>> {
        if self.is_ours_alone {
            return resize(&self.file, 0).map(|()| None);
        }
        if self.has_name(&self.name_until_whole) {
            unlinkat(&self.folder, &self.name_until_whole, AtFlags::empty())?;
        }
        let flags = READ_WRITE | OFlags::CREATE | OFlags::EXCL;
        let new = open_beneath(&self.folder, &self.name_until_whole, flags).map_err(|errno| match errno {
            // Another machine was faster: it is in use.
            Errno::EXIST => Errno::WOULDBLOCK,
            errno => errno,
        })?;
        let lock = Lock::take(&new, self.route.path()).map_err(io::Error::other)?;
        self.file = Arc::new(File::from(new));
        (self.lock, self.is_ours_alone) = (Some(lock), true);
        Ok(Some(Arc::clone(&self.file)))
    }

    fn has_name(&self, name: &str) -> bool {
        is_named(&self.folder, name, &self.file)
    }

    /// Lets somebody else take the file up while there are still descriptors of it.
    pub(super) fn let_go(&mut self) {
        self.keep();
        if let Some(lock) = self.lock.take() {
            lock.release(&self.file);
        }
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
    pub(super) fn check_folder(&mut self) -> Result<(), StoreError> {
        let checked = self.route.check_folder(&self.folder, &self.file);
        checked.inspect_err(|_| self.keep())
    }

    /// Refuses to replace what has come under another name meanwhile, see [`refuse_other_name`].
    pub(super) fn check_name(&self) -> Result<(), StoreError> {
        refuse_other_name(&self.folder, self.route.name(), self.route.path())
    }

    /// Gives the file its name, in place of whatever had it.
    pub(super) fn place(&mut self) -> io::Result<()> {
        if !self.has_name(&self.name_until_whole) {
            self.settled = Some(Remains::Foreign);
            return Err(io::Error::other("somebody removed or replaced the partial file"));
        }
        renameat(&self.folder, &self.name_until_whole, &self.folder, self.route.name())?;
        self.settled = Some(Remains::Placed);
        // A rename goes by name. Whoever took that in the last instant must not pass for us.
        if !self.has_name(self.route.name()) {
            self.settled = Some(Remains::Foreign);
            self.give_back();
            return Err(io::Error::other("somebody replaced the file while it was being renamed"));
        }
        Ok(())
    }

    /// Without locks, what was renamed may be what another machine has just begun to write: it gets its name again.
    fn give_back(&self) {
        if self.lock.as_ref().is_some_and(|lock| !lock.is_for_all()) {
            let flags = RenameFlags::NOREPLACE;
            let (folder, name) = (&self.folder, self.route.name());
            let _ = renameat_with(folder, name, folder, &self.name_until_whole, flags);
        }
    }

    /// Makes the new name durable.
    pub(super) fn sync_name(&self) -> io::Result<()> {
        sync_folder(&self.folder).map(|_| ())
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
        if !self.has_name(&self.name_until_whole) {
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

/// Opens a regular file, or makes it. Says whether it was made. None where it went just now.
fn open_or_make(folder: &File, name: &str, path: &Path) -> Result<Option<(OwnedFd, bool)>, StoreError> {
    match open_beneath(folder, name, READ_WRITE | OFlags::CREATE | OFlags::EXCL) {
        Ok(file) => return Ok(Some((file, true))),
        Err(Errno::EXIST) => {}
        Err(errno) => return Err(StoreError::making(path, Path::new(name), errno)),
    }
    // Where the kernel takes two names of one file for two files, no lock keeps them apart.
    refuse_other_name(folder, name, path)?;
    match open_plain(folder, name, OFlags::empty(), path) {
        Ok(file) => Ok(Some((file, false))),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Gives a file that length, if it has another one. Where the file system makes no file longer, the last byte is written.
pub fn resize(file: &File, length: u64) -> io::Result<()> {
    let before = file.metadata()?.len();
    if before == length {
        return Ok(());
    }
    let resized = file.set_len(length);
    let is_refused = |error: &io::Error| {
        use Errno as E;
        matches!(Errno::from_io_error(error), Some(E::PERM | E::INVAL | E::OPNOTSUPP | E::NOSYS | E::ACCESS))
    };
    match resized {
        Err(error) if length > before && is_refused(&error) => file.write_all_at(&[0], length - 1),
        resized => resized,
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
        Err(errno) => return Err(StoreError::looking(path, Path::new(name), errno)),
    };
    let stat = fstat(&file).map_err(|errno| StoreError::opening(path, errno))?;
    if file_type(&stat) != FileType::RegularFile {
        return refuse("a device or a FIFO");
    }
    Ok(file)
}

pub(super) fn refuse_several_names(stat: &Stat, path: &Path) -> Result<(), StoreError> {
    // Some file systems count no names, and say 0.
    if stat.st_nlink <= 1 {
        return Ok(());
    }
    let what = "a file with several names, of which only one would be renamed";
    Err(StoreError::NotAFile { path: path.to_owned(), what })
}

/// Refuses a folder in which no files can be made or renamed.
pub(super) fn may_make_files(folder: impl AsFd, path: &Path) -> Result<(), StoreError> {
    let asked = accessat(&folder, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS);
    let Err(answer) = asked else { return Ok(()) };
    // A sandbox may not know the question, and a server may not know the answer. A file without a name shows it.
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let errno = match openat(&folder, ".", flags, Mode::RUSR | Mode::WUSR) {
        Err(errno @ (Errno::ACCESS | Errno::PERM | Errno::ROFS)) => errno,
        // Not every file system has those.
        Err(_) if matches!(answer, Errno::ACCESS | Errno::ROFS) => answer,
        // It can be made; or nothing is known, and opening the file will tell.
        Ok(_) | Err(_) => return Ok(()),
    };
    Err(StoreError::opening(path, errno))
}

pub(super) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Refuses what a rename could not, or should not replace. It would fail for a folder, after the whole transfer; and
/// a device would be gone, with the file on the wrong disk.
pub(super) fn refuse_irreplaceable(folder: &File, name: &str, path: &Path) -> Result<(), StoreError> {
    let what = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(StoreError::looking(path, Path::new(name), errno)),
        Ok(stat) => match file_type(&stat) {
            FileType::RegularFile | FileType::Symlink => return refuse_other_name(folder, name, path),
            FileType::Directory => "a folder",
            _ => "no regular file, so it is not replaced by one (rename: false writes to a device)",
        },
    };
    Err(StoreError::NotAFile { path: path.to_owned(), what })
}

/// Whether `name` is that of the open file, and no other name is.
pub(super) fn still_named(folder: impl AsFd, name: &str, file: impl AsFd) -> bool {
    fstat(&file).is_ok_and(|stat| stat.st_nlink <= 1) && is_named(folder, name, file)
}

#[cfg(test)]
mod tests;
