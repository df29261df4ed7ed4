//! The source's file, read piece by piece.

use lantorrent_core::session::SourceInput;
use lantorrent_core::wire::{Abort, Code, RawWriter, RootHasher, Sum, Wire, digest};

use super::feed::Next;
use super::ring::{Item, Ring};

#[derive(Debug)]
pub(crate) struct Supply {
    pub(crate) content: Vec<u8>,
    pub(crate) block_size: u32,
    pub(crate) wire: Wire,
    /// The file cannot be read from there on.
    pub(crate) broken_at: Option<usize>,
    /// How long the source takes to read a block, at most.
    pub(crate) micros_per_block: usize,
    pub(crate) root: RootHasher,
    pub(crate) md5: RawWriter,
    /// Whether the next piece is being read.
    pub(crate) busy: bool,
    /// Everything is read, or nothing more can be.
    pub(crate) over: bool,
}

impl Supply {
    /// Reads the next block into the ring, and returns what the session has to hear.
    pub(crate) fn step(&mut self, ring: &mut Ring) -> SourceInput<'static> {
        let offset = ring.head;
        if self.broken_at.is_some_and(|at| offset >= at as u64) {
            self.over = true;
            let reason = "the disk of the source is broken".into();
            return SourceInput::Aborted(Abort { code: Code::SOURCE_FAILED, reason });
        }
        if offset == self.content.len() as u64 {
            self.over = true;
            let sum = match self.wire {
                Wire::One => Sum::Md5(self.md5.sum()),
                Wire::Two => Sum::Root(self.root.root()),
            };
            ring.end = Some((offset, sum));
            return SourceInput::End { size: offset, sum };
        }
        let item = self.block(offset);
        match (&item.data, item.digest) {
            (None, _) => self.root.hole(item.span),
            (Some(_), Some(digest)) => self.root.block(&digest),
            (Some(data), None) => self.md5.update(data),
        }
        ring.push(item);
        SourceInput::Received(ring.head)
    }

    /// One block of the file, for the ring or for a child that has fallen behind it.
    fn block(&self, offset: u64) -> Item {
        let rest = &self.content[offset as usize..];
        let data = &rest[..rest.len().min(self.block_size as usize)];
        let mut item = Item { offset, span: data.len() as u64, digest: None, data: None };
        if self.wire == Wire::Two
            && data.len() == self.block_size as usize
            && data.iter().all(|&byte| byte == 0)
        {
            return item;
        }
        item.digest = (self.wire == Wire::Two).then(|| digest(data));
        item.data = Some(data.to_vec());
        item
    }

    pub(crate) fn read(&self, offset: u64) -> Next {
        if self.broken_at.is_some_and(|at| offset >= at as u64) {
            return Next::Gone;
        }
        Next::Item(self.block(offset))
    }
}
