//! The peers that others have announced to us.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::InfoHash;
use crate::entropy::Entropy;

/// Who does not announce again within that time is forgotten.
const LIFETIME: Duration = Duration::from_secs(30 * 60);
/// Entries that are kept of all torrents together, of one torrent, and of one address.
const MOST: usize = 50_000;
const MOST_OF_TORRENT: usize = 1000;
const MOST_OF_ADDRESS: u32 = 10_000;

#[derive(Debug, Default)]
pub(super) struct Store {
    torrents: BTreeMap<InfoHash, BTreeMap<SocketAddr, Instant>>,
    addresses: HashMap<IpAddr, u32>,
    entries: usize,
}

impl Store {
    /// Whether there was room for it.
    pub(super) fn add(&mut self, now: Instant, torrent: InfoHash, peer: SocketAddr) -> bool {
        if let Some(seen) = self.torrents.get_mut(&torrent).and_then(|peers| peers.get_mut(&peer)) {
            *seen = now;
            return true;
        }
        let of_torrent = self.torrents.get(&torrent).map_or(0, BTreeMap::len);
        let of_address = self.addresses.get(&peer.ip()).copied().unwrap_or(0);
        if self.entries >= MOST || of_torrent >= MOST_OF_TORRENT || of_address >= MOST_OF_ADDRESS {
            return false;
        }
        self.torrents.entry(torrent).or_default().insert(peer, now);
        *self.addresses.entry(peer.ip()).or_default() += 1;
        self.entries += 1;
        true
    }

    /// Some peers of the torrent, at random if there are more.
    pub(super) fn some(&self, torrent: &InfoHash, most: usize, entropy: &mut Entropy) -> Vec<SocketAddr> {
        let mut peers: Vec<_> =
            self.torrents.get(torrent).map(|peers| peers.keys().copied().collect()).unwrap_or_default();
        entropy.keep(&mut peers, most);
        peers
    }

    pub(super) fn expire(&mut self, now: Instant) {
        let (addresses, entries) = (&mut self.addresses, &mut self.entries);
        self.torrents.retain(|_, peers| {
            peers.retain(|peer, seen| {
                let stays = now.saturating_duration_since(*seen) < LIFETIME;
                if !stays {
                    *entries -= 1;
                    release(addresses, peer.ip());
                }
                stays
            });
            !peers.is_empty()
        });
    }
}

fn release(addresses: &mut HashMap<IpAddr, u32>, address: IpAddr) {
    if let Some(count) = addresses.get_mut(&address) {
        *count -= 1;
        if *count == 0 {
            addresses.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Seed;

    fn torrent(number: u32) -> InfoHash {
        InfoHash::of(&number.to_be_bytes())
    }

    fn peer(number: u32) -> SocketAddr {
        (std::net::Ipv4Addr::from_bits(0x0a00_0000 + number), 6881).into()
    }

    #[test]
    fn peers_are_kept_for_a_while() {
        let (start, mut entropy) = (Instant::now(), Entropy::new(Seed([1; 32])));
        let mut store = Store::default();
        assert!(store.add(start, torrent(1), peer(1)) && store.add(start, torrent(1), peer(2)));
        assert!(store.add(start + LIFETIME / 2, torrent(1), peer(2)));
        store.expire(start + LIFETIME);
        assert_eq!(store.some(&torrent(1), 9, &mut entropy), [peer(2)]);
        store.expire(start + LIFETIME * 2);
        assert_eq!((store.entries, store.torrents.len(), store.addresses.len()), (0, 0, 0));
    }

    #[test]
    fn a_few_of_many_are_not_always_the_same() {
        let (now, mut entropy) = (Instant::now(), Entropy::new(Seed([1; 32])));
        let mut store = Store::default();
        (0..100).for_each(|number| assert!(store.add(now, torrent(1), peer(number))));
        let (one, other) =
            (store.some(&torrent(1), 10, &mut entropy), store.some(&torrent(1), 10, &mut entropy));
        assert_eq!((one.len(), other.len()), (10, 10));
        assert_ne!(one, other);
    }

    #[test]
    fn there_is_only_so_much_room() {
        let now = Instant::now();
        let mut store = Store::default();
        let kept = (0..5000).filter(|&number| store.add(now, torrent(1), peer(number))).count();
        assert_eq!(kept, MOST_OF_TORRENT);
        let kept = (2..20_000).filter(|&number| store.add(now, torrent(number), peer(9999))).count();
        assert_eq!(kept, MOST_OF_ADDRESS as usize);
        for number in 2..60_000 {
            store.add(now, torrent(number), peer(number));
        }
        assert_eq!(store.entries, MOST);
    }
}
