//! Blocks of payload: taken from a pool, shared by everybody who writes them somewhere, and returned by the last.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::wire::Digest;

/// Buffers of one size, for one transfer or several.
#[derive(Debug)]
pub(super) struct Pool {
    block_size: usize,
    most: usize,
    /// Bytes that are on loan, from this pool and others.
    on_loan: Arc<AtomicUsize>,
    free: Mutex<Vec<Vec<u8>>>,
}

impl Pool {
    /// Keeps at most `most` unused buffers.
    pub(super) fn new(block_size: u32, most: usize) -> Arc<Self> {
        Self::counted(block_size, most, Arc::default())
    }

    /// The same, and counts what is on loan.
    pub(super) fn counted(block_size: u32, most: usize, on_loan: Arc<AtomicUsize>) -> Arc<Self> {
        Arc::new(Self { block_size: block_size as usize, most, on_loan, free: Mutex::default() })
    }

    /// Bytes of a block.
    pub(super) fn block_size(&self) -> u64 {
        self.block_size as u64
    }

    pub(super) fn take(self: &Arc<Self>) -> Buffer {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let bytes = free.unwrap_or_else(|| vec![0; self.block_size]);
        self.on_loan.fetch_add(self.block_size, Ordering::Relaxed);
        Buffer { bytes, pool: Arc::clone(self) }
    }
}

/// A buffer on loan.
#[derive(Debug)]
pub(super) struct Buffer {
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
pub(super) struct Block {
    pub(super) buffer: Buffer,
    pub(super) offset: u64,
    pub(super) len: u32,
    pub(super) digest: Option<Digest>,
}

impl Block {
    pub(super) fn data(&self) -> &[u8] {
        &self.buffer[..self.len as usize]
    }
}
