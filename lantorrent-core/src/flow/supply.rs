//! Brings the payload at the source: reads, sums up, fills the ring.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::block::{Block, Buffer, Pool};
use super::gap::Gap;
use super::ring::{Full, Item, NoRoom, Ring};
use super::wake::{Epoch, Shared};
use super::{TELL, Tell};
use crate::digest::is_zero;
use crate::session::SourceInput;
use crate::wire::{Abort, Code, Digest, RawWriter, RootHasher, Sum, TransferKey, Wire, digest, limits};

/// Where the payload comes from. Every call may wait.
pub trait Content {
    /// How many bytes from `offset` on, where a block begins, the file system calls a hole: at most `most`, and whole blocks
    /// unless the file ends in it.
    fn hole(&mut self, offset: u64, most: u64) -> u64;

    /// Whether the next bytes may be long in coming, as those of a stream are.
    fn is_stream(&self) -> bool;

    /// Fills the buffer as far as the payload goes, and returns how far that is: 0 at its end alone.
    fn read(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Whether, at the end, all of it is still what was read.
    fn check(&mut self) -> io::Result<()>;
}

/// What becomes of blocks of zeros that are no holes at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zeros {
    /// They are sent like any others.
    Sent,
    /// They are found, and sent as holes.
    Detected,
}

/// What came of a step.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SupplyStep {
    /// So many bytes were brought: step again.
    Moved(u64),
    /// The ring has no room.
    NeedsRoom {
        /// As of when.
        epoch: Epoch,
        /// When to step again although nothing has changed.
        until: Instant,
    },
    /// Everything was brought, or nothing more can be. The session was told which.
    Over,
}

/// Brings the payload at the source: reads, sums up, fills the ring.
#[derive(Debug)]
pub struct Supply<C> {
    content: C,
    zeros: Zeros,
    wire: Wire,
    pool: Arc<Pool>,
    gap: Gap,
    summing: Summing,
    offset: u64,
    /// Read, and not in the ring yet: at most a hole and the block behind it.
    pending: VecDeque<Item>,
    told: Instant,
    state: State,
}

/// `Reading` → `Ending` → `Over`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// Everything is read. What is pending goes first.
    Ending,
    Over,
}

/// Sums up the payload, as its wire wants it.
#[derive(Debug)]
enum Summing {
    Md5(RawWriter),
    Root(Box<RootHasher>, TransferKey),
}

impl Summing {
    fn add(&mut self, data: &[u8]) -> Option<Digest> {
        match self {
            Self::Md5(md5) => {
                md5.update(data);
                None
            }
            Self::Root(root, _) => {
                let digest = digest(data);
                root.block(&digest);
                Some(digest)
            }
        }
    }

    /// Holes are found on wire 2 alone.
    fn add_zeros(&mut self, span: u64) {
        if let Self::Root(root, _) = self {
            root.hole(span);
        }
    }

    /// Of a payload of `size` bytes.
    fn sum(&self, size: u64) -> Sum {
        match self {
            Self::Md5(md5) => Sum::Md5(md5.sum()),
            Self::Root(root, key) => Sum::Root(key.sign(size, root.block_size(), root.root())),
        }
    }
}

/// What comes next of the payload.
enum Piece {
    Data(Buffer, usize),
    Zeros(u64),
}

impl<C: Content> Supply<C> {
    /// Of `content`, in blocks of `pool`. `key` signs the end of a payload of wire 2; one of wire 1 has none.
    pub fn new(
        now: Instant,
        content: C,
        zeros: Zeros,
        key: Option<TransferKey>,
        block_size: u32,
        pool: Arc<Pool>,
    ) -> Self {
        // A stream says more when it likes, so nothing is held back for what may follow.
        let hold = if content.is_stream() { Duration::ZERO } else { TELL };
        Self {
            content,
            zeros,
            wire: if key.is_some() { Wire::Two } else { Wire::One },
            pool,
            gap: Gap::new(hold, limits::HOLE_BLOCKS * u64::from(block_size)),
            summing: match key {
                None => Summing::Md5(RawWriter::default()),
                Some(key) => Summing::Root(Box::new(RootHasher::new(block_size)), key),
            },
            offset: 0,
            pending: VecDeque::new(),
            told: now,
            state: State::Reading,
        }
    }

    /// Reads one piece, or hands on what was read.
    pub fn step<F: Clone>(
        &mut self,
        now: Instant,
        ring: &impl Shared<Ring<F>>,
        tell: &mut Tell<'_, SourceInput<'static>>,
    ) -> SupplyStep {
        if let Some(item) = self.pending.pop_front() {
            return self.push(now, item, ring);
        }
        let result = match self.state {
            State::Reading => self.read(now),
            State::Ending => self.end(ring, tell),
            State::Over => return SupplyStep::Over,
        };
        match result {
            Ok(count) => {
                if now.saturating_duration_since(self.told) >= TELL && self.state == State::Reading {
                    self.told = now;
                    tell(SourceInput::Received(self.offset));
                }
                SupplyStep::Moved(count)
            }
            Err(error) => {
                self.state = State::Over;
                let reason = format!("the source could not be read to its end: {error}");
                tell(SourceInput::Aborted(Abort { code: Code::SOURCE_FAILED, reason }));
                SupplyStep::Over
            }
        }
    }

    fn push<F: Clone>(&mut self, now: Instant, item: Item, ring: &impl Shared<Ring<F>>) -> SupplyStep {
        match ring.with(|ring| ring.push(now, item)) {
            Ok(()) => SupplyStep::Moved(0),
            Err(Full::NoRoom(NoRoom { item, epoch, until })) => {
                self.pending.push_front(item);
                SupplyStep::NeedsRoom { epoch, until }
            }
            // The session is over, and knows why.
            Err(Full::Closed) => {
                self.state = State::Over;
                SupplyStep::Over
            }
        }
    }

    /// Reads one piece. Returns how many bytes that is.
    fn read(&mut self, now: Instant) -> io::Result<u64> {
        let start = self.offset;
        let Some(piece) = self.next()? else {
            self.pending.extend(self.gap.take().map(hole));
            self.state = State::Ending;
            return Ok(0);
        };
        match piece {
            Piece::Zeros(span) => {
                self.offset += span;
                self.summing.add_zeros(span);
                self.pending.extend(self.gap.add(now, start..self.offset).map(hole));
            }
            Piece::Data(buffer, len) => {
                self.offset += len as u64;
                let digest = self.summing.add(&buffer[..len]);
                self.pending.extend(self.gap.take().map(hole));
                let block = Block { buffer, offset: start, len: len as u32, digest };
                self.pending.push_back(Item::Data(Arc::new(block)));
            }
        }
        Ok(self.offset - start)
    }

    /// What begins at the offset. None at the end.
    fn next(&mut self) -> io::Result<Option<Piece>> {
        let hole = match self.wire {
            Wire::One => 0,
            Wire::Two => self.content.hole(self.offset, self.gap.room()),
        };
        if hole > 0 {
            return Ok(Some(Piece::Zeros(hole)));
        }
        let mut buffer = self.pool.take();
        let len = self.content.read(&mut buffer, self.offset)?;
        if len == 0 {
            return Ok(None);
        }
        let as_hole = self.zeros == Zeros::Detected && self.wire == Wire::Two && is_zero(&buffer[..len]);
        Ok(Some(if as_hole { Piece::Zeros(len as u64) } else { Piece::Data(buffer, len) }))
    }

    fn end<F: Clone>(
        &mut self,
        ring: &impl Shared<Ring<F>>,
        tell: &mut Tell<'_, SourceInput<'static>>,
    ) -> io::Result<u64> {
        self.content.check()?;
        self.state = State::Over;
        let (size, sum) = (self.offset, self.summing.sum(self.offset));
        // The session must know before a child can report what it made of it.
        tell(SourceInput::End { size, sum });
        ring.change(|ring| ring.finish(size, sum));
        Ok(0)
    }
}

fn hole(Range { start, end }: Range<u64>) -> Item {
    Item::Hole { offset: start, span: end - start }
}
