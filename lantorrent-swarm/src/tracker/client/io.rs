//! What goes into an announcer, and what comes out of it.

use std::net::SocketAddr;
use std::time::Duration;

use super::reply::{Announced, TrackerError};
use crate::tracker::announce::{Announce, Stats};
use crate::url::Url;
use crate::{InfoHash, PeerId};

/// As whom a torrent announces itself.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Identity {
    /// The torrent.
    pub info_hash: InfoHash,
    /// The client.
    pub peer_id: PeerId,
    /// Where it takes connections.
    pub port: u16,
    /// A random number, the same for all announcements of a run.
    pub key: u32,
}

impl Identity {
    /// A torrent of a client that takes connections at `port`; `key` is a random number.
    pub fn new(info_hash: InfoHash, peer_id: PeerId, port: u16, key: u32) -> Self {
        Self { info_hash, peer_id, port, key }
    }
}

/// Where a torrent stands.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Standing {
    /// Its bytes.
    pub stats: Stats,
    /// The peers it is connected with.
    pub peers: usize,
}

impl Standing {
    /// Its bytes, and the number of peers it is connected with.
    pub const fn new(stats: Stats, peers: usize) -> Self {
        Self { stats, peers }
    }
}

/// What happens to an [`Announcer`](super::Announcer).
#[derive(Debug)]
#[non_exhaustive]
pub enum AnnouncerEvent {
    /// Time has passed.
    Tick,
    /// The torrent is here now. It announces itself at any time within this one, so that thousands which start together
    /// do not all do so at once; zero for one that somebody waits for.
    Start {
        /// At most this much later.
        within: Duration,
    },
    /// The last piece has come, in this run.
    Completed,
    /// What has become of a question.
    Answered(AskId, Result<Announced, TrackerError>),
    /// The torrent ends.
    Stop,
}

/// Which question of a torrent to its trackers it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AskId(pub(super) u64);

/// What the driver of an [`Announcer`](super::Announcer) is to do.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a driver has to carry out every action")]
pub enum AnnouncerAction {
    /// Ask, and hand in the answer or why there is none.
    Ask {
        /// Comes back with the answer.
        id: AskId,
        /// Whom.
        tracker: Url,
        /// What to tell it.
        announce: Announce,
        /// What it wants to have back, by HTTP.
        tracker_id: Option<Vec<u8>>,
    },
    /// Peers to connect to, ourselves maybe among them.
    Found(Vec<SocketAddr>),
    /// A tracker has something to say to the user.
    Warning(Url, String),
    /// A tracker has failed.
    Failed(Url, TrackerError),
    /// All trackers that have to know of the end do, or never will. Nothing follows.
    Stopped,
}
