//! Connections with peers: begun, introduced, read, written and closed.

use std::net::SocketAddr;
use std::time::Instant;

use mio::net::TcpStream;
use mio::{Interest, Token};
use socket2::SockRef;

use super::engine::{Engine, Who};
use super::intake::Fault;
use super::link::{Greeted, Left, Link, Stage, WriteFault};
use super::outgoing::{Origin, Outgoing};
use super::paces::Paces;
use super::running::Ear;
use crate::swarm::{Direction, Event, PeerKey, Reason};
use crate::wire::{Handshake, Limits};
use crate::{InfoHash, Span};

/// What a socket takes before the network can, in bytes. Messages cannot overtake it.
const UNSENT: u32 = 128 << 10;

/// A connection with what limits it.
pub(super) struct Line {
    pub(super) link: Link,
    down: Paces,
    up: Paces,
    /// It waits for its turn already.
    queued: bool,
    /// When a block went through it, or else when it was introduced.
    pub(super) useful: Option<Instant>,
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

impl Engine {
    /// Begins a connection to a peer of that torrent.
    pub(super) fn connect(&mut self, now: Instant, hash: InfoHash, address: SocketAddr) {
        let socket = if self.links.len() < self.settings.bounds.connections {
            TcpStream::connect(address).ok()
        } else {
            None
        };
        let begun = socket.is_some_and(|socket| self.take_in(socket, address, Some(hash)));
        if !begun && let Some(torrent) = self.torrents.get_mut(&hash) {
            torrent.machine.handle(now, Event::ConnectFailed(address));
        }
    }

    pub(super) fn take_in(
        &mut self,
        mut socket: TcpStream,
        address: SocketAddr,
        about: Option<InfoHash>,
    ) -> bool {
        self.last += 1;
        let token = Token(self.last);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut socket, token, interest) {
            log::warn!("a connection with {address} is given up: {error}");
            return false;
        }
        prepare(&socket);
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
            queued: false,
            useful: None,
        };
        self.links.insert(token, line);
        true
    }

    pub(super) fn woken(&mut self, token: Token, readable: bool, writable: bool) {
        if let Some(line) = self.links.get_mut(&token) {
            line.link.readable |= readable;
            line.link.writable |= writable;
            self.serve(token);
        }
    }

    /// It was to be introduced by now, or its turn has come.
    pub(super) fn link_is_due(&mut self, token: Token) {
        let until = self.links.get(&token).and_then(|line| line.link.deadline());
        if until.is_some_and(|until| until <= Instant::now()) {
            self.lose(token, "nobody has introduced himself in time");
        } else {
            self.serve(token);
        }
        if let Some(until) = self.links.get(&token).and_then(|line| line.link.deadline()) {
            self.timers.set_earlier(Who::Link(token), until);
        }
    }

    pub(super) fn serve(&mut self, token: Token) {
        let Some(line) = self.links.get_mut(&token) else { return };
        line.queued = false;
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
        line.useful = Some(now);
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
        let mut ear = Ear { torrent, peer: key(token), now, has_got: false };
        if let Err(error) = intake.understand(rest, &mut self.pool, &mut ear) {
            log::debug!("{}: {error}", line.link.address);
            ear.torrent.machine.handle(now, Event::Unreadable(key(token)));
        }
    }

    fn read(&mut self, token: Token, hash: InfoHash) {
        let (Some(line), Some(torrent)) = (self.links.get_mut(&token), self.torrents.get_mut(&hash)) else {
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
            Err(fault) => self.lose(token, &fault.to_string()),
        }
    }

    pub(super) fn write(&mut self, token: Token) {
        let Some(line) = self.links.get_mut(&token) else { return };
        let Some(hash) = line.link.torrent() else { return };
        let Some(torrent) = self.torrents.get_mut(&hash) else { return };
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
            Err(WriteFault::Io(error)) => self.lose(token, &error.to_string()),
            Err(WriteFault::Unreadable(span, error)) => {
                self.lose(token, "what it asked for cannot be read");
                self.unreadable(hash, span.piece, &error);
            }
        }
    }

    fn later(&mut self, token: Token, left: Left) {
        match left {
            Left::Nothing => {}
            Left::More => self.queue(token),
            // Reading and writing are held apart.
            Left::HeldUntil(at) => self.timers.set_earlier(Who::Link(token), at),
        }
    }

    /// Closes a connection that is of no use any more, and says so to its torrent.
    pub(super) fn lose(&mut self, token: Token, why: &str) {
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
    pub(super) fn outgoing(&mut self, peer: PeerKey) -> Option<&mut Outgoing> {
        self.links.get_mut(&token(peer)).map(|line| &mut line.link.outgoing)
    }

    /// Writes what a peer was given to be sent, as soon as what is under way is done.
    pub(super) fn write_soon(&mut self, peer: PeerKey) {
        self.queue(token(peer));
    }

    fn queue(&mut self, token: Token) {
        if let Some(line) = self.links.get_mut(&token).filter(|line| !line.queued) {
            line.queued = true;
            self.ready.push_back(token);
        }
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
