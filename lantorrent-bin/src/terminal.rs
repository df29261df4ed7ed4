//! The two streams that people and scripts read. A reader that has gone away is no reason to stop, nor to panic.

use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use indicatif::ProgressBar;

use crate::config::variable;
use crate::text::clean;

/// The bar on the last line of the terminal, which other lines must not be written into.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Whether the reader of standard output has gone away.
static GONE: AtomicBool = AtomicBool::new(false);

/// Why something that was to be on standard output is not there.
static LOST: OnceLock<std::io::Error> = OnceLock::new();

/// Shows `bar` on the last line until [`hide_bar`].
pub(crate) fn show_bar(bar: ProgressBar) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
}

/// Takes the bar away.
pub(crate) fn hide_bar() {
    if let Some(bar) = BAR.lock().unwrap_or_else(PoisonError::into_inner).take() {
        bar.finish_and_clear();
    }
}

/// Has `bar` drawn anew that often, for as long as it is shown. Where there is no thread for that it moves only when
/// something happens.
pub(crate) fn keep_moving(bar: &ProgressBar, every: Duration) {
    let bar = bar.downgrade();
    let draw = move || {
        while let Some(bar) = bar.upgrade().filter(|bar| !bar.is_finished()) {
            bar.tick();
            drop(bar);
            std::thread::sleep(every);
        }
    };
    if let Err(error) = std::thread::Builder::new().name("progress".into()).spawn(draw) {
        log::debug!("no thread for the progress bar: {error}");
    }
}

/// Whether standard error is read by a person, on a terminal that can go back in a line.
pub(crate) fn is_interactive() -> bool {
    std::io::stderr().is_terminal() && variable("TERM").is_some_and(|name| name != "dumb")
}

/// One line on standard error, cleaned.
pub(crate) fn note(line: &str) {
    let write = || {
        let _ = writeln!(std::io::stderr(), "{}", clean(line));
    };
    match &*BAR.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Text on standard output, at once. Who wrote it has cleaned it. Where it cannot be written, that is known at the
/// [end](lost).
pub(crate) fn print(text: &str) {
    match write(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => GONE.store(true, Ordering::Relaxed),
        Err(error) => drop(LOST.set(error)),
        Ok(()) => {}
    }
}

/// The same for what a daemon says of itself at its start, which it lives on without.
pub(crate) fn announce(line: &str) {
    let _ = write(&format!("{line}\n"));
}

fn write(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
}

/// Whether standard output has lost its reader, as behind `| head`: a reason to be done, and no error.
pub(crate) fn is_left() -> bool {
    GONE.load(Ordering::Relaxed)
}

/// Why not all is on standard output that was to be there, as on a disk that is full.
pub(crate) fn lost() -> Option<&'static std::io::Error> {
    LOST.get()
}

/// One line on standard output, and whether it got there: for what is forgotten elsewhere once it is said here.
pub(crate) fn deliver(line: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush())
}

/// Text and a line end on standard output, as [`print()`] does it.
pub(crate) fn print_line(line: &str) {
    print(&format!("{line}\n"));
}
