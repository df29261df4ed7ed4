//! The connections from upstream that a session has: one is read, others come to take its place.

use std::io::{self, ErrorKind, IoSliceMut, Read};
use std::net::Shutdown;

use mio::Token;
use mio::net::TcpStream;

use super::super::outbox::Outbox;
use super::pending::Arrival;
use crate::flow::Behind;
use crate::session::{Proven, UpstreamId};

#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) token: Token,
    pub(super) socket: TcpStream,
    pub(super) outbox: Outbox,
    /// What came behind the greeting.
    pub(super) first: Vec<u8>,
    /// Whether the socket may have something to read.
    pub(super) readable: bool,
    /// Whether its payload is, or was, read.
    pub(super) accepted: bool,
}

impl Upstream {
    /// Takes in a connection, and returns what the session has to know of it.
    pub(super) fn new(arrival: Arrival) -> (Self, Box<Proven>) {
        let Arrival { token, socket, outbox, proven, first, .. } = arrival;
        let upstream = Self { token, socket, outbox, first, readable: true, accepted: false };
        (upstream, proven)
    }

    pub(super) fn id(&self) -> UpstreamId {
        id(self.token)
    }

    pub(super) fn may_have_more(&self) -> bool {
        self.readable || !self.first.is_empty()
    }

    /// What it brings: what came behind the greeting, and then its socket, as long as that may have something.
    pub(super) fn payload(&mut self) -> Behind<'_, Readable<'_>> {
        let Self { socket, first, readable, .. } = self;
        Behind { first, rest: Readable { socket, readable } }
    }

    pub(super) fn say(&mut self, bytes: &[u8]) {
        self.outbox.say(&self.socket, bytes);
    }

    /// Where it is read no more: what still comes does not matter, but the peer may be writing, and must be able to read our
    /// last words. Returns whether there may be more.
    pub(super) fn drain(&mut self, scratch: &mut [u8]) -> bool {
        if self.accepted && self.readable {
            self.readable = drain(&self.socket, scratch) == Drained::ForNow;
        }
        self.accepted && self.readable
    }
}

/// A socket as long as it may have something to read.
#[derive(Debug)]
pub(super) struct Readable<'a> {
    socket: &'a TcpStream,
    readable: &'a mut bool,
}

impl Read for Readable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(buffer)])
    }

    fn read_vectored(&mut self, slots: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if !*self.readable {
            return Err(ErrorKind::WouldBlock.into());
        }
        let result = self.socket.read_vectored(slots);
        *self.readable = !matches!(&result, Err(error) if error.kind() == ErrorKind::WouldBlock);
        result
    }
}

/// How a connection is called in its session. No other connection of the node ever has that name.
pub(super) fn id(token: Token) -> UpstreamId {
    UpstreamId(token.0 as u64)
}

/// Closes at once: whatever is under way is lost. A peer that waits for room to write would otherwise learn of the end only when it next probes for some.
pub(super) fn reset(socket: &TcpStream) {
    let _ = socket2::SockRef::from(socket).set_linger(Some(std::time::Duration::ZERO));
    // It may be gone already; then there is nobody to hang up on.
    let _ = socket.shutdown(Shutdown::Both);
}

/// What a connection had that nobody wants to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drained {
    /// There may be more.
    ForNow,
    /// There is nothing more yet.
    Dry,
    /// It has ended.
    ToTheEnd,
}

/// Reads and drops, but lets others have a turn.
pub(super) fn drain(mut socket: &TcpStream, scratch: &mut [u8]) -> Drained {
    for _ in 0..4 {
        match socket.read(scratch) {
            Ok(0) => return Drained::ToTheEnd,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Drained::Dry,
            Err(_) => return Drained::ToTheEnd,
        }
    }
    Drained::ForNow
}
