//! The node's connections from upstream: the payload comes on one of them.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, IoSliceMut, Read};
use std::time::Instant;

use super::files::Backing;
use crate::flow::{Local, Needed, ReceiveStep, Receiver, Ring, Tell};
use crate::session::{NodeInput, UpstreamId};
use crate::wire::RootHasher;

/// What came on a connection, and was not read yet.
#[derive(Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    ended: bool,
    reset: bool,
    /// Whether something may have come since there was nothing.
    readable: bool,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(buffer)])
    }

    fn read_vectored(&mut self, slots: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match self.bytes.is_empty() {
            _ if self.reset => Err(ErrorKind::ConnectionReset.into()),
            true if self.ended => Ok(0),
            true => Err(ErrorKind::WouldBlock.into()),
            false => {
                let count = (&*self.bytes.make_contiguous()).read_vectored(slots)?;
                self.bytes.drain(..count);
                Ok(count)
            }
        }
    }
}

pub(super) struct Upstreams {
    pipes: BTreeMap<UpstreamId, Pipe>,
    receiver: Receiver,
    /// The one that is read, or was last.
    read: Option<UpstreamId>,
    /// Whether the session has said that reading is to stop.
    halting: bool,
    /// Until when there is no room or no turn, unless something changes.
    pub(super) waits_until: Option<Instant>,
    /// Whether it is the ring that has no room.
    needs_room: bool,
}

impl Upstreams {
    pub(super) fn new(receiver: Receiver) -> Self {
        Self {
            pipes: BTreeMap::new(),
            receiver,
            read: None,
            halting: false,
            waits_until: None,
            needs_room: false,
        }
    }

    pub(super) fn add(&mut self, id: UpstreamId) {
        assert!(self.pipes.insert(id, Pipe::default()).is_none());
    }

    /// The session has no use for that connection any more.
    pub(super) fn remove(&mut self, id: UpstreamId) {
        assert!(self.pipes.remove(&id).is_some(), "only what is there is closed");
    }

    pub(super) fn has(&self, id: UpstreamId) -> bool {
        self.pipes.contains_key(&id)
    }

    pub(super) fn arrive(&mut self, id: UpstreamId, bytes: &[u8]) {
        if let Some(pipe) = self.pipes.get_mut(&id).filter(|pipe| !pipe.ended) {
            pipe.bytes.extend(bytes);
            pipe.readable = true;
        }
    }

    /// That connection ends, behind what came or at once.
    pub(super) fn end(&mut self, id: UpstreamId, reset: bool) {
        if let Some(pipe) = self.pipes.get_mut(&id) {
            pipe.ended = true;
            pipe.reset |= reset;
            pipe.readable = true;
        }
    }

    /// The connection that is read, or was last.
    pub(super) fn current(&self) -> Option<UpstreamId> {
        self.read
    }

    pub(super) fn accept(
        &mut self,
        now: Instant,
        id: UpstreamId,
        from: u64,
        resumed: impl FnOnce() -> Option<Backing>,
        tell: &mut Tell<'_, NodeInput<'static>>,
    ) {
        assert!(
            !self.receiver.is_reading() && self.has(id),
            "one reader at a time, of a connection that is there"
        );
        self.read = Some(id);
        self.halting = false;
        self.waits_until = None;
        if let Needed::SumBefore(from) = self.receiver.accept(now, from, tell) {
            let root = resumed().map(|file| root(&file.borrow()[..from as usize]));
            self.receiver.begin(now, from, root, tell);
        }
    }

    pub(super) fn waits_for_room(&self) -> bool {
        self.needs_room && self.waits_until.is_some()
    }

    pub(super) fn halt(&mut self) {
        self.halting = self.receiver.is_reading();
    }

    /// Stops, if the session wants that.
    pub(super) fn halted(&mut self, tell: &mut Tell<'_, NodeInput<'static>>) {
        if std::mem::take(&mut self.halting) {
            self.receiver.halt(tell);
        }
    }

    /// The session is over.
    pub(super) fn finish(&mut self) {
        self.receiver.end();
    }

    /// Reads once, if there is something and room for it. Returns whether that moved anything.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        ring: &Local<Ring<Backing>>,
        tell: &mut Tell<'_, NodeInput<'static>>,
    ) -> bool {
        let Some(pipe) = self.read.and_then(|id| self.pipes.get_mut(&id)) else { return false };
        if self.waits_until.is_some() || !(self.receiver.has_pending() || pipe.readable) {
            return false;
        }
        self.needs_room = false;
        match self.receiver.step(now, pipe, ring, tell) {
            ReceiveStep::Moved(_) => return true,
            ReceiveStep::WouldBlock => pipe.readable = false,
            ReceiveStep::Until(until) => self.waits_until = Some(until),
            ReceiveStep::NeedsRoom { until, .. } => {
                self.waits_until = Some(until);
                self.needs_room = true;
            }
            ReceiveStep::Over => {}
        }
        false
    }
}

/// What has seen all of that.
pub(super) fn root(data: &[u8]) -> RootHasher {
    let mut root = RootHasher::new(super::BLOCK);
    data.chunks(super::BLOCK as usize).for_each(|block| root.block(&crate::wire::digest(block)));
    root
}
