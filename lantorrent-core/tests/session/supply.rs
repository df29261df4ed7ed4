//! The source's file, read piece by piece.

use lantorrent_core::session::Input;
use lantorrent_core::wire::{Abort, Code, RawWriter, RootHasher, Sum, Wire, digest};

use crate::plane::{Item, Plane};

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
}

impl Supply {
    /// Reads the next block into the plane, and returns what the session has to hear; after an answer comes nothing.
    pub(crate) fn step(&mut self, plane: &mut Plane) -> Option<Input<'static>> {
        let offset = plane.data.len();
        if self.broken_at.is_some_and(|at| offset >= at) {
            let reason = "the disk of the source is broken".into();
            return Some(Input::Aborted(Abort { code: Code::SOURCE_FAILED, reason }));
        }
        let rest = &self.content[offset..];
        if rest.is_empty() {
            let sum = match self.wire {
                Wire::One => Sum::Md5(self.md5.sum()),
                Wire::Two => Sum::Root(self.root.root()),
            };
            let size = offset as u64;
            plane.end = Some((size, sum));
            return Some(Input::End { size, sum });
        }
        let data = &rest[..rest.len().min(self.block_size as usize)];
        let mut item = Item { offset: offset as u64, span: data.len() as u64, digest: None, hole: false };
        match self.wire {
            Wire::One => self.md5.update(data),
            Wire::Two if data.len() == self.block_size as usize && data.iter().all(|&byte| byte == 0) => {
                item.hole = true;
                self.root.hole(item.span);
            }
            Wire::Two => {
                let digest = digest(data);
                self.root.block(&digest);
                item.digest = Some(digest);
            }
        }
        plane.push(item, data);
        None
    }
}
