//! What can go wrong on this side before, or instead of, a result for each request.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

use crate::store::StoreError;
use crate::wire::Wire;

/// Whose fault an error is, and so who can mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
    #[error("there is no password for wire {wire}; set {key} in the configuration")]
    NoPassword {
        /// The wire.
        wire: u8,
        /// Where it belongs.
        key: &'static str,
    },
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
            Self::Listen { .. } | Self::Roots(_) | Self::NoPassword { .. } => Fault::Configuration,
            Self::Source { .. } | Self::Target { .. } | Self::Arguments(_) => Fault::Caller,
            Self::System { .. } => Fault::Local,
        }
    }

    pub(super) fn no_password(wire: Wire) -> Self {
        match wire {
            Wire::One => Self::NoPassword { wire: 1, key: "[security] wire_1_password" },
            Wire::Two => Self::NoPassword { wire: 2, key: "[security] password" },
        }
    }

    pub(super) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::System { what, cause }
    }
}
