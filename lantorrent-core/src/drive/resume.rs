//! Summing up what an earlier transfer has left, where a later one goes on with it.

use std::time::{Duration, Instant};

use super::backing::BackingFile;
use crate::flow::{Ring, Shared};
use crate::wire::RootHasher;

/// Sums up what the files have before `from`. Reads them, and calls `busy` now and then while that takes. None if it is
/// not to be had.
pub(super) fn root_before(
    ring: &impl Shared<Ring<BackingFile>>,
    block_size: u32,
    from: u64,
    busy: impl Fn(),
) -> Option<RootHasher> {
    const PATIENCE: Duration = Duration::from_millis(500);
    let mut root = RootHasher::new(block_size);
    let digests = ring.look(|ring| ring.resumed_file(from))?.digests?;
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
