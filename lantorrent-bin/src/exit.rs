//! How the program ends: the one owner of exit statuses and of the form of an error message.

use std::fmt;
use std::process::ExitCode;

use lantorrent_core::{Error, Fault};

/// What the exit status says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// 0: everything that was asked for is done.
    Success,
    /// 1: some requests did not succeed, or something broke on the way.
    Incomplete,
    /// 2: the command line or the configuration is wrong; nothing was tried.
    Usage,
}

impl Status {
    fn number(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Incomplete => 1,
            Self::Usage => 2,
        }
    }

    /// Ends the process at once.
    pub(crate) fn exit(self) -> ! {
        std::process::exit(self.number().into())
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        Self::from(status.number())
    }
}

/// Why the program stops before its end: what happened, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: Status,
    message: String,
}

impl Failure {
    /// The command line or the configuration is wrong.
    pub(crate) fn usage(what: impl fmt::Display, advice: impl fmt::Display) -> Self {
        Self { status: Status::Usage, message: format!("{what}; {advice}") }
    }

    /// Something on this machine did not work.
    pub(crate) fn local(what: impl fmt::Display, advice: impl fmt::Display) -> Self {
        Self { status: Status::Incomplete, message: format!("{what}; {advice}") }
    }
}

impl Failure {
    /// The system gives no thread.
    pub(crate) fn no_thread(error: &std::io::Error) -> Self {
        Self::local(
            format_args!("cannot start a thread: {error}"),
            "look at the limits and the memory of this machine",
        )
    }

    /// What somebody else has put into words already, with advice.
    pub(crate) fn told(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// The same, with more to know behind it.
    pub(crate) fn hint(self, hint: impl fmt::Display) -> Self {
        Self { message: format!("{}; {hint}", self.message), ..self }
    }

    /// The same, with the place where it happened before it.
    pub(crate) fn at(self, place: impl fmt::Display) -> Self {
        Self { message: format!("{place}: {}", self.message), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match error.fault() {
            Fault::Configuration | Fault::Caller => Status::Usage,
            Fault::Peer | Fault::Local => Status::Incomplete,
        };
        let message = match advice(&error) {
            Some(advice) => format!("{error}; {advice}"),
            None => error.to_string(),
        };
        Self { status, message }
    }
}

/// What to do, in terms of commands and options, where the library cannot know of those.
fn advice(error: &Error) -> Option<&'static str> {
    match error {
        Error::Listen { .. } => Some("stop what listens there, or give another address with --listen"),
        // What is no error of the system, the library explains itself.
        Error::Source { cause, .. } => cause.raw_os_error().map(|_| "give a file that can be read"),
        Error::Roots(_) | Error::NoRoots => {
            Some("name folders that can be reached with --root, or in `roots` of [node]")
        }
        Error::System { .. } => Some("look at the limits and the memory of this machine"),
        Error::NoPassword { wire: 1 } => Some("set `wire_1_password` in [security] of lt.ini"),
        Error::NoPassword { .. } => Some("set `password` in [security] of lt.ini"),
        _ => None,
    }
}
