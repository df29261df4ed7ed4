//! Whom to be connected to.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Doors, Torrent};
use crate::PeerId;
use crate::swarm::blame::Who;
use crate::swarm::event::{Action, Direction, Origin, PeerKey, Reason};
use crate::swarm::peer::Peer;
use crate::wire::{ExtendedHandshake, Features, Handshake, Message};

/// Two connections that were begun so shortly one after the other are taken for the same wish of both sides.
const SAME_TIME: Duration = Duration::from_secs(5);
/// A connection that is of use to nobody for so long makes place for another.
const IDLE: Duration = Duration::from_secs(60);
/// Who closes the connection sooner than this has no use for us.
const SHORT: Duration = Duration::from_secs(10);

impl Torrent {
    pub(super) fn found(&mut self, now: Instant, by: Origin, addresses: &[SocketAddr]) {
        let allowed = !self.private || matches!(by, Origin::Tracker | Origin::Given);
        if allowed {
            for address in addresses {
                self.candidates.found(now, *address, by);
            }
            self.dial(now);
        }
    }

    pub(super) fn may_dial(&self) -> bool {
        self.doors == Doors::Open
            && self.candidates.connecting() < self.limits.connecting
            && self.candidates.connecting() + self.peers.len() < self.limits.connections
    }

    /// Connects to as many as there may be.
    pub(super) fn dial(&mut self, now: Instant) {
        let need = self.need();
        while self.may_dial()
            && let Some(address) = self.candidates.next(now, need, &mut self.random)
        {
            self.out.push_back(Action::Connect(address));
        }
    }

    pub(super) fn connected(
        &mut self,
        now: Instant,
        key: PeerKey,
        address: SocketAddr,
        direction: Direction,
        handshake: &Handshake,
    ) {
        let id = handshake.peer_id;
        if direction == Direction::Outgoing {
            self.candidates.answered(address);
        }
        let replaced = match self.admit(now, address, direction, handshake) {
            Ok(replaced) => replaced,
            Err(reason) => {
                if direction == Direction::Outgoing {
                    self.refused(now, address, id, reason);
                }
                self.out.push_back(Action::Close(key, reason));
                return;
            }
        };
        let ours = self.handshake().features;
        let theirs = handshake.features;
        let features = Features {
            extensions: ours.extensions && theirs.extensions,
            fast: ours.fast && theirs.fast,
            dht: ours.dht && theirs.dht,
        };
        let pieces = self.holdings.as_ref().map_or(0, |holdings| holdings.pieces.geometry.pieces());
        let mut peer = Peer::new(now, address, direction, id, features, pieces);
        for address in replaced.iter().flat_map(Peer::addresses) {
            _ = peer.reached_at(address);
        }
        self.peers.insert(key, peer);
        self.greet(now, key, features);
    }

    /// A connection that we have begun is not kept.
    fn refused(&mut self, now: Instant, address: SocketAddr, id: PeerId, reason: Reason) {
        let same = self.peers.values_mut().find(|peer| peer.id == id);
        match same.filter(|_| reason == Reason::Duplicate).map(|peer| peer.reached_at(address)) {
            // It is called there again when the connection that there is has ended.
            Some(true) => {}
            Some(false) => self.candidates.failed(now, address),
            None => self.judge_address(now, address, reason),
        }
    }

    /// Whether a new connection is kept, and instead of which one, which is closed for it.
    fn admit(
        &mut self,
        now: Instant,
        address: SocketAddr,
        direction: Direction,
        handshake: &Handshake,
    ) -> Result<Option<Peer>, Reason> {
        let id = handshake.peer_id;
        if id == self.peer_id {
            return Err(Reason::Ourselves);
        }
        if self.blame.is_banned(&Who::peer(address.ip(), id)) {
            return Err(Reason::Banned);
        }
        if self.doors == Doors::Shut {
            return Err(Reason::Stopped);
        }
        let same = self.peers.iter().find(|(_, peer)| peer.id == id);
        if let Some((&other, peer)) = same {
            // Both sides dial when both hear of each other. Both have to keep the same one of the two connections: the one
            // that the lesser of the two has begun.
            let kept = if self.peer_id < id { Direction::Outgoing } else { Direction::Incoming };
            let replaces = direction == kept && peer.direction != kept && now < peer.since + SAME_TIME;
            if !replaces {
                return Err(Reason::Duplicate);
            }
            self.out.push_back(Action::Close(other, Reason::Duplicate));
            return Ok(self.remove(now, other));
        }
        if self.peers.len() < self.limits.connections || self.make_place(now) {
            return Ok(None);
        }
        Err(Reason::Full)
    }

    /// Closes the connection that has been of no use to anybody for longest, if that is long enough.
    fn make_place(&mut self, now: Instant) -> bool {
        let idle = self.peers.iter().min_by_key(|(_, peer)| peer.useful);
        let idle = idle.filter(|(_, peer)| now >= peer.useful + IDLE).map(|(key, _)| *key);
        if let Some(key) = idle {
            self.close(now, key, Reason::Idle);
        }
        idle.is_some()
    }

    /// If there are as many connections as there may be: whether others wait, and one of those is of no use.
    pub(super) fn renew(&mut self, now: Instant) {
        let full = self.peers.len() >= self.limits.connections && self.limits.connections > 0;
        if full && self.candidates.next_due(self.need()).is_some_and(|due| due <= now) {
            self.make_place(now);
        }
    }

    /// What we say first.
    fn greet(&mut self, now: Instant, key: PeerKey, features: Features) {
        let have = self.holdings.as_ref().map(|holdings| &holdings.pieces.have);
        let pieces = match have {
            Some(have) if features.fast && have.is_full() => Some(Message::HaveAll),
            Some(have) if have.count() > 0 => Some(Message::Bitfield(have.to_bytes())),
            _ if features.fast => Some(Message::HaveNone),
            _ => None,
        };
        if let Some(pieces) = pieces {
            self.send(now, key, pieces);
        }
        if features.extensions {
            let payload = self.extended_handshake(key).encode();
            self.send(now, key, Message::Extended { id: 0, payload });
        }
        if let Some(port) = self.dht_port.filter(|_| features.dht) {
            self.send(now, key, Message::Port(port));
        }
    }

    fn extended_handshake(&self, key: PeerKey) -> ExtendedHandshake {
        ExtendedHandshake {
            exchange_id: (!self.private).then_some(crate::wire::EXCHANGE_ID),
            metadata_id: Some(crate::wire::METADATA_ID),
            metadata_size: self.metadata.size(),
            port: self.port,
            client: Some(concat!("LANTorrent ", env!("CARGO_PKG_VERSION")).into()),
            requests: Some(crate::swarm::upload::QUEUE as u32),
            your_ip: self.peers.get(&key).map(|peer| peer.address.ip()),
            upload_only: self.is_complete().then_some(true),
        }
    }

    /// We close a connection.
    pub(super) fn close(&mut self, now: Instant, key: PeerKey, reason: Reason) {
        if let Some(peer) = self.remove(now, key) {
            self.out.push_back(Action::Close(key, reason));
            for address in self.sole_addresses(&peer) {
                self.judge_address(now, address, reason);
            }
            self.dial(now);
        }
    }

    /// A connection has ended.
    pub(super) fn closed(&mut self, now: Instant, key: PeerKey) {
        if let Some(peer) = self.remove(now, key) {
            for address in self.sole_addresses(&peer) {
                if peer.is_seed() {
                    self.candidates.is_seed(address);
                }
                if now < peer.since + SHORT && peer.download.rate.total() == 0 {
                    self.candidates.failed(now, address);
                } else {
                    self.candidates.parted(now, address);
                }
            }
            self.dial(now);
        }
    }

    /// Where that peer, which is removed already, takes connections, and no other one does that is connected.
    fn sole_addresses(&self, peer: &Peer) -> Vec<SocketAddr> {
        let taken = |address: &SocketAddr| {
            let mut others = self.peers.values().flat_map(Peer::addresses);
            others.any(|other| other == *address)
        };
        peer.addresses().filter(|address| !taken(address)).collect()
    }

    /// What becomes of the address when a connection is closed for that reason.
    fn judge_address(&mut self, now: Instant, address: SocketAddr, reason: Reason) {
        match reason {
            Reason::Ourselves | Reason::Banned => self.candidates.bar(address),
            Reason::Duplicate | Reason::Broken(_) | Reason::Silent | Reason::Full => {
                self.candidates.failed(now, address);
            }
            Reason::NothingToDo => {
                self.candidates.is_seed(address);
                self.candidates.parted(now, address);
            }
            Reason::Idle | Reason::Stopped => self.candidates.parted(now, address),
        }
    }

    /// Forgets a peer, and asks others for what it was asked for.
    fn remove(&mut self, now: Instant, key: PeerKey) -> Option<Peer> {
        let mut peer = self.peers.remove(&key)?;
        self.past.add(&peer);
        self.metadata.gone(key);
        if let Some(holdings) = &mut self.holdings {
            holdings.availability.remove(&peer.has);
            holdings.spread.gone(key);
        }
        let abandoned = peer.download.abandon();
        self.release(key, &abandoned);
        if !abandoned.is_empty() {
            self.refill_all(now);
        }
        if !peer.upload.choked {
            self.fill_slots(now);
            self.upload(now);
        }
        Some(peer)
    }

    /// Closes the connection if both sides have all they want.
    pub(super) fn part_if_done(&mut self, now: Instant, key: PeerKey) {
        let done = self.is_complete() && self.peers.get(&key).is_some_and(Peer::is_seed);
        if done {
            self.close(now, key, Reason::NothingToDo);
        }
    }
}
