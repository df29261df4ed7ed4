//! One connection to a peer, from its first byte: the handshakes, and then messages and blocks.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use thiserror::Error;

use super::intake::{Fault, Intake, Listener};
use super::outgoing::{Origin, Outcome, Outgoing};
use super::paces::Paces;
use super::pool::Pool;
use crate::swarm::Direction;
use crate::wire::{Handshake, HandshakeError, Limits};
use crate::{InfoHash, Span};

/// How long a connection may take to be there, and to be introduced.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes that one connection may read or write before it is another's turn.
const TURN: usize = 1 << 20;

pub(super) struct Link {
    pub(super) socket: TcpStream,
    pub(super) address: SocketAddr,
    pub(super) direction: Direction,
    pub(super) stage: Stage,
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) outgoing: Outgoing,
}

pub(super) enum Stage {
    /// It is not introduced yet.
    Handshake {
        /// Which torrent it is to be about. None until the other side says it, where that begins.
        about: Option<InfoHash>,
        /// What came of their handshake.
        bytes: Vec<u8>,
        until: Instant,
    },
    /// It is about a torrent.
    Open { torrent: InfoHash, intake: Intake },
}

/// What came of a greeting.
pub(super) enum Greeted {
    NotYet,
    /// They have said who they are. With what came behind that.
    Done(Handshake, Vec<u8>),
}

/// Whether there is more to do without another word from the poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    /// It has had its turn.
    More,
    /// The limit allows it no more until then.
    HeldUntil(Instant),
}

impl Link {
    pub(super) fn new(socket: TcpStream, address: SocketAddr, about: Option<InfoHash>, now: Instant) -> Self {
        let direction = if about.is_some() { Direction::Outgoing } else { Direction::Incoming };
        Self {
            socket,
            address,
            direction,
            stage: Stage::Handshake { about, bytes: Vec::new(), until: now + PATIENCE },
            readable: false,
            writable: false,
            outgoing: Outgoing::default(),
        }
    }

    /// Reads their handshake.
    pub(super) fn greet(&mut self) -> Result<Greeted, GreetingFault> {
        let Stage::Handshake { bytes, .. } = &mut self.stage else { return Ok(Greeted::NotYet) };
        let mut buffer = [0; 4096];
        loop {
            if let Some(handshake) = Handshake::read(bytes)? {
                return Ok(Greeted::Done(handshake, bytes.split_off(Handshake::SIZE)));
            }
            match self.socket.read(&mut buffer) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(count) => bytes.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    return Ok(Greeted::NotYet);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// From now on it is about that torrent.
    pub(super) fn open(&mut self, torrent: InfoHash, limits: Limits) {
        self.stage = Stage::Open { torrent, intake: Intake::new(limits) };
    }

    pub(super) fn torrent(&self) -> Option<InfoHash> {
        match &self.stage {
            Stage::Open { torrent, .. } => Some(*torrent),
            Stage::Handshake { about, .. } => *about,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.stage {
            Stage::Handshake { until, .. } => Some(*until),
            Stage::Open { .. } => None,
        }
    }

    /// Reads while there is something, for as long as its turn is, and tells the listener.
    pub(super) fn read(
        &mut self,
        paces: &mut Paces,
        (scratch, pool): (&mut [u8], &mut Pool),
        to: &mut impl Listener,
    ) -> Result<Left, Fault> {
        let Stage::Open { intake, .. } = &mut self.stage else { return Ok(Left::Nothing) };
        let mut read = 0;
        while self.readable {
            if read >= TURN {
                return Ok(Left::More);
            }
            let most = match paces.allowance(Instant::now(), TURN / 4) {
                Ok(most) => most,
                Err(again) => return Ok(Left::HeldUntil(again)),
            };
            let result = intake.read(&mut self.socket, most, (scratch, pool), to);
            paces.went(result.as_ref().copied().unwrap_or(0));
            match result {
                Ok(count) => read += count,
                Err(Fault::Io(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(Fault::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(fault) => return Err(fault),
            }
        }
        Ok(Left::Nothing)
    }

    /// Writes what waits, for as long as its turn is. Blocks that are through are added to `sent`.
    pub(super) fn write(
        &mut self,
        paces: &mut Paces,
        origin: Option<&dyn Origin>,
        sent: &mut Vec<Span>,
    ) -> Result<Left, WriteFault> {
        let mut written = 0;
        while self.writable && !self.outgoing.is_empty() {
            if written >= TURN {
                return Ok(Left::More);
            }
            let most = match paces.allowance(Instant::now(), TURN / 4) {
                Ok(most) => most,
                Err(again) => return Ok(Left::HeldUntil(again)),
            };
            let outcome = self.outgoing.write(&self.socket, most, origin, sent);
            let count = outcome.written();
            paces.went(count);
            written += count;
            match outcome {
                Outcome::Written(_) => {}
                Outcome::Full(_) => self.writable = false,
                Outcome::Unreadable(span, error) => return Err(WriteFault::Unreadable(span, error)),
                Outcome::Broken(error) => return Err(WriteFault::Io(error)),
            }
        }
        Ok(Left::Nothing)
    }
}

/// Why nothing more can be written.
pub(super) enum WriteFault {
    Io(io::Error),
    Unreadable(Span, io::Error),
}

/// Why a connection is not introduced.
#[derive(Debug, Error)]
pub(super) enum GreetingFault {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}
