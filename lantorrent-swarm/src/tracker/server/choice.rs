//! Which of many peers somebody is told of.

use std::collections::HashSet;
use std::net::SocketAddr;

use super::pool::{Peer, Place, Pool};
use crate::PeerId;
use crate::entropy::Entropy;

/// Those who are picked, each once.
pub(super) struct Chosen {
    most: usize,
    pub(super) peers: Vec<(SocketAddr, PeerId)>,
    /// Theirs, and the asker's own.
    places: HashSet<Place>,
}

impl Chosen {
    /// Nobody yet, and never the asker.
    pub(super) fn for_asker(asker: Place) -> Self {
        Self { most: 0, peers: Vec::new(), places: HashSet::from([asker]) }
    }

    /// How many there may be from now on.
    pub(super) fn up_to(&mut self, most: usize) -> &mut Self {
        self.most = most;
        self
    }

    pub(super) fn take<'a>(&mut self, peers: impl Iterator<Item = &'a Peer>) {
        for peer in peers {
            if self.peers.len() >= self.most {
                return;
            }
            if self.places.insert(peer.place) {
                self.peers.push((peer.place.address(), peer.id));
            }
        }
    }

    pub(super) fn take_any(&mut self, pools: &[&Pool], entropy: &mut Entropy) {
        let all: usize = pools.iter().map(|pool| pool.len()).sum();
        let nth = |mut index: usize| {
            pools.iter().find_map(|pool| {
                let found = pool.at(index);
                index = index.saturating_sub(pool.len());
                found
            })
        };
        if all < 4 * (self.most + self.places.len()) {
            let mut order: Vec<usize> = (0..all).collect();
            entropy.shuffle(&mut order);
            self.take(order.into_iter().filter_map(nth));
            return;
        }
        // Three of four are new, so that this is enough for nearly all.
        for _ in 0..2 * self.most {
            self.take(nth(entropy.below(all)).into_iter());
        }
    }
}
