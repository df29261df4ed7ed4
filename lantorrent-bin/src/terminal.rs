//! The two streams that people and scripts read. A reader that has gone away is no reason to stop, nor to panic.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;

use crate::text::clean;

/// The bar on the last line of the terminal, which other lines must not be written into.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

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

/// Whether standard error is read by a person.
pub(crate) fn is_interactive() -> bool {
    std::io::stderr().is_terminal()
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

/// Text on standard output, at once. Who wrote it has cleaned it.
pub(crate) fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
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
