//! What peers say.

use std::net::SocketAddr;
use std::time::Instant;

use super::Torrent;
use crate::swarm::Bitfield;
use crate::swarm::event::{Action, PeerKey, Reason};
use crate::swarm::peer::Knowledge;
use crate::wire::{METADATA_ID, Message};

impl Torrent {
    pub(super) fn message(&mut self, now: Instant, key: PeerKey, message: Message) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.heard = now;
        if is_rare(&message) && !peer.rare.take(now) {
            return self.close(now, key, Reason::Broken("it says without end what need not be said again"));
        }
        let known = self.holdings.is_some();
        match message {
            Message::KeepAlive => {}
            Message::Choke => self.choked_by(now, key),
            Message::Unchoke => {
                if peer.download.unchoked(now) {
                    self.refill(now, key);
                }
            }
            Message::Interested => self.interested(now, key),
            Message::NotInterested => self.not_interested(now, key),
            Message::Have(_)
            | Message::Bitfield(_)
            | Message::HaveAll
            | Message::HaveNone
            | Message::AllowedFast(_)
            | Message::Suggest(_)
                if !known =>
            {
                peer.keep(message);
            }
            Message::Have(piece) => self.has(now, key, piece),
            Message::Bitfield(bits) => self.has_these(now, key, &Told::Bits(&bits)),
            Message::HaveAll => self.has_these(now, key, &Told::All),
            Message::HaveNone => self.has_these(now, key, &Told::None),
            Message::AllowedFast(piece) => {
                peer.download.allow(piece);
                self.refill(now, key);
            }
            Message::Suggest(piece) => peer.download.suggest(piece),
            Message::Request(span) => self.requested(now, key, span),
            Message::Cancel(span) => self.cancelled(now, key, span),
            Message::Reject(span) => self.rejected(now, key, span),
            Message::Port(port) => self.dht_node(key, port),
            Message::Extended { id, payload } => self.extended(now, key, id, &payload),
        }
    }

    fn has(&mut self, now: Instant, key: PeerKey, piece: u32) {
        let (Some(peer), Some(holdings)) = (self.peers.get_mut(&key), &mut self.holdings) else { return };
        peer.knowledge = Knowledge::Told;
        if piece >= holdings.pieces.geometry.pieces() {
            return self.close(now, key, Reason::Broken("it claims to have a piece that does not exist"));
        }
        if !peer.has.insert(piece) {
            return;
        }
        holdings.availability.gained(piece, &peer.has);
        if !holdings.pieces.have.contains(piece) {
            peer.wants += 1;
            let is_of_use = holdings.pieces.can_be_asked_for(piece, self.limits.unfinished);
            self.declare_interest(now, key);
            if is_of_use {
                self.refill(now, key);
            }
        }
        self.part_if_done(now, key);
    }

    fn has_these(&mut self, now: Instant, key: PeerKey, told: &Told<'_>) {
        let (Some(peer), Some(holdings)) = (self.peers.get_mut(&key), &mut self.holdings) else { return };
        let again = std::mem::replace(&mut peer.knowledge, Knowledge::Told) == Knowledge::Told;
        // A bitfield later on is no fault: to aria2 it is the shorter way to say many pieces. The other two only come first.
        if again && !matches!(told, Told::Bits(_)) {
            return self.close(now, key, Reason::Broken("it says twice which pieces it has"));
        }
        let pieces = holdings.pieces.geometry.pieces();
        let has = match told {
            Told::All => Some(Bitfield::all(pieces)),
            Told::None => Some(Bitfield::none(pieces)),
            Told::Bits(bits) => Bitfield::from_bytes(bits, pieces),
        };
        let Some(has) = has else {
            return self.close(now, key, Reason::Broken("its bitfield is for another number of pieces"));
        };
        holdings.availability.remove(&peer.has);
        holdings.availability.add(&has);
        peer.wants = has.count() - has.common(&holdings.pieces.have).count() as u32;
        peer.has = has;
        self.declare_interest(now, key);
        self.refill(now, key);
        self.part_if_done(now, key);
    }

    fn dht_node(&mut self, key: PeerKey, port: u16) {
        if let Some(peer) = self.peers.get(&key)
            && port != 0
            && self.dht_port.is_some()
            && !self.private
        {
            self.out.push_back(Action::DhtNode(SocketAddr::new(peer.address.ip(), port)));
        }
    }
}

/// Whether it is something that nobody has a reason to say often. Metadata has bounds of its own.
fn is_rare(message: &Message) -> bool {
    match message {
        Message::Choke
        | Message::Unchoke
        | Message::Bitfield(_)
        | Message::HaveAll
        | Message::HaveNone
        | Message::AllowedFast(_)
        | Message::Port(_) => true,
        Message::Extended { id, .. } => *id != METADATA_ID,
        _ => false,
    }
}

/// What a peer says that it has.
enum Told<'a> {
    All,
    None,
    Bits(&'a [u8]),
}
