//! Receives the payload of a session from one upstream after the other, each of which goes on exactly where the last one
//! stopped: bytes into blocks, verified, into the ring.
//!
//! What outlives an upstream is the session's: the root hasher, and an item that was verified but had no room yet. What is
//! half read of a frame goes with its connection.

#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind, IoSliceMut, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::block::{Block, Buffer, Pool};
use super::ring::{Full, Item, NoRoom, Ring};
use super::wake::{Epoch, Shared};
use super::{TELL, Tell};
use crate::rate::{Limit, RateLimiter};
use crate::session::NodeInput;
use crate::wire::{Frame, Header, Keyring, PayloadError, PayloadReader, RootHasher};

/// How long to wait for a block that other transfers have before looking again.
const WAIT: Duration = Duration::from_millis(500);

/// What came of a step.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiveStep {
    /// So many bytes came in, or an item went into the ring: step again.
    Moved(u64),
    /// The connection has nothing now.
    WouldBlock,
    /// The rate limit has a turn for it then.
    Until(Instant),
    /// The ring has no room, or there is no block to read into.
    NeedsRoom {
        /// As of when.
        epoch: Epoch,
        /// When to step again although nothing has changed.
        until: Instant,
    },
    /// No upstream is read any more. The session was told where it stopped, unless the ring is closed.
    Over,
}

/// What is needed before an upstream can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needed {
    /// It is read from now on.
    Nothing,
    /// The root hasher of all that the files have before this offset, for [`Receiver::begin`].
    SumBefore(u64),
}

/// Receives the payload of a session from one upstream after the other, each of which goes on where the last one stopped.
#[derive(Debug)]
pub struct Receiver {
    header: Header,
    keys: Keyring,
    pool: Arc<Pool>,
    limit: Limit,
    /// Of the last upstream, for the next one.
    left: Option<Left>,
    state: State,
}

/// What is left where an upstream stopped.
#[derive(Debug)]
struct Left {
    /// Has seen every block before `offset`.
    root: RootHasher,
    offset: u64,
    /// Verified, but not in the ring yet.
    pending: Option<Item>,
}

/// `Idle` → `Preparing` → `Reading` → `Idle`; `Preparing` only where the files have a part of the payload already.
#[derive(Debug)]
enum State {
    Idle,
    /// What is there before this offset is being summed up.
    Preparing(u64),
    Reading(Box<Reading>),
}

#[derive(Debug)]
struct Reading {
    payload: PayloadReader,
    /// Verified, but there is no room for it yet.
    pending: Option<Item>,
    /// None while nothing is in it.
    block: Option<Buffer>,
    /// Whether nothing came yet behind the last frame.
    fresh: bool,
    /// Since when it waits for room, or the session was told so.
    waits: Option<Instant>,
    limiter: RateLimiter,
    told: Instant,
    /// When the session heard last that the limit holds it back.
    excused: Option<Instant>,
    begun: bool,
}

/// Why reading stops.
enum Stop {
    Bad(PayloadError),
    Lost,
    /// The ring is closed.
    Closed,
}

impl From<PayloadError> for Stop {
    fn from(error: PayloadError) -> Self {
        Self::Bad(error)
    }
}

impl Receiver {
    /// For the payload behind that header, into blocks of `pool`. What is read counts towards `limit`.
    pub fn new(header: Header, keys: Keyring, pool: Arc<Pool>, limit: Limit) -> Self {
        Self { header, keys, pool, limit, left: None, state: State::Idle }
    }

    /// The payload comes from another upstream now, from the offset `from` on.
    pub fn accept(&mut self, now: Instant, from: u64, tell: &mut Tell<'_, NodeInput<'static>>) -> Needed {
        match self.left.take() {
            Some(left) if left.offset != from => {
                let offset = left.offset;
                self.left = Some(left);
                self.cannot(offset, tell);
            }
            Some(Left { root, pending, .. }) => self.read(now, from, root, pending, tell),
            None if from > 0 => {
                self.state = State::Preparing(from);
                return Needed::SumBefore(from);
            }
            None => self.read(now, from, RootHasher::new(self.header.block_size), None, tell),
        }
        Needed::Nothing
    }

    /// What is there already before `from` is summed up, or cannot be.
    pub fn begin(
        &mut self,
        now: Instant,
        from: u64,
        root: Option<RootHasher>,
        tell: &mut Tell<'_, NodeInput<'static>>,
    ) {
        match (&self.state, root) {
            (State::Preparing(at), Some(root)) if *at == from => self.read(now, from, root, None, tell),
            (State::Preparing(at), None) if *at == from => self.cannot(from, tell),
            // It was halted meanwhile.
            _ => {}
        }
    }

    fn read(
        &mut self,
        now: Instant,
        from: u64,
        root: RootHasher,
        pending: Option<Item>,
        tell: &mut Tell<'_, NodeInput<'static>>,
    ) {
        // No header gets here whose wire has no password.
        let Some(payload) = PayloadReader::resume(&self.header, &self.keys, root, from) else {
            return self.cannot(from, tell);
        };
        self.state = State::Reading(Box::new(Reading {
            payload,
            pending,
            block: None,
            fresh: true,
            waits: None,
            limiter: RateLimiter::new(self.limit.clone()),
            told: now,
            excused: None,
            begun: from > 0,
        }));
    }

    fn cannot(&mut self, offset: u64, tell: &mut Tell<'_, NodeInput<'static>>) {
        self.state = State::Idle;
        let cause = Some(PayloadError::Malformed { offset, what: "the payload cannot go on there" });
        tell(NodeInput::Halted { offset, cause });
    }

    /// Whether an upstream is read, or is about to be.
    pub fn is_reading(&self) -> bool {
        !matches!(self.state, State::Idle)
    }

    /// Whether there is something to do although the connection has nothing.
    pub fn has_pending(&self) -> bool {
        matches!(&self.state, State::Reading(reading) if reading.pending.is_some())
    }

    /// How far the payload was received and verified, while an upstream is read.
    pub fn offset(&self) -> Option<u64> {
        match &self.state {
            State::Reading(reading) => Some(reading.payload.offset()),
            State::Preparing(_) | State::Idle => None,
        }
    }

    /// Stops, if an upstream is read, and tells the session where.
    pub fn halt(&mut self, tell: &mut Tell<'_, NodeInput<'static>>) {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => {}
            State::Preparing(offset) => tell(NodeInput::Halted { offset, cause: None }),
            State::Reading(reading) => self.leave(*reading, None, tell),
        }
    }

    /// The session is over: nothing is read any more, and nothing kept.
    pub fn end(&mut self) {
        self.state = State::Idle;
        self.left = None;
    }

    fn leave(
        &mut self,
        reading: Reading,
        cause: Option<PayloadError>,
        tell: &mut Tell<'_, NodeInput<'static>>,
    ) {
        let Reading { payload, pending, .. } = reading;
        let offset = payload.offset();
        if let Some(root) = payload.into_root() {
            self.left = Some(Left { root, offset, pending });
        }
        tell(NodeInput::Halted { offset, cause });
    }

    /// Reads once, and hands on what came. To be called only where the connection may have something, or
    /// [`has_pending`](Self::has_pending).
    pub fn step<F: Clone>(
        &mut self,
        now: Instant,
        from: &mut impl Read,
        ring: &impl Shared<Ring<F>>,
        tell: &mut Tell<'_, NodeInput<'static>>,
    ) -> ReceiveStep {
        let State::Reading(reading) = &mut self.state else { return ReceiveStep::Over };
        let stop = match reading.step(now, from, &self.pool, ring, tell) {
            Ok(step) => return step,
            Err(stop) => stop,
        };
        let State::Reading(mut reading) = std::mem::replace(&mut self.state, State::Idle) else {
            return ReceiveStep::Over;
        };
        let cause = match stop {
            Stop::Closed => None,
            Stop::Bad(error) => Some(error),
            // What came last may have been wrong, and no step has asked for that yet.
            Stop::Lost => {
                let offset = reading.payload.offset();
                Some(reading.payload.finish().err().unwrap_or(PayloadError::Truncated { offset }))
            }
        };
        self.leave(*reading, cause, tell);
        ReceiveStep::Over
    }
}

impl Reading {
    fn step<F: Clone>(
        &mut self,
        now: Instant,
        from: &mut impl Read,
        pool: &Arc<Pool>,
        ring: &impl Shared<Ring<F>>,
        tell: &mut Tell<'_, NodeInput<'static>>,
    ) -> Result<ReceiveStep, Stop> {
        if let Some(item) = self.pending.take() {
            return Ok(self.push(now, item, ring, tell)?.unwrap_or(ReceiveStep::Moved(0)));
        }
        if self.block.is_none() && pool.is_short() {
            let (is_empty, epoch) = ring.with(|ring| {
                let (is_empty, wake) = ring.trim();
                ((is_empty, ring.epoch()), wake)
            });
            if !is_empty {
                self.wait(now, tell);
                return Ok(ReceiveStep::NeedsRoom { epoch, until: now + WAIT });
            }
        }
        self.waits = None;
        let block = self.block.get_or_insert_with(|| pool.take());
        let [first, second] = self.payload.slots(block);
        let allowed = match self.limiter.allowance(now, first.len() + second.len()) {
            Ok(allowed) => allowed,
            Err(at) => {
                self.give_back_block();
                // While nothing is read, silence is not the upstream's fault.
                if self.excused.is_none_or(|excused| now.duration_since(excused) >= TELL) {
                    self.excused = Some(now);
                    tell(NodeInput::Heard);
                }
                return Ok(ReceiveStep::Until(at));
            }
        };
        let (of_first, of_second) = (first.len().min(allowed), allowed.saturating_sub(first.len()));
        let mut slots = [IoSliceMut::new(&mut first[..of_first]), IoSliceMut::new(&mut second[..of_second])];
        let result = from.read_vectored(&mut slots);
        self.limiter.went(result.as_ref().copied().unwrap_or(0));
        match result {
            Ok(0) => Err(Stop::Lost),
            Ok(count) => self.came(now, count, ring, tell),
            Err(error) => {
                self.give_back_block();
                match error.kind() {
                    ErrorKind::Interrupted => Ok(ReceiveStep::Moved(0)),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => Ok(ReceiveStep::WouldBlock),
                    _ => Err(Stop::Lost),
                }
            }
        }
    }

    /// A block that nothing is in yet is for others.
    fn give_back_block(&mut self) {
        self.block = self.block.take().filter(|_| !self.fresh);
    }

    /// So many bytes came.
    fn came<F: Clone>(
        &mut self,
        now: Instant,
        count: usize,
        ring: &impl Shared<Ring<F>>,
        tell: &mut Tell<'_, NodeInput<'static>>,
    ) -> Result<ReceiveStep, Stop> {
        let Some(block) = &self.block else { return Ok(ReceiveStep::Moved(0)) };
        let frame = self.payload.filled(count, block)?;
        self.fresh = frame.is_some();
        self.tell_offset(now, tell);
        if let Some(frame) = frame {
            let step = self.take(now, frame, ring, tell)?;
            self.payload.check()?;
            if let Some(step) = step {
                return Ok(step);
            }
        }
        Ok(ReceiveStep::Moved(count as u64))
    }

    fn tell_offset(&mut self, now: Instant, tell: &mut Tell<'_, NodeInput<'static>>) {
        let offset = self.payload.offset();
        // The first at once, before it is written: from there on a file in place is not what it was.
        if now.saturating_duration_since(self.told) >= TELL || (!self.begun && offset > 0) {
            self.told = now;
            self.begun = offset > 0;
            tell(NodeInput::Received(offset));
        }
    }

    /// Hands on what came. Returns what it waits for, if it does.
    fn take<F: Clone>(
        &mut self,
        now: Instant,
        frame: Frame,
        ring: &impl Shared<Ring<F>>,
        tell: &mut Tell<'_, NodeInput<'static>>,
    ) -> Result<Option<ReceiveStep>, Stop> {
        match frame {
            Frame::Data { offset, len, digest } => {
                let Some(buffer) = self.block.take() else { return Ok(None) };
                return self.push(
                    now,
                    Item::Data(Arc::new(Block { buffer, offset, len, digest })),
                    ring,
                    tell,
                );
            }
            Frame::Hole { offset, span } => {
                return self.push(now, Item::Hole { offset, span }, ring, tell);
            }
            Frame::End { size, sum } => {
                // The session must know before a child can report what it made of it.
                tell(NodeInput::End { size, sum });
                ring.change(|ring| ring.finish(size, sum));
                // Last, since every node of a chain does it: the children have the END meanwhile.
                let verified = self.payload.verify_end();
                tell(NodeInput::EndVerified(verified.clone()));
                verified?;
            }
            Frame::Abort(abort) => tell(NodeInput::Aborted(abort)),
            Frame::Idle { .. } => tell(NodeInput::Heard),
            Frame::Extension(extension) => {
                tell(NodeInput::Heard);
                if extension.is_forwarded() {
                    ring.change(|ring| ring.extend(&extension));
                }
            }
        }
        Ok(None)
    }

    fn push<F: Clone>(
        &mut self,
        now: Instant,
        item: Item,
        ring: &impl Shared<Ring<F>>,
        tell: &mut Tell<'_, NodeInput<'static>>,
    ) -> Result<Option<ReceiveStep>, Stop> {
        match ring.with(|ring| ring.push(now, item)) {
            Ok(()) => {
                self.waits = None;
                Ok(None)
            }
            Err(Full::Closed) => Err(Stop::Closed),
            Err(Full::NoRoom(NoRoom { item, epoch, until })) => {
                self.pending = Some(item);
                self.wait(now, tell);
                Ok(Some(ReceiveStep::NeedsRoom { epoch, until }))
            }
        }
    }

    /// There is no room yet. Nothing is read meanwhile, so silence is not the upstream's fault.
    fn wait(&mut self, now: Instant, tell: &mut Tell<'_, NodeInput<'static>>) {
        let since = *self.waits.get_or_insert(now);
        if now.saturating_duration_since(since) >= TELL {
            self.waits = Some(now);
            tell(NodeInput::Heard);
        }
    }
}

/// What came with the header, and then the connection itself.
#[derive(Debug)]
pub struct Behind<'a, R> {
    /// Read before, and not used yet.
    pub first: &'a mut Vec<u8>,
    /// The connection.
    pub rest: R,
}

impl<R: Read> Read for Behind<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_vectored(&mut [IoSliceMut::new(buffer)])
    }

    fn read_vectored(&mut self, slots: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if self.first.is_empty() {
            return self.rest.read_vectored(slots);
        }
        let count = (&self.first[..]).read_vectored(slots)?;
        self.first.drain(..count);
        Ok(count)
    }
}
