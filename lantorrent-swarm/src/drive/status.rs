//! What is known of a torrent at one moment.

use super::running::Phase;
use crate::InfoHash;
use crate::swarm::Progress;

/// State, progress and rates of a torrent ([`TorrentHandle::status`](super::TorrentHandle::status)).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Its name among peers.
    pub info_hash: InfoHash,
    /// The name of its file or folder, fit to be printed. None until its metadata is known.
    pub name: Option<String>,
    /// Its length in bytes. None until its metadata is known.
    pub length: Option<u64>,
    /// Bytes in pieces that are there, verified.
    pub have: u64,
    /// What is being done with it.
    pub phase: Phase,
    /// Bytes that were hashed while it was checked.
    pub hashed: u64,
    /// Its peers, and what was received and sent.
    pub progress: Progress,
}
