//! A connection to a child: made, written to and heard.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Instant;

use mio::Token;
use mio::event::Event;
use mio::net::TcpStream;

use super::super::backing::BackingFile;
use super::super::socket::begin_to_connect;
use super::ring::SessionRing;
use super::upstreams::reset;
use super::world::{Owner, World};
use crate::flow::{Backing, SendStep, Sender, TELL, Tell};
use crate::session::{FeedInput, LinkId};
use crate::wire::PayloadWriter;

#[derive(Debug)]
pub(super) struct Child {
    state: State,
    sender: Sender,
    /// What has to happen before there is something to send; none if there may be.
    waits: Option<Waits>,
}

/// What a child's sender waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// Room in its socket.
    Socket,
    /// A change of the ring.
    Ring,
    /// That time, or a change of the ring.
    Until(Instant),
}

/// What came of sending.
#[derive(Debug)]
pub(super) enum Sent {
    /// So many bytes went out, and more may.
    Bytes(u64),
    /// Nothing can for now.
    Nothing,
    /// A worker is to read at most `len` bytes from `offset` on.
    NeedsFile { backing: Backing<BackingFile>, offset: u64, len: u64 },
}

#[derive(Debug)]
enum State {
    Connecting(Connecting),
    Open(Open),
    /// Between the two.
    Gone,
}

#[derive(Debug)]
struct Connecting {
    socket: TcpStream,
    token: Token,
    to: SocketAddr,
    /// Whether the network may have said how it went.
    nudged: bool,
}

#[derive(Debug)]
struct Open {
    socket: TcpStream,
    token: Token,
    readable: bool,
    writable: bool,
    fault: Option<Fault>,
    /// Whether it was heard to its end.
    mute: bool,
}

/// Why nothing can be sent any more. What the child said last may be why: it is heard until then, before the connection
/// counts as lost.
#[derive(Debug)]
struct Fault {
    why: String,
    until: Instant,
}

/// What came of hearing it.
#[derive(Debug)]
pub(super) enum Heard {
    Nothing,
    /// So many bytes, and maybe more.
    Bytes(usize),
    /// Nothing more ever, because of this.
    End(String),
}

impl Child {
    /// Begins to connect.
    pub(super) fn connect(
        (session, link): (u64, LinkId),
        writer: PayloadWriter,
        to: SocketAddr,
        world: &mut World,
    ) -> io::Result<Self> {
        let mut socket = TcpStream::from_std(begin_to_connect(to, world.site.traffic.dscp)?);
        let token = world.take_in(&mut socket, Owner::Child(session, link))?;
        let limit = world.site.traffic.send_limit.clone();
        Ok(Self {
            state: State::Connecting(Connecting { socket, token, to, nudged: false }),
            sender: Sender::new(Instant::now(), link, writer, limit),
            waits: None,
        })
    }

    /// Its socket may have something to read, or room to write.
    pub(super) fn wake(&mut self, event: &Event) {
        match &mut self.state {
            State::Gone => {}
            State::Connecting(connecting) => connecting.nudged = true,
            State::Open(open) => {
                open.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
                open.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
                if open.writable {
                    self.waits.take_if(|waits| *waits == Waits::Socket);
                }
            }
        }
    }

    /// Goes on with connecting. Says once whether the connection stands.
    pub(super) fn get_connected(&mut self) -> Option<io::Result<SocketAddr>> {
        let State::Connecting(connecting) = &mut self.state else { return None };
        let to = connecting.to;
        let result = connecting.outcome()?;
        if result.is_ok() {
            self.open();
        }
        Some(result.map(|()| to))
    }

    fn open(&mut self) {
        if let State::Connecting(made) = std::mem::replace(&mut self.state, State::Gone) {
            let Connecting { socket, token, .. } = made;
            let open = Open { socket, token, readable: true, writable: true, fault: None, mute: false };
            self.state = State::Open(open);
        }
    }

    /// Hears what the child says.
    pub(super) fn hear(&mut self, scratch: &mut [u8]) -> Heard {
        let State::Open(open) = &mut self.state else { return Heard::Nothing };
        if open.mute {
            return Heard::Nothing;
        }
        let why = match open.read(scratch) {
            Heard::Nothing if open.fault.as_ref().is_some_and(|fault| fault.until <= Instant::now()) => {
                String::new()
            }
            Heard::End(why) => why,
            heard => return heard,
        };
        open.mute = true;
        Heard::End(open.fault.as_ref().map_or(why, |fault| fault.why.clone()))
    }

    /// The ring has changed, in a way that concerns it.
    pub(super) fn wake_sender(&mut self) {
        self.waits.take_if(|waits| matches!(waits, Waits::Ring | Waits::Until(_)));
    }

    /// What it waits for may have come.
    pub(super) fn on_time(&mut self, now: Instant) {
        self.waits.take_if(|waits| matches!(waits, Waits::Until(at) if *at <= now));
    }

    /// Sends one piece of what comes next.
    pub(super) fn send(&mut self, now: Instant, ring: &SessionRing, tell: &mut Tell<'_, FeedInput>) -> Sent {
        let State::Open(open) = &mut self.state else { return Sent::Nothing };
        if self.waits.is_some() || open.fault.is_some() {
            return Sent::Nothing;
        }
        let waits = match self.sender.step(now, open, ring, tell) {
            SendStep::Moved(bytes) => return Sent::Bytes(bytes),
            SendStep::WouldBlock => Waits::Socket,
            SendStep::Until(at) | SendStep::AwaitsFile { until: Some(at), .. } => Waits::Until(at),
            SendStep::Idle(_) | SendStep::Over | SendStep::AwaitsFile { until: None, .. } => Waits::Ring,
            SendStep::NeedsFile { backing, offset, len } => {
                return Sent::NeedsFile { backing, offset, len };
            }
            SendStep::Finish => match open.socket.shutdown(Shutdown::Write) {
                Ok(()) => return Sent::Bytes(0),
                Err(error) => {
                    self.give_up(&error);
                    return Sent::Nothing;
                }
            },
            SendStep::Failed(error) => {
                self.give_up(&error);
                return Sent::Nothing;
            }
        };
        self.waits = Some(waits);
        Sent::Nothing
    }

    /// Nothing can be sent to it any more.
    fn give_up(&mut self, why: &io::Error) {
        if let State::Open(open) = &mut self.state {
            let _ = open.socket.shutdown(Shutdown::Write);
            open.fault = Some(Fault { why: why.to_string(), until: Instant::now() + TELL });
        }
    }

    /// When to look at it although nothing has happened.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            // The session knows for how long.
            State::Gone | State::Connecting(_) => None,
            State::Open(open) => {
                let fault = open.fault.as_ref().filter(|_| !open.mute).map(|fault| fault.until);
                let turn = if let Some(Waits::Until(at)) = self.waits { Some(at) } else { None };
                fault.into_iter().chain(turn).min()
            }
        }
    }

    /// Hangs up. Nothing that is still under way matters.
    pub(super) fn close(self, world: &mut World) {
        let (socket, token) = match self.state {
            State::Gone => return,
            State::Connecting(connecting) => (connecting.socket, connecting.token),
            State::Open(open) => (open.socket, open.token),
        };
        reset(&socket);
        world.forget(token);
    }
}

impl Connecting {
    /// None if the network has not said yet.
    fn outcome(&mut self) -> Option<io::Result<()>> {
        if !std::mem::take(&mut self.nudged) {
            return None;
        }
        match self.socket.take_error() {
            Ok(None) => {}
            Ok(Some(error)) | Err(error) => return Some(Err(error)),
        }
        self.socket.peer_addr().is_ok().then_some(Ok(()))
    }
}

impl Open {
    fn read(&mut self, scratch: &mut [u8]) -> Heard {
        if !self.readable {
            return Heard::Nothing;
        }
        match (&self.socket).read(scratch) {
            Ok(0) => Heard::End("it closed the connection".to_owned()),
            Ok(count) => Heard::Bytes(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => Heard::Bytes(0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Heard::Nothing
            }
            Err(error) => Heard::End(error.to_string()),
        }
    }
}

/// Its socket, as long as that has room.
impl Write for Open {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.writable {
            return Err(ErrorKind::WouldBlock.into());
        }
        let all: usize = slices.iter().map(|slice| slice.len()).sum();
        let result = (&self.socket).write_vectored(slices);
        // It says when there is room again. Having moved something is no reason to think that there is none.
        self.writable = match &result {
            Ok(count) => *count == all,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        };
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
