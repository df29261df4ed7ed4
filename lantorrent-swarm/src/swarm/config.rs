//! What a torrent is told at its start.

use std::net::IpAddr;
use std::sync::Arc;

use crate::bitfield::Bitfield;
use crate::{Geometry, InfoHash, PeerId};

/// Everything that a torrent has to know from the start.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Its name.
    pub info_hash: InfoHash,
    /// Ours.
    pub peer_id: PeerId,
    /// Makes every choice that is left to chance. Random, so that no two nodes choose alike.
    pub seed: u64,
    /// The TCP port where we take connections, if we do.
    pub port: Option<u16>,
    /// The UDP port of our DHT node, if there is one.
    pub dht_port: Option<u16>,
    /// The networks that this host is in. Their peers come first.
    pub networks: Vec<Network>,
    /// How many web seeds there are.
    pub web_seeds: u32,
    /// None if the info hash is all that is known.
    pub content: Option<Content>,
    /// How much of everything.
    pub limits: Limits,
}

impl Config {
    /// A torrent of which only the info hash is known, for a client that takes no connections.
    pub fn new(info_hash: InfoHash, peer_id: PeerId, seed: u64) -> Self {
        Self {
            info_hash,
            peer_id,
            seed,
            port: None,
            dht_port: None,
            networks: Vec::new(),
            web_seeds: 0,
            content: None,
            limits: Limits::default(),
        }
    }
}

/// What the metadata says, and what there is already.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Content {
    /// The info dictionary, byte for byte, for peers that lack it.
    pub info: Arc<[u8]>,
    /// How the torrent is cut.
    pub geometry: Geometry,
    /// The pieces that are there, verified.
    pub have: Bitfield,
    /// Peers are found by its trackers alone (BEP 27).
    pub private: bool,
}

impl Content {
    /// A torrent that is not private.
    pub fn new(info: Arc<[u8]>, geometry: Geometry, have: Bitfield) -> Self {
        Self { info, geometry, have, private: false }
    }
}

/// How much of everything. All may change while the torrent runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Connections to peers.
    pub connections: usize,
    /// Connections that are being made.
    pub connecting: usize,
    /// Peers that are served at the same time.
    pub upload_slots: usize,
    /// Bytes in pieces that are not complete, or not verified yet. At least two pieces are always allowed.
    pub unfinished: u64,
    /// Bytes that the driver reads in a second at most, if there is a limit. No more is asked for than comes soon then, so
    /// that nobody is taken for silent who only is not read from.
    pub download: Option<u64>,
    /// Web seeds that are asked at the same time.
    pub web_seeds: usize,
    /// Web seeds are used while peers together send fewer bytes than this in a second.
    pub slow: u64,
}

impl Limits {
    /// Limits the connections to peers.
    pub fn connections(self, connections: usize) -> Self {
        Self { connections, ..self }
    }

    /// Limits the connections that are being made.
    pub fn connecting(self, connecting: usize) -> Self {
        Self { connecting, ..self }
    }

    /// Limits the peers that are served at the same time.
    pub fn upload_slots(self, upload_slots: usize) -> Self {
        Self { upload_slots, ..self }
    }

    /// Limits the bytes in pieces that are not complete, or not verified yet.
    pub fn unfinished(self, unfinished: u64) -> Self {
        Self { unfinished, ..self }
    }

    /// Tells the rate at which the driver reads, in bytes per second.
    pub fn download(self, download: impl Into<Option<u64>>) -> Self {
        Self { download: download.into(), ..self }
    }

    /// Limits the web seeds that are asked at the same time.
    pub fn web_seeds(self, web_seeds: usize) -> Self {
        Self { web_seeds, ..self }
    }

    /// Uses web seeds below this rate of all peers together, in bytes per second.
    pub fn slow(self, slow: u64) -> Self {
        Self { slow, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 200,
            connecting: 32,
            upload_slots: 100,
            unfinished: 64 << 20,
            download: None,
            web_seeds: 2,
            slow: 1 << 20,
        }
    }
}

/// A network: the addresses that begin with the same bits as this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a prefix has two parts")]
pub struct Network {
    /// Any address of it.
    pub address: IpAddr,
    /// How many bits all its addresses have in common.
    pub bits: u32,
}

impl Network {
    /// Whether that address is one of its.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, other, width) = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (own.to_bits().into(), other.to_bits().into(), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits(), other.to_bits(), 128),
            _ => return false,
        };
        let differs: u128 = own ^ other;
        differs.checked_shr(width - self.bits.min(width)).unwrap_or(0) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_in_a_network() {
        let network = |address: &str, bits| Network { address: address.parse().unwrap(), bits };
        let contains = |network: Network, address: &str| network.contains(address.parse().unwrap());
        assert!(contains(network("10.1.2.3", 24), "10.1.2.254"));
        assert!(!contains(network("10.1.2.3", 24), "10.1.3.3"));
        assert!(contains(network("10.1.2.3", 0), "192.168.0.1") && contains(network("::1", 0), "fe80::1"));
        assert!(
            contains(network("10.1.2.3", 32), "10.1.2.3") && !contains(network("10.1.2.3", 99), "10.1.2.2")
        );
        assert!(
            contains(network("fe80::1", 64), "fe80::ffff") && !contains(network("fe80::1", 64), "10.1.2.3")
        );
    }
}
