//! The folder of a test.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{Finished, Node, content, finish};

pub(crate) const PASSWORD: &str = "a password for tests, wire 2";
pub(crate) const WIRE_1_PASSWORD: &str = "a password for tests, wire 1";
/// What lt.ini says unless a test says otherwise.
pub(crate) const INI: &str =
    "[security]\npassword = a password for tests, wire 2\nwire_1_password = a password for tests, wire 1\n";

/// Makes `file`, and what it is in.
pub(crate) fn write_ini(file: &Path, text: &str) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, text).unwrap();
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
}

/// A folder of its own with `home/etc/lt.ini`, and all that a test makes in it.
pub(crate) struct Lab {
    folder: TempDir,
}

impl Lab {
    /// With the usual lt.ini.
    pub(crate) fn new() -> Self {
        let lab = Self::empty();
        lab.write_ini(INI);
        lab
    }

    /// Without an lt.ini.
    pub(crate) fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path().join("home")
    }

    pub(crate) fn ini(&self) -> PathBuf {
        self.home().join("etc/lt.ini")
    }

    pub(crate) fn write_ini(&self, text: &str) {
        write_ini(&self.ini(), text);
    }

    /// The program, with this lab for a home and nothing on standard input.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.command_at(env!("CARGO_BIN_EXE_lantorrent").as_ref(), args)
    }

    /// The same by another path.
    pub(crate) fn command_at<S: AsRef<OsStr>>(
        &self,
        program: &Path,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new(program);
        command.args(args).env("LANTORRENT_HOME", self.home()).env("TMPDIR", self.path());
        command.current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Finished {
        finish(self.command(args))
    }

    /// `send` of `file` to `destinations`, with more arguments if need be.
    pub(crate) fn send(&self, file: &Path, destinations: &[String], more: &[&str]) -> Finished {
        let mut command = self.command(["send"]);
        command.args(more).arg(file).args(destinations);
        finish(command)
    }

    /// Starts a node whose root is the folder `name`.
    pub(crate) fn node(&self, name: &str) -> Node {
        let root = self.path().join(name);
        std::fs::create_dir_all(&root).unwrap();
        let mut command = self.command(["serve", "--listen", "127.0.0.1:0", "--root"]);
        command.arg(&root);
        Node::start(command, root)
    }

    /// Starts nodes named `node-1` and so on.
    pub(crate) fn nodes(&self, count: usize) -> Vec<Node> {
        (1..=count).map(|number| self.node(&format!("node-{number}"))).collect()
    }

    /// A file of that size to be sent.
    pub(crate) fn source(&self, bytes: usize) -> PathBuf {
        let path = self.path().join("source");
        std::fs::write(&path, content(bytes)).unwrap();
        path
    }
}
