//! What nodes and senders have in common: the program, a configuration, a log.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Of a log, in lines.
const TAIL: usize = 15;

pub(crate) struct Program {
    ini: PathBuf,
    /// What it writes itself, with times.
    log: PathBuf,
    /// Its standard error.
    errors: PathBuf,
}

impl Program {
    /// With its configuration and logs in `folder`, under `name`. `more` is what its lt.ini says besides the usual.
    pub(crate) fn new(folder: &Path, name: &str, more: &str) -> Self {
        let file = |extension: &str| folder.join(format!("{name}.{extension}"));
        let program = Self { ini: file("ini"), log: file("log"), errors: file("errors") };
        let text = format!(
            "[security]\npassword = in the lab nobody listens\n[log]\nfile = {}\nlevel = debug\n{more}\n",
            program.log.display()
        );
        fs::write(&program.ini, text).expect("a configuration");
        fs::set_permissions(&program.ini, PermissionsExt::from_mode(0o600)).expect("its mode");
        program
    }

    pub(crate) fn command(&self) -> Command {
        let errors = File::options().create(true).append(true).open(&self.errors);
        let mut command = Command::new(env!("CARGO_BIN_EXE_lantorrent"));
        command.arg("--config").arg(&self.ini).stderr(errors.expect("a file for standard error"));
        command
    }

    /// The end of what it has said: of its log, or of its standard error where that says why there is no more.
    pub(crate) fn tail(&self) -> String {
        let errors = read(&self.errors);
        let log = read(&self.log);
        let text = if log.is_empty() || has_panicked(&errors) { errors } else { log };
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    pub(crate) fn has_panicked(&self) -> bool {
        has_panicked(&read(&self.errors))
    }
}

fn has_panicked(errors: &str) -> bool {
    errors.contains("panicked at")
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}
