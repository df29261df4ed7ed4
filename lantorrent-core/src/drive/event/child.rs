//! A connection to a child: made, written to and heard.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use mio::Token;
use mio::event::Event;
use mio::net::TcpStream;

use super::super::TELL;
use super::super::limit::Limit;
use super::super::pace::Pace;
use super::super::socket::{ADDRESSES, begin_to_connect};
use super::frames::{Meaning, Outgoing};
use super::upstreams::reset;
use super::world::{Owner, World};

#[derive(Debug)]
pub(super) struct Child {
    owner: Owner,
    /// For each of its addresses to answer.
    timeout: Duration,
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
    /// Its name is being looked up.
    Sought,
    Connecting(Connecting),
    Open(Open),
}

#[derive(Debug)]
struct Connecting {
    socket: TcpStream,
    token: Token,
    address: SocketAddr,
    until: Instant,
    /// Whether the network may have said how it went.
    nudged: bool,
    /// To be tried next.
    others: VecDeque<SocketAddr>,
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
    pub(super) fn new(owner: Owner, timeout: Duration, limit: Limit) -> Self {
        let now = Instant::now();
        Self {
            owner,
            timeout,
            state: State::Sought,
            outgoing: None,
            pace: Pace::new(limit),
            held_until: None,
            awaits_file: false,
            told: now,
            excused: now,
        }
    }

    /// Begins to connect to the first of the addresses that answers.
    pub(super) fn connect(
        &mut self,
        addresses: impl IntoIterator<Item = SocketAddr>,
        world: &mut World,
    ) -> io::Result<()> {
        let addresses = addresses.into_iter().take(ADDRESSES).collect();
        self.try_next(addresses, io::Error::new(ErrorKind::NotFound, "the name has no address"), world)
    }

    fn try_next(
        &mut self,
        mut others: VecDeque<SocketAddr>,
        mut last: io::Error,
        world: &mut World,
    ) -> io::Result<()> {
        while let Some(address) = others.pop_front() {
            let begun = begin_to_connect(address, world.site.traffic.dscp);
            let connected = begun.map(TcpStream::from_std).and_then(|mut socket| {
                let token = world.take_in(&mut socket, self.owner)?;
                Ok((socket, token))
            });
            match connected {
                Ok((socket, token)) => {
                    let (until, nudged) = (Instant::now() + self.timeout, false);
                    self.state =
                        State::Connecting(Connecting { socket, token, address, until, nudged, others });
                    return Ok(());
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Its socket may have something to read, or room to write.
    pub(super) fn wake(&mut self, event: &Event) {
        match &mut self.state {
            State::Sought => {}
            State::Connecting(connecting) => connecting.nudged = true,
            State::Open(open) => {
                open.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
                open.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
            }
        }
    }

    /// Goes on with connecting. Says once who has answered, or that nobody has.
    pub(super) fn get_connected(&mut self, world: &mut World) -> Option<io::Result<SocketAddr>> {
        let State::Connecting(connecting) = &mut self.state else { return None };
        let (token, address) = (connecting.token, connecting.address);
        let error = match connecting.outcome() {
            Some(Ok(())) => {
                self.open();
                return Some(Ok(address));
            }
            Some(Err(error)) => error,
            None if connecting.until > Instant::now() => return None,
            None => io::Error::new(ErrorKind::TimedOut, "connection timed out"),
        };
        world.forget(token);
        let State::Connecting(former) = std::mem::replace(&mut self.state, State::Sought) else {
            return None;
        };
        self.try_next(former.others, error, world).err().map(Err)
    }

    fn open(&mut self) {
        if let State::Connecting(made) = std::mem::replace(&mut self.state, State::Sought) {
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
            State::Sought => None,
            State::Connecting(connecting) => Some(connecting.until),
            State::Open(open) => {
                let fault = open.fault.as_ref().filter(|_| !open.mute).map(|fault| fault.until);
                fault.into_iter().chain(self.held_until).min()
            }
        }
    }

    /// Hangs up. Nothing that is still under way matters.
    pub(super) fn close(self, world: &mut World) {
        let (socket, token) = match self.state {
            State::Sought => return,
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
