//! What the system's signals ask for.
//!
//! | signal | daemons | commands that run for long | other commands |
//! |---|---|---|---|
//! | HUP | reload | as TERM | ends |
//! | TERM, INT | stop; once more: at once | the same | ends |
//! | ALRM, XCPU | as the first TERM: a time limit set from outside is over | the same | ends |
//! | USR1, USR2 | nothing | nothing | ends |
//! | XFSZ | nothing: the write fails by `EFBIG` | the same | the same |
//! | PIPE | nothing: the write fails by `EPIPE` (the standard library sees to it) | the same | the same |
//! | QUIT, KILL | ends at once, as in a crash | the same | the same |
//! | TSTP, TTIN, TTOU, CONT | stops and goes on, as any program | the same | the same |
//!
//! What was ignored when the program was started stays ignored, as under `nohup` or in the background of a script.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGALRM, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGXFSZ};
use signal_hook::iterator::Signals;

use crate::exit::Failure;

/// What is handled where something is to be stopped in good order.
const HANDLED: [i32; 7] = [SIGHUP, SIGINT, SIGTERM, SIGALRM, SIGXCPU, SIGUSR1, SIGUSR2];

/// Which of the signals it is that ask for an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    First,
    /// The operator does not want to wait any longer.
    Again,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Stop(Request),
    /// To open the log anew, and to read again what can be read again.
    Reload,
}

/// What SIGHUP means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hangup {
    /// The terminal is gone, and its user with it.
    Stop,
    Reload,
}

/// To be called first of all: takes note of what is ignored, and has a file that cannot grow be an error of that file.
pub(crate) fn prepare() -> Result<(), Failure> {
    if ignored().contains(SIGXFSZ) {
        return Ok(());
    }
    // Only that there is a handler counts.
    signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))
        .map(drop)
        .map_err(|error| cannot_handle(&error))
}

/// Calls `stop` on a thread of its own at every signal that asks a command to end.
pub(crate) fn on_stop(mut stop: impl FnMut(Request) + Send + 'static) -> Result<(), Failure> {
    Inbox::new(Hangup::Stop)?.attend(move |asked| match asked {
        Asked::Stop(request) => stop(request),
        Asked::Reload => {}
    })
}

/// Signals that have arrived and are not handled yet.
pub(crate) struct Inbox {
    signals: Signals,
    hangup: Hangup,
    came: VecDeque<i32>,
    is_stopping: bool,
}

impl Inbox {
    /// Those of a daemon. From now on they have no effect until [`next`](Self::next) is asked for.
    pub(crate) fn of_daemon() -> Result<Self, Failure> {
        Self::new(Hangup::Reload)
    }

    fn new(hangup: Hangup) -> Result<Self, Failure> {
        let ignored = ignored();
        let handled = HANDLED.into_iter().filter(|&signal| !ignored.contains(signal));
        let signals = Signals::new(handled).map_err(|error| cannot_handle(&error))?;
        Ok(Self { signals, hangup, came: VecDeque::new(), is_stopping: false })
    }

    /// Calls `heed` on a thread of its own whenever something is asked for.
    pub(crate) fn attend(mut self, mut heed: impl FnMut(Asked) + Send + 'static) -> Result<(), Failure> {
        let attend = move || {
            loop {
                heed(self.next());
            }
        };
        let spawned = std::thread::Builder::new().name("signals".into()).spawn(attend);
        spawned.map(drop).map_err(|error| Failure::no_thread(&error))
    }

    /// Waits for the next one that asks for something.
    pub(crate) fn next(&mut self) -> Asked {
        loop {
            while let Some(signal) = self.came.pop_front() {
                if let Some(asked) = self.meaning(signal) {
                    return asked;
                }
            }
            self.came.extend(self.signals.wait());
        }
    }

    fn meaning(&mut self, signal: i32) -> Option<Asked> {
        match signal {
            SIGUSR1 | SIGUSR2 => {
                log::debug!("signal {signal} means nothing here");
                None
            }
            SIGHUP if self.hangup == Hangup::Reload => Some(Asked::Reload),
            _ if !std::mem::replace(&mut self.is_stopping, true) => Some(Asked::Stop(Request::First)),
            // Others come again by themselves, or with the first: systemd can send HUP right behind TERM.
            SIGINT | SIGTERM => Some(Asked::Stop(Request::Again)),
            _ => None,
        }
    }
}

fn cannot_handle(error: &io::Error) -> Failure {
    Failure::local(format_args!("cannot handle signals: {error}"), "look at the limits of this machine")
}

/// A set of signals, as the kernel writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Set(u64);

impl Set {
    /// The signals that a process with this `/proc/PID/status` ignores; none where it does not say so.
    fn ignored(status: &str) -> Self {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        Self(mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0))
    }

    fn contains(self, signal: i32) -> bool {
        (1..=64).contains(&signal) && self.0 & (1 << (signal - 1)) != 0
    }
}

/// What was ignored when the program was started.
fn ignored() -> Set {
    static IGNORED: OnceLock<Set> = OnceLock::new();
    *IGNORED.get_or_init(|| Set::ignored(&std::fs::read_to_string("/proc/self/status").unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox(hangup: Hangup) -> Inbox {
        let signals = Signals::new([0_i32; 0]).unwrap();
        Inbox { signals, hangup, came: VecDeque::new(), is_stopping: false }
    }

    fn asked(hangup: Hangup, came: &[i32]) -> Vec<Asked> {
        let mut inbox = inbox(hangup);
        came.iter().filter_map(|&signal| inbox.meaning(signal)).collect()
    }

    #[test]
    fn a_hangup_ends_a_command_and_reloads_a_daemon() {
        let first = Asked::Stop(Request::First);
        assert_eq!(asked(Hangup::Stop, &[SIGHUP]), [first]);
        assert_eq!(asked(Hangup::Reload, &[SIGHUP, SIGHUP]), [Asked::Reload; 2]);
        assert_eq!(asked(Hangup::Reload, &[SIGTERM, SIGHUP]), [first, Asked::Reload]);
    }

    #[test]
    fn only_an_operator_is_impatient() {
        let (first, again) = (Asked::Stop(Request::First), Asked::Stop(Request::Again));
        assert_eq!(asked(Hangup::Stop, &[SIGTERM, SIGHUP, SIGINT, SIGTERM]), [first, again, again]);
        assert_eq!(asked(Hangup::Stop, &[SIGXCPU, SIGXCPU, SIGXCPU, SIGALRM]), [first]);
        assert_eq!(asked(Hangup::Reload, &[SIGALRM, SIGXCPU, SIGTERM]), [first, again]);
        assert_eq!(asked(Hangup::Stop, &[SIGUSR1, SIGUSR2]), []);
    }

    #[test]
    fn what_the_kernel_says_is_ignored() {
        let set =
            Set::ignored("Name:\tx\nSigBlk:\tffffffffffffffff\nSigIgn:\t0000000001001003\nSigCgt:\t0\n");
        assert!([SIGHUP, SIGINT, 13, SIGXFSZ].into_iter().all(|signal| set.contains(signal)));
        assert!(![SIGTERM, SIGALRM, SIGXCPU, 0, 65].into_iter().any(|signal| set.contains(signal)));
        for status in ["", "SigIgn:\n", "SigIgn:\tzz\n"] {
            assert_eq!(Set::ignored(status), Set(0), "{status:?}");
        }
    }
}
