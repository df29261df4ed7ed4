//! What there is to tell about a torrent.

use std::net::SocketAddr;
use std::time::Instant;

use super::Torrent;
use crate::swarm::Bitfield;
use crate::swarm::event::{Direction, PeerKey};
use crate::swarm::peer::Peer;

/// How far a torrent is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Pieces that are there, verified.
    pub pieces: u32,
    /// Pieces in all; 0 while that is not known.
    pub of: u32,
    /// Connected peers.
    pub peers: usize,
    /// Those of them that want nothing any more.
    pub seeds: usize,
    /// Bytes of blocks that have come from peers and web seeds since the start.
    pub downloaded: u64,
    /// Bytes of blocks that have gone to peers since the start.
    pub uploaded: u64,
    /// Bytes of blocks that have come and were of no use, as somebody else was faster or nobody had asked.
    pub wasted: u64,
    /// Bytes that have come in the last second, from peers.
    pub download_rate: u64,
    /// Bytes that have gone in the last second.
    pub upload_rate: u64,
}

/// How things are with a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStatus {
    /// Its connection.
    pub key: PeerKey,
    /// The other end.
    pub address: SocketAddr,
    /// Who began the connection.
    pub direction: Direction,
    /// The name of its client, if it has said it; fit to be printed.
    pub client: Option<String>,
    /// Pieces that it has.
    pub pieces: u32,
    /// We wait for so many blocks from it.
    pub requests: usize,
    /// Bytes of blocks that have come from it.
    pub downloaded: u64,
    /// Bytes of blocks that have gone to it.
    pub uploaded: u64,
    /// Bytes that have come from it in the last second.
    pub download_rate: u64,
    /// Bytes that have gone to it in the last second.
    pub upload_rate: u64,
}

/// Bytes of connections that are no more.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) downloaded: u64,
    uploaded: u64,
}

impl Totals {
    pub(super) fn add(&mut self, peer: &Peer) {
        self.downloaded += peer.download.rate.total();
        self.uploaded += peer.upload.rate.total();
    }
}

impl Torrent {
    /// Whether all pieces are there.
    pub fn is_complete(&self) -> bool {
        self.holdings.as_ref().is_some_and(|holdings| holdings.pieces.is_complete())
    }

    /// The pieces that are there; none while the metadata is not known.
    pub fn have(&self) -> Option<&Bitfield> {
        self.holdings.as_ref().map(|holdings| &holdings.pieces.have)
    }

    /// Bytes of blocks that are there or will be soon, in pieces that are not complete or not verified yet: what a driver
    /// has in memory, at most.
    pub fn unfinished(&self) -> u64 {
        let Some(holdings) = &self.holdings else { return 0 };
        let sizes = holdings.pieces.unfinished.keys().map(|piece| holdings.pieces.geometry.size(*piece));
        sizes.map(u64::from).sum()
    }

    /// How far it is.
    pub fn progress(&self, now: Instant) -> Progress {
        let mut progress = Progress {
            peers: self.peers.len(),
            downloaded: self.past.downloaded,
            uploaded: self.past.uploaded,
            wasted: self.wasted,
            ..Progress::default()
        };
        if let Some(have) = self.have() {
            (progress.pieces, progress.of) = (have.count(), have.pieces());
        }
        for peer in self.peers.values() {
            progress.seeds += usize::from(peer.is_seed());
            progress.downloaded += peer.download.rate.total();
            progress.uploaded += peer.upload.rate.total();
            progress.download_rate += peer.download.rate.value(now);
            progress.upload_rate += peer.upload.rate.value(now);
        }
        progress
    }

    /// How things are with each peer.
    pub fn peers(&self, now: Instant) -> impl Iterator<Item = PeerStatus> {
        self.peers.iter().map(move |(key, peer)| PeerStatus {
            key: *key,
            address: peer.address,
            direction: peer.direction,
            client: peer.client.clone(),
            pieces: peer.has.count(),
            requests: peer.download.outstanding(),
            downloaded: peer.download.rate.total(),
            uploaded: peer.upload.rate.total(),
            download_rate: peer.download.rate.value(now),
            upload_rate: peer.upload.rate.value(now),
        })
    }
}
