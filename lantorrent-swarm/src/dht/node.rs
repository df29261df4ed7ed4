//! A node of the DHT: what it asks, what it answers, and whom it knows.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::id::NodeId;
use super::io::{DhtAction, DhtEvent, DhtSettings};
use super::message::{Body, Contact, Message, Mode, Query, Reply};
use super::pending::{Late, Pending, Purpose};
use super::saved;
use super::searches::Search;
use super::store::Store;
use super::table::{K, Place, Table};
use super::tokens::Tokens;
use super::torrents::Torrents;
use crate::InfoHash;
use crate::compact::Compact;
use crate::entropy::Entropy;
use crate::rate::{Allowance, PerAddress, Rate};

/// How often there is something to clean up, and to refresh.
const UPKEEP: Duration = Duration::from_secs(30);
/// The same while there is nobody to talk to.
const LONELY: Duration = Duration::from_secs(5);
/// Queries of one address that are answered, and of how many addresses at the same time.
const ANSWERED: Rate = Rate { burst: 100, interval: Duration::from_millis(50) };
const ADDRESSES: usize = 4096;
/// Lookups of torrents that begin: nodes with few neighbours ask them all, and some answer a few queries a second only.
const LOOKUPS: Rate = Rate { burst: 8, interval: Duration::from_millis(500) };
/// Lookups at the same time.
const UNDER_WAY: usize = 16;
/// Nodes that are asked at each upkeep whether they are still there.
const CHECKED: usize = 4;
/// Nodes that wait to be greeted, and those that are greeted again while there is nobody else.
const GREETINGS: usize = 512;
const ACQUAINTANCES: usize = 64;

/// A node of the DHT (BEP 5), for one address family (BEP 32): it finds peers of torrents, and lets itself be found.
///
/// The driver has one UDP socket for it, sends what it is told to, hands in what comes, and [`DhtEvent::Tick`] at the
/// [`deadline`](Self::deadline). It tells the node of others by [`DhtEvent::Meet`]: those that the user or a torrent
/// names, those that a peer's `PORT` message is from, and those of the last run. Never join a private torrent (BEP 27).
#[derive(Debug)]
pub struct DhtNode {
    pub(super) id: NodeId,
    pub(super) family: Compact,
    pub(super) mode: Mode,
    pub(super) entropy: Entropy,
    pub(super) table: Table,
    pub(super) tokens: Tokens,
    pub(super) store: Store,
    pub(super) answered: PerAddress,
    pub(super) torrents: Torrents,
    pub(super) out: Vec<DhtAction>,
    pub(super) pending: Pending,
    pub(super) lookups: BTreeMap<u32, Search>,
    /// Lookups that have begun so far, which is their number.
    pub(super) begun: u32,
    begins: Allowance,
    greetings: VecDeque<SocketAddr>,
    acquaintances: VecDeque<SocketAddr>,
    upkeep: Instant,
}

impl DhtNode {
    /// A node that knows nobody.
    pub fn new(settings: DhtSettings, now: Instant) -> Self {
        let DhtSettings { id, family, mode, seed } = settings;
        let mut entropy = Entropy::new(seed);
        Self {
            id,
            family,
            mode,
            table: Table::new(id, now),
            tokens: Tokens::new(now, &mut entropy),
            entropy,
            store: Store::default(),
            answered: PerAddress::new(ANSWERED, ADDRESSES),
            torrents: Torrents::default(),
            out: Vec::new(),
            pending: Pending::default(),
            lookups: BTreeMap::new(),
            begun: 0,
            begins: Allowance::new(LOOKUPS),
            greetings: VecDeque::new(),
            acquaintances: VecDeque::new(),
            upkeep: now,
        }
    }

    /// Something has happened: what to do.
    pub fn handle(&mut self, now: Instant, event: DhtEvent<'_>) -> Vec<DhtAction> {
        match event {
            DhtEvent::Tick => {}
            DhtEvent::Received(from, datagram) => self.received(now, from, datagram),
            DhtEvent::Meet(address) => self.meet(address),
            DhtEvent::Join { torrent, port } => {
                self.torrents.join(now, torrent, port.filter(|&port| port != 0));
                let known = self.store.some(&torrent, usize::MAX, &mut self.entropy);
                self.found(torrent, known);
            }
            DhtEvent::Leave(torrent) => self.torrents.leave(&torrent),
        }
        self.go_on(now);
        std::mem::take(&mut self.out)
    }

    /// When to hand in [`DhtEvent::Tick`].
    pub fn deadline(&self, now: Instant) -> Instant {
        let torrents = self.torrents.deadline().map(|due| due.max(self.begins.due(now)));
        // Those that are due and have no room begin when a query is answered, or gets old.
        let torrents = torrents.filter(|_| self.lookups.len() < UNDER_WAY);
        [self.pending.deadline(), torrents].into_iter().flatten().fold(self.upkeep, Instant::min)
    }

    /// How many nodes it knows that answer.
    pub fn nodes(&self, now: Instant) -> usize {
        self.table.good(now)
    }

    /// What to keep for the next run; [`Saved`](super::Saved) reads it.
    pub fn save(&self, now: Instant) -> Vec<u8> {
        saved::write(self.id, self.table.closest(now, &self.id, usize::MAX).into_iter(), self.family)
    }

    fn received(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        if from.port() == 0 || Compact::of(&from) != self.family {
            return;
        }
        let Some(Message { transaction, body }) = Message::read(datagram, self.family) else { return };
        match body {
            Body::Query { id, mode, query } => {
                self.asked(now, Contact { id, address: from }, &transaction, &query, mode);
            }
            Body::Malformed => self.complain(now, from, transaction),
            Body::Reply(reply) => self.replied(now, from, &transaction, reply),
            Body::Refused => {
                if let Some(query) = self.pending.take(&transaction, from)
                    && let (Purpose::Lookup(number), Some(contact)) = (query.purpose, query.contact())
                    && let Some(search) = self.lookups.get_mut(&number)
                {
                    search.lookup.failed(&contact);
                }
            }
            Body::Error(..) => {}
        }
    }

    fn replied(&mut self, now: Instant, from: SocketAddr, transaction: &[u8], reply: Reply) {
        let Some(query) = self.pending.take(transaction, from) else { return };
        let contact = Contact { id: reply.id, address: from };
        // Who is not the one that was asked is nobody. If it has a new name, it will be heard of under that.
        if let Some(expected) = query.contact().filter(|expected| *expected != contact) {
            self.table.failed(&expected);
            if let Purpose::Lookup(number) = query.purpose
                && let Some(search) = self.lookups.get_mut(&number)
            {
                search.lookup.failed(&expected);
            }
            return;
        }
        let was_lonely = self.table.good(now) == 0;
        if let Place::Full(Some(questionable)) = self.table.answered(now, contact) {
            self.greet(now, questionable.address, Some(questionable.id));
        }
        match query.purpose {
            Purpose::Lookup(number) => self.step(number, &contact, reply),
            Purpose::Meeting if was_lonely => {
                self.search(self.id, None, now, reply.nodes);
                self.torrents.hurry(now);
            }
            Purpose::Meeting | Purpose::Announcing => {}
        }
    }

    pub(super) fn found(&mut self, torrent: InfoHash, peers: Vec<SocketAddr>) {
        if !peers.is_empty() && self.torrents.has(&torrent) {
            self.out.push(DhtAction::Found(torrent, peers));
        }
    }

    fn meet(&mut self, address: SocketAddr) {
        if Compact::of(&address) != self.family || address.port() == 0 {
            return;
        }
        self.acquaintances.retain(|known| *known != address);
        self.acquaintances.push_front(address);
        self.acquaintances.truncate(ACQUAINTANCES);
        self.will_greet(address);
    }

    fn will_greet(&mut self, address: SocketAddr) {
        if self.greetings.len() < GREETINGS && !self.greetings.contains(&address) {
            self.greetings.push_back(address);
        }
    }

    /// All that time, and what has just happened, make possible.
    fn go_on(&mut self, now: Instant) {
        for late in self.pending.late(now) {
            self.late(late);
        }
        if self.upkeep <= now {
            self.keep_up(now);
        }
        while self.pending.has_room()
            && let Some(address) = self.greetings.pop_front()
        {
            self.greet(now, address, None);
        }
        while self.lookups.len() < UNDER_WAY
            && self.torrents.deadline().is_some_and(|due| due <= now)
            && self.begins.take(now)
            && let Some(torrent) = self.torrents.next(now)
        {
            self.search(torrent.into(), Some(torrent), now, Vec::new());
        }
        self.ask(now);
    }

    fn late(&mut self, late: Late) {
        let (Late::Slow(query) | Late::Dead(query)) = late;
        let Some(contact) = query.contact() else { return };
        if matches!(late, Late::Dead(_)) {
            self.table.failed(&contact);
        }
        if let Purpose::Lookup(number) = query.purpose
            && let Some(search) = self.lookups.get_mut(&number)
        {
            match late {
                Late::Slow(_) => search.lookup.is_slow(&contact),
                Late::Dead(_) => search.lookup.failed(&contact),
            }
        }
    }

    fn keep_up(&mut self, now: Instant) {
        self.tokens.rotate(now, &mut self.entropy);
        self.store.expire(now);
        if self.table.good(now) == 0 {
            // The network may have been away, and with it everybody.
            let known: Vec<_> = self.table.all().map(|contact| contact.address).collect();
            for address in known.into_iter().chain(self.acquaintances.clone()) {
                self.will_greet(address);
            }
            self.upkeep = now + LONELY;
            return;
        }
        for contact in self.table.questionable(now, CHECKED) {
            self.greet(now, contact.address, Some(contact.id));
        }
        let stale = self.table.next_refresh(now, &mut self.entropy);
        // Who knows few is soon alone, when those go.
        let target = stale.or_else(|| (self.table.good(now) < K).then_some(self.id));
        if let Some(target) = target {
            self.search(target, None, now, Vec::new());
        }
        self.upkeep = now + UPKEEP;
    }

    /// Asks a node whether it is there, and whom it knows near us.
    pub(super) fn greet(&mut self, now: Instant, address: SocketAddr, id: Option<NodeId>) {
        if self.pending.has_room() && !self.pending.includes(address) {
            self.send(now, (address, id), Purpose::Meeting, Query::FindNode(self.id));
        }
    }

    pub(super) fn send(
        &mut self,
        now: Instant,
        to: (SocketAddr, Option<NodeId>),
        purpose: Purpose,
        query: Query,
    ) {
        let transaction = self.pending.add(now, to, purpose, &mut self.entropy);
        let body = Body::Query { id: self.id, mode: self.mode, query };
        let datagram = Message { transaction, body }.write(self.family);
        self.out.push(DhtAction::Send(to.0, datagram));
    }
}
