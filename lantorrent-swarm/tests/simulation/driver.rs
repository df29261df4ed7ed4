//! One honest node: a real torrent, and a driver that keeps its word to it and holds it to its own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use lantorrent_swarm::swarm::{
    Action, Bitfield, BlockSum, Config, Event, Fate, Limits, Network, Origin, PeerKey, Reason, Sender,
    Torrent, Verdict,
};
use lantorrent_swarm::wire::{self, Handshake, Incoming, Message, Reader};
use lantorrent_swarm::{BLOCK, PeerId, Span};

use crate::package::Package;
use crate::pipe::{Chunk, Tint};
use crate::web::{Servers, WebServer};
use crate::world::{End, Happening, HostId, Net, Own};

/// How many requests every node lets wait.
const QUEUE: usize = 500;
/// Microseconds that a connection may take to be introduced, as in the driver that ships.
const PATIENCE: u64 = 10_000_000;

#[derive(Debug)]
enum Stage {
    /// Their handshake is not complete.
    Handshake(Vec<u8>),
    Open,
}

#[derive(Debug)]
struct Link {
    other: SocketAddr,
    stage: Stage,
    reader: Reader,
    /// The block whose data is coming, and whether it is wanted.
    coming: Option<(Span, bool, Tint)>,
}

#[derive(Debug)]
pub(crate) struct Driver {
    host: HostId,
    pub(crate) torrent: Torrent,
    package: Package,
    links: BTreeMap<End, Link>,
    /// The blocks of pieces that are not complete.
    parts: BTreeMap<u32, Vec<Option<Tint>>>,
    pub(crate) stored: Bitfield,
    limits: Limits,
    pub(crate) webs: Servers,
    /// It spoils so many percent of the blocks that it sends.
    pub(crate) spoils: usize,
    woken: Option<Instant>,
    touched: BTreeSet<End>,
    closing: Vec<End>,
    /// When everything was there.
    pub(crate) done: Option<u64>,
    /// Whom it has thrown out for wrong data.
    pub(crate) banned: BTreeSet<SocketAddr>,
    /// Who has sent data of a piece that was wrong.
    pub(crate) spoilers: BTreeSet<SocketAddr>,
    spoiled: BTreeMap<u32, BTreeSet<SocketAddr>>,
    pub(crate) broken: Vec<(SocketAddr, &'static str)>,
}

impl Driver {
    pub(crate) fn new(
        net: &mut Net,
        host: HostId,
        address: SocketAddr,
        package: &Package,
        known: Option<Bitfield>,
        limits: Limits,
        webs: Vec<WebServer>,
    ) -> Self {
        let mut random = [0; 12];
        random.fill_with(|| net.random.next() as u8);
        let pieces = package.geometry.pieces();
        let mut config = Config::new(package.info_hash(), PeerId::ours(random), net.random.next());
        config.port = Some(address.port());
        config.networks = vec![Network { address: address.ip(), bits: 24 }];
        config.web_seeds = webs.len() as u32;
        config.content = known.clone().map(|have| package.content(have));
        config.limits = limits;
        Self {
            host,
            torrent: Torrent::new(config, net.now()),
            package: package.clone(),
            links: BTreeMap::new(),
            parts: BTreeMap::new(),
            stored: known.unwrap_or_else(|| Bitfield::none(pieces)),
            limits,
            webs: Servers::new(webs),
            spoils: 0,
            woken: None,
            touched: BTreeSet::new(),
            closing: Vec::new(),
            done: None,
            banned: BTreeSet::new(),
            spoilers: BTreeSet::new(),
            spoiled: BTreeMap::new(),
            broken: Vec::new(),
        }
    }

    /// Connections with something new to send, and those that it closes.
    pub(crate) fn take_touched(&mut self) -> (BTreeSet<End>, Vec<End>) {
        (std::mem::take(&mut self.touched), std::mem::take(&mut self.closing))
    }

    pub(crate) fn is_connected(&self, to: IpAddr) -> bool {
        self.links.values().any(|link| link.other.ip() == to && matches!(link.stage, Stage::Open))
    }

    fn handle(&mut self, net: &mut Net, event: Event<'_>) {
        self.torrent.handle(net.now(), event);
        self.act(net);
    }

    pub(crate) fn found(&mut self, net: &mut Net, by: Origin, addresses: &[SocketAddr]) {
        self.handle(net, Event::Found { by, addresses });
    }

    pub(crate) fn wake(&mut self, net: &mut Net) {
        self.woken = None;
        if self.torrent.deadline().is_some_and(|at| at <= net.now()) {
            self.handle(net, Event::Tick);
            let deadline = self.torrent.deadline();
            assert!(deadline.is_none_or(|at| at > net.now()), "a deadline that has been seen to is over");
        } else {
            self.act(net);
        }
    }

    pub(crate) fn refused(&mut self, net: &mut Net, address: SocketAddr) {
        self.handle(net, Event::ConnectFailed(address));
    }

    pub(crate) fn opened(&mut self, net: &mut Net, end: End, other: SocketAddr) {
        let limits = if self.torrent.have().is_some() {
            wire::Limits::for_pieces(self.package.geometry.pieces())
        } else {
            wire::Limits::default()
        };
        let link =
            Link { other, stage: Stage::Handshake(Vec::new()), reader: Reader::new(limits), coming: None };
        self.links.insert(end, link);
        net.after(PATIENCE, Happening::Own(self.host, Own::Late(end)));
        net.pipe(end).say(&self.torrent.handshake().encode());
        self.touched.insert(end);
    }

    pub(crate) fn closed(&mut self, net: &mut Net, end: End) {
        self.lose(net, end);
    }

    /// The connection is over, and not because the torrent wants it.
    fn lose(&mut self, net: &mut Net, end: End) {
        let Some(link) = self.links.remove(&end) else { return };
        self.closing.push(end);
        match link.stage {
            Stage::Open => self.handle(net, Event::Closed(end.key())),
            Stage::Handshake(_) if end.side == 0 => self.handle(net, Event::ConnectFailed(link.other)),
            Stage::Handshake(_) => {}
        }
    }

    pub(crate) fn sent(&mut self, net: &mut Net, end: End, span: Span) {
        if self.links.contains_key(&end) {
            self.handle(net, Event::Sent(end.key(), span));
        }
    }

    pub(crate) fn delivered(&mut self, net: &mut Net, end: End, chunk: Chunk) {
        match chunk {
            Chunk::Bytes(bytes) => self.read(net, end, &bytes, 255),
            Chunk::Block(span, tint) => {
                self.read(net, end, &wire::piece_header(span), tint);
                let Some(link) = self.links.get_mut(&end) else { return };
                assert_eq!(link.reader.data_left(), span.length as usize);
                link.reader.data_taken(span.length as usize);
                self.complete(net, end);
            }
        }
    }

    /// Bytes have come; data of blocks among them is of that tint.
    fn read(&mut self, net: &mut Net, end: End, mut bytes: &[u8], tint: Tint) {
        let Some(link) = self.links.get_mut(&end) else { return };
        if let Stage::Handshake(held) = &mut link.stage {
            let wanted = (Handshake::SIZE - held.len()).min(bytes.len());
            held.extend_from_slice(&bytes[..wanted]);
            bytes = &bytes[wanted..];
            match Handshake::read(held) {
                Ok(None) => return,
                Ok(Some(handshake)) if handshake.info_hash == self.package.info_hash() => {
                    link.stage = Stage::Open;
                    let (peer, address, direction) = (end.key(), link.other, end.direction());
                    self.handle(net, Event::Connected { peer, address, direction, handshake });
                }
                _ => return self.lose(net, end),
            }
        }
        loop {
            let Some(link) = self.links.get_mut(&end) else { return };
            link.reader.take_data(&mut bytes);
            if link.reader.data_left() > 0 {
                return;
            }
            self.complete(net, end);
            let Some(link) = self.links.get_mut(&end) else { return };
            match link.reader.read(&mut bytes) {
                Ok(None) => return,
                Ok(Some(Incoming::Block(span))) => {
                    let wanted = self.torrent.expects(net.now(), end.key(), span) == Fate::Keep;
                    link.coming = Some((span, wanted, tint));
                    self.act(net);
                }
                Ok(Some(Incoming::Message(message))) => {
                    self.handle(net, Event::Message(end.key(), message));
                }
                Err(_) => return self.handle(net, Event::Unreadable(end.key())),
            }
        }
    }

    /// If the data of a block is complete, the torrent hears of it.
    fn complete(&mut self, net: &mut Net, end: End) {
        let Some(link) = self.links.get_mut(&end).filter(|link| link.reader.data_left() == 0) else { return };
        let Some((span, wanted, tint)) = link.coming.take() else { return };
        let other = link.other;
        if wanted {
            self.block(net, Sender::Peer(end.key()), span, tint, other);
        }
    }

    fn block(&mut self, net: &mut Net, sender: Sender, span: Span, tint: Tint, from: SocketAddr) {
        if self.torrent.received(net.now(), sender, span) == Fate::Keep {
            let blocks = self.package.geometry.blocks(span.piece) as usize;
            let part = self.parts.entry(span.piece).or_insert_with(|| vec![None; blocks]);
            let block = &mut part[(span.begin / BLOCK) as usize];
            assert_eq!(*block, None, "no block is kept twice");
            *block = Some(tint);
            if tint != 0 {
                self.spoiled.entry(span.piece).or_default().insert(from);
            }
        }
        self.act(net);
    }

    pub(crate) fn own(&mut self, net: &mut Net, own: Own) {
        match own {
            Own::Verified(piece) => self.judge(net, piece),
            Own::Late(end) => {
                let greets = |link: &Link| matches!(link.stage, Stage::Handshake(_));
                if self.links.get(&end).is_some_and(greets) {
                    self.lose(net, end);
                }
            }
            Own::Content => {
                let have = self.stored.clone();
                let content = self.package.content(have);
                for link in self.links.values_mut() {
                    link.reader.limit(wire::Limits::for_pieces(content.geometry.pieces()));
                }
                self.handle(net, Event::Content(content));
            }
            Own::Web(task, span) => {
                if let Some((web, tint)) = self.webs.comes(task, span) {
                    let from = SocketAddr::from(([0, 0, 0, 0], web.0 as u16));
                    self.block(net, Sender::Web(web), span, tint, from);
                }
            }
            Own::WebDone(task) => {
                if let Some(web) = self.webs.ends(task) {
                    self.handle(net, Event::WebDone(web));
                }
            }
            Own::WebFails(task) => {
                if let Some(web) = self.webs.ends(task) {
                    self.handle(net, Event::WebFailed { web, retry_after: None });
                }
            }
        }
    }

    fn judge(&mut self, net: &mut Net, piece: u32) {
        let tints: Vec<Tint> = self.parts.remove(&piece).into_iter().flatten().flatten().collect();
        let sums: Vec<BlockSum> = tints.iter().map(|tint| BlockSum::of(&[*tint])).collect();
        let spoilers = self.spoiled.remove(&piece).unwrap_or_default();
        let verdict = if tints.iter().all(|tint| *tint == 0) {
            self.stored.insert(piece);
            Verdict::Stored
        } else {
            self.spoilers.extend(spoilers);
            Verdict::Wrong
        };
        self.handle(net, Event::Verified { piece, verdict, sums: &sums });
    }

    /// Does what the torrent says, and checks that it may say so.
    fn act(&mut self, net: &mut Net) {
        while let Some(action) = self.torrent.poll() {
            match action {
                Action::Connect(address) => {
                    let delay = 100 + net.random.below(200) as u64;
                    net.after(delay, Happening::Dial(self.host, address));
                }
                Action::Send(key, message) => self.send(net, key, &message),
                Action::Upload(key, span) => {
                    assert!(self.stored.contains(span.piece) && self.package.geometry.contains(&span));
                    let tint =
                        if net.random.below(100) < self.spoils { 1 + net.random.below(200) as u8 } else { 0 };
                    net.pipe(End::of(key)).upload(span, tint);
                    self.touched.insert(End::of(key));
                }
                Action::Close(key, reason) => self.close(End::of(key), reason),
                Action::Verify { piece, .. } => {
                    let part = &self.parts[&piece];
                    assert!(part.iter().all(Option::is_some), "a piece is verified when it is there");
                    let time = u64::from(self.package.geometry.size(piece)) / 500;
                    net.after(time, Happening::Own(self.host, Own::Verified(piece)));
                }
                Action::Discard(piece) => {
                    self.parts.remove(&piece);
                    self.spoiled.remove(&piece);
                }
                Action::Fetch { web, pieces } => self.webs.fetch(net, self.host, &self.package, web, pieces),
                Action::StopFetch(web) => self.webs.stop(web),
                Action::WrongWeb(web) => assert!(self.webs.lies(web), "{web:?} is honest"),
                Action::Metadata(bytes) => {
                    assert_eq!(bytes[..], self.package.info[..]);
                    net.after(1000, Happening::Own(self.host, Own::Content));
                }
                Action::Complete => {
                    assert!(self.stored.is_full());
                    self.done = Some(net.micros);
                }
                Action::DhtNode(_) => panic!("there is no DHT here"),
            }
        }
        let allowed = self.limits.unfinished.max(2 * u64::from(self.package.geometry.piece_length()));
        assert!(
            self.torrent.unfinished() <= allowed,
            "{} bytes in unfinished pieces",
            self.torrent.unfinished()
        );
        self.set_alarm(net);
    }

    fn set_alarm(&mut self, net: &mut Net) {
        let Some(at) = self.torrent.deadline() else { return };
        if self.woken.is_none_or(|woken| at < woken) {
            self.woken = Some(at);
            net.at_instant(at, Happening::Wake(self.host));
        }
    }

    fn send(&mut self, net: &mut Net, key: PeerKey, message: &Message) {
        let end = End::of(key);
        assert!(self.links.contains_key(&end), "messages go to peers that are there");
        if let Message::Request(span) = message {
            assert!(!self.stored.contains(span.piece), "nobody asks for what he has");
            let peer = self.torrent.peers(net.now()).find(|peer| peer.key == key);
            // It may be closed by what comes next.
            assert!(peer.is_none_or(|peer| peer.requests <= QUEUE));
        }
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        net.pipe(end).say(&bytes);
        self.touched.insert(end);
    }

    fn close(&mut self, end: End, reason: Reason) {
        let link = self.links.remove(&end).expect("nobody is closed twice");
        match reason {
            Reason::Banned => _ = self.banned.insert(SocketAddr::new(link.other.ip(), 0)),
            Reason::Broken(what) => self.broken.push((link.other, what)),
            _ => {}
        }
        self.closing.push(end);
    }
}
