//! What a node answers to others.

use std::net::SocketAddr;
use std::time::Instant;

use super::io::DhtAction;
use super::message::{
    Body, Contact, METHOD_UNKNOWN, Message, Mode, PROTOCOL_ERROR, Query, Reply, SERVER_ERROR,
};
use super::node::DhtNode;
use super::table::K;
use crate::InfoHash;

/// Peers that an answer names: so many that it fits into one datagram everywhere.
const PEERS: usize = 50;

impl DhtNode {
    pub(super) fn asked(
        &mut self,
        now: Instant,
        from: Contact,
        transaction: &[u8],
        query: &Query,
        mode: Mode,
    ) {
        if from.id == self.id || self.mode == Mode::ReadOnly || !self.answered.take(from.address.ip(), now) {
            return;
        }
        let body = self.answer(now, &from, query);
        self.reply(from.address, transaction.to_vec(), body);
        self.table.asked(now, &from);
        // Whether it is who it says, and answers, it has yet to show.
        if mode == Mode::Full && self.table.wants(now, &from) {
            self.greet(now, from.address, Some(from.id));
        }
    }

    /// Something that has the form of a query and lacks what it needs.
    pub(super) fn complain(&mut self, now: Instant, to: SocketAddr, transaction: Vec<u8>) {
        if self.mode == Mode::Full && self.answered.take(to.ip(), now) {
            self.reply(to, transaction, Body::Error(PROTOCOL_ERROR, "an argument is missing or wrong"));
        }
    }

    fn reply(&mut self, to: SocketAddr, transaction: Vec<u8>, body: Body) {
        self.out.push(DhtAction::Send(to, Message { transaction, body }.write(self.family)));
    }

    fn answer(&mut self, now: Instant, from: &Contact, query: &Query) -> Body {
        let reply = Reply::new(self.id);
        match query {
            Query::Ping => Body::Reply(reply),
            Query::FindNode(target) => {
                Body::Reply(Reply { nodes: self.table.closest(now, target, K), ..reply })
            }
            Query::GetPeers(torrent) => {
                let nodes = self.table.closest(now, &(*torrent).into(), K);
                let peers = self.store.some(torrent, PEERS, &mut self.entropy);
                let token = Some(self.tokens.token(from.address.ip()));
                Body::Reply(Reply { nodes, peers, token, ..reply })
            }
            Query::Announce { torrent, port, token } => {
                let port = port.or(from.address.port());
                self.keep(now, *torrent, SocketAddr::new(from.address.ip(), port), token)
            }
            Query::Unknown => Body::Error(METHOD_UNKNOWN, "there is no such query"),
        }
    }

    fn keep(&mut self, now: Instant, torrent: InfoHash, peer: SocketAddr, token: &[u8]) -> Body {
        if !self.tokens.is_good(token, peer.ip()) {
            return Body::Error(PROTOCOL_ERROR, "the token is not good any more");
        }
        // Whoever else may hear of it, we have.
        self.found(torrent, vec![peer]);
        if self.store.add(now, torrent, peer) {
            Body::Reply(Reply::new(self.id))
        } else {
            Body::Error(SERVER_ERROR, "there is no room")
        }
    }
}
