//! A node's lookups: how they begin, go on and end.

use std::net::SocketAddr;
use std::time::Instant;

use super::id::NodeId;
use super::lookup::Lookup;
use super::message::{Contact, Port, Query, Reply};
use super::node::DhtNode;
use super::pending::Purpose;
use super::table::K;
use super::torrents::Outcome;
use crate::InfoHash;

#[derive(Debug)]
pub(super) struct Search {
    pub(super) lookup: Lookup,
    /// None to fill the table.
    torrent: Option<InfoHash>,
    /// The first peer that was named.
    first: Option<SocketAddr>,
    /// Whether somebody was named who is not us: there are two, or one at another port than ours.
    found: bool,
}

impl DhtNode {
    /// Begins a lookup, from those in the table and these others.
    pub(super) fn search(
        &mut self,
        target: NodeId,
        torrent: Option<InfoHash>,
        now: Instant,
        others: Vec<Contact>,
    ) {
        let mut lookup = Lookup::new(target, self.table.closest(now, &target, K));
        let own = self.id;
        lookup.learn(others.into_iter().filter(|node| node.id != own).collect());
        self.begun = self.begun.wrapping_add(1);
        self.lookups.insert(self.begun, Search { lookup, torrent, first: None, found: false });
    }

    /// Sends what the lookups have to ask now, and ends those that are over.
    pub(super) fn ask(&mut self, now: Instant) {
        let mut lookups = std::mem::take(&mut self.lookups);
        for (number, search) in &mut lookups {
            while self.pending.has_room()
                && let Some(contact) = search.lookup.next()
            {
                let query = match search.torrent {
                    Some(torrent) => Query::GetPeers(torrent),
                    None => Query::FindNode(search.lookup.target()),
                };
                self.send(now, (contact.address, Some(contact.id)), Purpose::Lookup(*number), query);
            }
        }
        let over: Vec<_> =
            lookups.iter().filter(|(_, search)| search.lookup.is_over()).map(|(&number, _)| number).collect();
        let over: Vec<_> = over.into_iter().filter_map(|number| lookups.remove(&number)).collect();
        self.lookups = lookups;
        for search in over {
            self.finish(now, search);
        }
    }

    fn finish(&mut self, now: Instant, search: Search) {
        let Some(torrent) = search.torrent else { return };
        let closest: Vec<_> = search.lookup.closest().collect();
        let outcome = match (search.found, closest.is_empty()) {
            (true, _) => Outcome::Peers,
            (false, false) => Outcome::NoPeers,
            (false, true) => Outcome::NoAnswer,
        };
        if let Some(port) = self.torrents.port(&torrent) {
            for (contact, token) in closest.into_iter().filter_map(|(contact, token)| Some((contact, token?)))
            {
                let query = Query::Announce { torrent, port: Port::Given(port), token };
                self.send(now, (contact.address, Some(contact.id)), Purpose::Announcing, query);
            }
        }
        self.torrents.finished(now, torrent, outcome, &mut self.entropy);
    }

    /// An answer that a lookup waited for.
    pub(super) fn step(&mut self, number: u32, contact: &Contact, reply: Reply) {
        let Some(search) = self.lookups.get_mut(&number) else { return };
        let own = self.id;
        let others = reply.nodes.into_iter().filter(|node| node.id != own).collect();
        search.lookup.answered(contact, reply.token, others);
        let Some(torrent) = search.torrent else { return };
        let port = self.torrents.port(&torrent);
        for peer in &reply.peers {
            search.found |= *search.first.get_or_insert(*peer) != *peer || Some(peer.port()) != port;
        }
        self.found(torrent, reply.peers);
    }
}
