//! Connections with peers: accepted, begun, introduced, read, written and closed.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use lantorrent_core::Limit;
use lantorrent_core::runtime::Timers;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use super::engine::{LINKS, LISTENER};
use super::intake::Fault;
use super::link::{Greeted, Left, Link, Stage, WriteFault};
use super::outgoing::Origin;
use super::paces::Paces;
use super::pool::Pool;
use super::running::{Ear, Torrents};
use super::settings::Settings;
use crate::swarm::{Direction, Event, PeerKey, Reason};
use crate::wire::{Handshake, Limits, Message};
use crate::{InfoHash, Span};

/// What a socket takes before the network can, in bytes. Messages cannot overtake it.
const UNSENT: u32 = 128 << 10;
/// Bytes that are read at once of what does not go into blocks.
const SCRATCH: usize = 64 << 10;
/// Connections that are accepted before it is others' turn.
const ACCEPTED: usize = 64;
/// How long none is accepted after the descriptors have run out.
const BREATH: Duration = Duration::from_millis(200);

/// All connections of a session, and what they share.
pub(super) struct Connections {
    registry: Registry,
    listener: TcpListener,
    lines: HashMap<Token, Line>,
    /// The token of the newest connection.
    last: usize,
    /// Connections that there may be.
    most: usize,
    download: Limit,
    upload: Limit,
    timers: Timers<Token>,
    /// Connections, or the listener, with more to do than their turn allowed.
    ready: VecDeque<Token>,
    /// Connections of peers that do not read what they are sent.
    overflown: Vec<Token>,
    pool: Pool,
    scratch: Vec<u8>,
    /// Descriptors have run out, and a connection could not be accepted.
    is_short: bool,
    /// None is accepted any more.
    is_closed: bool,
}

/// A connection with what limits it.
struct Line {
    link: Link,
    down: Paces,
    up: Paces,
    /// It waits for its turn already.
    queued: bool,
    /// When a block went through it, or else when it was introduced.
    useful: Option<Instant>,
}

/// What is left to be done for the torrent of a connection that was served or closed.
#[derive(Default)]
#[must_use]
pub(super) struct Served {
    /// It was told something, and may have something to say.
    pub(super) torrent: Option<InfoHash>,
    /// A piece that was there could not be read.
    pub(super) unreadable: Option<(u32, io::Error)>,
}

fn key(token: Token) -> PeerKey {
    PeerKey(token.0 as u64)
}

fn token(peer: PeerKey) -> Token {
    Token(peer.0 as usize)
}

/// Without any of this a connection works as well.
fn prepare(socket: &TcpStream) {
    let _ = socket.set_nodelay(true);
    let _ = SockRef::from(socket).set_tcp_notsent_lowat(UNSENT);
}

/// Of IPv4, if that is what came to a socket of both families. Otherwise as it is, with the interface that it is behind.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::new(v4.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

impl Connections {
    /// Accepts connections from that listener.
    pub(super) fn new(
        mut listener: TcpListener,
        registry: Registry,
        settings: &Settings,
    ) -> io::Result<Self> {
        registry.register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            registry,
            listener,
            lines: HashMap::new(),
            last: LINKS,
            most: settings.bounds.connections,
            download: settings.download.clone(),
            upload: settings.upload.clone(),
            timers: Timers::default(),
            ready: VecDeque::new(),
            overflown: Vec::new(),
            pool: Pool::default(),
            scratch: vec![0; SCRATCH],
            is_short: false,
            is_closed: false,
        })
    }

    /// Buffers for blocks.
    pub(super) fn pool(&mut self) -> &mut Pool {
        &mut self.pool
    }

    /// Accepts no connection any more.
    pub(super) fn close_listener(&mut self) {
        self.is_closed = true;
    }

    /// When something has to be done although no socket is ready. It may be at once.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        if self.ready.is_empty() { self.timers.next() } else { Some(now) }
    }

    /// Those whose time has come, for [`serve_due`](Self::serve_due).
    pub(super) fn due(&mut self, now: Instant) -> Vec<Token> {
        self.timers.due(now)
    }

    /// Those whose turn it is, for [`serve`](Self::serve).
    pub(super) fn take_ready(&mut self) -> VecDeque<Token> {
        std::mem::take(&mut self.ready)
    }

    /// Begins a connection to a peer of that torrent, with these first bytes. Whether it could.
    pub(super) fn connect(&mut self, torrent: InfoHash, address: SocketAddr, handshake: &Handshake) -> bool {
        if self.lines.len() >= self.most {
            return false;
        }
        let Ok(socket) = TcpStream::connect(address) else { return false };
        let Some(token) = self.take_in(socket, address, Some(torrent)) else { return false };
        if let Some(line) = self.lines.get_mut(&token) {
            line.link.outgoing.push_raw(&handshake.encode());
        }
        true
    }

    /// Accepts those that wait.
    pub(super) fn accept(&mut self) {
        for _ in 0..ACCEPTED {
            match self.listener.accept() {
                Ok((socket, address)) if self.lines.len() < self.most && !self.is_closed => {
                    self.take_in(socket, canonical(address), None);
                }
                // They come back.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if std::mem::take(&mut self.is_short) {
                        log::info!("all connections are accepted again");
                    }
                    return;
                }
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    if !std::mem::replace(&mut self.is_short, true) {
                        log::warn!(
                            "not all connections can be accepted: {error}; allow this process more open files, or fewer \
                             connections"
                        );
                    }
                    return self.timers.set(LISTENER, Some(Instant::now() + BREATH));
                }
            }
        }
        self.ready.push_back(LISTENER);
    }

    fn take_in(
        &mut self,
        mut socket: TcpStream,
        address: SocketAddr,
        about: Option<InfoHash>,
    ) -> Option<Token> {
        self.last += 1;
        let token = Token(self.last);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.registry.register(&mut socket, token, interest) {
            log::warn!("a connection with {address} is given up: {error}");
            return None;
        }
        prepare(&socket);
        let link = Link::new(socket, address, about, Instant::now());
        self.timers.set(token, link.deadline());
        let none = Limit::default();
        let (down, up) = (Paces::new(&self.download, &none), Paces::new(&self.upload, &none));
        self.lines.insert(token, Line { link, down, up, queued: false, useful: None });
        Some(token)
    }

    /// A socket is ready to be read or written.
    pub(super) fn woken(&mut self, event: &mio::event::Event, torrents: &mut Torrents) -> Served {
        let Some(line) = self.lines.get_mut(&event.token()) else { return Served::default() };
        line.link.readable |= event.is_readable() || event.is_read_closed();
        line.link.writable |= event.is_writable();
        self.serve(event.token(), torrents)
    }

    /// A connection was to be introduced by now, or its turn has come.
    pub(super) fn serve_due(&mut self, token: Token, torrents: &mut Torrents) -> Served {
        if token == LISTENER {
            self.accept();
            return Served::default();
        }
        let until = self.lines.get(&token).and_then(|line| line.link.deadline());
        if until.is_some_and(|until| until <= Instant::now()) {
            return self.lose(token, "no handshake has come in time", torrents);
        }
        let served = self.serve(token, torrents);
        if let Some(until) = self.lines.get(&token).and_then(|line| line.link.deadline()) {
            self.timers.set_earlier(token, until);
        }
        served
    }

    /// Reads and writes for as long as the turn of the connection is.
    pub(super) fn serve(&mut self, token: Token, torrents: &mut Torrents) -> Served {
        if token == LISTENER {
            self.accept();
            return Served::default();
        }
        let Some(line) = self.lines.get_mut(&token) else { return Served::default() };
        line.queued = false;
        let mut served = Served::default();
        if matches!(line.link.stage, Stage::Handshake { .. }) {
            served = self.greet(token, torrents);
        }
        if let Some(hash) = self.lines.get(&token).and_then(|line| line.link.torrent()) {
            served.torrent = Some(hash);
            self.read(token, hash, torrents);
            served.unreadable = self.write(token, hash, torrents);
        }
        served
    }

    fn greet(&mut self, token: Token, torrents: &mut Torrents) -> Served {
        let Some(line) = self.lines.get_mut(&token) else { return Served::default() };
        match line.link.greet() {
            Ok(Greeted::NotYet) => Served::default(),
            Ok(Greeted::Done(handshake, rest)) => self.introduced(token, &handshake, &rest, torrents),
            Err(error) => self.lose(token, &error.to_string(), torrents),
        }
    }

    fn introduced(
        &mut self,
        token: Token,
        handshake: &Handshake,
        rest: &[u8],
        torrents: &mut Torrents,
    ) -> Served {
        let (now, hash) = (Instant::now(), handshake.info_hash);
        let Some(line) = self.lines.get_mut(&token) else { return Served::default() };
        let expected = line.link.torrent();
        let Some(torrent) = torrents.get_mut(&hash).filter(|_| expected.is_none_or(|other| other == hash))
        else {
            return self.lose(token, "it is about another torrent", torrents);
        };
        if line.link.direction == Direction::Incoming {
            if !torrent.is_ready() {
                return self.lose(token, "the torrent is not open yet", torrents);
            }
            line.link.outgoing.push_raw(&torrent.machine.handshake().encode());
        }
        let pieces = torrent.info.as_ref().map(|info| Limits::for_pieces(info.geometry().pieces()));
        line.link.open(hash, pieces.unwrap_or_default());
        line.useful = Some(now);
        line.down = Paces::new(&self.download, &torrent.download);
        line.up = Paces::new(&self.upload, &torrent.upload);
        self.timers.set(token, None);
        let (address, direction) = (line.link.address, line.link.direction);
        let event = Event::Connected { peer: key(token), address, direction, handshake: *handshake };
        torrent.machine.handle(now, event);
        let Stage::Open { intake, .. } = &mut line.link.stage else { return Served::default() };
        let mut ear = Ear { torrent, peer: key(token), now, has_got: false };
        if let Err(error) = intake.understand(rest, &mut self.pool, &mut ear) {
            log::debug!("{address}: {error}");
            ear.torrent.machine.handle(now, Event::Unreadable(key(token)));
        }
        Served { torrent: Some(hash), unreadable: None }
    }

    fn read(&mut self, token: Token, hash: InfoHash, torrents: &mut Torrents) {
        let (Some(line), Some(torrent)) = (self.lines.get_mut(&token), torrents.get_mut(&hash)) else {
            return;
        };
        let now = Instant::now();
        let mut ear = Ear { torrent, peer: key(token), now, has_got: false };
        let buffers = (&mut self.scratch[..], &mut self.pool);
        let read = line.link.read(&mut line.down, buffers, &mut ear);
        if ear.has_got {
            line.useful = Some(now);
        }
        match read {
            Ok(left) => self.later(token, left),
            Err(Fault::Wire(error)) => {
                log::debug!("{}: {error}", line.link.address);
                ear.torrent.machine.handle(now, Event::Unreadable(key(token)));
            }
            Err(fault) => _ = self.lose(token, &fault.to_string(), torrents),
        }
    }

    /// Returns the piece that could not be read, if there is one.
    fn write(&mut self, token: Token, hash: InfoHash, torrents: &mut Torrents) -> Option<(u32, io::Error)> {
        let (line, torrent) = (self.lines.get_mut(&token)?, torrents.get_mut(&hash)?);
        let content = torrent.content.clone();
        let origin = content.as_deref().map(|content| content as &dyn Origin);
        let mut sent: Vec<Span> = Vec::new();
        let written = line.link.write(&mut line.up, origin, &mut sent);
        let now = Instant::now();
        if !sent.is_empty() {
            (line.useful, torrent.used) = (Some(now), now);
        }
        for span in sent {
            torrent.machine.handle(now, Event::Sent(key(token), span));
        }
        match written {
            Ok(left) => self.later(token, left),
            Err(WriteFault::Io(error)) => _ = self.lose(token, &error.to_string(), torrents),
            Err(WriteFault::Unreadable(span, error)) => {
                _ = self.lose(token, "what it asked for cannot be read", torrents);
                return Some((span.piece, error));
            }
        }
        None
    }

    fn later(&mut self, token: Token, left: Left) {
        match left {
            Left::Nothing => {}
            Left::More => self.queue(token),
            // Reading and writing are held apart.
            Left::HeldUntil(at) => self.timers.set_earlier(token, at),
        }
    }

    fn queue(&mut self, token: Token) {
        if let Some(line) = self.lines.get_mut(&token).filter(|line| !line.queued) {
            line.queued = true;
            self.ready.push_back(token);
        }
    }

    /// Closes a connection that is of no use any more, and says so to its torrent.
    fn lose(&mut self, token: Token, why: &str, torrents: &mut Torrents) -> Served {
        let Some(Line { link, .. }) = self.close(token) else { return Served::default() };
        log::debug!("{}: {why}", link.address);
        let known = link.torrent().and_then(|hash| Some((hash, torrents.get_mut(&hash)?)));
        let Some((hash, torrent)) = known else { return Served::default() };
        let event = match link.stage {
            Stage::Open { .. } => Event::Closed(key(token)),
            Stage::Handshake { .. } => Event::ConnectFailed(link.address),
        };
        torrent.machine.handle(Instant::now(), event);
        Served { torrent: Some(hash), unreadable: None }
    }

    fn close(&mut self, token: Token) -> Option<Line> {
        let mut line = self.lines.remove(&token)?;
        self.timers.set(token, None);
        // A socket that is dropped is watched no more, whatever this says.
        let _ = self.registry.deregister(&mut line.link.socket);
        if let Stage::Open { intake, .. } = &mut line.link.stage {
            intake.give_up(&mut self.pool);
        }
        Some(line)
    }

    /// Closes those of peers that do not read what they are sent.
    pub(super) fn close_overflown(&mut self, torrents: &mut Torrents) -> Vec<Served> {
        let tokens = std::mem::take(&mut self.overflown);
        tokens
            .into_iter()
            .map(|token| self.lose(token, "it does not read what it is sent", torrents))
            .collect()
    }

    /// Allows so many connections. What is more than that is closed: at first those that are not introduced, and then those
    /// that no block went through for longest.
    pub(super) fn adjust(&mut self, most: usize, torrents: &mut Torrents) -> Vec<Served> {
        self.most = most;
        let mut order: Vec<(Reverse<Option<Instant>>, Token)> =
            self.lines.iter().map(|(token, line)| (Reverse(line.useful), *token)).collect();
        order.sort_unstable();
        let useless = order.into_iter().skip(most);
        useless.map(|(_, token)| self.lose(token, "there are too many connections", torrents)).collect()
    }

    /// Closes a connection that the torrent wants no more. What was still to be sent is dropped.
    pub(super) fn part(&mut self, peer: PeerKey, reason: &Reason) {
        if let Some(line) = self.close(token(peer)) {
            log::debug!("{}: {reason}", line.link.address);
        }
    }

    /// Sends a message to a peer, as soon as what is under way is done.
    pub(super) fn send(&mut self, peer: PeerKey, message: &Message) {
        let Some(line) = self.lines.get_mut(&token(peer)) else { return };
        if line.link.outgoing.push(message) {
            self.queue(token(peer));
        } else {
            self.overflown.push(token(peer));
        }
    }

    /// Sends a block to a peer, likewise.
    pub(super) fn upload(&mut self, peer: PeerKey, span: Span) {
        if let Some(line) = self.lines.get_mut(&token(peer)) {
            line.link.outgoing.push_block(span);
            self.queue(token(peer));
        }
    }

    /// How long bitfields of that torrent may be is known now.
    pub(super) fn limit_messages(&mut self, hash: InfoHash, limits: Limits) {
        for line in self.lines.values_mut() {
            if let Stage::Open { torrent, intake } = &mut line.link.stage
                && *torrent == hash
            {
                intake.limit(limits);
            }
        }
    }
}
