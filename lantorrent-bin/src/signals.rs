//! SIGTERM and SIGINT.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::Failure;

/// Which of the signals it is. Who does not stop at the first is told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    First,
    Again,
}

/// Calls `stop` on a thread of its own at every signal that asks the process to end.
pub(crate) fn on_stop(mut stop: impl FnMut(Request) + Send + 'static) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGTERM, SIGINT])
        .map_err(|error| Failure::local(format_args!("cannot handle signals: {error}"), "try again"))?;
    std::thread::spawn(move || {
        let mut request = Request::First;
        for _ in signals.forever() {
            stop(request);
            request = Request::Again;
        }
    });
    Ok(())
}
