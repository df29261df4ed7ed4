//! The loop: one thread that moves bytes between sockets and state machines. It waits for nothing but the poll.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::link::{Greeted, Left, Link, Stage, WriteFault};
use super::mailbox::Mailbox;
use super::message::{Message, Notice};
use super::outgoing::Origin;
use super::paces::Paces;
use super::pool::Pool;
use super::running::{Ear, Running};
use super::settings::Settings;
use super::timers::Timers;
use super::workers::Workers;
use crate::files::Records;
use crate::random::Random;
use crate::swarm::{Direction, Event, Network, PeerKey, Reason};
use crate::wire::{Handshake, Limits};
use crate::{InfoHash, PeerId, Span};

/// The poll wakes up for other threads.
pub(super) const WAKER: Token = Token(0);
/// Somebody connects.
const LISTENER: Token = Token(1);
/// The first connection.
const LINKS: usize = 64;
/// Bytes that are read at once of what does not go into blocks.
const SCRATCH: usize = 64 << 10;
/// How long nobody is let in after the descriptors have run out.
const BREATH: Duration = Duration::from_millis(200);

/// Whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Who {
    Torrent(InfoHash),
    Link(Token),
    /// Connections can be accepted again.
    Door,
}

pub(super) struct Engine {
    pub(super) settings: Settings,
    pub(super) peer_id: PeerId,
    pub(super) port: u16,
    poll: Poll,
    pub(super) mailbox: Arc<Mailbox<Message>>,
    pub(super) notices: Sender<Notice>,
    listener: TcpListener,
    links: HashMap<Token, Line>,
    last: usize,
    pub(super) torrents: HashMap<InfoHash, Running>,
    pub(super) timers: Timers<Who>,
    /// Who has more to do than its turn allowed.
    ready: VecDeque<Token>,
    /// Who does not read what it is sent.
    overflown: Vec<Token>,
    pub(super) pool: Pool,
    scratch: Vec<u8>,
    pub(super) disk: Workers,
    pub(super) web: Workers,
    pub(super) agent: ureq::Agent,
    /// The networks that this host is in.
    pub(super) networks: Vec<Network>,
    pub(super) records: Option<Records>,
    chance: Random,
    /// Torrents that were ever added.
    pub(super) added: u64,
    pub(super) stopping: bool,
}

/// A connection with what limits it.
struct Line {
    link: Link,
    down: Paces,
    up: Paces,
}

/// What an engine is made of that can fail to be had.
pub(super) struct Parts {
    pub(super) settings: Settings,
    pub(super) peer_id: PeerId,
    pub(super) poll: Poll,
    pub(super) mailbox: Arc<Mailbox<Message>>,
    pub(super) notices: Sender<Notice>,
    pub(super) listener: TcpListener,
    pub(super) port: u16,
    pub(super) disk: Workers,
    pub(super) web: Workers,
    pub(super) agent: ureq::Agent,
    pub(super) networks: Vec<Network>,
    pub(super) records: Option<Records>,
    /// For all choices that are left to chance.
    pub(super) seed: u64,
}

fn key(token: Token) -> PeerKey {
    PeerKey(token.0 as u64)
}

fn token(peer: PeerKey) -> Token {
    Token(peer.0 as usize)
}

impl Engine {
    pub(super) fn new(mut parts: Parts) -> io::Result<Self> {
        parts.poll.registry().register(&mut parts.listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            settings: parts.settings,
            peer_id: parts.peer_id,
            port: parts.port,
            poll: parts.poll,
            mailbox: parts.mailbox,
            notices: parts.notices,
            listener: parts.listener,
            links: HashMap::new(),
            last: LINKS,
            torrents: HashMap::new(),
            timers: Timers::default(),
            ready: VecDeque::new(),
            overflown: Vec::new(),
            pool: Pool::default(),
            scratch: vec![0; SCRATCH],
            disk: parts.disk,
            web: parts.web,
            agent: parts.agent,
            networks: parts.networks,
            records: parts.records,
            chance: Random::new(parts.seed),
            added: 0,
            stopping: false,
        })
    }

    /// A number for choices that are left to chance.
    pub(super) fn random(&mut self) -> u64 {
        self.chance.next()
    }

    /// Until it is told to stop.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        while !self.is_over() {
            let wait = self.timers.next().map(|at| at.saturating_duration_since(Instant::now()));
            let wait = if self.ready.is_empty() { wait } else { Some(Duration::ZERO) };
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    WAKER => {}
                    LISTENER => self.accept(),
                    token => {
                        self.woken(token, event.is_readable() || event.is_read_closed(), event.is_writable());
                    }
                }
            }
            for message in self.mailbox.take() {
                self.heard(message);
            }
            self.look_at_the_clock();
            for token in std::mem::take(&mut self.overflown) {
                self.lose(token, "it does not read what it is sent");
            }
            for _ in 0..self.ready.len() {
                if let Some(token) = self.ready.pop_front() {
                    self.serve(token);
                }
            }
        }
        // Who waits for a web server would be waited for.
        self.agent.shutdown();
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.stopping && self.torrents.is_empty()
    }

    fn look_at_the_clock(&mut self) {
        let now = Instant::now();
        while let Some(who) = self.timers.due(now) {
            match who {
                Who::Torrent(hash) => self.tick(now, hash),
                Who::Link(token) => self.link_is_due(token),
                Who::Door => self.accept(),
            }
        }
    }

    fn accept(&mut self) {
        loop {
            match self.listener.accept() {
                Ok((socket, address)) if self.links.len() < self.settings.connections && !self.stopping => {
                    self.take_in(socket, address, None);
                }
                // They come back.
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    log::warn!("nobody is let in for a moment: {error}");
                    return self.timers.set(Who::Door, Some(Instant::now() + BREATH));
                }
            }
        }
    }

    /// Begins a connection to a peer of that torrent.
    pub(super) fn connect(&mut self, now: Instant, hash: InfoHash, address: SocketAddr) {
        let socket = if self.links.len() < self.settings.connections {
            TcpStream::connect(address).ok()
        } else {
            None
        };
        let begun = socket.is_some_and(|socket| self.take_in(socket, address, Some(hash)));
        if !begun && let Some(torrent) = self.torrents.get_mut(&hash) {
            torrent.machine.handle(now, Event::ConnectFailed(address));
        }
    }

    fn take_in(&mut self, mut socket: TcpStream, address: SocketAddr, about: Option<InfoHash>) -> bool {
        self.last += 1;
        let token = Token(self.last);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut socket, token, interest) {
            log::warn!("a connection with {address} is given up: {error}");
            return false;
        }
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        let mut link = Link::new(socket, address, about, Instant::now());
        if let Some(torrent) = about.and_then(|hash| self.torrents.get(&hash)) {
            link.outgoing.push_raw(&torrent.machine.handshake().encode());
        }
        self.timers.set(Who::Link(token), link.deadline());
        let none = lantorrent_core::Limit::default();
        let line = Line {
            link,
            down: Paces::new(&self.settings.download, &none),
            up: Paces::new(&self.settings.upload, &none),
        };
        self.links.insert(token, line);
        true
    }

    fn woken(&mut self, token: Token, readable: bool, writable: bool) {
        if let Some(line) = self.links.get_mut(&token) {
            line.link.readable |= readable;
            line.link.writable |= writable;
            self.serve(token);
        }
    }

    /// It was to be introduced by now, or its turn has come.
    fn link_is_due(&mut self, token: Token) {
        match self.links.get(&token).map(|line| &line.link.stage) {
            Some(Stage::Greeting { .. }) => self.lose(token, "nobody has introduced himself in time"),
            Some(Stage::Open { .. }) => self.serve(token),
            None => {}
        }
    }

    fn serve(&mut self, token: Token) {
        let Some(line) = self.links.get_mut(&token) else { return };
        if matches!(line.link.stage, Stage::Greeting { .. }) {
            self.greet(token);
        }
        let Some(line) = self.links.get(&token) else { return };
        if let Some(hash) = line.link.torrent() {
            self.read(token, hash);
            self.write(token);
            self.settle(hash);
        }
    }

    fn greet(&mut self, token: Token) {
        let Some(line) = self.links.get_mut(&token) else { return };
        match line.link.greet() {
            Ok(Greeted::NotYet) => {}
            Ok(Greeted::Done(handshake, rest)) => self.introduced(token, &handshake, &rest),
            Err(error) => self.lose(token, &error.to_string()),
        }
    }

    fn introduced(&mut self, token: Token, handshake: &Handshake, rest: &[u8]) {
        let (now, hash) = (Instant::now(), handshake.info_hash);
        let Some(line) = self.links.get_mut(&token) else { return };
        let expected = line.link.torrent();
        let Some(torrent) =
            self.torrents.get_mut(&hash).filter(|_| expected.is_none_or(|other| other == hash))
        else {
            return self.lose(token, "it is about another torrent");
        };
        if line.link.direction == Direction::Incoming {
            if !torrent.is_ready() {
                return self.lose(token, "the torrent is not open yet");
            }
            line.link.outgoing.push_raw(&torrent.machine.handshake().encode());
        }
        let pieces = torrent.info.as_ref().map(|info| Limits::for_pieces(info.geometry().pieces()));
        line.link.open(hash, pieces.unwrap_or_default());
        line.down = Paces::new(&self.settings.download, &torrent.download);
        line.up = Paces::new(&self.settings.upload, &torrent.upload);
        self.timers.set(Who::Link(token), None);
        let event = Event::Connected {
            peer: key(token),
            address: line.link.address,
            direction: line.link.direction,
            handshake: *handshake,
        };
        torrent.machine.handle(now, event);
        let Stage::Open { intake, .. } = &mut line.link.stage else { return };
        let mut ear = Ear { torrent, peer: key(token), now };
        if let Err(error) = intake.understand(rest, &mut self.pool, &mut ear) {
            self.lose(token, &error.to_string());
        }
    }

    fn read(&mut self, token: Token, hash: InfoHash) {
        let (Some(line), Some(torrent)) = (self.links.get_mut(&token), self.torrents.get_mut(&hash)) else {
            return;
        };
        let now = Instant::now();
        let mut ear = Ear { torrent, peer: key(token), now };
        let buffers = (&mut self.scratch[..], &mut self.pool);
        match line.link.read(&mut line.down, buffers, &mut ear) {
            Ok(left) => self.later(token, left),
            Err(fault) => self.lose(token, &fault.to_string()),
        }
    }

    pub(super) fn write(&mut self, token: Token) {
        let Some(line) = self.links.get_mut(&token) else { return };
        let torrent = line.link.torrent().and_then(|hash| self.torrents.get_mut(&hash));
        let Some(torrent) = torrent else { return };
        let content = torrent.content.clone();
        let origin = content.as_deref().map(|content| content as &dyn Origin);
        let mut sent: Vec<Span> = Vec::new();
        let written = line.link.write(&mut line.up, origin, &mut sent);
        let now = Instant::now();
        for span in sent {
            torrent.machine.handle(now, Event::Sent(key(token), span));
        }
        match written {
            Ok(left) => self.later(token, left),
            Err(WriteFault::Io(error)) => self.lose(token, &error.to_string()),
            Err(WriteFault::Unreadable(span, error)) => {
                log::warn!("piece {} cannot be read any more: {error}", span.piece);
                torrent.machine.handle(now, Event::Lost(span.piece));
                self.lose(token, "what it asked for cannot be read");
            }
        }
    }

    fn later(&mut self, token: Token, left: Left) {
        match left {
            Left::Nothing => {}
            Left::More => self.ready.push_back(token),
            Left::HeldUntil(at) => self.timers.set(Who::Link(token), Some(at)),
        }
    }

    /// Closes a connection that is of no use any more, and says so to its torrent.
    fn lose(&mut self, token: Token, why: &str) {
        let Some(Line { link, .. }) = self.close(token) else { return };
        let now = Instant::now();
        log::debug!("{}: {why}", link.address);
        let Some((hash, torrent)) =
            link.torrent().and_then(|hash| Some((hash, self.torrents.get_mut(&hash)?)))
        else {
            return;
        };
        match link.stage {
            Stage::Open { .. } => torrent.machine.handle(now, Event::Closed(key(token))),
            Stage::Greeting { .. } => torrent.machine.handle(now, Event::ConnectFailed(link.address)),
        }
        self.settle(hash);
    }

    fn close(&mut self, token: Token) -> Option<Line> {
        let mut line = self.links.remove(&token)?;
        self.timers.set(Who::Link(token), None);
        // A socket that is dropped is watched no more, whatever this says.
        let _ = self.poll.registry().deregister(&mut line.link.socket);
        if let Stage::Open { intake, .. } = &mut line.link.stage {
            intake.give_up(&mut self.pool);
        }
        Some(line)
    }

    /// Closes a connection that the torrent wants no more.
    pub(super) fn part(&mut self, peer: PeerKey, reason: &Reason) {
        // What it was still to be sent does not matter to anybody.
        if let Some(line) = self.close(token(peer)) {
            log::debug!("{}: {reason}", line.link.address);
        }
    }

    /// A peer does not read what it is sent.
    pub(super) fn overflow(&mut self, peer: PeerKey) {
        self.overflown.push(token(peer));
    }

    /// The connection of that peer, to put something into what it is sent.
    pub(super) fn outgoing(&mut self, peer: PeerKey) -> Option<&mut super::outgoing::Outgoing> {
        self.links.get_mut(&token(peer)).map(|line| &mut line.link.outgoing)
    }

    /// Writes what a peer was given to be sent, as soon as what is under way is done.
    pub(super) fn write_soon(&mut self, peer: PeerKey) {
        self.ready.push_back(token(peer));
    }

    /// How long bitfields may be is known now.
    pub(super) fn limit_messages(&mut self, hash: InfoHash, limits: Limits) {
        for line in self.links.values_mut() {
            if let Stage::Open { torrent, intake } = &mut line.link.stage
                && *torrent == hash
            {
                intake.limit(limits);
            }
        }
    }
}
