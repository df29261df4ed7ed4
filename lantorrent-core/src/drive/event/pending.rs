//! Connections that belong to no session: those that have not proved the password yet, wait for their verdict or for the
//! answer to a check, or are told the last word.

use std::io::{ErrorKind, Read};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use mio::Token;
use mio::net::TcpStream;

use super::super::clock::now;
use super::super::outbox::{FAREWELL, LINGER, Outbox};
use super::super::random;
use super::upstreams::{Drained, drain};
use crate::flow::admission::{Attempt, PlacedFiles};
use crate::session::{Gate, HandshakeStep, Incoming, Now, Proven};
use crate::wire::Nonce;

/// A connection whose sender has proven to have the password.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) token: Token,
    pub(super) socket: TcpStream,
    pub(super) outbox: Outbox,
    pub(super) proven: Box<Proven>,
    /// What came behind the greeting.
    pub(super) first: Vec<u8>,
    pub(super) attempt: Attempt,
}

/// What an arrival was before its verdict.
#[derive(Debug)]
pub(super) struct Parked {
    proven: Box<Proven>,
    first: Vec<u8>,
    attempt: Attempt,
}

#[derive(Debug)]
pub(super) struct Pending {
    pub(super) token: Token,
    socket: TcpStream,
    outbox: Outbox,
    stage: Stage,
    deadline: Instant,
    /// Whether it is heard out when the node is stopped.
    pub(super) is_waited_for: bool,
}

#[derive(Debug)]
enum Stage {
    /// Nothing came yet since then: many may never say anything.
    Silent(Now),
    Handshake(Box<Incoming>),
    /// It is admitted again when its files were looked at, or when its time has come.
    Parked(Box<Parked>, Until),
    /// It has asked for a check.
    Asking,
    /// There is something left to tell it.
    Listening,
    /// It was told all. Closing a socket with unread data resets the connection, and could take with it what the peer has
    /// not read yet.
    Leaving,
}

/// What a connection waits for that is admitted again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Looked,
    Deadline,
}

/// What comes of looking at it.
#[derive(Debug)]
pub(super) enum Look {
    /// Nothing, until its socket has something or its time is up.
    Stays,
    /// There may be more to read already.
    Again,
    Gone,
    /// It is to be admitted, with what came behind its greeting.
    Proven(Box<Parked>),
}

impl Pending {
    /// A connection that was accepted.
    pub(super) fn accepted(token: Token, socket: TcpStream, gate: &Gate) -> Self {
        let now = now();
        let deadline = now.instant + gate.timing.greeting;
        let (stage, outbox) = (Stage::Silent(now), Outbox::default());
        Self { token, socket, outbox, stage, deadline, is_waited_for: false }
    }

    /// A connection that is to be admitted again at that time.
    pub(super) fn contesting(arrival: Arrival, until: Instant) -> Self {
        Self::parked(arrival, Until::Deadline, until)
    }

    /// A connection that is to be admitted again when the files of its transfer were looked at, which may take so long.
    pub(super) fn looking(arrival: Arrival, patience: Duration) -> Self {
        Self::parked(arrival, Until::Looked, Instant::now() + patience)
    }

    fn parked(arrival: Arrival, until: Until, deadline: Instant) -> Self {
        let Arrival { token, socket, outbox, proven, first, attempt } = arrival;
        let stage = Stage::Parked(Box::new(Parked { proven, first, attempt }), until);
        Self { token, socket, outbox, stage, deadline, is_waited_for: false }
    }

    /// The files of its transfer were looked at.
    pub(super) fn looked(&mut self, found: PlacedFiles) -> Look {
        let mut look = self.unpark();
        if let Look::Proven(parked) = &mut look {
            parked.attempt.looked(found);
        }
        look
    }

    fn unpark(&mut self) -> Look {
        match std::mem::replace(&mut self.stage, Stage::Asking) {
            Stage::Parked(parked, _) => Look::Proven(parked),
            stage => {
                self.stage = stage;
                Look::Stays
            }
        }
    }

    /// A connection whose answer may take so long.
    pub(super) fn asking(arrival: Arrival, patience: Duration) -> (Self, Box<Proven>) {
        let Arrival { token, socket, outbox, proven, .. } = arrival;
        let (stage, deadline) = (Stage::Asking, Instant::now() + patience);
        (Self { token, socket, outbox, stage, deadline, is_waited_for: false }, proven)
    }

    /// A session's connection, which is let go behind what there is left to say.
    pub(super) fn leaving_session(token: Token, socket: TcpStream, outbox: Outbox) -> Self {
        let (stage, deadline) = (Stage::Listening, Instant::now() + FAREWELL);
        Self { token, socket, outbox, stage, deadline, is_waited_for: true }
    }

    pub(super) fn into_arrival(self, parked: Parked) -> Arrival {
        let (Self { token, socket, outbox, .. }, Parked { proven, first, attempt }) = (self, parked);
        Arrival { token, socket, outbox, proven, first, attempt }
    }

    /// When its time is up.
    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Says that, and that it was the last word.
    pub(super) fn answer(&mut self, words: &[u8]) {
        self.outbox.say(&self.socket, words);
        self.stage = Stage::Listening;
        self.deadline = Instant::now() + FAREWELL;
    }

    /// Goes on with it: its socket may have something to read, or room for more.
    pub(super) fn look(&mut self, gate: &Gate, scratch: &mut [u8]) -> Look {
        match self.stage {
            Stage::Silent(_) | Stage::Handshake(_) => self.greet(gate, scratch),
            Stage::Parked(..) | Stage::Asking => Look::Stays,
            Stage::Listening | Stage::Leaving => self.part(scratch),
        }
    }

    /// Its time may be up.
    pub(super) fn on_time(&mut self, now: Instant) -> Look {
        if self.deadline > now {
            return Look::Stays;
        }
        match self.stage {
            Stage::Parked(_, Until::Deadline) => return self.unpark(),
            Stage::Silent(_) | Stage::Handshake(_) => {
                log::info!("{} did not introduce itself in time", self.peer());
            }
            Stage::Listening => log::info!("the last words to {} were lost: it does not listen", self.peer()),
            Stage::Parked(..) | Stage::Asking | Stage::Leaving => {}
        }
        Look::Gone
    }

    fn peer(&self) -> String {
        self.socket.peer_addr().map_or_else(|_| "a peer".to_owned(), |peer| peer.to_string())
    }

    fn greet(&mut self, gate: &Gate, scratch: &mut [u8]) -> Look {
        let look = self.hear(gate, scratch);
        self.outbox.flush(&self.socket);
        look
    }

    fn hear(&mut self, gate: &Gate, scratch: &mut [u8]) -> Look {
        match (&self.socket).read(scratch) {
            Ok(0) => {
                let Some(incoming) = self.incoming(gate) else { return Look::Gone };
                let greeting = incoming.closed();
                self.refuse(greeting, scratch)
            }
            Ok(count) => self.listen(gate, count, scratch),
            Err(error) if error.kind() == ErrorKind::Interrupted => Look::Again,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Look::Stays,
            Err(error) => {
                log::info!("{} left while it introduced itself: {error}", self.peer());
                Look::Gone
            }
        }
    }

    /// Takes in the first `count` bytes.
    fn listen(&mut self, gate: &Gate, count: usize, scratch: &mut [u8]) -> Look {
        let mut at = 0;
        while at < count {
            let Some(incoming) = self.incoming(gate) else { return Look::Gone };
            let (used, greeting) = incoming.push(now(), &scratch[at..count]);
            self.deadline = incoming.deadline();
            at += used;
            match greeting {
                HandshakeStep::More => {}
                HandshakeStep::Reply(reply) => self.outbox.say(&self.socket, &reply),
                HandshakeStep::Proven(proven) => {
                    let (first, attempt) = (scratch[at..count].to_vec(), Attempt::new(Instant::now(), gate));
                    return Look::Proven(Box::new(Parked { proven, first, attempt }));
                }
                refused @ HandshakeStep::Refused { .. } => return self.refuse(refused, scratch),
            }
        }
        Look::Again
    }

    /// None if there is no randomness to be had.
    fn incoming(&mut self, gate: &Gate) -> Option<&mut Incoming> {
        if let Stage::Silent(since) = self.stage {
            let challenge = random().inspect_err(|error| log::error!("cannot challenge a sender: {error}"));
            let local = self.socket.local_addr().ok();
            let incoming = Incoming::new(since, gate.clone(), local, Nonce(challenge.ok()?));
            self.stage = Stage::Handshake(Box::new(incoming));
        }
        match &mut self.stage {
            Stage::Handshake(incoming) => Some(incoming),
            _ => None,
        }
    }

    fn refuse(&mut self, greeting: HandshakeStep, scratch: &mut [u8]) -> Look {
        if let HandshakeStep::Refused { reply, why } = greeting {
            log::warn!("refused {}: {why}", self.peer());
            self.answer(&reply);
            return self.part(scratch);
        }
        Look::Gone
    }

    fn part(&mut self, scratch: &mut [u8]) -> Look {
        if matches!(self.stage, Stage::Listening) {
            if self.outbox.flush(&self.socket) {
                return Look::Stays;
            }
            let _ = self.socket.shutdown(Shutdown::Write);
            self.stage = Stage::Leaving;
            self.deadline = Instant::now() + LINGER;
        }
        match drain(&self.socket, scratch) {
            Drained::ForNow => Look::Again,
            Drained::Dry => Look::Stays,
            Drained::ToTheEnd => Look::Gone,
        }
    }
}
