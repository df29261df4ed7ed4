//! Why a file cannot be written, sorted by what the caller will say about it.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use thiserror::Error;

use super::space;

/// Why a request for a file failed, or why the roots cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The path may not be written, whatever is there: outside the roots, or not of a form that is accepted.
    #[error("not allowed to write {path:?}: {why}")]
    NotAllowed {
        /// The path as requested.
        path: PathBuf,
        /// Which rule it breaks.
        why: &'static str,
    },
    /// The path, or a name in it, is longer than Linux takes.
    #[error(
        "the path that begins with {start:?} is too long: {part} has {length} bytes, at most {limit} can be"
    )]
    TooLong {
        /// The first characters of the path. All of it would be too long for a message, too.
        start: String,
        /// What of it is too long.
        part: &'static str,
        /// How many bytes that has.
        length: usize,
        /// How many it may have.
        limit: usize,
    },
    /// Something is at the path that is never written to, such as a folder or a FIFO.
    #[error("cannot write to {path:?}: it is {what}")]
    NotAFile {
        /// The path, or that of the partial file.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// A file is there under another name that its file system takes for the same.
    #[error(
        "cannot write {path:?}: its file system takes that name for {there:?}, which is there; remove that, or ask for it by \
         its own name"
    )]
    OtherName {
        /// The path as requested.
        path: PathBuf,
        /// The path of what is there.
        there: PathBuf,
    },
    /// The system refused to open or to create it.
    #[error("cannot open {path:?}: {cause}")]
    CannotOpen {
        /// The path as requested.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The root below which it is allowed is not there, or no folder any more.
    #[error(
        "cannot open {path:?}: its root {root:?} cannot be opened: {cause}; nothing can be written below it until it is \
         there again"
    )]
    NoRoot {
        /// The path as requested.
        path: PathBuf,
        /// The root as configured.
        root: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The path does not lead to what was written for it: a disk was mounted or unmounted, or a folder on the way was
    /// renamed or replaced. What was written stays where it is.
    #[error(
        "{path:?} does not lead to the file that was written for it, but {found}; that file is {place} and was left there"
    )]
    Elsewhere {
        /// The path as requested.
        path: PathBuf,
        /// Where it leads.
        found: String,
        /// Where the file is.
        place: String,
    },
    /// Another process, or another request of this one, is writing it.
    #[error("{path:?} is in use: somebody else is writing it, or has locked it")]
    InUse {
        /// The path as requested.
        path: PathBuf,
    },
    /// Whoever asked for it let it go before it was open. A partial file and its journal are as they were.
    #[error("{path:?} is not wanted any more; what there is of it was left as it is")]
    NotWanted {
        /// The path as requested.
        path: PathBuf,
    },
    /// The disk, the device, the quota or the file system is too small for it.
    #[error("no space for {path:?}: {needed} bytes needed, {}{remains}", Available(*available, *quota))]
    NoSpace {
        /// The path as requested.
        path: PathBuf,
        /// How many bytes were asked for: those the file needs on top of what it has, or, when it happened while
        /// writing, those up to the end of what was being written.
        needed: u64,
        /// How many there are, where that is known.
        available: Option<u64>,
        /// Whether it is the user's quota that is used up, and not the disk.
        quota: bool,
        /// What is left of the file.
        remains: Remains,
    },
    /// No file can be that long here: this process may not make one (`RLIMIT_FSIZE`), or the file system has none.
    #[error("file too large: {path:?} would have {needed} bytes{}{remains}", Most(*limit))]
    TooLarge {
        /// The path as requested.
        path: PathBuf,
        /// How many bytes the file would have.
        needed: u64,
        /// `RLIMIT_FSIZE`, where that is the reason.
        limit: Option<u64>,
        /// What is left of the file.
        remains: Remains,
    },
    /// The system failed to write it, to sync it or to put it in its place.
    #[error("cannot write {path:?}: {cause}{remains}")]
    CannotWrite {
        /// The path as requested.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
        /// What is left of the file.
        remains: Remains,
    },
    /// A root cannot be used. The configuration is to be changed.
    #[error("cannot use {root:?} as a place for files: {why}")]
    BadRoot {
        /// The root as configured.
        root: PathBuf,
        /// What is wrong with it and what to do.
        why: String,
    },
}

/// What a failure left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Remains {
    /// The output is still open: what it ends with decides.
    Open,
    /// Nothing: the partial file was removed, or there was none yet.
    Nothing,
    /// The partial file is ours and could not be removed.
    Partial,
    /// Somebody else removed or replaced our partial file. What bears the name now was left alone.
    Foreign,
    /// A file, device or part of it written in place, which is not whole.
    InPlace,
    /// The whole file, in its place, which might not survive a power failure.
    Placed,
}

impl fmt::Display for Remains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "",
            Self::Nothing => "; nothing of it is left",
            Self::Partial => "; the partial file could not be removed",
            Self::Foreign => "; what bears the name now is not ours and was left alone",
            Self::InPlace => "; what is there now is not whole",
            Self::Placed => "; the file is in its place, and might not survive a power failure",
        })
    }
}

struct Available(Option<u64>, bool);

impl fmt::Display for Available {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.1) {
            (Some(bytes), _) => write!(f, "{bytes} available"),
            (None, false) => f.write_str("not all of them available"),
            (None, true) => f.write_str("not all of them left of the quota"),
        }
    }
}

struct Most(Option<u64>);

impl fmt::Display for Most {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(limit) => write!(
                f,
                ", and RLIMIT_FSIZE of the process that writes it is {limit}; raise `ulimit -f` or LimitFSIZE= there"
            ),
            None => f.write_str(", which is more than its file system takes"),
        }
    }
}

impl StoreError {
    /// A refusal to open `path`.
    pub(super) fn opening(path: &Path, cause: impl Into<io::Error>) -> Self {
        let (path, cause) = (path.to_owned(), cause.into());
        match errno(&cause) {
            Some(Errno::XDEV) => {
                Self::NotAllowed { path, why: "a symlink on the way leads out of the allowed folder" }
            }
            // EBUSY: a device that is mounted or belongs to another one.
            Some(Errno::WOULDBLOCK | Errno::BUSY) => Self::InUse { path },
            Some(full @ (Errno::NOSPC | Errno::DQUOT)) => {
                let (quota, remains) = (full == Errno::DQUOT, Remains::Nothing);
                Self::NoSpace { path, needed: 1, available: None, quota, remains }
            }
            _ => Self::CannotOpen { path, cause },
        }
    }

    /// A refusal to make a file, which may be about its `name` or one on the way to it.
    pub(super) fn making(path: &Path, name: &Path, errno: Errno) -> Self {
        let parts = || name.iter().map(OsStr::to_string_lossy);
        let cause = io::Error::from(errno);
        let why = match (errno, parts().find_map(|part| unusual(&part))) {
            (Errno::NAMETOOLONG, _) => format!(
                "{cause}: its name has {} bytes, what is added until it is whole included; ask for a shorter one",
                name.iter().map(OsStr::len).max().unwrap_or_default()
            ),
            (Errno::INVAL | Errno::ILSEQ | Errno::NOENT | Errno::PERM | Errno::IO, Some(sign)) => format!(
                "{cause}; its file system may not take {sign:?} in a name or at its end: ask for another name"
            ),
            _ => return Self::opening(path, errno),
        };
        Self::CannotOpen { path: path.to_owned(), cause: io::Error::other(why) }
    }

    /// A refusal to look for `name`, where only some errors can be about that.
    pub(super) fn looking(path: &Path, name: &Path, errno: Errno) -> Self {
        match errno {
            Errno::INVAL | Errno::ILSEQ | Errno::NAMETOOLONG => Self::making(path, name, errno),
            errno => Self::opening(path, errno),
        }
    }

    /// Whether it is only that too many files are open, in this process or on this machine.
    pub fn lacks_descriptors(&self) -> bool {
        matches!(self, Self::CannotOpen { cause, .. } | Self::NoRoot { cause, .. }
            if Self::is_about_descriptors(cause))
    }

    /// Whether the system says so.
    pub fn is_about_descriptors(cause: &io::Error) -> bool {
        matches!(errno(cause), Some(Errno::MFILE | Errno::NFILE))
    }

    /// Whether it is no more than that nothing is there.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::CannotOpen { cause, .. } if errno(cause) == Some(Errno::NOENT))
    }

    /// A failure of writing `path` up to the offset `needed`.
    pub(super) fn writing(path: &Path, needed: u64, cause: impl Into<io::Error>) -> Self {
        let (path, cause, remains) = (path.to_owned(), cause.into(), Remains::Open);
        match errno(&cause) {
            Some(full @ (Errno::NOSPC | Errno::DQUOT)) => {
                Self::NoSpace { path, needed, available: None, quota: full == Errno::DQUOT, remains }
            }
            Some(Errno::FBIG) => Self::TooLarge { path, needed, limit: space::limit(needed), remains },
            _ => Self::CannotWrite { path, cause, remains },
        }
    }

    /// The same error, said when it is known what is left of the file.
    pub(super) fn leaving(mut self, what: Remains) -> Self {
        if let Self::NoSpace { remains, .. }
        | Self::TooLarge { remains, .. }
        | Self::CannotWrite { remains, .. } = &mut self
        {
            *remains = what;
        }
        self
    }
}

/// What of a name some file systems do not take, as those of other systems.
fn unusual(name: &str) -> Option<char> {
    let is_unusual =
        |sign: &char| !sign.is_ascii() || sign.is_ascii_control() || "\"*:<>?\\|".contains(*sign);
    // What is asked for may end in a dot; what is added to it does not.
    let end = name.strip_suffix(super::PARTIAL_SUFFIX).unwrap_or(name).chars().next_back();
    name.chars().find(is_unusual).or(end.filter(|sign| matches!(sign, '.' | ' ')))
}

fn errno(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(errno: Errno) -> StoreError {
        StoreError::opening(Path::new("/srv/a"), errno)
    }

    fn writing(errno: Errno) -> StoreError {
        StoreError::writing(Path::new("/srv/a"), 7, errno)
    }

    #[test]
    fn causes_become_variants() {
        assert!(matches!(opening(Errno::XDEV), StoreError::NotAllowed { .. }));
        assert!(matches!(opening(Errno::BUSY), StoreError::InUse { .. }));
        assert!(matches!(opening(Errno::NOSPC), StoreError::NoSpace { .. }));
        assert!(matches!(opening(Errno::ACCESS), StoreError::CannotOpen { .. }));
        assert!(matches!(writing(Errno::FBIG), StoreError::TooLarge { needed: 7, limit: None, .. }));
        for full in [Errno::NOSPC, Errno::DQUOT] {
            assert!(matches!(writing(full), StoreError::NoSpace { needed: 7, available: None, .. }));
        }
        assert!(matches!(writing(Errno::IO), StoreError::CannotWrite { .. }));
    }

    #[test]
    fn names_that_a_file_system_refuses_are_told() {
        let making = |name: &str, errno| {
            let path = Path::new("/srv").join(name);
            StoreError::making(&path, &path, errno).to_string()
        };
        assert!(making("a:b.lantorrent", Errno::INVAL).contains("':'"));
        assert!(making("caf\u{e9}.lantorrent", Errno::PERM).contains("'\u{e9}'"));
        assert!(making("a..lantorrent", Errno::NOENT).contains("'.'"));
        assert!(making("a.lantorrent", Errno::INVAL).ends_with("Invalid argument (os error 22)"));
        assert!(making("a:b", Errno::ACCESS).ends_with("Permission denied (os error 13)"));
        assert!(making(&"x".repeat(150), Errno::NAMETOOLONG).contains("150 bytes"));
    }

    #[test]
    fn messages_name_the_path_the_cause_and_the_remains() {
        let text = writing(Errno::IO).leaving(Remains::Nothing).to_string();
        assert!(text.starts_with("cannot write \"/srv/a\": Input/output error"), "{text}");
        assert!(text.ends_with("; nothing of it is left"), "{text}");
        assert!(writing(Errno::DQUOT).to_string().contains("quota"));
        let text = StoreError::opening(Path::new("/srv/\u{1b}[2J"), Errno::ACCESS).to_string();
        assert!(!text.contains('\u{1b}'), "control characters of a peer are escaped: {text}");
    }
}
