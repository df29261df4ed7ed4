//! A request as the agent keeps it.

use lantorrent_core::Target;
use lantorrent_core::wire::Code;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// What somebody asks for. Two requests with the same id must have the same of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    /// Absolute path of the file on the agent's machine.
    pub(crate) source: String,
    /// Absolute path on the node.
    pub(crate) destination: String,
    /// Name or address of the node.
    pub(crate) host: String,
    /// Its port, not 0.
    pub(crate) port: u16,
}

impl Wanted {
    pub(crate) fn target(&self) -> Target {
        Target { host: self.host.clone(), port: self.port, path: self.destination.clone() }
    }
}

/// Where a request is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// For others, for a free place among the transfers, or for its next attempt.
    Waiting,
    /// In a transfer that runs.
    Sending,
    /// The file is on the node, whole and in place.
    Done,
    /// All attempts failed.
    Failed,
    /// Taken back before the file was in place.
    Cancelled,
}

impl State {
    pub(crate) const ALL: [Self; 5] =
        [Self::Waiting, Self::Sending, Self::Done, Self::Failed, Self::Cancelled];

    /// Whether nothing will happen to the request any more.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// The id of the transfer, where one began.
    pub(crate) transfer: Option<String>,
    pub(crate) started: Timestamp,
    pub(crate) ended: Timestamp,
    /// As on the wire: 0, or why the file is not there.
    pub(crate) code: Code,
    /// The same in words.
    pub(crate) reason: String,
}

/// A request, with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: String,
    #[serde(flatten)]
    pub(crate) wanted: Wanted,
    pub(crate) state: State,
    pub(crate) submitted: Timestamp,
    /// When it reached its final state.
    pub(crate) ended: Option<Timestamp>,
    /// Before this it is not tried again.
    pub(crate) retry_at: Option<Timestamp>,
    /// When it was taken back, though its transfer may not have let go of it yet.
    pub(crate) cancelled_at: Option<Timestamp>,
    pub(crate) attempts: Vec<Attempt>,
}
