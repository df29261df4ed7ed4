//! Blocks for all transfers together.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use super::block::Pool;

/// Bytes on loan above which nobody has more than needed.
const PLENTY: usize = 8 << 20;
/// Bytes of unused buffers to keep, of each size.
const SPARE: usize = 2 << 20;

/// One pool for each size of blocks, which all transfers share.
#[derive(Debug, Default)]
pub struct Stock {
    /// By the size of a block. They go with the last transfer that needs them.
    pools: HashMap<u32, Weak<Pool>>,
    on_loan: Arc<AtomicUsize>,
}

impl Stock {
    /// Where blocks of that size come from.
    pub fn pool(&mut self, block_size: u32) -> Arc<Pool> {
        if let Some(pool) = self.pools.get(&block_size).and_then(Weak::upgrade) {
            return pool;
        }
        self.pools.retain(|_, pool| pool.strong_count() > 0);
        let spare = (SPARE / block_size as usize).max(1);
        let pool = Pool::counted(block_size, spare, Arc::clone(&self.on_loan), PLENTY);
        self.pools.insert(block_size, Arc::downgrade(&pool));
        pool
    }

    /// Whether a transfer that has a block is to do with it for now.
    pub fn is_short(&self) -> bool {
        self.on_loan.load(Ordering::Relaxed) >= PLENTY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_share_what_there_is() {
        let mut stock = Stock::default();
        let (small, large) = (stock.pool(4096), stock.pool(1 << 20));
        assert!(Arc::ptr_eq(&small, &stock.pool(4096)));
        let blocks: Vec<_> = (0..7).map(|_| large.take()).collect();
        assert!(!small.is_short());
        let _others: Vec<_> = (0..256).map(|_| small.take()).collect();
        assert!(small.is_short());
        drop(blocks);
        assert!(!small.is_short());
        drop(large);
        stock.pool(8192);
        assert_eq!(stock.pools.len(), 2, "nobody needs the large ones any more");
    }
}
