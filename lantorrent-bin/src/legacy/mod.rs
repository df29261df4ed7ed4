//! The names of version 0.2. Called by one of them, the program takes that version's arguments and prints what it
//! printed, so that scripts written for it go on working.

pub(crate) mod ltclient;
pub(crate) mod ltrequest;
mod options;

use std::ffi::OsStr;
use std::path::Path;

/// A program of version 0.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    /// `serve --inetd`.
    Server,
    /// `send`, to the nodes on standard input.
    Client,
    /// `agent`.
    Daemon,
    /// `request`.
    Request,
}

/// Every name by which that version's programs and their wrappers were installed.
pub(crate) const NAMES: [(&str, Program); 8] = [
    ("ltserver", Program::Server),
    ("ltclient", Program::Client),
    ("ltdaemon", Program::Daemon),
    ("ltrequest", Program::Request),
    ("lt-daemon", Program::Daemon),
    ("lt-request", Program::Request),
    ("lt-daemon.sh", Program::Daemon),
    ("lt-request.sh", Program::Request),
];

impl Program {
    /// The one that the program was called as, by the first word of its command line.
    pub(crate) fn called(word: Option<&OsStr>) -> Option<Self> {
        let name = Path::new(word?).file_name()?;
        NAMES.iter().find(|(known, _)| name == *known).map(|(_, program)| *program)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let called = |word: &str| Program::called(Some(OsStr::new(word)));
        assert_eq!(called("/opt/nimbus/lantorrent/bin/lt-request"), Some(Program::Request));
        assert_eq!(called("ltclient"), Some(Program::Client));
        for word in ["", "/", "..", "lantorrent", "/usr/bin/ltserver/lantorrent", "LTSERVER"] {
            assert_eq!(called(word), None, "{word}");
        }
        assert_eq!(Program::called(None), None);
    }
}
