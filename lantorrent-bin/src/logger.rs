//! Where messages of the `log` crate go: the file of `[log]`, and standard error.

mod file;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use log::{Level, LevelFilter, Log, Metadata, Record};

use crate::exit::Failure;
use crate::terminal;
use crate::text::clean;
use crate::time::Timestamp;
use file::LogFile;

/// What goes where.
#[derive(Debug, Clone, Copy)]
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

/// The only one of the process.
static LOGGER: OnceLock<Logger> = OnceLock::new();

struct Logger(Mutex<State>);

struct State {
    file: Option<(LogFile, LevelFilter)>,
    stderr: Shown,
}

impl Logger {
    // No call that is made under the lock can panic half-way.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        if has_secrets(metadata) {
            return false;
        }
        let state = self.state();
        let to_file = state.file.as_ref().is_some_and(|(_, level)| metadata.level() <= *level);
        to_file || state.stderr.of(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if has_secrets(record.metadata()) {
            return;
        }
        let mut state = self.state();
        let trouble = match &mut state.file {
            Some((file, level)) if record.level() <= *level => {
                file.write(&file_line(SystemTime::now(), record.level(), &record.args().to_string()))
            }
            _ => None,
        };
        let is_shown = state.stderr.of(record.metadata());
        // The reader of standard error may be slow.
        drop(state);
        if let Some(trouble) = trouble {
            terminal::note(&format!("lantorrent: warning: {trouble}"));
        }
        if is_shown {
            terminal::note(&stderr_line(record));
        }
    }

    fn flush(&self) {}
}

/// The HTTP client tells every byte that it sends and receives, tokens and passwords among them.
fn has_secrets(metadata: &Metadata<'_>) -> bool {
    metadata.level() == Level::Trace && metadata.target().starts_with("ureq")
}

fn file_line(now: SystemTime, level: Level, text: &str) -> String {
    format!("{} [{}] {level:5} {}\n", Timestamp::from(now), std::process::id(), clean(text))
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
    let file = open(sinks)?;
    let state = State { file, stderr: sinks.stderr };
    let logger = LOGGER.get_or_init(|| Logger(Mutex::new(state)));
    // The process installs one logger, here.
    log::set_logger(logger).expect("the logger is installed once");
    log::set_max_level(highest(sinks));
    Ok(())
}

/// From now on it goes there. The file is opened by its path, whatever has that by now; if it cannot be, all stays as it
/// was.
pub(crate) fn change(sinks: &Sinks<'_>) -> Result<(), Failure> {
    let Some(logger) = LOGGER.get() else { return install(sinks) };
    let file = open(sinks)?;
    let mut state = logger.state();
    state.stderr = sinks.stderr;
    let before = std::mem::replace(&mut state.file, file);
    drop(state);
    log::set_max_level(highest(sinks));
    // Closing a file on a slow disk may take long, and so does not happen under the lock.
    drop(before);
    Ok(())
}

/// Opens the file by its path, if that leads to another one by now, and lets go of the one before.
pub(crate) fn reopen() -> Result<(), Failure> {
    let Some(logger) = LOGGER.get() else { return Ok(()) };
    match &mut logger.state().file {
        Some((file, _)) => file.follow().map_err(|error| cannot(file.path(), &error)),
        None => Ok(()),
    }
}

fn highest(sinks: &Sinks<'_>) -> LevelFilter {
    let of_file = sinks.file.map_or(LevelFilter::Off, |(_, level)| level);
    of_file.max(sinks.stderr.own).max(sinks.stderr.library)
}

fn open(sinks: &Sinks<'_>) -> Result<Option<(LogFile, LevelFilter)>, Failure> {
    let Some((path, level)) = sinks.file else { return Ok(None) };
    LogFile::open(path).map(|file| Some((file, level))).map_err(|error| cannot(path, &error))
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(
        format_args!("cannot write the log {}: {error}", path.display()),
        "change `file` in [log], or who owns that folder",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn bytes_of_http_are_not_told() {
        let metadata = |target, level| Metadata::builder().target(target).level(level).build();
        assert!(has_secrets(&metadata("ureq_proto::util", Level::Trace)));
        assert!(!has_secrets(&metadata("ureq::run", Level::Debug)));
        assert!(!has_secrets(&metadata("lantorrent_swarm::drive", Level::Trace)));
    }

    #[test]
    fn a_line_stays_one_line() {
        let line = file_line(UNIX_EPOCH, Level::Warn, "peer says \n2000-01-01T00:00:00Z INFO all is well");
        assert_eq!(line.matches('\n').count(), 1);
    }
}
