//! One torrent's state machine: its parts put together. What belongs to one of them alone is in its own file above.

mod connections;
mod extensions;
mod fetch;
mod housekeeping;
mod messages;
mod serve;
mod status;
mod webs;

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use super::availability::Availability;
use super::blame::Blame;
use super::candidates::{Candidates, Need};
use super::choker::Choker;
use super::config::{Config, Content, Limits};
use super::event::{Action, Event, Fetching, PeerKey, Reason};
use super::metadata::Metadata;
use super::peer::Peer;
use super::pieces::Pieces;
use super::spread::Spread;
use super::web::Webs;
use crate::bitfield::Bitfield;
use crate::random::Random;
use crate::wire::{Features, Handshake, Message};
use crate::{InfoHash, PeerId};

pub use status::{PeerStatus, Progress};

/// More pieces than these are told of by one bitfield. It may come late: aria2 does the same.
const MOST_HAVES: u32 = 32;

/// What there is to have: known once the metadata is.
#[derive(Debug)]
struct Holdings {
    pieces: Pieces,
    availability: Availability,
    spread: Spread,
}

/// Whether there may be connections at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doors {
    Open,
    Shut,
}

/// One torrent, as the [module](super) describes it.
#[derive(Debug)]
pub struct Torrent {
    info_hash: InfoHash,
    peer_id: PeerId,
    port: Option<u16>,
    dht_port: Option<u16>,
    private: bool,
    limits: Limits,
    fetching: Fetching,
    doors: Doors,
    random: Random,
    peers: BTreeMap<PeerKey, Peer>,
    holdings: Option<Holdings>,
    metadata: Metadata,
    candidates: Candidates,
    choker: Choker,
    blame: Blame,
    webs: Webs,
    /// When it was last looked after everything.
    looked: Instant,
    /// Bytes that came and were of no use.
    wasted: u64,
    /// Bytes to and from peers that have gone, and from web seeds.
    past: status::Totals,
    out: VecDeque<Action>,
}

impl Torrent {
    /// A torrent that nothing has happened to yet.
    pub fn new(config: Config, now: Instant) -> Self {
        let info = config.content.as_ref().map(|content| content.info.clone());
        let mut torrent = Self {
            info_hash: config.info_hash,
            peer_id: config.peer_id,
            port: config.port,
            dht_port: config.dht_port,
            private: false,
            limits: config.limits,
            fetching: Fetching::On,
            doors: Doors::Open,
            random: Random::new(config.seed),
            peers: BTreeMap::new(),
            holdings: None,
            metadata: Metadata::new(config.info_hash, info),
            candidates: Candidates::new(config.networks),
            choker: Choker::new(now),
            blame: Blame::default(),
            webs: Webs::new(now, config.web_seeds),
            looked: now,
            wasted: 0,
            past: status::Totals::default(),
            out: VecDeque::new(),
        };
        if let Some(content) = config.content {
            torrent.hold(&content);
        }
        torrent
    }

    /// The handshake for every connection of this torrent.
    pub fn handshake(&self) -> Handshake {
        let features =
            Features { extensions: true, fast: true, dht: self.dht_port.is_some() && !self.private };
        Handshake { info_hash: self.info_hash, peer_id: self.peer_id, features }
    }

    /// Something has happened. Drain [`poll`](Self::poll) behind it.
    pub fn handle(&mut self, now: Instant, event: Event<'_>) {
        match event {
            Event::Tick => self.tick(now),
            Event::Found { by, addresses } => self.found(now, by, addresses),
            Event::Connected { peer, address, direction, handshake } => {
                self.connected(now, peer, address, direction, &handshake);
            }
            Event::ConnectFailed(address) => {
                self.candidates.unreachable(now, address);
                self.dial(now);
            }
            Event::Message(peer, message) => self.message(now, peer, message),
            Event::Sent(peer, span) => self.sent(now, peer, span),
            Event::Closed(peer) => self.closed(now, peer),
            Event::Unreadable(peer) => self.close(now, peer, Reason::Broken("what it sends cannot be read")),
            Event::Verified { piece, verdict, sums } => self.verified(now, piece, verdict, sums),
            Event::Lost(piece) => self.lost(now, piece),
            Event::WebDone(web) => self.web_done(now, web),
            Event::WebFailed { web, retry_after } => self.web_failed(now, web, retry_after),
            Event::WebUseless(web) => self.web_useless(now, web),
            Event::WebInOrder(web) => self.web_in_order(now, web),
            Event::WebAlive(web) => self.web_alive(now, web),
            Event::Recheck => self.recheck(now),
            Event::Content(content) => self.content(now, &content),
            Event::Limits(limits) => self.limit(now, limits),
            Event::Fetching(fetching) => {
                self.fetching = fetching;
                self.refill_all(now);
            }
            Event::Stop => self.stop(now),
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Action> {
        self.out.pop_front()
    }

    /// When to say [`Event::Tick`]; none if only something else can change anything.
    pub fn deadline(&self) -> Option<Instant> {
        // While there is something to look after, that is often enough for new connections too.
        match self.interval() {
            Some(interval) => Some(self.looked + interval),
            None => self.candidates.next_due(self.need()).filter(|_| self.may_dial()),
        }
    }

    fn hold(&mut self, content: &Content) {
        let pieces = content.geometry.pieces();
        self.private = content.private;
        self.holdings = Some(Holdings {
            pieces: Pieces::new(content.geometry, content.have.clone()),
            availability: Availability::new(pieces),
            spread: Spread::new(pieces),
        });
    }

    /// The metadata is known: what peers have said about pieces can be understood now.
    fn content(&mut self, now: Instant, content: &Content) {
        if self.holdings.is_some() {
            return;
        }
        self.hold(content);
        self.doors = Doors::Open;
        self.metadata.known(content.info.clone());
        for key in self.keys() {
            let Some(peer) = self.peers.get_mut(&key) else { continue };
            let early = peer.begin(content.geometry.pieces());
            self.tell_what_is_there(now, key, &content.have);
            for message in early {
                self.message(now, key, message);
            }
        }
        self.dial(now);
    }

    /// To somebody who was told before, or could not be told, that there is nothing.
    fn tell_what_is_there(&mut self, now: Instant, key: PeerKey, have: &Bitfield) {
        if have.count() > MOST_HAVES {
            self.send(now, key, Message::Bitfield(have.to_bytes()));
        } else {
            have.iter().for_each(|piece| self.send(now, key, Message::Have(piece)));
        }
    }

    fn limit(&mut self, now: Instant, limits: Limits) {
        self.limits = limits;
        let mut peers = self.keys();
        peers.sort_by_key(|key| self.peers.get(key).map(|peer| Reverse(peer.useful)));
        for peer in peers.into_iter().skip(limits.connections) {
            self.close(now, peer, Reason::Full);
        }
        self.share_slots(now);
        self.refill_all(now);
        self.dial(now);
    }

    fn stop(&mut self, now: Instant) {
        self.fetching = Fetching::Off;
        self.shut(now);
    }

    /// What is there has to be found out anew.
    fn recheck(&mut self, now: Instant) {
        if self.holdings.is_none() {
            return;
        }
        // Nobody is asked for what another would have sent who has to go.
        let fetching = std::mem::replace(&mut self.fetching, Fetching::Off);
        self.shut(now);
        self.fetching = fetching;
        self.holdings = None;
    }

    /// Everybody has to go, and what they have begun to send is forgotten.
    fn shut(&mut self, now: Instant) {
        self.doors = Doors::Shut;
        for (web, _) in self.webs.tasks() {
            self.stop_fetch(now, web);
        }
        for peer in self.keys() {
            self.close(now, peer, Reason::Stopped);
        }
        let unfinished = self.holdings.iter().flat_map(|holdings| &holdings.pieces.unfinished);
        let begun = unfinished.filter(|(_, unfinished)| unfinished.missing > 0).map(|(piece, _)| *piece);
        let begun: Vec<u32> = begun.collect();
        for piece in begun {
            self.discard(piece);
        }
    }

    fn send(&mut self, now: Instant, key: PeerKey, message: Message) {
        if let Some(peer) = self.peers.get_mut(&key) {
            peer.spoken = now;
            self.out.push_back(Action::Send(key, message));
        }
    }

    fn keys(&self) -> Vec<PeerKey> {
        self.peers.keys().copied().collect()
    }

    fn need(&self) -> Need {
        if self.is_complete() { Need::NoSeeds } else { Need::Anyone }
    }
}
