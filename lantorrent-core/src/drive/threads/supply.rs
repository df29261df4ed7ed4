//! The thread that brings the payload at the source: reads, sums up, fills the ring.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use super::super::block::{Block, Buffer, Pool};
use super::super::hub::Hub;
use super::super::ring::Item;
use super::TELL;
use super::control::Happening;
use super::origin::Origin;
use crate::session::Input;
use crate::wire::{Abort, Code, Digest, RawWriter, RootHasher, Sum, Wire, digest};

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

    fn sum(&self) -> Sum {
        match self {
            Self::Md5(md5) => Sum::Md5(md5.sum()),
            Self::Root(root) => Sum::Root(root.root()),
        }
    }
}

pub(super) struct Supply {
    pub(super) origin: Origin,
    pub(super) wire: Wire,
    pub(super) block_size: u32,
    pub(super) hub: Arc<Hub>,
    pub(super) pool: Arc<Pool>,
    pub(super) happenings: SyncSender<Happening>,
}

impl Supply {
    /// Brings everything, or tells the session why not.
    pub(super) fn run(mut self) {
        if let Err(error) = self.bring() {
            let abort = Abort {
                code: Code::SOURCE_FAILED,
                reason: format!("the source could not be read to its end: {error}"),
            };
            self.tell(Input::Aborted(abort));
        }
    }

    /// A send fails only when the session is over, and then nobody wants to know.
    fn tell(&self, input: Input<'static>) {
        let _ = self.happenings.send(input.into());
    }

    fn bring(&mut self) -> io::Result<()> {
        let mut summing = match self.wire {
            Wire::One => Summing::Md5(RawWriter::default()),
            Wire::Two => Summing::Root(Box::new(RootHasher::new(self.block_size))),
        };
        let mut offset = 0;
        let mut told = Instant::now();
        loop {
            let mut buffer: Buffer = self.pool.take();
            let len = self.origin.read(&mut buffer, offset)?;
            if len == 0 {
                break;
            }
            let block = Block { digest: summing.add(&buffer[..len]), buffer, offset, len: len as u32 };
            offset += len as u64;
            if self.hub.push(Item::Data(Arc::new(block)), || ()).is_err() {
                // The session is over, and knows why.
                return Ok(());
            }
            if told.elapsed() >= TELL {
                told = Instant::now();
                self.tell(Input::Received(offset));
            }
        }
        if let Origin::File(source) = &self.origin {
            source.check_unchanged()?;
        }
        // The session must know before a child can report what it made of it.
        let sum = summing.sum();
        self.tell(Input::End { size: offset, sum });
        self.hub.finish(offset, sum);
        Ok(())
    }
}
