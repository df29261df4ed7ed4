//! What can go wrong on this side before, or instead of, a result for each request.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

use super::threads::Outcome;
use crate::store::StoreError;
use crate::wire::{PasswordError, Wire};

/// Whose fault an error is, and so who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "whose fault it is, is one of these")]
pub enum Fault {
    /// The machine at the other end, or the network.
    Peer,
    /// What this node or source was configured with.
    Configuration,
    /// This machine: its disk, memory or kernel.
    Local,
    /// Who called: the arguments cannot be right.
    Caller,
}

/// Why a node cannot serve, or a transfer cannot begin. What becomes of each request of a transfer that did begin is
/// in its [`Outcome`](super::Outcome).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// The folders that may be written cannot be used.
    #[error(transparent)]
    Roots(#[from] StoreError),
    /// There is no password for the wire that is asked for.
    #[error("there is no password for wire {wire}")]
    NoPassword {
        /// The wire, 1 or 2.
        wire: u8,
    },
    /// A password cannot be used.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// No folder, file or device is given that a node may write.
    #[error("there is nothing that the node may write: it has no root")]
    NoRoots,
    /// The source cannot be read.
    #[error("cannot read {path:?}: {cause}")]
    Source {
        /// The file, or "-" for a stream.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// A destination is not of the form `HOST[:PORT]/path`.
    #[error("{text:?} is no destination: {why}; write HOST[:PORT]/path, or [IPV6][:PORT]/path")]
    Target {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No target was given in that place.
    #[error("there is no target {place}: the transfer has {targets}, counted from 0")]
    NoSuchTarget {
        /// The place, counted from 0.
        place: usize,
        /// Targets that the transfer has.
        targets: usize,
    },
    /// Not every target of a transfer, a check or a cancellation has a good result.
    #[error("{}", incomplete(.0))]
    Incomplete(Box<Outcome>),
    /// The arguments do not go together.
    #[error("{0}")]
    Arguments(String),
    /// Something else that the system refused.
    #[error("cannot {what}: {cause}")]
    System {
        /// What was to be done.
        what: &'static str,
        /// What the system says.
        cause: io::Error,
    },
}

impl Error {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Listen { .. }
            | Self::Roots(_)
            | Self::NoRoots
            | Self::Password(_)
            | Self::NoPassword { .. } => Fault::Configuration,
            Self::Source { .. } | Self::Target { .. } | Self::NoSuchTarget { .. } | Self::Arguments(_) => {
                Fault::Caller
            }
            Self::Incomplete(_) => Fault::Peer,
            Self::System { .. } => Fault::Local,
        }
    }

    pub(super) fn no_password(wire: Wire) -> Self {
        Self::NoPassword { wire: if wire == Wire::One { 1 } else { 2 } }
    }

    pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::System { what, cause }
    }
}

/// How many targets have failed, and why the first of them has.
fn incomplete(outcome: &Outcome) -> String {
    let failed = outcome.failed().count();
    let first = outcome.failed().find_map(|first| Some((&first.target, first.result.as_ref().err()?)));
    let why = first.map_or_else(String::new, |(target, failure)| format!("; first {target}: {failure}"));
    format!("{failed} of {} targets failed{why}", outcome.targets().len())
}
