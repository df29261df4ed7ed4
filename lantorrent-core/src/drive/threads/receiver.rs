//! The thread that receives: an upstream's socket into blocks, verified, into the ring. Only one reads at a time, and
//! each goes on exactly where the last one stopped.

use std::io::{ErrorKind, IoSliceMut, Read};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::baton::{Baton, root_before, take_baton};
use super::super::block::{Block, Buffer, Pool};
use super::super::hub::{Hub, Refused};
use super::super::limit::Limit;
use super::super::ring::Item;
use super::TELL;
use super::brake::{Brake, Waiting};
use super::control::ToNode;
use super::upstreams::Reading;
use crate::session::NodeInput;
use crate::wire::{Frame, Header, Keyring, PayloadError, PayloadReader};

/// How soon a thread that waits for data notices that it is to stop.
const LOOK_UP: Duration = Duration::from_millis(100);

/// What all who receive for one session share.
#[derive(Debug)]
pub(super) struct Receiving {
    pub(super) header: Header,
    pub(super) keys: Keyring,
    pub(super) hub: Arc<Hub>,
    pub(super) pool: Arc<Pool>,
    pub(super) happenings: ToNode,
    pub(super) limit: Limit,
    /// Of who read last, for who reads next.
    pub(super) baton: Mutex<Option<Baton>>,
}

/// Why receiving stopped.
#[derive(Debug)]
enum Stop {
    /// The session asked for it, or is over.
    Asked,
    Bad(PayloadError),
    Lost,
}

impl From<PayloadError> for Stop {
    fn from(error: PayloadError) -> Self {
        Self::Bad(error)
    }
}

impl Receiving {
    /// Receives the payload from the offset `from` on, and says where it stopped. Then reads on to the end of the
    /// connection.
    pub(super) fn run(self: &Arc<Self>, reading: &Reading, from: u64) {
        let mut socket = &reading.guest.socket;
        // Who is asked to stop shall notice it although nothing comes. (Shutting down this side of the connection would
        // do that too, but then the kernel answers what still comes with a reset, and the last words may be lost.)
        let _ = socket.set_read_timeout(Some(LOOK_UP));
        if let Some(rate) = self.limit.get() {
            super::socket::keep_queue_short(socket, rate);
        }
        let (offset, cause) = self.receive(reading, from);
        self.tell(NodeInput::Halted { offset, cause });
        // Nothing that still comes matters, but the peer may be writing, and must be able to read our last words.
        let _ = socket.set_read_timeout(None);
        let mut rest = vec![0; 64 << 10];
        while socket.read(&mut rest).is_ok_and(|count| count > 0) {}
    }

    fn receive(self: &Arc<Self>, reading: &Reading, from: u64) -> (u64, Option<PayloadError>) {
        let cannot = |offset, what| (offset, Some(PayloadError::Malformed { offset, what }));
        let Baton { root, pending, .. } = match self.take_baton(from) {
            Ok(baton) => baton,
            Err(offset) => return cannot(offset, "the payload cannot go on there"),
        };
        let Some(reader) = PayloadReader::resume(&self.header, &self.keys, root, from) else {
            return cannot(from, "its wire has no password");
        };
        let mut receiver = Receiver {
            shared: self,
            socket: &reading.guest.socket,
            reader,
            pending,
            block: self.pool.take(),
            brake: Brake::new(self.limit.clone()),
            told: Instant::now(),
            begun: from > 0,
        };
        let stop = receiver.run(&reading.first);
        let Receiver { reader, pending, .. } = receiver;
        let offset = reader.offset();
        let cause = match stop {
            Stop::Asked => None,
            Stop::Bad(error) => Some(error),
            // What came last may have been wrong, which nobody has asked for yet.
            Stop::Lost => Some(reader.finish().err().unwrap_or(PayloadError::Truncated { offset })),
        };
        if let Some(root) = reader.into_root() {
            *self.baton() = Some(Baton { root, offset, pending });
        }
        (offset, cause)
    }

    fn baton(&self) -> MutexGuard<'_, Option<Baton>> {
        self.baton.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the last reader left, or what there is to begin with. Where the payload cannot go on at `from`, says
    /// where it can.
    fn take_baton(&self, from: u64) -> Result<Baton, u64> {
        if let Some(baton) = take_baton(&mut self.baton(), from)? {
            return Ok(baton);
        }
        // While nobody reads, silence is nobody's fault.
        let root = root_before(&self.hub, self.header.block_size, from, || self.tell(NodeInput::Heard));
        Ok(Baton { root: root.ok_or(from)?, offset: from, pending: None })
    }

    /// A send fails only when the session is over, and then nobody wants to know.
    fn tell(&self, input: NodeInput<'static>) {
        let _ = self.happenings.send(input.into());
    }
}

impl Waiting for Receiving {
    fn pause(&self, time: Duration) -> bool {
        self.hub.pause_reading(time)
    }

    /// While nobody reads, silence is nobody's fault.
    fn excuse(&self) {
        self.tell(NodeInput::Heard);
    }
}

struct Receiver<'a> {
    shared: &'a Receiving,
    socket: &'a TcpStream,
    reader: PayloadReader,
    pending: Option<Item>,
    block: Buffer,
    brake: Brake,
    told: Instant,
    begun: bool,
}

impl Receiver<'_> {
    /// Receives, beginning with what came behind the greeting, until there is a reason to stop.
    fn run(&mut self, mut first: &[u8]) -> Stop {
        let result = match self.pending.take() {
            Some(item) => self.push(item),
            None => Ok(()),
        };
        let mut stop = result.err();
        loop {
            match stop {
                Some(stop) => return stop,
                None => stop = self.step(&mut first).err(),
            }
        }
    }

    fn step(&mut self, first: &mut &[u8]) -> Result<(), Stop> {
        if self.shared.hub.is_halted() {
            return Err(Stop::Asked);
        }
        let frame = if first.is_empty() {
            let Some(count) = self.read()? else { return Ok(()) };
            self.reader.filled(count, &self.block)?
        } else {
            let (used, frame) = self.reader.push(first, &mut self.block)?;
            *first = &first[used..];
            frame
        };
        self.tell_offset();
        if let Some(frame) = frame {
            self.take(frame)?;
            self.reader.check()?;
        }
        Ok(())
    }

    /// Reads what there is. None if nothing came for a while.
    fn read(&mut self) -> Result<Option<usize>, Stop> {
        let [first, second] = self.reader.slots(&mut self.block);
        let allowed = self.brake.turn(first.len() + second.len(), self.shared).ok_or(Stop::Asked)?;
        let (first_len, second_len) = (first.len().min(allowed), allowed.saturating_sub(first.len()));
        let mut slots =
            [IoSliceMut::new(&mut first[..first_len]), IoSliceMut::new(&mut second[..second_len])];
        let result = self.socket.read_vectored(&mut slots);
        self.brake.used(result.as_ref().copied().unwrap_or(0));
        match result {
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => Ok(None),
            // The session has closed it.
            Ok(0) | Err(_) if self.shared.hub.is_halted() => Err(Stop::Asked),
            Ok(0) | Err(_) => Err(Stop::Lost),
            Ok(count) => Ok(Some(count)),
        }
    }

    fn tell_offset(&mut self) {
        let offset = self.reader.offset();
        // The first at once, before it is written: from there on a file in place is not what it was.
        if self.told.elapsed() >= TELL || (!self.begun && offset > 0) {
            self.told = Instant::now();
            self.begun = offset > 0;
            self.shared.tell(NodeInput::Received(offset));
        }
    }

    /// Hands on what came.
    fn take(&mut self, frame: Frame) -> Result<(), Stop> {
        match frame {
            Frame::Data { offset, len, digest } => {
                let buffer = std::mem::replace(&mut self.block, self.shared.pool.take());
                self.push(Item::Data(Arc::new(Block { buffer, offset, len, digest })))
            }
            Frame::Hole { offset, span } => self.push(Item::Hole { offset, span }),
            Frame::End { size, sum } => {
                // The session must know before a child can report what it made of it.
                self.shared.tell(NodeInput::End { size, sum });
                self.shared.hub.finish(size, sum);
                Ok(())
            }
            Frame::Abort(abort) => {
                self.shared.tell(NodeInput::Aborted(abort));
                Ok(())
            }
            Frame::Bye => {
                self.shared.tell(NodeInput::Bye);
                Ok(())
            }
            Frame::Idle { .. } => {
                self.shared.tell(NodeInput::Heard);
                Ok(())
            }
        }
    }

    fn push(&mut self, item: Item) -> Result<(), Stop> {
        // While nobody reads, silence is nobody's fault.
        match self.shared.hub.push(item, || self.shared.tell(NodeInput::Heard)) {
            Ok(()) => Ok(()),
            Err(Refused::Closed) => Err(Stop::Asked),
            Err(Refused::Halted(item)) => {
                self.pending = Some(item);
                Err(Stop::Asked)
            }
        }
    }
}
