//! Where the database is: finds its file, or makes one, and locks it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use lantorrent_core::store::{Identity, Lock, StoreError, resize, sync_file, sync_folder};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::disk::{Disk, Latest};
use super::{open_database, write};
use crate::exit::Failure;

/// How long an agent may take to let go of the file that has been told to stop.
const PATIENCE: Duration = Duration::from_secs(2);

/// Which file the database is in, and the path under which the next start will look for it.
#[derive(Debug, Clone)]
pub(crate) struct Whereabouts {
    path: PathBuf,
    /// The writer lets go of it, and of its lock.
    file: Weak<File>,
}

impl Whereabouts {
    pub(super) fn of(path: &Path, file: &Arc<File>) -> Self {
        Self { path: path.to_owned(), file: Arc::downgrade(file) }
    }

    /// Fails if the path leads to another file by now, or to none: what is kept in this one, the next start would not find.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Some(file) = self.file.upgrade().filter(|file| renamed_meanwhile(file, &self.path)) else {
            return Ok(());
        };
        let (path, open) = (self.path.display(), format!("/proc/{}/fd/{}", process::id(), file.as_raw_fd()));
        let place = fs::read_link(&open).map_or_else(|_| open.clone(), |place| place.display().to_string());
        Err(format!(
            "the queue {path} was moved, removed or replaced: what is open is {place}, which the next start would not find; \
             move it back, or copy {open} to {path} and start the agent again"
        ))
    }
}

/// Opens the file and locks it. Where there is none, one is made, with a database without requests.
pub(super) fn open(path: &Path) -> Result<(File, Lock), Failure> {
    let failed = |error: io::Error| {
        Failure::local(format_args!("cannot open the queue {}: {error}", path.display()), advice(&error))
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(metadata) => {
            let what = if metadata.is_dir() { "a folder" } else { "no regular file" };
            return Err(Failure::usage(
                format_args!("the queue {} is {what}", path.display()),
                "name a file in `[db] file` of lt.ini",
            ));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => make(path)?,
        Err(error) => return Err(failed(error)),
    }
    let file = OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
    let lock = lock(&file, path)?;
    Ok((file, lock))
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "let the agent's user read and write it, or name another in `[db] file` of lt.ini"
        }
        ErrorKind::ReadOnlyFilesystem => "name a file on a disk that can be written in `[db] file` of lt.ini",
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            "make its folder, or name another in `[db] file` of lt.ini"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make space on that disk",
        _ => "name another in `[db] file` of lt.ini",
    }
}

fn lock(file: &File, path: &Path) -> Result<Lock, Failure> {
    let until = Instant::now() + PATIENCE;
    loop {
        match Lock::take(file, path) {
            Ok(lock) => return Ok(lock),
            Err(StoreError::InUse { .. }) if Instant::now() < until => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(StoreError::InUse { .. }) => {
                return Err(Failure::local(
                    format_args!("another agent has the queue {} open", path.display()),
                    "stop it, or name another file in `[db] file` of lt.ini",
                ));
            }
            Err(error) => {
                let what = format_args!("cannot lock the queue {}: {error}", path.display());
                return Err(Failure::local(what, "name another file in `[db] file` of lt.ini"));
            }
        }
    }
}

/// Makes a database. It gets its name when it is whole, so that there is never one that is not.
fn make(path: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        Failure::local(format_args!("cannot make the queue {}: {error}", path.display()), advice(&error))
    };
    let unborn = beside(path);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        // Who asked for what is nobody else's business.
        .mode(0o600)
        .open(&unborn)
        .map_err(failed)?;
    // Two agents may be started at once: only one of them makes it.
    let _lock = lock(&file, &unborn)?;
    // Another agent has made its database of this file while it was waited for.
    if renamed_meanwhile(&file, &unborn) {
        return Ok(());
    }
    fill(file).and_then(|()| give_name(&unborn, path)).map_err(|error| {
        // Nobody wants it, and the error is what counts.
        let _ = fs::remove_file(&unborn);
        failed(error)
    })
}

/// Puts a database without requests into the file, whatever is in it.
fn fill(file: File) -> io::Result<()> {
    resize(&file, 0)?;
    let file = Arc::new(file);
    let disk = Disk { file: Arc::clone(&file), latest: Latest::Named };
    let made = open_database(disk).and_then(|database| {
        write(&database, [])?;
        Ok(database.close()?)
    });
    made.map_err(|error| match error {
        redb::Error::Io(error) => error,
        error => io::Error::other(error),
    })?;
    sync_file(&file).map(|_| ())
}

fn give_name(unborn: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, unborn, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => {}
        // Somebody else was faster: theirs it is.
        Err(Errno::EXIST) => fs::remove_file(unborn)?,
        // Not every file system can do it without replacing, nor does every sandbox let it.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
            if fs::exists(path)? {
                fs::remove_file(unborn)?;
            } else {
                fs::rename(unborn, path)?;
            }
        }
        Err(errno) => return Err(errno.into()),
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_folder(&File::open(folder)?).map(|_| ())
}

/// Whether the path does not lead to this file any more.
fn renamed_meanwhile(file: &File, path: &Path) -> bool {
    match (Identity::of_file(file), Identity::of_path(path)) {
        (Ok(own), Ok(there)) => own != there,
        _ => true,
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}
