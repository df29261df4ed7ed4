//! A connection to a child: made, written to and heard.

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr};
use std::time::Instant;

use mio::Token;
use mio::event::Event;
use mio::net::TcpStream;

use super::super::TELL;
use super::super::pace::Pace;
use super::super::socket::begin_to_connect;
use super::frames::{Meaning, Outgoing};
use super::upstreams::reset;
use super::world::{Owner, World};

#[derive(Debug)]
pub(super) struct Child {
    state: State,
    outgoing: Option<Outgoing>,
    pace: Pace,
    /// When its turn comes, if it has to wait for that.
    held_until: Option<Instant>,
    /// Whether a worker reads for it what comes next.
    pub(super) awaits_file: bool,
    /// When the session heard last how far it is.
    pub(super) told: Instant,
    /// When the session heard last that the limit holds it back.
    pub(super) excused: Instant,
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

/// How it is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Haste {
    /// As the limit allows.
    Normal,
    /// What is under way has to be out at once.
    Urgent,
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
    pub(super) fn connect(owner: Owner, to: SocketAddr, world: &mut World) -> io::Result<Self> {
        let mut socket = TcpStream::from_std(begin_to_connect(to, world.site.traffic.dscp)?);
        let token = world.take_in(&mut socket, owner)?;
        let now = Instant::now();
        Ok(Self {
            state: State::Connecting(Connecting { socket, token, to, nudged: false }),
            outgoing: None,
            pace: Pace::new(world.site.traffic.send_limit.clone()),
            held_until: None,
            awaits_file: false,
            told: now,
            excused: now,
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

    /// Whether another frame can be begun.
    pub(super) fn wants_more(&self) -> bool {
        let State::Open(open) = &self.state else { return false };
        self.outgoing.is_none() && !self.awaits_file && open.fault.is_none()
    }

    pub(super) fn begin(&mut self, frame: Outgoing) {
        self.outgoing = Some(frame);
    }

    /// Writes what can be written without waiting, and what the limit allows. Says what the frame meant that is all out now.
    pub(super) fn write(&mut self, haste: Haste) -> Option<Meaning> {
        loop {
            let State::Open(open) = &mut self.state else { return None };
            let frame = self.outgoing.as_mut().filter(|_| open.writable)?;
            let left = frame.left();
            let limited = haste == Haste::Normal && frame.has_data();
            let allowed = if limited { self.pace.allowance(Instant::now(), left) } else { Ok(left) };
            self.held_until = allowed.err();
            let allowed = allowed.ok()?;
            let result = frame.write(&open.socket, allowed);
            let written = left - frame.left();
            self.pace.went(written);
            if let Err(error) = result {
                self.give_up(&error);
                return None;
            }
            if written == left {
                return self.outgoing.take().map(|frame| frame.meaning);
            }
            if written < allowed {
                open.writable = false;
            }
        }
    }

    /// Whether a limit keeps it from being written to.
    pub(super) fn is_held_back(&self) -> bool {
        self.held_until.is_some()
    }

    /// Shuts the sending half down: everything is out. It is still heard.
    pub(super) fn finish(&self) -> io::Result<()> {
        let State::Open(open) = &self.state else { return Ok(()) };
        open.socket.shutdown(Shutdown::Write)
    }

    /// Nothing can be sent to it any more.
    pub(super) fn give_up(&mut self, why: &io::Error) {
        self.outgoing = None;
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
                fault.into_iter().chain(self.held_until).min()
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
