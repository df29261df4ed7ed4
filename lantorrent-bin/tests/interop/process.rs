//! A program that runs on a host of the lab.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::harness::network::Lab;

/// Of what it has said, in lines.
const TAIL: usize = 40;

/// Killed and reaped when dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it on `host`. What it writes goes to a file in `home`, and so does whatever it keeps about itself.
    pub(crate) fn start(lab: &Lab, host: usize, name: &str, home: &Path, mut command: Command) -> Self {
        fs::create_dir_all(home).expect("a folder for a program");
        let log = home.join("output");
        let output =
            File::options().create(true).append(true).open(&log).expect("a file for a program's output");
        let errors = output.try_clone().expect("the same file again");
        // Nothing of whoever runs the tests: no proxy, no configuration, no cache.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", home).env("LC_ALL", "C.UTF-8");
        command.current_dir(home).stdin(Stdio::null()).stdout(output).stderr(errors);
        Self { name: name.to_owned(), child: lab.spawn(host, &mut command), log }
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a program")
    }

    /// All that it has said so far.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// For whoever has to find out what was wrong: its name and the last that it has said.
    pub(crate) fn report(&self) -> String {
        let output = self.output();
        // Those are written over and over, on what a terminal would show as one line.
        let is_progress =
            |line: &str| ["Progress: ", "Seeding, ", "[#"].iter().any(|start| line.starts_with(start));
        let said = |line: &&str| !line.trim().is_empty() && !is_progress(line);
        let lines: Vec<&str> = output.split(['\n', '\r']).filter(said).collect();
        format!("== {}\n{}", self.name, lines[lines.len().saturating_sub(TAIL)..].join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
