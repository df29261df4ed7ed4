//! The thread that receives: upstream's socket into blocks, verified, into the ring.

use std::io::{ErrorKind, IoSliceMut, Read};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use super::super::block::{Block, Buffer, Pool};
use super::super::hub::{Closed, Hub};
use super::super::ring::Item;
use super::TELL;
use super::control::Happening;
use crate::session::Input;
use crate::wire::{Frame, PayloadError, PayloadReader};

pub(super) struct Receiver {
    pub(super) socket: TcpStream,
    pub(super) reader: PayloadReader,
    pub(super) hub: Arc<Hub>,
    pub(super) pool: Arc<Pool>,
    pub(super) happenings: SyncSender<Happening>,
}

/// Why receiving stopped.
enum Stop {
    /// The payload is complete, or will never be; the session knows.
    Told,
    /// The session wants no more.
    Closed,
    Bad(PayloadError),
    Lost,
}

impl From<Closed> for Stop {
    fn from(Closed: Closed) -> Self {
        Self::Closed
    }
}

impl From<PayloadError> for Stop {
    fn from(error: PayloadError) -> Self {
        Self::Bad(error)
    }
}

impl Receiver {
    /// A send fails only when the session is over, and then nobody wants to know.
    fn tell(&self, input: Input<'static>) {
        let _ = self.happenings.send(input.into());
    }

    /// Receives the payload, of which `first` came with the greeting, and then reads on to the end of the connection.
    pub(super) fn run(mut self, first: &[u8]) {
        let stop = self.receive(first).err();
        match stop {
            Some(Stop::Bad(error)) => self.tell(Input::BadPayload(error)),
            Some(Stop::Lost) => self.tell(Input::UpstreamClosed),
            Some(Stop::Told | Stop::Closed) | None => {}
        }
        // Nothing that still comes matters, but the peer may be writing, and must be able to read our last words.
        let mut rest = vec![0; 64 << 10];
        while self.socket.read(&mut rest).is_ok_and(|count| count > 0) {}
    }

    fn receive(&mut self, mut first: &[u8]) -> Result<(), Stop> {
        let mut block = self.pool.take();
        let mut told = Instant::now();
        let mut begun = false;
        loop {
            let frame = if first.is_empty() {
                self.read(&mut block)?
            } else {
                let (used, frame) = self.reader.push(first, &mut block)?;
                first = &first[used..];
                frame
            };
            let offset = self.reader.offset();
            // The first at once, before it is written: from there on a file in place is not what it was.
            if told.elapsed() >= TELL || (!begun && offset > 0) {
                told = Instant::now();
                begun = offset > 0;
                self.tell(Input::Received(offset));
            }
            if let Some(frame) = frame {
                block = self.take(frame, block)?;
            }
        }
    }

    fn read(&mut self, block: &mut Buffer) -> Result<Option<Frame>, Stop> {
        let [first, second] = self.reader.slots(block);
        let mut slots = [IoSliceMut::new(first), IoSliceMut::new(second)];
        match self.socket.read_vectored(&mut slots) {
            Ok(0) => Err(self.reader.finish().map_or_else(Stop::Bad, |()| Stop::Told)),
            Ok(count) => Ok(self.reader.filled(count, block)?),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
            Err(_) => Err(Stop::Lost),
        }
    }

    /// Hands on what came, and returns the block to go on with.
    fn take(&self, frame: Frame, block: Buffer) -> Result<Buffer, Stop> {
        let item = match frame {
            Frame::Data { offset, len, digest } => {
                let block = Block { buffer: block, offset, len, digest };
                self.push(Item::Data(Arc::new(block)))?;
                return Ok(self.pool.take());
            }
            Frame::Hole { offset, span } => Item::Hole { offset, span },
            Frame::End { size, sum } => {
                // The session must know before a child can report what it made of it.
                self.tell(Input::End { size, sum });
                self.hub.finish(size, sum);
                return Err(Stop::Told);
            }
            Frame::Abort(abort) => {
                self.tell(Input::Aborted(abort));
                return Err(Stop::Told);
            }
            Frame::Idle { .. } | Frame::Bye => {
                self.tell(Input::Heard);
                return Ok(block);
            }
        };
        self.push(item)?;
        Ok(block)
    }

    fn push(&self, item: Item) -> Result<(), Closed> {
        // While nobody reads, silence is nobody's fault.
        self.hub.push(item, || self.tell(Input::Heard))
    }
}
