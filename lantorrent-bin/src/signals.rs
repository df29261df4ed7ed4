//! What the system's signals ask for.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::Failure;

/// Which of the signals it is. Who does not stop at the first is told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    First,
    Again,
}

/// What a signal asks a daemon for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// To end.
    Stop,
    /// To read its configuration again.
    Reload,
}

/// Calls `stop` on a thread of its own at every signal that asks the process to end.
pub(crate) fn on_stop(mut stop: impl FnMut(Request) + Send + 'static) -> Result<(), Failure> {
    let mut signals = handle(&[SIGTERM, SIGINT])?;
    std::thread::spawn(move || {
        let mut request = Request::First;
        for _ in signals.forever() {
            stop(request);
            request = Request::Again;
        }
    });
    Ok(())
}

/// The signals of a daemon.
pub(crate) struct Daemon(Signals);

impl Daemon {
    /// From now on they are handled here, and have no effect until [`next`](Self::next) is asked for.
    pub(crate) fn new() -> Result<Self, Failure> {
        handle(&[SIGTERM, SIGINT, SIGHUP]).map(Self)
    }

    /// Waits for the next one.
    pub(crate) fn next(&mut self) -> Asked {
        match self.0.forever().next() {
            Some(SIGHUP) => Asked::Reload,
            _ => Asked::Stop,
        }
    }
}

fn handle(signals: &[i32]) -> Result<Signals, Failure> {
    Signals::new(signals)
        .map_err(|error| Failure::local(format_args!("cannot handle signals: {error}"), "try again"))
}
