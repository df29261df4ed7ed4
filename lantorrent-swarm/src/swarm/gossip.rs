//! When to tell a peer of the others, and what (BEP 11).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::wire::{Exchange, ExchangePeer};

/// Between two messages to the same peer.
const INTERVAL: Duration = Duration::from_secs(60);
/// Addresses in a message, of each list; more in the first, which tells of all.
const MOST: usize = 50;
const MOST_AT_FIRST: usize = 200;
/// A peer that tells us of others more often than this is not listened to.
const LEAST_INTERVAL: Duration = Duration::from_secs(30);

/// What was told to a peer, and by it.
#[derive(Clone, Debug, Default)]
pub(super) struct Gossip {
    told: BTreeMap<SocketAddr, ExchangePeer>,
    next: Option<Instant>,
    heard: Option<Instant>,
}

impl Gossip {
    /// Whether it is time to tell the peer of others, if there is anything to tell.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| next <= now)
    }

    /// What to tell the peer now of those who are there.
    pub(super) fn tell(&mut self, now: Instant, there: &[ExchangePeer]) -> Option<Exchange> {
        if !self.is_due(now) {
            return None;
        }
        let most = if self.next.is_none() { MOST_AT_FIRST } else { MOST };
        let is_new = |peer: &&ExchangePeer| !self.told.contains_key(&peer.address);
        let added: Vec<ExchangePeer> = there.iter().filter(is_new).take(most).copied().collect();
        let is_there = |address: &SocketAddr| there.iter().any(|peer| peer.address == *address);
        let dropped: Vec<SocketAddr> =
            self.told.keys().filter(|address| !is_there(address)).take(most).copied().collect();
        if added.is_empty() && dropped.is_empty() {
            return None;
        }
        self.next = Some(now + INTERVAL);
        for address in &dropped {
            _ = self.told.remove(address);
        }
        self.told.extend(added.iter().map(|peer| (peer.address, *peer)));
        Some(Exchange { added, dropped })
    }

    /// How many addresses of a list in a message that has come are taken.
    pub(super) fn listen(&mut self, now: Instant) -> usize {
        let most = match self.heard {
            None => MOST_AT_FIRST,
            Some(heard) if now < heard + LEAST_INTERVAL => return 0,
            Some(_) => MOST * 2,
        };
        self.heard = Some(now);
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(range: std::ops::Range<u16>) -> Vec<ExchangePeer> {
        let peer = |port| ExchangePeer {
            address: SocketAddr::from(([10, 0, 0, 1], port)),
            seed: false,
            reachable: true,
        };
        range.map(peer).collect()
    }

    #[test]
    fn all_at_first_and_then_what_has_changed() {
        let start = Instant::now();
        let mut gossip = Gossip::default();
        assert_eq!(gossip.tell(start, &[]), None);
        assert_eq!(gossip.tell(start, &peers(1..301)).unwrap().added, peers(1..201));
        assert_eq!(gossip.tell(start + INTERVAL / 2, &peers(1..301)), None);
        let second = gossip.tell(start + INTERVAL, &peers(11..301)).unwrap();
        assert_eq!(second.added, peers(201..251));
        assert_eq!(second.dropped, peers(1..11).iter().map(|peer| peer.address).collect::<Vec<_>>());
        let third = gossip.tell(start + INTERVAL * 2, &peers(11..301)).unwrap();
        assert_eq!(third, Exchange { added: peers(251..301), dropped: Vec::new() });
        assert_eq!(gossip.tell(start + INTERVAL * 3, &peers(11..301)), None);
        assert!(gossip.tell(start + INTERVAL * 3, &peers(11..302)).is_some(), "as soon as there is news");
    }

    #[test]
    fn who_talks_too_much_is_not_listened_to() {
        let start = Instant::now();
        let mut gossip = Gossip::default();
        assert_eq!(gossip.listen(start), MOST_AT_FIRST);
        assert_eq!(gossip.listen(start + LEAST_INTERVAL / 2), 0);
        assert_eq!(gossip.listen(start + LEAST_INTERVAL), MOST * 2);
    }
}
