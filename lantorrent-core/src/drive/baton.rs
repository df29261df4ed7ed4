//! What goes from one who reads the payload to the next, as each goes on exactly where the last one stopped.

use std::time::{Duration, Instant};

use super::hub::Hub;
use super::ring::Item;
use crate::wire::RootHasher;

#[derive(Debug)]
pub(super) struct Baton {
    /// Has seen every block before `offset`.
    pub(super) root: RootHasher,
    pub(super) offset: u64,
    /// Verified, but not in the ring yet.
    pub(super) pending: Option<Item>,
}

/// Takes what the last reader has left for who goes on at `from`; there is nothing before the first. Where the payload
/// cannot go on there, says where it can.
pub(super) fn take_baton(left: &mut Option<Baton>, from: u64) -> Result<Option<Baton>, u64> {
    match left {
        Some(baton) if baton.offset != from => Err(baton.offset),
        left => Ok(left.take()),
    }
}

/// Sums up what an earlier transfer has left before `from`. Reads files, and calls `busy` now and then while that takes.
/// None if it is not to be had.
pub(super) fn root_before(hub: &Hub, block_size: u32, from: u64, busy: impl Fn()) -> Option<RootHasher> {
    const PATIENCE: Duration = Duration::from_millis(500);
    let mut root = RootHasher::new(block_size);
    if from == 0 {
        return Some(root);
    }
    let digests = hub.digests_before(from)?;
    let blocks = from.div_ceil(block_size.into());
    let (mut block, mut told) = (0, Instant::now());
    while block < blocks {
        let (digest, equal) = digests.run(block)?;
        let equal = equal.min(blocks - block);
        root.blocks(&digest, equal);
        block += equal;
        if told.elapsed() >= PATIENCE {
            told = Instant::now();
            busy();
        }
    }
    Some(root)
}
