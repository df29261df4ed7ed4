//! Blocks of payload: taken from a pool, shared by all consumers, and returned by the last.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::wire::Digest;

/// Buffers of one size, for one transfer or several.
#[derive(Debug)]
pub struct Pool {
    block_size: usize,
    most: usize,
    /// Bytes that are on loan, from this pool and others.
    on_loan: Arc<AtomicUsize>,
    /// Bytes on loan above which no transfer is to have more blocks than it needs.
    plenty: usize,
    free: Mutex<Vec<Vec<u8>>>,
}

impl Pool {
    /// Keeps at most `most` unused buffers.
    pub fn new(block_size: u32, most: usize) -> Arc<Self> {
        Self::counted(block_size, most, Arc::default(), usize::MAX)
    }

    /// The same, and counts what is on loan together with other pools.
    pub(super) fn counted(
        block_size: u32,
        most: usize,
        on_loan: Arc<AtomicUsize>,
        plenty: usize,
    ) -> Arc<Self> {
        Arc::new(Self { block_size: block_size as usize, most, on_loan, plenty, free: Mutex::default() })
    }

    /// Whether so much is on loan that a transfer which has a block is to do with it for now.
    pub fn is_short(&self) -> bool {
        self.on_loan.load(Ordering::Relaxed) >= self.plenty
    }

    /// Bytes of a block.
    pub fn block_size(&self) -> u64 {
        self.block_size as u64
    }

    /// A buffer of one block, with whatever is in it.
    pub fn take(self: &Arc<Self>) -> Buffer {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = free.unwrap_or_else(|| vec![0; self.block_size]);
        self.on_loan.fetch_add(self.block_size, Ordering::Relaxed);
        Buffer { bytes, pool: Arc::clone(self) }
    }
}

/// A buffer on loan.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    pool: Arc<Pool>,
}

impl std::ops::Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.pool.on_loan.fetch_sub(self.pool.block_size, Ordering::Relaxed);
        let mut free = self.pool.free.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < self.pool.most {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

/// One block of the file, verified.
#[derive(Debug)]
pub struct Block {
    /// Its data, at the start of the buffer.
    pub buffer: Buffer,
    /// Where it begins.
    pub offset: u64,
    /// Its bytes.
    pub len: u32,
    /// BLAKE3 of the data; none on wire 1.
    pub digest: Option<Digest>,
}

impl Block {
    /// Its bytes.
    pub fn data(&self) -> &[u8] {
        &self.buffer[..self.len as usize]
    }
}
