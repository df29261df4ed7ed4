//! What a session tells its user.

use thiserror::Error;

use super::error::TorrentError;
use crate::InfoHash;
use crate::tracker::TrackerError;

/// What has happened to a torrent. [`Session::next_alert`](super::Session::next_alert) returns them in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alert {
    /// The metadata of a magnet link has come from peers.
    MetadataReceived(InfoHash),
    /// All of the torrent is there, verified, durable and in place.
    Finished(InfoHash),
    /// The torrent cannot go on, for that reason.
    Failed(InfoHash, TorrentError),
    /// Something is wrong that the torrent can go on with.
    Warning(InfoHash, TorrentWarning),
    /// The torrent was removed; its files are left alone.
    Removed(InfoHash),
    /// The torrent had to make room for others, and its files are deleted. What could not be deleted is left, and has had a
    /// warning.
    Evicted(InfoHash),
}

impl Alert {
    /// The torrent that it is about.
    pub fn info_hash(&self) -> InfoHash {
        match self {
            Self::MetadataReceived(hash)
            | Self::Finished(hash)
            | Self::Failed(hash, _)
            | Self::Warning(hash, _)
            | Self::Removed(hash)
            | Self::Evicted(hash) => *hash,
        }
    }
}

/// Something wrong that a torrent can go on with. Each of a torrent is told once, and at most 20 in all; the log has them
/// all.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TorrentWarning {
    /// It was added a second time, which changes nothing.
    #[error("it is there already")]
    AlreadyAdded,
    /// For [`AddTorrent::peer_timeout`](super::AddTorrent::peer_timeout) there has been no peer, and no web seed has sent
    /// anything. The search goes on.
    #[error("no peers: nothing has it that could be found; the search goes on")]
    NoPeers,
    /// A tracker, web seed or node that was named cannot be used.
    #[error("{0}")]
    AddressIgnored(String),
    /// A tracker has something to say to the user.
    #[error("{url}: {text}")]
    #[non_exhaustive]
    Tracker {
        /// The tracker, without credentials.
        url: String,
        /// What it says, fit to be printed.
        text: String,
    },
    /// A tracker does not answer as it should. It is asked again.
    #[error("{url}: {error}")]
    #[non_exhaustive]
    TrackerFailed {
        /// The tracker, without credentials.
        url: String,
        /// What went wrong.
        error: TrackerError,
    },
    /// A web seed fails, or is of no use.
    #[error("{0}")]
    WebSeedFailed(String),
    /// What a web seed sends is not this torrent. It is asked no more.
    #[error("{url}: what the server has is not this torrent; it is asked no more")]
    #[non_exhaustive]
    WebSeedMismatch {
        /// The web seed, without credentials.
        url: String,
    },
    /// A part that was there cannot be read any more. The torrent is checked anew.
    #[error("some of it cannot be read any more ({cause}); look at its files")]
    #[non_exhaustive]
    Unreadable {
        /// What the system says.
        cause: String,
    },
    /// It was to be checked, and could not be opened.
    #[error("it cannot be checked, as it could not be opened; add it again")]
    NotOpen,
    /// It was evicted, and its files, or some of them, could not be deleted.
    #[error(transparent)]
    NotDeleted(TorrentError),
}
