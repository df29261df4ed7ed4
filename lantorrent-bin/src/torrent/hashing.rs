//! What is shown while files are read and hashed, and how that is stopped.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget};

use crate::exit::{Failure, Status};
use crate::send::whole;
use crate::signals::{self, Request};
use crate::size;
use crate::terminal;

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// So many bytes of all have been hashed.
pub(super) struct Hashing {
    total: u64,
    done: AtomicU64,
    started: Instant,
    line: Mutex<Instant>,
    bar: Option<ProgressBar>,
    stop: Arc<AtomicBool>,
}

impl Hashing {
    /// From now on a signal stops it; the next one ends the process.
    pub(super) fn begin(total: u64) -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        signals::on_stop(move |request| match request {
            Request::First => asked.store(true, Ordering::SeqCst),
            Request::Again => {
                terminal::hide_bar();
                Status::Incomplete.exit()
            }
        })?;
        let bar = terminal::is_interactive().then(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            terminal::show_bar(bar.clone());
            bar.with_style(whole())
        });
        let started = Instant::now();
        Ok(Self { total, done: AtomicU64::new(0), started, line: Mutex::new(started), bar, stop })
    }

    /// So many more are done; whether to go on.
    pub(super) fn add(&self, bytes: u64) -> ControlFlow<()> {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed) + bytes;
        match &self.bar {
            Some(bar) => bar.set_position(done),
            None => self.tell(done),
        }
        if self.stop.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn tell(&self, done: u64) {
        let mut last = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            terminal::note(&line(done, self.total, self.started.elapsed()));
        }
    }
}

fn line(done: u64, total: u64, elapsed: Duration) -> String {
    let rate = size::rate(done, elapsed);
    format!("read {} of {} in {:.0} s ({rate})", size::bytes(done), size::bytes(total), elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_where_it_stands() {
        let text = line(45_000_000, 90_000_000, Duration::from_secs(3));
        assert_eq!(text, "read 45.0 MB of 90.0 MB in 3 s (15.0 MB/s)");
    }
}
