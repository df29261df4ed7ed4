//! What goes into a node, and what comes out of it.

use std::net::SocketAddr;

use super::id::NodeId;
use super::message::Mode;
use crate::InfoHash;
use crate::compact::Compact;
use crate::entropy::Seed;

/// What a node begins with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DhtSettings {
    /// Its name: random, or the one of its last run.
    pub id: NodeId,
    /// The family of its socket.
    pub family: Compact,
    /// Whether it answers.
    pub mode: Mode,
    /// For transactions and tokens that nobody can guess.
    pub seed: Seed,
}

impl DhtSettings {
    /// A node of that name, whose socket is of that family.
    pub fn new(id: NodeId, family: Compact, mode: Mode, seed: Seed) -> Self {
        Self { id, family, mode, seed }
    }
}

/// What happens to a [`DhtNode`](super::DhtNode).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum DhtEvent<'a> {
    /// Time has passed.
    Tick,
    /// This datagram came from there.
    Received(SocketAddr, &'a [u8]),
    /// There may be a node at this address.
    Meet(SocketAddr),
    /// Look for peers of this torrent, which is not private, now and from time to time.
    Join {
        /// The torrent.
        torrent: InfoHash,
        /// Where we take connections, so that others find us; none to look only.
        port: Option<u16>,
    },
    /// Do not look any more.
    Leave(InfoHash),
}

/// What the driver of a [`DhtNode`](super::DhtNode) is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a driver has to carry out every action")]
pub enum DhtAction {
    /// Send this datagram.
    Send(SocketAddr, Vec<u8>),
    /// Peers of a torrent that was joined, maybe not for the first time, ourselves maybe among them.
    Found(InfoHash, Vec<SocketAddr>),
}
