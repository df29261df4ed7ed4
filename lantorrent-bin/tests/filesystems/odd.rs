//! A small file system in memory that is odd in one chosen way: it refuses a call, mistakes names for one another, is
//! full, numbers its files anew, or hangs.

mod calls;
mod memory;
mod program;

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use fuser::{BackgroundSession, Config, Errno, MountOption};
use tempfile::TempDir;

use memory::State;
use program::Program;

/// What can be asked of a file system, and refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Access,
    Chmod,
    Fallocate,
    /// Locks of whole files, and of records.
    Lock,
    Fsync,
    FsyncFolder,
    Link,
    Lseek,
    Read,
    Rename,
    Statfs,
    /// Making a file longer without writing to it.
    Extend,
    Unlink,
    Utimes,
    Write,
}

/// Which names are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Names {
    #[default]
    Exact,
    /// `A` and `a`.
    IgnoreCase,
    /// A letter with its accent, as one character or as two.
    IgnoreForm,
    /// None with a character or an end that Windows has no names for.
    Windows,
}

impl Names {
    fn key(self, name: &OsStr) -> OsString {
        match self {
            Self::Exact => name.to_owned(),
            Self::IgnoreCase | Self::Windows => name.to_string_lossy().to_lowercase().into(),
            Self::IgnoreForm => name.to_string_lossy().replace("e\u{301}", "\u{e9}").into(),
        }
    }

    fn allows(self, name: &OsStr) -> bool {
        let name = name.to_string_lossy();
        self != Self::Windows
            || !name.contains([':', '?', '*', '"', '<', '>', '|', '\\']) && !name.ends_with(['.', ' '])
    }
}

/// In which way it is odd.
#[derive(Debug, Clone, Default)]
pub(crate) struct Oddity {
    pub(crate) refuses: Vec<(Call, Errno)>,
    pub(crate) names: Names,
    /// Bytes of a name; 255 if it is not said.
    pub(crate) longest: Option<usize>,
    /// Bytes of all files together, and what is said when they are used up.
    pub(crate) room: Option<(u64, Errno)>,
    /// A file that is renamed is another from then on, by its number.
    pub(crate) renumbers: bool,
}

/// Mounted for as long as this lives.
pub(crate) struct Odd {
    session: Option<BackgroundSession>,
    folder: TempDir,
    state: Arc<Mutex<State>>,
}

impl Odd {
    /// None, after saying that the test is skipped, where nothing can be mounted.
    pub(crate) fn mount(oddity: Oddity) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let state = Arc::new(Mutex::new(State::new()));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("odd".into()), MountOption::Dev];
        match fuser::spawn_mount(Program { oddity, state: Arc::clone(&state) }, folder.path(), &config) {
            Ok(session) => Some(Self { session: Some(session), folder, state }),
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "FUSE must work in CI: {error}");
                println!("skipped: FUSE does not work here: {error}");
                None
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// How often it has refused that.
    pub(crate) fn refusals(&self, call: Call) -> usize {
        self.state.lock().unwrap().refusals.get(&call).copied().unwrap_or_default()
    }

    /// From now on it never answers that call.
    pub(crate) fn hang(&self, call: Call) {
        self.state.lock().unwrap().hanging.insert(call);
    }

    /// Whether a call hangs.
    pub(crate) fn is_held(&self) -> bool {
        !self.state.lock().unwrap().held.is_empty()
    }

    /// Cuts the program off: every call is an error from now on.
    pub(crate) fn die(&self) {
        let number = rustix::fs::minor(std::fs::metadata(self.path()).unwrap().dev());
        let control = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount").args(["-t", "fusectl", "fusectl"]).arg(control.path()).status();
        assert!(mounted.unwrap().success());
        std::fs::write(control.path().join(format!("{number}/abort")), "1").unwrap();
        assert!(Command::new("umount").arg(control.path()).status().unwrap().success());
    }

    /// All that hangs ends in an error.
    pub(crate) fn release(&self) {
        let mut state = self.state.lock().unwrap();
        state.hanging.clear();
        state.held.clear();
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        self.release();
        if let Some(session) = self.session.take() {
            let _ = Command::new("umount").arg("-l").arg(self.folder.path()).status();
            drop(session);
        }
    }
}
