//! Where messages of the `log` crate go: the file of `[log]`, and standard error.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::exit::Failure;
use crate::terminal;
use crate::text::clean;
use crate::time::Timestamp;

/// What goes where.
pub(crate) struct Sinks<'a> {
    /// Appended to, and made with its folder if need be.
    pub(crate) file: Option<(&'a Path, LevelFilter)>,
    pub(crate) stderr: Shown,
}

/// What is shown on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Of what this program says.
    pub(crate) own: LevelFilter,
    /// Of what the library says. A sender has most of it in its results, in a better form.
    pub(crate) library: LevelFilter,
}

impl Shown {
    /// The same of both.
    pub(crate) fn all(level: LevelFilter) -> Self {
        Self { own: level, library: level }
    }

    fn of(self, metadata: &Metadata<'_>) -> bool {
        let is_own = metadata.target().split("::").next() == Some("lantorrent");
        metadata.level() <= if is_own { self.own } else { self.library }
    }
}

struct Logger {
    file: Option<(Mutex<File>, LevelFilter)>,
    stderr: Shown,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let to_file = self.file.as_ref().is_some_and(|(_, level)| metadata.level() <= *level);
        to_file || self.stderr.of(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if let Some((file, level)) = &self.file
            && record.level() <= *level
        {
            let line = file_line(SystemTime::now(), record);
            // One write, so that lines of processes which share the file do not mix.
            let _ = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
        }
        if self.stderr.of(record.metadata()) {
            terminal::note(&stderr_line(record));
        }
    }

    fn flush(&self) {}
}

fn file_line(now: SystemTime, record: &Record<'_>) -> String {
    let text = record.args().to_string();
    format!("{} [{}] {:5} {}\n", Timestamp::from(now), std::process::id(), record.level(), clean(&text))
}

fn stderr_line(record: &Record<'_>) -> String {
    match record.level() {
        Level::Error | Level::Info => format!("lantorrent: {}", record.args()),
        Level::Warn => format!("lantorrent: warning: {}", record.args()),
        Level::Debug | Level::Trace => format!("lantorrent: {}: {}", record.target(), record.args()),
    }
}

/// Installs the logger, once per process.
pub(crate) fn install(sinks: &Sinks<'_>) -> Result<(), Failure> {
    let file = match sinks.file {
        Some((path, level)) => Some((Mutex::new(open(path)?), level)),
        None => None,
    };
    let highest = sinks
        .file
        .map_or(LevelFilter::Off, |(_, level)| level)
        .max(sinks.stderr.own)
        .max(sinks.stderr.library);
    let logger = Logger { file, stderr: sinks.stderr };
    // The process installs one logger, here.
    log::set_boxed_logger(Box::new(logger)).expect("the logger is installed once");
    log::set_max_level(highest);
    Ok(())
}

fn open(path: &Path) -> Result<File, Failure> {
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    folder.and_then(|()| OpenOptions::new().append(true).create(true).mode(0o600).open(path)).map_err(
        |error| {
            Failure::usage(
                format_args!("cannot write the log {}: {error}", path.display()),
                "change `file` in [log], or who owns that folder",
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn a_line_stays_one_line() {
        let args = format_args!("peer says \n2000-01-01T00:00:00Z INFO all is well");
        let record = Record::builder().args(args).level(Level::Warn).build();
        assert_eq!(file_line(UNIX_EPOCH, &record).matches('\n').count(), 1);
    }
}
