//! Where messages of the `log` crate go: the file of `[log]`, and standard error.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::exit::Failure;
use crate::terminal;
use crate::text::clean;

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
    format!("{} [{}] {:5} {}\n", timestamp(now), std::process::id(), record.level(), clean(&text))
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

/// UTC, as in RFC 3339.
fn timestamp(now: SystemTime) -> String {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, millis) = (since.as_secs(), since.subsec_millis());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// The date in the Gregorian calendar, `days` after 1970-01-01. Counts in eras of 400 years that begin in March, so
/// that the leap day is the last of its year.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march = (5 * day + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day - (153 * march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates() {
        let at = |seconds: u64| timestamp(UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 250));
        assert_eq!(at(0), "1970-01-01T00:00:00.250Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00.250Z");
        assert_eq!(at(1_709_251_199), "2024-02-29T23:59:59.250Z");
        assert_eq!(at(1_735_689_600), "2025-01-01T00:00:00.250Z");
        assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.250Z");
    }

    #[test]
    fn a_line_stays_one_line() {
        let args = format_args!("peer says \n2000-01-01T00:00:00Z INFO all is well");
        let record = Record::builder().args(args).level(Level::Warn).build();
        assert_eq!(file_line(UNIX_EPOCH, &record).matches('\n').count(), 1);
    }
}
