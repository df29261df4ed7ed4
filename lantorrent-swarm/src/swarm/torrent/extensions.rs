//! The extension protocol: metadata and other peers.

use std::net::SocketAddr;
use std::time::Instant;

use super::Torrent;
use crate::swarm::event::{Action, Direction, Origin, PeerKey, Reason};
use crate::swarm::metadata::Step;
use crate::wire::{
    EXCHANGE_ID, Exchange, ExchangePeer, ExtendedHandshake, METADATA_ID, Message, MetadataMessage,
};

impl Torrent {
    pub(super) fn extended(&mut self, now: Instant, key: PeerKey, id: u8, payload: &[u8]) {
        match id {
            0 => match ExtendedHandshake::read(payload) {
                Ok(handshake) => self.introduced(now, key, handshake),
                Err(_) => self.close(now, key, Reason::Broken("its extended handshake is malformed")),
            },
            EXCHANGE_ID => self.told_of_peers(now, key, payload),
            METADATA_ID => match MetadataMessage::read(payload) {
                Some(MetadataMessage::Request(piece)) => self.give_metadata(now, key, piece),
                Some(MetadataMessage::Data { piece, data, .. }) => self.take_metadata(now, key, piece, &data),
                Some(MetadataMessage::Reject(_)) => self.metadata.gone(key),
                None => {}
            },
            _ => {}
        }
    }

    fn introduced(&mut self, now: Instant, key: PeerKey, handshake: ExtendedHandshake) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.exchange_id = handshake.exchange_id.unwrap_or(peer.exchange_id);
        peer.metadata_id = handshake.metadata_id.unwrap_or(peer.metadata_id);
        peer.metadata_size = handshake.metadata_size.unwrap_or(peer.metadata_size);
        peer.upload_only = handshake.upload_only.unwrap_or(peer.upload_only);
        peer.client = handshake.client.or(peer.client.take());
        if let Some(requests) = handshake.requests {
            peer.download.limit(requests);
        }
        if let Some(port) = handshake.port
            && peer.listens.is_none()
        {
            let address = SocketAddr::new(peer.address.ip(), port);
            peer.listens = Some(address);
            self.candidates.found(now, address, Origin::Exchange);
            self.candidates.connected(address);
        }
        self.ask_metadata(now, key);
        self.tell_of_peers(now, key);
        self.part_if_done(now, key);
    }

    /// Tells a peer that we want nothing any more. It may not know: nobody is told of pieces that he has himself.
    pub(super) fn want_no_more(&mut self, now: Instant, key: PeerKey) {
        if self.peers.get(&key).is_some_and(|peer| peer.features.extensions) {
            let only = ExtendedHandshake { upload_only: Some(true), ..ExtendedHandshake::default() };
            self.send(now, key, Message::Extended { id: 0, payload: only.encode() });
        }
    }

    /// Asks a peer for the metadata, if that is what we lack and it has.
    pub(super) fn ask_metadata(&mut self, now: Instant, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key).filter(|peer| peer.metadata_id != 0) else { return };
        let parts = self.metadata.offered(now, key, peer.metadata_size);
        if !parts.is_empty() {
            peer.metadata_asked = Some(now);
            self.request_metadata(now, key, parts);
        }
    }

    fn request_metadata(&mut self, now: Instant, key: PeerKey, parts: std::ops::Range<u32>) {
        for piece in parts {
            self.say_metadata(now, key, &MetadataMessage::Request(piece));
        }
    }

    fn say_metadata(&mut self, now: Instant, key: PeerKey, message: &MetadataMessage) {
        if let Some(id) = self.peers.get(&key).map(|peer| peer.metadata_id).filter(|id| *id != 0) {
            self.send(now, key, Message::Extended { id, payload: message.encode() });
        }
    }

    fn give_metadata(&mut self, now: Instant, key: PeerKey, piece: u32) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let answer = match self.metadata.part(piece, peer.metadata_given) {
            Some((total, data)) => {
                peer.metadata_given += 1;
                MetadataMessage::Data { piece, total, data: data.to_vec() }
            }
            None => MetadataMessage::Reject(piece),
        };
        self.say_metadata(now, key, &answer);
    }

    fn take_metadata(&mut self, now: Instant, key: PeerKey, piece: u32, data: &[u8]) {
        match self.metadata.data(now, key, piece, data) {
            Step::Ask(parts) => self.request_metadata(now, key, parts),
            Step::Done(bytes) => self.out.push_back(Action::Metadata(bytes)),
            Step::Lie => {
                // It says no less about the same info hash again when it is asked again.
                if let Some(peer) = self.peers.get_mut(&key) {
                    let who = peer.who.clone();
                    self.blame.ban(who);
                }
                self.close(now, key, Reason::Banned);
            }
            Step::Unasked => {}
        }
    }

    fn told_of_peers(&mut self, now: Instant, key: PeerKey, payload: &[u8]) {
        let Some(peer) = self.peers.get_mut(&key).filter(|_| !self.private) else { return };
        let most = peer.gossip.listen(now);
        if most == 0 {
            return;
        }
        let is_here = peer.address.ip().to_canonical().is_loopback();
        let Some(exchange) = Exchange::read(payload, most) else {
            return self.close(now, key, Reason::Broken("its list of peers is malformed"));
        };
        // Nobody elsewhere knows what there is on this very host.
        let elsewhere = |told: &ExchangePeer| !told.address.ip().to_canonical().is_loopback();
        for told in exchange.added.into_iter().filter(|told| is_here || elsewhere(told)) {
            self.candidates.found(now, told.address, Origin::Exchange);
            if told.seed {
                self.candidates.is_seed(told.address);
            }
        }
        self.dial(now);
    }

    /// Tells a peer of the others, if it is time.
    pub(super) fn tell_of_peers(&mut self, now: Instant, key: PeerKey) {
        let wants = self.peers.get(&key).is_some_and(|peer| peer.exchange_id != 0 && peer.gossip.is_due(now));
        if self.private || !wants {
            return;
        }
        let others = self.peers.iter().filter(|(other, _)| **other != key);
        let there: Vec<ExchangePeer> = others
            .filter_map(|(_, peer)| {
                let reachable = peer.direction == Direction::Outgoing;
                Some(ExchangePeer { address: peer.listens?, seed: peer.is_seed(), reachable })
            })
            .collect();
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let id = peer.exchange_id;
        if let Some(exchange) = peer.gossip.tell(now, &there) {
            self.send(now, key, Message::Extended { id, payload: exchange.encode() });
        }
    }
}
