//! Buffers of one block each.

use crate::BLOCK;

/// Bytes of unused buffers that are kept.
const SPARE: usize = 16 << 20;

pub(super) type Buffer = Box<[u8]>;

#[derive(Debug, Default)]
pub(super) struct Pool(Vec<Buffer>);

impl Pool {
    /// A buffer with anything in it.
    pub(super) fn take(&mut self) -> Buffer {
        self.0.pop().unwrap_or_else(|| vec![0; BLOCK as usize].into())
    }

    pub(super) fn give(&mut self, buffer: Buffer) {
        if self.0.len() < SPARE / BLOCK as usize {
            self.0.push(buffer);
        }
    }

    pub(super) fn give_all(&mut self, buffers: Vec<Buffer>) {
        for buffer in buffers {
            self.give(buffer);
        }
    }
}
