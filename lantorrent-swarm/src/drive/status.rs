//! How things are with a torrent.

use super::running::Phase;
use crate::InfoHash;
use crate::swarm::Progress;

/// How things are with a torrent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Which one.
    pub info_hash: InfoHash,
    /// What it is called, fit to be printed. None while only its hash is known.
    pub name: Option<String>,
    /// Its bytes, as far as they are known.
    pub length: Option<u64>,
    /// Bytes in pieces that are there, verified.
    pub have: u64,
    /// How far it is.
    pub phase: Phase,
    /// Bytes that were hashed while it was looked at.
    pub hashed: u64,
    /// Its peers, and what came and went.
    pub progress: Progress,
}
