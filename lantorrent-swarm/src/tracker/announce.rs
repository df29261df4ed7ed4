//! What a client tells a tracker, over HTTP and UDP alike.

use crate::{InfoHash, PeerId};

/// What a client tells a tracker, and asks it for peers with (BEP 3, 15).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Announce {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Who announces.
    pub peer_id: PeerId,
    /// The TCP port on which it takes connections.
    pub port: u16,
    /// Where it stands.
    pub stats: Stats,
    /// What has happened since the last time.
    pub event: AnnounceEvent,
    /// How many peers it would like; none: as many as the tracker thinks right.
    pub want: Option<u32>,
    /// A number that only the client and the tracker know, by which the client is known again when its address changes.
    pub key: Option<u32>,
}

/// Bytes of a torrent that a client has moved, in this run, and has yet to get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "BEP 3 has three numbers")]
pub struct Stats {
    /// Sent to peers.
    pub uploaded: u64,
    /// Received from peers.
    pub downloaded: u64,
    /// Missing. 0 makes it a seed, so that who has not even the metadata says some other number.
    pub left: u64,
}

impl Stats {
    /// Whether nothing is missing.
    pub fn is_seed(&self) -> bool {
        self.left == 0
    }
}

/// Why a client announces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnnounceEvent {
    /// It is time again.
    #[default]
    Regular,
    /// The client has the last piece now, and had it not when it started.
    Completed,
    /// It is the first announcement of this run.
    Started,
    /// It is the last one.
    Stopped,
}

impl AnnounceEvent {
    /// As BEP 15 numbers them.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Regular => 0,
            Self::Completed => 1,
            Self::Started => 2,
            Self::Stopped => 3,
        }
    }

    /// What else there may be is taken for an announcement whose time has come.
    pub(super) fn numbered(number: u32) -> Self {
        match number {
            1 => Self::Completed,
            2 => Self::Started,
            3 => Self::Stopped,
            _ => Self::Regular,
        }
    }

    /// As BEP 3 calls them.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Regular => None,
            Self::Completed => Some("completed"),
            Self::Started => Some("started"),
            Self::Stopped => Some("stopped"),
        }
    }

    pub(super) fn named(name: &[u8]) -> Self {
        let events = [Self::Completed, Self::Started, Self::Stopped];
        events.into_iter().find(|event| event.name().map(str::as_bytes) == Some(name)).unwrap_or_default()
    }
}

/// How many peers a torrent has, as a tracker answers to a scrape (BEP 48).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the numbers of BEP 48")]
pub struct Scrape {
    /// Peers that have all of it.
    pub seeds: u32,
    /// Peers that do not.
    pub leechers: u32,
    /// How often it has been completed.
    pub completed: u32,
}
