//! The source's file, read piece by piece.

use std::io;
use std::rc::Rc;

use lantorrent_core::flow::Content;

#[derive(Debug)]
pub(crate) struct SimContent {
    pub(crate) content: Rc<Vec<u8>>,
    pub(crate) block_size: u32,
    /// The file cannot be read from there on.
    pub(crate) broken_at: Option<usize>,
}

impl SimContent {
    fn is_broken(&self, offset: u64) -> bool {
        self.broken_at.is_some_and(|at| offset >= at as u64)
    }

    fn block(&self, offset: u64) -> &[u8] {
        let rest = &self.content[offset as usize..];
        &rest[..rest.len().min(self.block_size as usize)]
    }
}

impl Content for SimContent {
    fn is_stream(&self) -> bool {
        false
    }

    fn hole(&mut self, offset: u64, most: u64) -> u64 {
        let block = self.block(offset);
        let is_hole = block.len() == self.block_size as usize && block.iter().all(|&byte| byte == 0);
        if is_hole && !self.is_broken(offset) { u64::from(self.block_size).min(most) } else { 0 }
    }

    fn read(&mut self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        if self.is_broken(offset) {
            return Err(io::Error::other("the disk of the source is broken"));
        }
        let block = self.block(offset);
        buffer[..block.len()].copy_from_slice(block);
        Ok(block.len())
    }

    fn check(&mut self) -> io::Result<()> {
        // What is broken behind its last byte was read to its end.
        if self.is_broken(self.content.len() as u64) {
            return Err(io::Error::other("the disk of the source is broken"));
        }
        Ok(())
    }
}
