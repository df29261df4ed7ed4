//! What the loop hears from other threads.

use std::net::SocketAddr;
use std::sync::mpsc::Sender;

use super::announce::{Asked, TrackerNews};
use super::opening::Opened;
use super::piece::Checked;
use super::pool::Buffer;
use super::running::TorrentKey;
use super::settings::{AddTorrent, Bounds};
use super::status::Status;
use super::web::{Fetch, WebNews};
use crate::InfoHash;
use crate::files::FilesError;
use crate::swarm::{Limits, WebKey};

pub(super) enum Message {
    Add(Box<AddTorrent>),
    Remove(InfoHash),
    /// Never evict it.
    Pin(InfoHash),
    Unpin(InfoHash),
    Adjust(Bounds),
    Limit(InfoHash, Limits),
    Recheck(InfoHash),
    /// The files of a torrent that was evicted.
    Deleted(InfoHash, Result<(), FilesError>),
    /// None if there is no such torrent.
    Status(InfoHash, Sender<Option<Status>>),
    Statuses(Sender<Vec<Status>>),
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
