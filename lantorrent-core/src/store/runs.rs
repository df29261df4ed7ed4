//! Digests of blocks in a row, where many blocks with the same one take the room of one.

use std::collections::VecDeque;

use crate::digest::Digest;

/// The digests of the blocks from `first` on.
#[derive(Debug, Default)]
pub(super) struct Runs {
    first: u64,
    runs: VecDeque<Run>,
}

/// Blocks in a row that have the same digest, up to the block before `end`.
#[derive(Debug)]
struct Run {
    end: u64,
    digest: Digest,
}

impl Runs {
    /// None yet; the next one is that of the block `first`.
    pub(super) fn starting_at(first: u64) -> Self {
        Self { first, runs: VecDeque::new() }
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The block after the last one that is known.
    pub(super) fn end(&self) -> u64 {
        self.runs.back().map_or(self.first, |run| run.end)
    }

    pub(super) fn push(&mut self, digest: &Digest, blocks: u64) {
        let end = self.end().saturating_add(blocks);
        match self.runs.back_mut() {
            Some(last) if last.digest == *digest => last.end = end,
            _ if blocks == 0 => {}
            _ => self.runs.push_back(Run { end, digest: *digest }),
        }
    }

    /// The digest of a block, and how many blocks from that one on have it.
    pub(super) fn get(&self, block: u64) -> Option<(Digest, u64)> {
        if block < self.first {
            return None;
        }
        let run = self.runs.get(self.runs.partition_point(|run| run.end <= block))?;
        Some((run.digest, run.end - block))
    }

    /// Every run: its digest and how many blocks have it.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&Digest, u64)> {
        let mut from = self.first;
        self.runs.iter().map(move |run| {
            let blocks = run.end - from;
            from = run.end;
            (&run.digest, blocks)
        })
    }

    /// Forgets the blocks before `block`.
    pub(super) fn forget_before(&mut self, block: u64) {
        while self.runs.front().is_some_and(|run| run.end <= block) {
            self.runs.pop_front();
        }
        self.first = self.first.max(block);
    }

    /// Forgets the blocks from `block` on, which is not before the first one.
    pub(super) fn forget_from(&mut self, block: u64) {
        let block = block.max(self.first);
        let keep = self.runs.partition_point(|run| run.end < block);
        let cut = self.runs.get(keep).map(|run| Run { end: block, digest: run.digest });
        self.runs.truncate(keep);
        if let Some(cut) = cut.filter(|cut| cut.end > self.end()) {
            self.runs.push_back(cut);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(runs: &Runs) -> Vec<u8> {
        (runs.first()..runs.end()).map(|block| runs.get(block).unwrap().0[0]).collect()
    }

    fn example() -> Runs {
        let mut runs = Runs::starting_at(10);
        for (digest, blocks) in [(1, 1), (2, 3), (2, 2), (7, 0), (2, 0), (3, 1)] {
            runs.push(&[digest; 32], blocks);
        }
        runs
    }

    #[test]
    fn equal_neighbours_are_one_run() {
        let runs = example();
        assert_eq!(plain(&runs), [1, 2, 2, 2, 2, 2, 3]);
        assert_eq!(
            runs.iter().map(|(digest, blocks)| (digest[0], blocks)).collect::<Vec<_>>(),
            [(1, 1), (2, 5), (3, 1)]
        );
        assert_eq!(runs.get(12).unwrap(), ([2; 32], 4));
        assert!(runs.get(9).is_none() && runs.get(17).is_none());
    }

    #[test]
    fn either_end_can_be_forgotten_anywhere() {
        let all = plain(&example());
        for cut in 0..=all.len() {
            let mut runs = example();
            runs.forget_before(10 + cut as u64);
            assert_eq!((plain(&runs), runs.first()), (all[cut..].to_vec(), 10 + cut as u64));
            let mut runs = example();
            runs.forget_from(10 + cut as u64);
            assert_eq!((plain(&runs), runs.end()), (all[..cut].to_vec(), 10 + cut as u64));
            runs.push(&[9; 32], 1);
            assert_eq!(plain(&runs).len(), cut + 1);
        }
        let mut runs = example();
        runs.forget_from(100);
        assert_eq!(plain(&runs), all);
    }
}
