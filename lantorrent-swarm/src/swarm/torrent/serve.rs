//! Serving others.

use std::net::IpAddr;
use std::time::Instant;

use super::Torrent;
use crate::Span;
use crate::swarm::choker::{Aim, Contender};
use crate::swarm::event::{Action, PeerKey, Reason};
use crate::swarm::fast;
use crate::swarm::peer::Peer;
use crate::swarm::upload::ALL_UNDER_WAY;
use crate::wire::Message;

/// The longest block that is served. Some clients ask for more than 16 KiB.
const LONGEST_BLOCK: u32 = 128 << 10;

impl Torrent {
    pub(super) fn interested(&mut self, now: Instant, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if !std::mem::replace(&mut peer.upload.interested, true) {
            self.fill_slots(now);
            self.allow_some(now, key);
        }
    }

    pub(super) fn not_interested(&mut self, now: Instant, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.upload.interested = false;
        if !peer.upload.choked {
            // Somebody who waits for a slot gets it; nobody does: then it is as well left where it is.
            self.fill_slots(now);
        }
    }

    /// Gives away the slots that are free. On a LAN, waiting for the next round would be most of the transfer.
    pub(super) fn fill_slots(&mut self, now: Instant) {
        let served = self.peers.values().filter(|peer| !peer.upload.choked && peer.upload.interested).count();
        let free = self.limits.upload_slots.saturating_sub(served);
        let waits = |peer: &Peer| peer.upload.choked && peer.upload.interested;
        let waiting = self.peers.iter().filter(|(_, peer)| waits(peer));
        let mut waiting: Vec<_> = waiting.map(|(key, peer)| (peer.upload.changed, *key)).collect();
        waiting.sort_unstable();
        for (_, key) in waiting.into_iter().take(free) {
            self.unchoke(now, key);
        }
    }

    /// Shares the slots out anew.
    pub(super) fn share_slots(&mut self, now: Instant) {
        let mut contenders = Vec::new();
        for (&key, peer) in &mut self.peers {
            let (given, taken) = peer.take_round();
            if peer.upload.interested {
                let (choked, changed) = (peer.upload.choked, peer.upload.changed);
                contenders.push(Contender { key, choked, changed, given, taken });
            }
        }
        let aim = if self.is_complete() { Aim::Share } else { Aim::Reciprocate };
        let slots = self.limits.upload_slots;
        let served = self.choker.round(now, contenders, slots, aim, &mut self.random);
        for key in self.keys() {
            if served.contains(&key) {
                self.unchoke(now, key);
            } else {
                self.choke(now, key);
            }
        }
    }

    fn unchoke(&mut self, now: Instant, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key).filter(|peer| peer.upload.choked) else { return };
        peer.upload.choked = false;
        peer.upload.changed = now;
        self.suggest(now, key);
        self.send(now, key, Message::Unchoke);
    }

    fn choke(&mut self, now: Instant, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key).filter(|peer| !peer.upload.choked) else { return };
        peer.upload.choked = true;
        peer.upload.changed = now;
        let refused = peer.upload.refuse(|upload, span| !upload.serves(span.piece));
        self.send(now, key, Message::Choke);
        self.reject_all(now, key, refused);
    }

    /// Says that these will not be sent, to who understands that.
    pub(super) fn reject_all(&mut self, now: Instant, key: PeerKey, spans: Vec<Span>) {
        if self.peers.get(&key).is_some_and(|peer| peer.features.fast) {
            for span in spans {
                self.send(now, key, Message::Reject(span));
            }
        }
    }

    /// Who has to wait for a slot and has next to nothing may ask for a few pieces all the same, to have something to give.
    fn allow_some(&mut self, now: Instant, key: PeerKey) {
        let (Some(peer), Some(holdings)) = (self.peers.get_mut(&key), &self.holdings) else { return };
        let IpAddr::V4(ip) = peer.address.ip().to_canonical() else { return };
        let poor = (peer.has.count() as usize) < fast::ALLOWED;
        if !peer.features.fast || !peer.upload.choked || !poor || !peer.upload.allowed.is_empty() {
            return;
        }
        let pieces = holdings.pieces.geometry.pieces();
        let mut allowed = fast::allowed_set(ip, self.info_hash, pieces, fast::ALLOWED);
        allowed.retain(|piece| holdings.pieces.have.contains(*piece));
        peer.upload.allowed.clone_from(&allowed);
        for piece in allowed {
            self.send(now, key, Message::AllowedFast(piece));
        }
    }

    /// As a seed: tells a peer what it might ask for.
    fn suggest(&mut self, now: Instant, key: PeerKey) {
        let several = self.peers.values().filter(|peer| peer.upload.interested).nth(1).is_some();
        if !several || !self.is_complete() {
            return;
        }
        let (Some(peer), Some(holdings)) = (self.peers.get(&key), &mut self.holdings) else { return };
        if !peer.features.fast || peer.upload.choked || !peer.upload.interested {
            return;
        }
        let (ours, availability) = (&holdings.pieces.have, &holdings.availability);
        let suggested = holdings.spread.suggest(key, ours, &peer.has, availability, &mut self.random);
        for piece in suggested {
            self.send(now, key, Message::Suggest(piece));
        }
    }

    pub(super) fn requested(&mut self, now: Instant, key: PeerKey, span: Span) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(holdings) = &mut self.holdings else { return self.reject_all(now, key, vec![span]) };
        if !holdings.pieces.geometry.contains(&span) || span.length > LONGEST_BLOCK {
            return self.close(now, key, Reason::Broken("it asks for a block that cannot be"));
        }
        let willing = holdings.pieces.have.contains(span.piece) && peer.upload.serves(span.piece);
        if !willing || !peer.upload.ask(now, span) {
            return self.reject_all(now, key, vec![span]);
        }
        if holdings.spread.asked(span.piece) {
            self.suggest(now, key);
        }
        self.upload(now);
    }

    pub(super) fn cancelled(&mut self, now: Instant, key: PeerKey, span: Span) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if peer.upload.cancel(span) {
            self.reject_all(now, key, vec![span]);
        }
    }

    /// Gives the driver more to send, what is most urgent first.
    pub(super) fn upload(&mut self, now: Instant) {
        let Some(holdings) = &mut self.holdings else { return };
        let mut under_way: u32 = self.peers.values().map(|peer| peer.upload.busy(now)).sum();
        while under_way < ALL_UNDER_WAY {
            let urgent = self.peers.iter_mut().filter_map(|(key, peer)| {
                let urgency = peer.upload.urgency(now, &holdings.spread.sent)?;
                Some((urgency, *key, peer))
            });
            let Some((_, key, peer)) = urgent.min_by_key(|(urgency, key, _)| (*urgency, *key)) else {
                return;
            };
            let Some(span) = peer.upload.next(now) else { return };
            peer.spoken = now;
            under_way += span.length;
            holdings.spread.sent.insert(span.piece);
            self.out.push_back(Action::Upload(key, span));
        }
    }

    pub(super) fn sent(&mut self, now: Instant, key: PeerKey, span: Span) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.spoken = now;
            peer.useful = now;
            peer.upload.sent(now, span);
            self.upload(now);
        }
    }
}
