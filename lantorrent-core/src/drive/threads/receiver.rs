//! The thread that receives from an upstream, into the ring. Only one does at a time.

use std::io::{ErrorKind, IoSliceMut, Read};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::super::resume::root_before;
use super::control::ToNode;
use super::monitor::{Monitor, Role};
use super::upstreams::Reading;
use crate::flow::{Behind, Needed, ReceiveStep, Receiver};
use crate::rate::Limit;
use crate::session::NodeInput;

/// How soon a thread that waits for data, or for room to write, notices that something else has changed.
pub(super) const LOOK_UP: Duration = Duration::from_millis(100);

/// What all threads that receive for one session share.
#[derive(Debug)]
pub(super) struct Receiving {
    pub(super) monitor: Arc<Monitor>,
    pub(super) block_size: u32,
    pub(super) happenings: ToNode,
    pub(super) limit: Limit,
    /// Held by the thread that reads.
    pub(super) receiver: Mutex<Receiver>,
}

impl Receiving {
    /// Receives the payload from the offset `from` on, until the session was told where it stopped. Then reads on to the
    /// end of the connection.
    pub(super) fn run(&self, reading: Reading, from: u64) {
        let Reading { guest, mut first, gone } = reading;
        let mut socket = &guest.socket;
        // A thread that is to stop must notice it although nothing comes. (Shutting down this side of the connection would
        // do that too, but then the kernel answers what still comes with a reset, and the last words may be lost.)
        let _ = socket.set_read_timeout(Some(LOOK_UP));
        if let Some(rate) = self.limit.get() {
            super::socket::keep_queue_short(socket, rate);
        }
        self.receive(socket, &mut first, from);
        // Nothing that still comes matters, but the peer may be writing, and must be able to read our last words.
        let _ = socket.set_read_timeout(None);
        let mut rest = vec![0; 64 << 10];
        while socket.read(&mut rest).is_ok_and(|count| count > 0) {}
        drop(gone);
    }

    fn receive(&self, socket: &TcpStream, first: &mut Vec<u8>, from: u64) {
        let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        let tell = &mut |input| self.tell(input);
        if let Needed::SumBefore(from) = receiver.accept(Instant::now(), from, tell) {
            // While nothing is read, silence is not the upstream's fault.
            let root = root_before(&*self.monitor, self.block_size, from, || self.tell(NodeInput::Heard));
            receiver.begin(Instant::now(), from, root, tell);
        }
        let mut behind = Behind { first, rest: Socket { socket, monitor: &self.monitor } };
        while receiver.is_reading() {
            let epoch = self.monitor.epoch();
            if self.monitor.is_halted() {
                receiver.halt(tell);
                return;
            }
            match receiver.step(Instant::now(), &mut behind, &*self.monitor, tell) {
                ReceiveStep::Moved(_) | ReceiveStep::WouldBlock | ReceiveStep::Over => {}
                // Since before it was asked whether to stop, or that would be missed.
                ReceiveStep::Until(until) | ReceiveStep::NeedsRoom { until, .. } => {
                    self.monitor.wait(Role::Producer, epoch, Some(until));
                }
            }
        }
    }

    /// A send fails only when the session is over, and then nothing wants to know.
    fn tell(&self, input: NodeInput<'static>) {
        let _ = self.happenings.send(input.into());
    }
}

/// A connection whose end counts for nothing once the session has closed it.
struct Socket<'a> {
    socket: &'a TcpStream,
    monitor: &'a Monitor,
}

impl Read for Socket<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(buffer)])
    }

    fn read_vectored(&mut self, slots: &mut [IoSliceMut<'_>]) -> std::io::Result<usize> {
        match self.socket.read_vectored(slots) {
            Ok(0) | Err(_) if self.monitor.is_halted() => Err(ErrorKind::WouldBlock.into()),
            result => result,
        }
    }
}
