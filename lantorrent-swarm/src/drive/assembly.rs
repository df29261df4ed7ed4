//! The blocks of pieces that are not complete, in memory: nothing is written before it is verified.

use std::collections::HashMap;

use super::pool::{Buffer, Pool};
use crate::{BLOCK, Geometry, Span};

#[derive(Debug, Default)]
pub(super) struct Assembly(HashMap<u32, Vec<Option<Buffer>>>);

impl Assembly {
    /// Puts a block to the others of its piece, instead of what was in its place.
    pub(super) fn put(&mut self, geometry: &Geometry, span: Span, data: Buffer, pool: &mut Pool) {
        let blocks = self.0.entry(span.piece).or_default();
        blocks.resize_with(geometry.blocks(span.piece) as usize, || None);
        let replaced = match blocks.get_mut((span.begin / BLOCK) as usize) {
            Some(place) => place.replace(data),
            None => Some(data),
        };
        if let Some(buffer) = replaced {
            pool.give(buffer);
        }
    }

    /// All blocks of a piece, in order. Without those that are missing, so that it cannot be right then.
    pub(super) fn take(&mut self, piece: u32) -> Vec<Buffer> {
        self.0.remove(&piece).unwrap_or_default().into_iter().flatten().collect()
    }

    pub(super) fn discard(&mut self, piece: u32, pool: &mut Pool) {
        for buffer in self.take(piece) {
            pool.give(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_in_any_order() {
        let geometry = Geometry::new(u64::from(BLOCK) * 3, BLOCK * 3).unwrap();
        let (mut assembly, mut pool) = (Assembly::default(), Pool::default());
        for block in [2, 0, 1, 0] {
            let mut data = pool.take();
            data.fill(block as u8);
            assembly.put(&geometry, geometry.block(0, block), data, &mut pool);
        }
        let blocks = assembly.take(0);
        assert_eq!(blocks.iter().map(|block| block[0]).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(assembly.take(0).is_empty());
    }
}
