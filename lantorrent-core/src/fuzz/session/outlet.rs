//! The node's end of the connection to a child.

use std::io::{self, ErrorKind, IoSlice, Write};
use std::time::{Duration, Instant};

use super::child::Child;
use super::files::Backing;
use crate::flow::{Local, Ring, SendStep, Sender, Shared, Tell};
use crate::session::{LinkId, LinkInput, NodeInput, Now};

/// A child whose place in the ring is given up was waited for that long, by all that patience has in the beginning.
const PATIENCE: Duration = Duration::from_millis(199);

/// Takes as many bytes as the input says.
#[derive(Default)]
struct Socket {
    room: usize,
    broken: bool,
    taken: Vec<u8>,
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.broken {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let mut count = 0;
        for slice in slices {
            let part = &slice[..slice.len().min(self.room)];
            self.taken.extend(part);
            self.room -= part.len();
            count += part.len();
        }
        if count == 0 { Err(ErrorKind::WouldBlock.into()) } else { Ok(count) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a sender waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waits {
    Socket,
    Ring,
    Until(Instant),
    /// The connection is broken.
    Nothing,
}

pub(super) struct Outlet {
    link: LinkId,
    sender: Sender,
    socket: Socket,
    pub(super) child: Child,
    /// None while there may be something to send.
    pub(super) waits: Option<Waits>,
    /// What is to be read from a file.
    pub(super) needs: Option<(Backing, u64, u64)>,
    /// Whether it gets no more of the payload.
    pub(super) is_stranded: bool,
    /// How far it was when that was last looked at, and whether what it was sent last came from a file, or from memory.
    position: Option<u64>,
    from_file: bool,
    from_memory: bool,
}

impl Outlet {
    /// A child takes that much before the input says how much more.
    const ROOM: usize = 4096;

    pub(super) fn new(link: LinkId, sender: Sender, child: Child) -> Self {
        let socket = Socket { room: Self::ROOM, ..Socket::default() };
        Self {
            link,
            sender,
            socket,
            child,
            waits: None,
            needs: None,
            is_stranded: false,
            position: None,
            from_file: false,
            from_memory: false,
        }
    }

    /// The child takes so many bytes more.
    pub(super) fn widen(&mut self, room: usize) {
        self.socket.room = self.socket.room.saturating_add(room);
        self.waits.take_if(|waits| *waits == Waits::Socket);
    }

    pub(super) fn break_down(&mut self) {
        self.socket.broken = true;
        self.waits.take_if(|waits| *waits == Waits::Socket);
    }

    /// Takes note of how far it is.
    fn is_at(&mut self, position: Option<u64>) {
        if self.position.is_some() && position > self.position {
            self.from_memory = !std::mem::take(&mut self.from_file);
        }
        self.position = position;
    }

    /// Sends one piece, if there may be one. Returns whether that moved anything. The producer has `waited` for room so far.
    pub(super) fn send(
        &mut self,
        now: Now,
        waited: Duration,
        ring: &Local<Ring<Backing>>,
        tell: &mut Tell<'_, NodeInput<'static>>,
    ) -> bool {
        if !self.child.connected || self.waits.is_some() {
            return false;
        }
        let step = self.sender.step(now.instant, &mut self.socket, ring, &mut |input| tell(input.into()));
        self.child.hear(now, &std::mem::take(&mut self.socket.taken));
        self.is_at(ring.look(|ring| ring.position(self.link)));
        self.waits = Some(match step {
            SendStep::Moved(_) => return true,
            SendStep::WouldBlock => Waits::Socket,
            SendStep::Until(at) | SendStep::AwaitsFile { until: Some(at), .. } => Waits::Until(at),
            SendStep::Idle(_) | SendStep::AwaitsFile { until: None, .. } => Waits::Ring,
            SendStep::NeedsFile { backing, offset, len } => {
                let lost_its_place = std::mem::take(&mut self.from_memory);
                assert!(!lost_its_place || waited >= PATIENCE, "no patience: {waited:?} of waiting");
                self.from_file = true;
                self.needs = Some((backing.file().clone(), offset, len));
                return true;
            }
            SendStep::Finish => {
                self.child.finished();
                return true;
            }
            SendStep::Failed(error) => {
                tell(LinkInput::Closed(self.link, error.to_string()).into());
                Waits::Nothing
            }
            SendStep::Over => panic!("a link that the session has not closed"),
        });
        false
    }
}
