//! How far each piece is.

use std::collections::{BTreeMap, BTreeSet};

use super::blame::Who;
use super::event::Sender;
use crate::bitfield::Bitfield;
use crate::{BLOCK, Geometry, Span};

/// A block of a piece that is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// Nobody is asked for it.
    Free,
    /// So many are asked for it.
    Asked(u8),
    /// It is there; its sender by place in the list of the piece.
    Here(u16),
}

/// A piece of which something is there or asked for.
#[derive(Clone, Debug)]
pub(super) struct Unfinished {
    pub(super) blocks: Vec<Block>,
    pub(super) free: u32,
    /// Blocks that are not there yet.
    pub(super) missing: u32,
    /// Who is asked for blocks of it.
    pub(super) workers: Vec<Sender>,
    senders: Vec<Who>,
    /// It was wrong before: only one at a time is asked for it, so that there is no doubt who lies.
    pub(super) exclusive: bool,
}

impl Unfinished {
    pub(super) fn asked(&self) -> bool {
        self.missing > self.free
    }

    /// Who sent each of its blocks, once all are there.
    pub(super) fn contributions(&self) -> Vec<Who> {
        let sender = |block: &Block| match block {
            Block::Here(place) => self.senders.get(usize::from(*place)).cloned(),
            Block::Free | Block::Asked(_) => None,
        };
        self.blocks.iter().filter_map(sender).collect()
    }
}

/// What a block that was still missing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// How many were asked for it.
    pub(super) asked: u8,
    /// It was the last one of its piece.
    pub(super) whole: bool,
}

/// All pieces of a torrent.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    pub(super) geometry: Geometry,
    /// Those that are there, verified.
    pub(super) have: Bitfield,
    /// Those of which nothing is there or asked for.
    pub(super) open: Bitfield,
    pub(super) unfinished: BTreeMap<u32, Unfinished>,
    /// Blocks in unfinished pieces that nobody is asked for.
    free: u32,
    suspect: BTreeSet<u32>,
}

impl Pieces {
    pub(super) fn new(geometry: Geometry, have: Bitfield) -> Self {
        let mut open = Bitfield::none(geometry.pieces());
        for piece in have.missing() {
            _ = open.insert(piece);
        }
        Self { geometry, have, open, unfinished: BTreeMap::new(), free: 0, suspect: BTreeSet::new() }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.have.is_full()
    }

    /// Every block that is not there is asked for.
    pub(super) fn is_endgame(&self) -> bool {
        self.free == 0 && self.open.count() == 0
    }

    /// How many more pieces may be begun, if so many bytes may be in unfinished ones.
    pub(super) fn room(&self, limit: u64) -> usize {
        let most = (limit / u64::from(self.geometry.piece_length())).max(2);
        usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(self.unfinished.len())
    }

    /// Whether there is anything of that piece to ask one more for.
    pub(super) fn can_be_asked_for(&self, piece: u32, limit: u64) -> bool {
        match self.unfinished.get(&piece) {
            Some(unfinished) => unfinished.free > 0 || self.is_endgame(),
            None => self.open.contains(piece) && self.room(limit) > 0,
        }
    }

    /// Somebody is asked for a block. A piece that was open is begun by that.
    pub(super) fn ask(&mut self, piece: u32, block: u32, sender: Sender) {
        if self.open.remove(piece) {
            self.begin(piece);
        }
        let Some(unfinished) = self.unfinished.get_mut(&piece) else { return };
        let Some(state) = unfinished.blocks.get_mut(block as usize) else { return };
        *state = match *state {
            Block::Free => {
                unfinished.free -= 1;
                self.free -= 1;
                Block::Asked(1)
            }
            Block::Asked(times) => Block::Asked(times.saturating_add(1)),
            here @ Block::Here(_) => here,
        };
        if !unfinished.workers.contains(&sender) {
            unfinished.workers.push(sender);
        }
    }

    fn begin(&mut self, piece: u32) {
        let blocks = self.geometry.blocks(piece);
        self.free += blocks;
        let unfinished = Unfinished {
            blocks: vec![Block::Free; blocks as usize],
            free: blocks,
            missing: blocks,
            workers: Vec::new(),
            senders: Vec::new(),
            exclusive: self.suspect.contains(&piece),
        };
        self.unfinished.insert(piece, unfinished);
    }

    /// One who was asked for a block will not send it.
    pub(super) fn release(&mut self, span: Span) {
        let Some(unfinished) = self.unfinished.get_mut(&span.piece) else { return };
        let Some(state) = unfinished.blocks.get_mut((span.begin / BLOCK) as usize) else { return };
        *state = match *state {
            Block::Asked(times @ 2..) => Block::Asked(times - 1),
            Block::Asked(_) => {
                unfinished.free += 1;
                self.free += 1;
                Block::Free
            }
            other => other,
        };
    }

    /// Somebody works on that piece no more. Returns whether its blocks are to be forgotten: of a piece that was wrong
    /// before, all blocks have to come from one.
    pub(super) fn leave(&mut self, piece: u32, sender: Sender) -> bool {
        let Some(unfinished) = self.unfinished.get_mut(&piece) else { return false };
        unfinished.workers.retain(|worker| *worker != sender);
        let started_over = unfinished.exclusive && unfinished.missing > 0 && !unfinished.asked();
        started_over && self.discard(piece)
    }

    /// Forgets what there is of an unfinished piece that nobody is asked for.
    pub(super) fn discard(&mut self, piece: u32) -> bool {
        let Some(unfinished) = self.unfinished.remove(&piece) else { return false };
        self.free -= unfinished.free;
        self.open.insert(piece);
        true
    }

    /// A block has come. None if it is there already, or not wanted at all.
    pub(super) fn receive(&mut self, span: Span, who: Who) -> Option<Progress> {
        let unfinished = self.unfinished.get_mut(&span.piece)?;
        let state = unfinished.blocks.get_mut((span.begin / BLOCK) as usize)?;
        let asked = match *state {
            Block::Here(_) => return None,
            Block::Free => {
                unfinished.free -= 1;
                self.free -= 1;
                0
            }
            Block::Asked(times) => times,
        };
        let place = unfinished.senders.iter().position(|known| *known == who).unwrap_or_else(|| {
            unfinished.senders.push(who);
            unfinished.senders.len() - 1
        });
        *state = Block::Here(u16::try_from(place).unwrap_or(u16::MAX));
        unfinished.missing -= 1;
        Some(Progress { asked, whole: unfinished.missing == 0 })
    }

    /// A piece whose blocks were all there is judged. None if it was not under judgement.
    pub(super) fn judged(&mut self, piece: u32) -> Option<Unfinished> {
        let whole = self.unfinished.get(&piece).is_some_and(|unfinished| unfinished.missing == 0);
        whole.then(|| self.unfinished.remove(&piece)).flatten()
    }

    /// It is there.
    pub(super) fn store(&mut self, piece: u32) {
        self.have.insert(piece);
        self.suspect.remove(&piece);
    }

    /// It has to be fetched again.
    pub(super) fn reopen(&mut self, piece: u32) {
        self.open.insert(piece);
    }

    /// It was wrong: from now on it comes from one at a time.
    pub(super) fn suspect(&mut self, piece: u32) {
        self.suspect.insert(piece);
    }

    /// It cannot be read any more. False if it was not there.
    pub(super) fn lose(&mut self, piece: u32) -> bool {
        self.have.remove(piece) && self.open.insert(piece)
    }

    pub(super) fn is_here(&self, span: Span) -> bool {
        let block = |unfinished: &Unfinished| unfinished.blocks.get((span.begin / BLOCK) as usize).copied();
        match self.unfinished.get(&span.piece) {
            Some(unfinished) => matches!(block(unfinished), Some(Block::Here(_))),
            None => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PeerId;
    use crate::swarm::event::PeerKey;

    const ONE: Sender = Sender::Peer(PeerKey(1));
    const OTHER: Sender = Sender::Peer(PeerKey(2));

    fn who(number: u8) -> Who {
        Who::peer([10, 0, 0, number].into(), PeerId([number; 20]))
    }

    /// Three pieces: of two blocks, of two, and of one that is short.
    fn pieces() -> Pieces {
        let geometry = Geometry::new(u64::from(4 * BLOCK + 100), 2 * BLOCK).unwrap();
        Pieces::new(geometry, Bitfield::none(3))
    }

    #[test]
    fn the_life_of_a_piece() {
        let mut pieces = pieces();
        let blocks = [0, 1].map(|block| pieces.geometry.block(0, block));
        pieces.ask(0, 0, ONE);
        pieces.ask(0, 0, OTHER);
        assert_eq!((pieces.free, pieces.open.count()), (1, 2));
        assert_eq!(
            pieces.receive(blocks[1], who(2)),
            Some(Progress { asked: 0, whole: false }),
            "it comes late"
        );
        assert_eq!(pieces.receive(blocks[0], who(1)), Some(Progress { asked: 2, whole: true }));
        assert_eq!(pieces.receive(blocks[0], who(1)), None);
        assert!(pieces.is_here(blocks[0]) && pieces.judged(1).is_none());
        assert_eq!(pieces.judged(0).unwrap().contributions(), [who(1), who(2)]);
        pieces.store(0);
        assert!(pieces.judged(0).is_none() && pieces.is_here(blocks[0]) && pieces.have.contains(0));
        assert!(pieces.lose(0) && !pieces.lose(0) && pieces.open.contains(0));
    }

    #[test]
    fn blocks_that_will_not_come_are_free_again() {
        let mut pieces = pieces();
        pieces.ask(2, 0, ONE);
        pieces.ask(2, 0, OTHER);
        let span = pieces.geometry.block(2, 0);
        pieces.release(span);
        assert_eq!(pieces.free, 0, "another is still asked");
        pieces.release(span);
        pieces.release(span);
        assert_eq!(pieces.free, 1);
        assert!(!pieces.leave(2, ONE) && !pieces.leave(2, OTHER), "what is there of it stays");
        assert!(pieces.discard(2) && !pieces.discard(2));
        assert_eq!((pieces.free, pieces.open.count()), (0, 3));
    }

    #[test]
    fn the_end_is_when_all_is_asked_for() {
        let mut pieces = pieces();
        for (piece, block) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            pieces.ask(piece, block, ONE);
            assert!(!pieces.is_endgame());
        }
        pieces.ask(2, 0, ONE);
        assert!(pieces.is_endgame());
    }

    #[test]
    fn room_for_two_at_least() {
        let mut pieces = pieces();
        assert_eq!((pieces.room(0), pieces.room(u64::from(7 * BLOCK))), (2, 3));
        pieces.ask(0, 0, ONE);
        pieces.ask(1, 0, ONE);
        assert_eq!((pieces.room(0), pieces.room(u64::from(7 * BLOCK))), (0, 1));
    }
}
