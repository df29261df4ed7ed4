//! What the loop hears from other threads, and what it has to say to whoever started it.

use std::net::SocketAddr;
use std::sync::mpsc::Sender;

use super::announce::{Asked, TrackerNews};
use super::opening::Opened;
use super::piece::Checked;
use super::pool::Buffer;
use super::running::TorrentKey;
use super::settings::{Adding, Bounds};
use super::status::Status;
use super::web::{Fetch, WebNews};
use crate::InfoHash;
use crate::files::FilesError;
use crate::swarm::{Limits, WebKey};

pub(super) enum Message {
    Add(Box<Adding>),
    Remove(InfoHash),
    /// Never evict it.
    Pin(InfoHash),
    Unpin(InfoHash),
    Adjust(Bounds),
    Limit(InfoHash, Limits),
    Recheck(InfoHash),
    /// The files of a torrent that was evicted.
    Deleted(InfoHash, Result<(), FilesError>),
    /// How things are with all torrents.
    Tell(Sender<Vec<Status>>),
    /// Say goodbye to everybody, and end.
    Stop,
    /// Of a tracker.
    Tracker(Asked, TrackerNews),
    /// There may be nodes of the DHT.
    Nodes(Vec<SocketAddr>),
    /// To a torrent.
    News(TorrentKey, News),
}

/// What a torrent hears from the threads that work for it.
pub(super) enum News {
    Opened(Result<Opened, FilesError>),
    /// So many bytes more have been hashed.
    Hashed(u64),
    /// A piece was hashed, and written if it is right. Its buffers come back.
    Checked {
        piece: u32,
        checked: Checked,
        blocks: Vec<Buffer>,
    },
    Synced(Result<(), FilesError>),
    Finished(Result<(), FilesError>),
    Web(WebKey, Fetch, WebNews),
    /// Where the peers are that were named to begin with.
    Peers(Vec<SocketAddr>),
}

/// What happened to a torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// What it is has come from peers.
    Metadata(InfoHash),
    /// All of it is there, verified, durable and in place.
    Whole(InfoHash),
    /// It cannot go on, for that reason.
    Failed(InfoHash, String),
    /// Something is wrong that it can live with.
    Warning(InfoHash, String),
    /// It was removed, and its files are left alone.
    Removed(InfoHash),
    /// It had to make room for others, and its files are deleted. What could not be is left, and was warned of.
    Evicted(InfoHash),
}
