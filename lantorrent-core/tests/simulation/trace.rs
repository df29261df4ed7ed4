//! The story of a run, told while it happens to whoever replays it: `LANTORRENT_TRACE=1`.

use std::cell::Cell;
use std::sync::OnceLock;

thread_local! {
    static MICROS: Cell<u64> = const { Cell::new(0) };
}

fn is_wanted() -> bool {
    static WANTED: OnceLock<bool> = OnceLock::new();
    *WANTED.get_or_init(|| {
        let wanted = std::env::var_os("LANTORRENT_TRACE").is_some();
        if wanted && log::set_logger(&Log).is_ok() {
            log::set_max_level(log::LevelFilter::Trace);
        }
        wanted
    })
}

/// What the sessions log is part of the story.
struct Log;

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        line(MICROS.get(), None, || format!("  {}: {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}

/// What is logged from now on happens at that time.
pub(crate) fn clock(micros: u64) {
    MICROS.set(micros);
}

pub(crate) fn line(micros: u64, host: Option<usize>, what: impl FnOnce() -> String) {
    if is_wanted() {
        let host = host.map_or(String::new(), |host| format!("h{host}"));
        eprintln!("{:>4}.{:06} {host:<4} {}", micros / 1_000_000, micros % 1_000_000, what());
    }
}
