//! The thread that brings the payload at the source: reads, sums up, fills the ring.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::block::{Block, Buffer, Pool};
use super::super::gap::Gap;
use super::super::holes::Holes;
use super::super::hub::Hub;
use super::super::ring::Item;
use super::TELL;
use super::control::ToSource;
use super::origin::Origin;
use crate::session::SourceInput;
use crate::store::is_zero;
use crate::wire::{Abort, Code, Digest, RawWriter, RootHasher, Sum, Wire, digest, limits};

/// Sums up the payload, as its wire wants it.
enum Summing {
    Md5(RawWriter),
    Root(Box<RootHasher>),
}

impl Summing {
    fn add(&mut self, data: &[u8]) -> Option<Digest> {
        match self {
            Self::Md5(md5) => {
                md5.update(data);
                None
            }
            Self::Root(root) => {
                let digest = digest(data);
                root.block(&digest);
                Some(digest)
            }
        }
    }

    /// Holes are found on wire 2 alone.
    fn add_zeros(&mut self, span: u64) {
        if let Self::Root(root) = self {
            root.hole(span);
        }
    }

    fn sum(&self) -> Sum {
        match self {
            Self::Md5(md5) => Sum::Md5(md5.sum()),
            Self::Root(root) => Sum::Root(root.root()),
        }
    }
}

/// What becomes of blocks of zeros that are no holes at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zeros {
    /// They are sent like any others.
    Sent,
    /// They are found, and sent as holes.
    Detected,
}

pub(super) struct Supply {
    pub(super) origin: Origin,
    pub(super) zeros: Zeros,
    pub(super) wire: Wire,
    pub(super) block_size: u32,
    pub(super) hub: Arc<Hub>,
    pub(super) pool: Arc<Pool>,
    pub(super) happenings: ToSource,
}

/// What comes next of the payload.
enum Piece {
    Data(Buffer, usize),
    Zeros(u64),
}

impl Supply {
    /// Brings everything, or tells the session why not.
    pub(super) fn run(mut self) {
        if let Err(error) = self.bring() {
            let abort = Abort {
                code: Code::SOURCE_FAILED,
                reason: format!("the source could not be read to its end: {error}"),
            };
            self.tell(SourceInput::Aborted(abort));
        }
    }

    /// A send fails only when the session is over, and then nobody wants to know.
    fn tell(&self, input: SourceInput<'static>) {
        let _ = self.happenings.send(input.into());
    }

    fn bring(&mut self) -> io::Result<()> {
        let mut summing = match self.wire {
            Wire::One => Summing::Md5(RawWriter::default()),
            Wire::Two => Summing::Root(Box::new(RootHasher::new(self.block_size))),
        };
        let mut holes = self.holes();
        let mut gap = self.gap();
        let mut offset = 0;
        let mut told = Instant::now();
        while let Some(piece) = self.next(holes.as_mut(), offset, gap.room())? {
            let start = offset;
            let (zeros, data) = match piece {
                Piece::Zeros(span) => {
                    offset += span;
                    summing.add_zeros(span);
                    (gap.add(Instant::now(), start..offset), None)
                }
                Piece::Data(buffer, len) => {
                    offset += len as u64;
                    let digest = summing.add(&buffer[..len]);
                    (gap.take(), Some(Block { buffer, offset: start, len: len as u32, digest }))
                }
            };
            let zeros = zeros.map(hole);
            for item in zeros.into_iter().chain(data.map(|block| Item::Data(Arc::new(block)))) {
                if self.hub.push(item, || ()).is_err() {
                    // The session is over, and knows why.
                    return Ok(());
                }
            }
            if told.elapsed() >= TELL {
                told = Instant::now();
                self.tell(SourceInput::Received(offset));
            }
        }
        if gap.take().is_some_and(|zeros| self.hub.push(hole(zeros), || ()).is_err()) {
            return Ok(());
        }
        holes.map_or(Ok(()), |holes| holes.check())?;
        if let Origin::File(source) = &self.origin {
            source.check_unchanged()?;
        }
        // The session must know before a child can report what it made of it.
        let sum = summing.sum();
        self.tell(SourceInput::End { size: offset, sum });
        self.hub.finish(offset, sum);
        Ok(())
    }

    /// Wire 1 has none, and a stream says of none.
    fn holes(&self) -> Option<Holes> {
        match &self.origin {
            Origin::File(source) if self.wire == Wire::Two => {
                Some(Holes::new(Arc::clone(&source.file), source.length, self.block_size))
            }
            _ => None,
        }
    }

    fn gap(&self) -> Gap {
        let hold = match self.origin {
            Origin::File(_) => TELL,
            // Nobody knows when it says more.
            Origin::Stream { .. } => Duration::ZERO,
        };
        Gap::new(hold, limits::HOLE_BLOCKS * u64::from(self.block_size))
    }

    /// What begins at `offset`; at most `most` zeros. None at the end.
    fn next(&mut self, holes: Option<&mut Holes>, offset: u64, most: u64) -> io::Result<Option<Piece>> {
        let hole = holes.map_or(0, |holes| holes.take(offset, most));
        if hole > 0 {
            return Ok(Some(Piece::Zeros(hole)));
        }
        let mut buffer = self.pool.take();
        let len = self.origin.read(&mut buffer, offset)?;
        if len == 0 {
            return Ok(None);
        }
        let as_hole = self.zeros == Zeros::Detected && self.wire == Wire::Two && is_zero(&buffer[..len]);
        Ok(Some(if as_hole { Piece::Zeros(len as u64) } else { Piece::Data(buffer, len) }))
    }
}

fn hole(Range { start, end }: Range<u64>) -> Item {
    Item::Hole { offset: start, span: end - start }
}
