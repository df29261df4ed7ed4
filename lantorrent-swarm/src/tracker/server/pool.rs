//! Peers of a torrent that are alike, so that some can be picked: those near an address, or any.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::PeerId;
use crate::entropy::Entropy;

/// An address and a port, in an order in which networks lie together. All peers of a pool are of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place([u8; 18]);

#[derive(Clone, Copy, Debug)]
pub(super) struct Peer {
    pub(super) place: Place,
    pub(super) id: PeerId,
    pub(super) key: Option<u32>,
    /// Seconds from the tracker's start to the last announcement.
    pub(super) seen: u32,
}

/// Kept twice: in any order to pick from, and where each is by its place.
#[derive(Debug, Default)]
pub(super) struct Pool {
    peers: Vec<Peer>,
    index: BTreeMap<Place, u32>,
}

impl Place {
    pub(super) fn of(address: SocketAddr) -> Self {
        let mut bytes = [0; 18];
        let octets = match address.ip() {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        bytes[..16].copy_from_slice(&octets);
        bytes[16..].copy_from_slice(&address.port().to_be_bytes());
        Self(bytes)
    }

    pub(super) fn address(&self) -> SocketAddr {
        let (octets, port) = self.0.split_at(16);
        let octets: [u8; 16] = std::array::from_fn(|index| octets[index]);
        let address = Ipv6Addr::from(octets);
        let port = u16::from_be_bytes([port[0], port[1]]);
        SocketAddr::new(address.to_ipv4_mapped().map_or(address.into(), Ipv4Addr::into), port)
    }

    /// The first and the last place of its network: the /24 of IPv4, the /64 of IPv6.
    fn network(&self) -> (Self, Self) {
        let (mut first, mut last) = (*self, *self);
        first.0[self.prefix()..].fill(0);
        last.0[self.prefix()..].fill(0xff);
        (first, last)
    }

    /// Any place of its network.
    fn neighbour(&self, entropy: &mut Entropy) -> Self {
        let any: [u8; 18] = entropy.bytes();
        let mut neighbour = *self;
        neighbour.0[self.prefix()..].copy_from_slice(&any[self.prefix()..]);
        neighbour
    }

    /// Bytes that all of its network have.
    fn prefix(&self) -> usize {
        if self.address().is_ipv4() { 15 } else { 8 }
    }
}

impl Pool {
    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(super) fn get_mut(&mut self, place: &Place) -> Option<&mut Peer> {
        let index = *self.index.get(place)?;
        self.peers.get_mut(index as usize)
    }

    /// Adds a peer that is not there.
    pub(super) fn insert(&mut self, peer: Peer) {
        self.index.insert(peer.place, self.peers.len() as u32);
        if self.peers.is_empty() {
            // There are many torrents of one peer.
            self.peers.reserve_exact(1);
        }
        self.peers.push(peer);
    }

    pub(super) fn remove(&mut self, place: &Place) -> Option<Peer> {
        let index = self.index.remove(place)? as usize;
        let peer = self.peers.swap_remove(index);
        if let Some(moved) = self.peers.get(index) {
            self.index.insert(moved.place, index as u32);
        }
        Some(peer)
    }

    /// Removes those that were not seen since then, and returns how many.
    pub(super) fn expire(&mut self, since: u32) -> usize {
        let old: Vec<Place> =
            self.peers.iter().filter(|peer| peer.seen < since).map(|peer| peer.place).collect();
        for place in &old {
            self.remove(place);
        }
        old.len()
    }

    /// Peers of the network that this place is in, beginning anywhere.
    pub(super) fn near(&self, place: &Place, entropy: &mut Entropy) -> impl Iterator<Item = &Peer> {
        let (first, last) = place.network();
        let anywhere = place.neighbour(entropy);
        let behind = self.index.range(anywhere..=last);
        let before = self.index.range(first..anywhere);
        behind.chain(before).filter_map(|(_, &index)| self.peers.get(index as usize))
    }

    pub(super) fn at(&self, index: usize) -> Option<&Peer> {
        self.peers.get(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Seed;

    fn peer(address: &str) -> Peer {
        let place = Place::of(address.parse().unwrap());
        Peer { place, id: PeerId([0; 20]), key: None, seen: 0 }
    }

    fn ports(pool: &Pool, near: &str, entropy: &mut Entropy) -> Vec<u16> {
        pool.near(&peer(near).place, entropy).map(|peer| peer.place.address().port()).collect()
    }

    #[test]
    fn places_there_and_back() {
        for text in ["10.0.0.1:6881", "255.255.255.255:65535", "[fe80::1]:1", "[::]:0"] {
            assert_eq!(peer(text).place.address(), text.parse().unwrap());
        }
    }

    #[test]
    fn a_network_lies_together() {
        let mut entropy = Entropy::new(Seed([1; 32]));
        let mut pool = Pool::default();
        for address in
            ["10.0.0.255:1", "10.0.1.0:2", "10.0.1.9:3", "10.0.1.255:4", "10.0.1.255:65535", "10.0.2.0:6"]
        {
            pool.insert(peer(address));
        }
        let mut orders = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let order = ports(&pool, "10.0.1.77:1", &mut entropy);
            orders.insert(order.clone());
            let mut sorted = order;
            sorted.sort_unstable();
            assert_eq!(sorted, [2, 3, 4, 65535]);
        }
        assert!(orders.len() > 1, "it begins anywhere");
        let mut pool = Pool::default();
        for address in ["[fd00:0:0:1::]:1", "[fd00:0:0:1:ffff::]:2", "[fd00:0:0:2::]:3", "[fd00::ffff]:4"] {
            pool.insert(peer(address));
        }
        assert_eq!(ports(&pool, "[fd00:0:0:1::7]:1", &mut entropy).len(), 2);
    }

    #[test]
    fn whoever_goes_leaves_all_others_in_their_places() {
        let mut pool = Pool::default();
        let places: Vec<_> = (0..100).map(|host| peer(&format!("10.0.{}.{host}:1", host % 7))).collect();
        for (number, peer) in places.iter().enumerate() {
            pool.insert(Peer { seen: number as u32, ..*peer });
        }
        assert!(pool.remove(&places[0].place).is_some() && pool.remove(&places[0].place).is_none());
        assert_eq!(pool.expire(50), 49);
        assert_eq!(pool.len(), 50);
        for (number, peer) in places.iter().enumerate().skip(50) {
            assert_eq!(pool.get_mut(&peer.place).map(|peer| peer.seen), Some(number as u32));
        }
        assert_eq!(pool.expire(1000), 50);
        assert!(pool.peers.is_empty() && pool.index.is_empty());
    }
}
