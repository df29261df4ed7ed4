//! The target for `swarm`: one torrent, among peers and web seeds that do whatever the input says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use super::Script;
use crate::swarm::{
    Action, Bitfield, BlockSum, Config, Content, Direction, Event, Fate, Fetching, Limits, Origin, PeerKey,
    Sender, Torrent, Verdict, WebKey,
};
use crate::wire::{Features, Handshake, Message};
use crate::{BLOCK, Geometry, InfoHash, PeerId, Span};

const PIECES: u32 = 6;
const PIECE: u32 = 40_000;
const WEBS: u32 = 2;
const INFO: &[u8] = b"d6:lengthi230000e4:name1:x12:piece lengthi40000ee";
/// Requests that may wait at a peer.
const QUEUE: usize = 500;

/// A torrent under a script of what happens. It must keep its word to its driver, whatever that is.
pub fn swarm(input: &[u8]) {
    let mut script = Script::new(input);
    let mut driver = Driver::new(script.byte());
    while !script.is_over() {
        driver.step(&mut script);
        driver.act();
    }
    driver.torrent.handle(driver.now, Event::Stop);
    driver.act();
    assert!(driver.peers.is_empty() && driver.fetching.is_empty(), "all is closed in the end");
}

struct Driver {
    torrent: Torrent,
    now: Instant,
    geometry: Geometry,
    /// Those that are connected, and how many requests each of them has not answered.
    peers: BTreeMap<PeerKey, Vec<Span>>,
    connecting: BTreeSet<SocketAddr>,
    next: u64,
    have: Bitfield,
    parts: BTreeMap<u32, BTreeSet<u32>>,
    verifying: Vec<u32>,
    fetching: BTreeMap<u32, Range<u32>>,
    uploads: Vec<(PeerKey, Span)>,
    wants_content: bool,
}

impl Driver {
    fn new(shape: u8) -> Self {
        let geometry = Geometry::new(230_000, PIECE).expect("six pieces");
        let mut have = Bitfield::none(PIECES);
        if shape & 6 == 6 {
            have = Bitfield::all(PIECES);
        } else if shape & 6 == 4 {
            have.insert(1);
        }
        let content = Content { info: INFO.into(), geometry, have: have.clone(), private: shape & 8 != 0 };
        let known = shape & 1 == 0;
        let config = Config {
            info_hash: InfoHash::of(INFO),
            peer_id: PeerId([b'a'; 20]),
            seed: shape.into(),
            port: Some(6881),
            dht_port: (shape & 16 != 0).then_some(6881),
            networks: Vec::new(),
            web_seeds: WEBS,
            content: known.then_some(content),
            limits: Limits { connections: 4, upload_slots: 2, unfinished: 100_000, ..Limits::default() },
        };
        let now = Instant::now();
        Self {
            torrent: Torrent::new(config, now),
            now,
            geometry,
            peers: BTreeMap::new(),
            connecting: BTreeSet::new(),
            next: 0,
            have,
            parts: BTreeMap::new(),
            verifying: Vec::new(),
            fetching: BTreeMap::new(),
            uploads: Vec::new(),
            wants_content: false,
        }
    }

    fn handle(&mut self, event: Event<'_>) {
        self.torrent.handle(self.now, event);
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() % 24 {
            0 => self.found(script),
            1 => self.connected(script),
            2 => {
                if let Some(address) = self.connecting.pop_first() {
                    self.handle(Event::ConnectFailed(address));
                }
            }
            3 => {
                let unreadable = script.byte() & 1 == 1;
                if let Some(peer) = self.peer(script) {
                    if unreadable {
                        return self.handle(Event::Unreadable(peer));
                    }
                    self.peers.remove(&peer);
                    self.handle(Event::Closed(peer));
                }
            }
            4..=11 => self.message(script),
            12..=15 => self.block(script),
            16 => self.sent(script),
            17 => self.verified(script),
            18 => self.web(script),
            19 => self.content(script),
            20 => self.pass(Duration::from_millis(script.word().into())),
            21 => self.pass(Duration::from_secs(script.byte().into())),
            22 => self.tick(),
            _ => self.change(script),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        if self.torrent.deadline().is_some_and(|at| at <= self.now) {
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.handle(Event::Tick);
        self.act();
        assert!(self.torrent.deadline().is_none_or(|at| at > self.now), "it is over when it is seen to");
    }

    fn address(script: &mut Script<'_>) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, script.byte() % 8], 6881))
    }

    fn found(&mut self, script: &mut Script<'_>) {
        let origins = [Origin::Given, Origin::Local, Origin::Tracker, Origin::Exchange, Origin::Dht];
        let by = origins[usize::from(script.byte()) % origins.len()];
        let addresses: Vec<SocketAddr> = (0..script.byte() % 4).map(|_| Self::address(script)).collect();
        self.handle(Event::Found { by, addresses: &addresses });
    }

    fn connected(&mut self, script: &mut Script<'_>) {
        let shape = script.byte();
        let (address, direction) = match self.connecting.pop_first().filter(|_| shape & 1 == 0) {
            Some(address) => (address, Direction::Outgoing),
            None => (Self::address(script), Direction::Incoming),
        };
        let features = Features { extensions: shape & 2 == 0, fast: shape & 4 == 0, dht: shape & 8 == 0 };
        let peer_id = PeerId([b'a' + script.byte() % 8; 20]);
        let handshake = Handshake { info_hash: InfoHash::of(INFO), peer_id, features };
        let peer = PeerKey(self.next);
        self.next += 1;
        self.peers.insert(peer, Vec::new());
        self.handle(Event::Connected { peer, address, direction, handshake });
    }

    fn peer(&self, script: &mut Script<'_>) -> Option<PeerKey> {
        let at = usize::from(script.byte()) % self.peers.len().max(1);
        self.peers.keys().nth(at).copied()
    }

    fn message(&mut self, script: &mut Script<'_>) {
        let Some(peer) = self.peer(script) else { return };
        let piece = u32::from(script.byte()) % (PIECES + 1);
        let block = u32::from(script.byte() % 3);
        let span = self.geometry.block(piece, block);
        let message = match script.byte() % 18 {
            0 => Message::KeepAlive,
            1 => Message::Choke,
            2 | 3 => Message::Unchoke,
            4 => Message::Interested,
            5 => Message::NotInterested,
            6 => Message::Have(piece),
            7 => Message::Bitfield(vec![script.byte()]),
            8 => Message::HaveAll,
            9 => Message::HaveNone,
            10 => Message::Request(span),
            11 => Message::Cancel(span),
            12 => Message::Reject(span),
            13 => Message::AllowedFast(piece),
            14 => Message::Suggest(piece),
            15 => Message::Port(script.word()),
            16 => Message::Request(Span { piece, begin: script.word().into(), length: script.word().into() }),
            _ => {
                let (id, length) = (script.byte() % 4, script.byte());
                Message::Extended { id, payload: script.take(length.into()).to_vec() }
            }
        };
        self.handle(Event::Message(peer, message));
    }

    /// A block comes: mostly one that was asked for.
    fn block(&mut self, script: &mut Script<'_>) {
        let (peer, at, other) = (self.peer(script), script.byte(), script.byte());
        let Some(peer) = peer else { return };
        let asked = self.peers.get_mut(&peer).filter(|asked| other == 0 && !asked.is_empty());
        let span = match asked {
            Some(asked) => asked.remove(usize::from(at) % asked.len()),
            None => self.geometry.block(u32::from(at) % PIECES, u32::from(other) % 4),
        };
        if self.torrent.expects(self.now, peer, span) == Fate::Keep {
            self.received(Sender::Peer(peer), span);
        }
    }

    fn received(&mut self, sender: Sender, span: Span) {
        if self.torrent.received(self.now, sender, span) == Fate::Keep {
            let fresh = self.parts.entry(span.piece).or_default().insert(span.begin / BLOCK);
            assert!(fresh && !self.have.contains(span.piece), "what is kept was missing");
        }
    }

    fn sent(&mut self, script: &mut Script<'_>) {
        if !self.uploads.is_empty() {
            let (peer, span) = self.uploads.swap_remove(usize::from(script.byte()) % self.uploads.len());
            self.handle(Event::Sent(peer, span));
        }
    }

    fn verified(&mut self, script: &mut Script<'_>) {
        let kind = script.byte();
        let Some(piece) = self.verifying.pop() else { return };
        // One bit for each block: what it is made of.
        let sums = (0..self.geometry.blocks(piece)).map(|block| BlockSum::of(&[kind >> (3 + block) & 1]));
        let sums: Vec<BlockSum> = sums.collect();
        let verdict = match kind % 8 {
            0..5 => Verdict::Stored,
            5 | 6 => Verdict::Wrong,
            _ => Verdict::NotStored,
        };
        if verdict == Verdict::Stored {
            self.have.insert(piece);
        }
        self.handle(Event::Verified { piece, verdict, sums: &sums });
    }

    fn web(&mut self, script: &mut Script<'_>) {
        let (kind, place) = (script.byte(), script.byte());
        let web = u32::from(kind) % WEBS;
        let key = WebKey(web);
        let Some(pieces) = self.fetching.get(&web).cloned() else { return };
        match kind / 2 % 8 {
            0 => {
                self.fetching.remove(&web);
                let retry_after = Some(Duration::from_secs(place.into()));
                self.handle(Event::WebFailed { web: key, retry_after });
            }
            1 => {
                self.fetching.remove(&web);
                self.handle(Event::WebDone(key));
            }
            2 => self.handle(Event::WebUseless(key)),
            3 => {
                self.fetching.remove(&web);
                self.handle(Event::WebInOrder(key));
            }
            4 => self.handle(Event::WebAlive(key)),
            _ => {
                let (piece, block) = (u32::from(place / 3), u32::from(place % 3));
                let span = self.geometry.block(pieces.start + piece % pieces.len() as u32, block);
                self.received(Sender::Web(key), span);
            }
        }
    }

    fn content(&mut self, script: &mut Script<'_>) {
        if std::mem::take(&mut self.wants_content) {
            let (info, geometry, have) = (INFO.into(), self.geometry, self.have.clone());
            let private = script.byte() & 1 == 1;
            self.handle(Event::Content(Content { info, geometry, have, private }));
        }
    }

    fn change(&mut self, script: &mut Script<'_>) {
        let choice = script.byte();
        if choice == u8::MAX {
            return self.recheck();
        }
        match choice % 4 {
            0 => self.handle(Event::Fetching(Fetching::Off)),
            1 => self.handle(Event::Fetching(Fetching::On)),
            2 => {
                let piece = u32::from(script.byte()) % PIECES;
                if self.torrent.have().is_some() {
                    self.have.remove(piece);
                    self.handle(Event::Lost(piece));
                    self.uploads.retain(|(_, span)| span.piece != piece);
                }
            }
            _ => {
                let (connections, upload_slots) =
                    (usize::from(script.byte() % 6), usize::from(script.byte() % 4));
                let limits = Limits { connections, upload_slots, unfinished: 100_000, ..Limits::default() };
                self.handle(Event::Limits(limits));
            }
        }
    }

    fn recheck(&mut self) {
        if self.torrent.have().is_some() {
            self.handle(Event::Recheck);
            self.verifying.clear();
            self.wants_content = true;
        }
    }

    /// Does what the torrent says, if it may say so.
    fn act(&mut self) {
        while let Some(action) = self.torrent.poll() {
            match action {
                Action::Connect(address) => {
                    assert!(self.connecting.insert(address), "nobody is called twice at the same time");
                }
                Action::Send(peer, message) => self.send(peer, &message),
                Action::Upload(peer, span) => {
                    assert!(self.peers.contains_key(&peer) && self.geometry.contains(&span));
                    assert!(self.have.contains(span.piece));
                    self.uploads.push((peer, span));
                }
                Action::Close(peer, _) => {
                    assert!(self.peers.remove(&peer).is_some(), "nobody is closed twice");
                }
                Action::Verify { piece, .. } => {
                    let blocks = self.parts.remove(&piece).map_or(0, |part| part.len());
                    assert_eq!(blocks, self.geometry.blocks(piece) as usize);
                    self.verifying.push(piece);
                }
                Action::Discard(piece) => _ = self.parts.remove(&piece),
                Action::Fetch { web, pieces } => {
                    assert!(!pieces.is_empty() && pieces.end <= PIECES);
                    assert!(self.fetching.insert(web.0, pieces).is_none());
                }
                Action::StopFetch(web) => _ = self.fetching.remove(&web.0),
                Action::WrongWeb(web) => assert!(web.0 < WEBS),
                Action::Metadata(bytes) => {
                    assert_eq!(bytes, INFO);
                    self.wants_content = true;
                }
                Action::Complete => assert!(self.have.is_full()),
                Action::DhtNode(address) => assert_ne!(address.port(), 0),
            }
        }
        assert!(
            self.torrent.unfinished() <= 100_000 && self.torrent.peers(self.now).count() <= self.peers.len()
        );
    }

    fn send(&mut self, peer: PeerKey, message: &Message) {
        let asked = self.peers.get_mut(&peer).expect("messages go to those who are there");
        match message {
            Message::Request(span) => {
                assert!(self.geometry.contains(span) && !self.have.contains(span.piece));
                asked.push(*span);
                let waiting = self.torrent.peers(self.now).find(|status| status.key == peer);
                assert!(waiting.is_none_or(|status| status.requests <= QUEUE));
            }
            Message::Cancel(span) => asked.retain(|asked| asked != span),
            Message::Have(piece) => assert!(self.have.contains(*piece)),
            _ => {}
        }
    }
}
