//! Which block to ask a peer for.
//!
//! First the rest of the piece that the peer has begun; then the rarest of those that nobody has begun, by chance among
//! equals; then what others have begun. That order keeps different peers at different pieces: a peer that alone has
//! something is not asked for what is coming from another already. Only when all that is missing is asked for are blocks
//! asked for twice, and those that come late cancelled.

use super::availability::Availability;
use super::download::Download;
use super::event::Sender;
use super::pieces::{Block, Pieces, Unfinished};
use crate::bitfield::Bitfield;
use crate::random::Random;

/// Peers that are asked for blocks of the same piece, while there are others.
const WORKERS: usize = 3;
/// Of the pieces that might be begun, no more than so many are looked at, from somewhere by chance.
const CONSIDERED: usize = 1024;
/// How many are asked for the same block in the end.
const COPIES: u8 = 3;
/// Such a block is asked of those who have hardly anything else to send.
const AT_ONCE: usize = 2;

/// Who is to be asked.
pub(super) struct Seeker<'a> {
    pub(super) sender: Sender,
    /// What it has.
    pub(super) has: &'a Bitfield,
    /// What it is asked for, and what it suggests.
    pub(super) download: &'a Download,
}

/// A block to ask for: its piece, and its number.
pub(super) type Pick = (u32, u32);

/// What to choose from.
pub(super) struct Picker<'a> {
    pub(super) pieces: &'a Pieces,
    pub(super) availability: &'a Availability,
    /// How many more pieces may be begun.
    pub(super) room: usize,
}

impl Picker<'_> {
    pub(super) fn pick(&self, seeker: &Seeker<'_>, random: &mut Random) -> Option<Pick> {
        self.own(seeker)
            .or_else(|| self.open(seeker, random).map(|piece| (piece, 0)))
            .or_else(|| self.begun(seeker, WORKERS))
            .or_else(|| self.begun(seeker, usize::MAX))
            .or_else(|| self.copy(seeker, random))
    }

    /// Of the piece that it has begun.
    pub(super) fn own(&self, seeker: &Seeker<'_>) -> Option<Pick> {
        let piece = seeker.download.newest()?;
        let unfinished = self.pieces.unfinished.get(&piece)?;
        (unfinished.workers.contains(&seeker.sender) && seeker.may_ask(piece))
            .then(|| self.first_free(seeker, piece, unfinished))
            .flatten()
    }

    /// Of a piece that is begun, and the business of fewer than so many.
    fn begun(&self, seeker: &Seeker<'_>, workers: usize) -> Option<Pick> {
        let unfinished = self.pieces.unfinished.iter();
        let mut fit: Vec<_> = unfinished
            .filter(|(piece, unfinished)| {
                let own = unfinished.workers.contains(&seeker.sender);
                let most = if unfinished.exclusive { 1 } else { workers };
                unfinished.free > 0 && seeker.may_ask(**piece) && (own || unfinished.workers.len() < most)
            })
            .collect();
        fit.sort_unstable_by_key(|(piece, unfinished)| (unfinished.missing, **piece));
        fit.into_iter().find_map(|(&piece, unfinished)| self.first_free(seeker, piece, unfinished))
    }

    fn first_free(&self, seeker: &Seeker<'_>, piece: u32, unfinished: &Unfinished) -> Option<Pick> {
        if unfinished.free == 0 {
            return None;
        }
        let free = (0..).zip(&unfinished.blocks).filter(|(_, block)| **block == Block::Free);
        let mut unasked = free.filter(|&(block, _)| !seeker.asked(self.pieces, piece, block));
        unasked.next().map(|(block, _)| (piece, block))
    }

    /// A piece that nobody has begun: what the peer suggests, or else the rarest that it has.
    fn open(&self, seeker: &Seeker<'_>, random: &mut Random) -> Option<u32> {
        if self.room == 0 {
            return None;
        }
        let open = &self.pieces.open;
        let fits = |piece: &u32| open.contains(*piece) && seeker.may_ask(*piece);
        if let Some(suggested) = seeker.download.suggested().find(fits) {
            return Some(suggested);
        }
        let start = random.below(open.pieces() as usize) as u32;
        let candidates = || {
            let common = open.common_from(seeker.has, start).filter(|piece| seeker.may_ask(*piece));
            common.take(CONSIDERED).map(|piece| (self.availability.of(piece), piece))
        };
        let (mut rarest, mut count) = (u32::MAX, 0);
        for (of, _) in candidates() {
            if of < rarest {
                (rarest, count) = (of, 0);
            }
            count += usize::from(of == rarest);
        }
        let mut equals = candidates().filter(|(of, _)| *of == rarest);
        equals.nth(random.below(count)).map(|(_, piece)| piece)
    }

    /// In the end: a block that others are asked for, of those that the fewest are.
    fn copy(&self, seeker: &Seeker<'_>, random: &mut Random) -> Option<Pick> {
        if !self.pieces.is_endgame() || seeker.download.outstanding() >= AT_ONCE {
            return None;
        }
        let mut best: Vec<Pick> = Vec::new();
        let mut fewest = COPIES;
        for (&piece, unfinished) in &self.pieces.unfinished {
            if unfinished.exclusive || !seeker.may_ask(piece) {
                continue;
            }
            for (block, state) in (0..).zip(&unfinished.blocks) {
                let Block::Asked(times) = *state else { continue };
                if times <= fewest && times < COPIES && !seeker.asked(self.pieces, piece, block) {
                    if times < fewest {
                        best.clear();
                        fewest = times;
                    }
                    best.push((piece, block));
                }
            }
        }
        best.get(random.below(best.len())).copied()
    }
}

impl Seeker<'_> {
    fn may_ask(&self, piece: u32) -> bool {
        self.has.contains(piece) && self.download.allows(piece)
    }

    fn asked(&self, pieces: &Pieces, piece: u32, block: u32) -> bool {
        self.download.is_asked(pieces.geometry.block(piece, block))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::swarm::blame::Who;
    use crate::swarm::event::PeerKey;
    use crate::{BLOCK, Geometry};

    /// Four pieces of two blocks each, and peers that have everything and are willing.
    struct World {
        now: Instant,
        pieces: Pieces,
        availability: Availability,
        downloads: Vec<Download>,
        has: Bitfield,
        random: Random,
        room: usize,
    }

    impl World {
        fn new() -> Self {
            let now = Instant::now();
            let geometry = Geometry::new(u64::from(8 * BLOCK), 2 * BLOCK).unwrap();
            let mut downloads = vec![Download::new(now); 5];
            for download in &mut downloads {
                _ = download.unchoked(now);
            }
            Self {
                now,
                pieces: Pieces::new(geometry, Bitfield::none(4)),
                availability: Availability::new(4),
                downloads,
                has: Bitfield::all(4),
                random: Random::new(1),
                room: 9,
            }
        }

        fn pick(&mut self, peer: usize) -> Option<Pick> {
            let (pieces, availability, room) = (&self.pieces, &self.availability, self.room);
            let sender = Sender::Peer(PeerKey(peer as u64));
            let seeker = Seeker { sender, has: &self.has, download: &self.downloads[peer] };
            let pick = Picker { pieces, availability, room }.pick(&seeker, &mut self.random);
            if let Some((piece, block)) = pick {
                self.pieces.ask(piece, block, sender);
                self.downloads[peer].ask(self.now, self.pieces.geometry.block(piece, block));
            }
            pick
        }

        fn have_twice(&mut self, pieces: &[u32]) {
            let mut some = Bitfield::none(4);
            for &piece in pieces {
                some.insert(piece);
            }
            self.availability.add(&some);
        }
    }

    #[test]
    fn the_rarest_first_and_then_what_is_begun() {
        let mut world = World::new();
        world.have_twice(&[0, 1, 3]);
        assert_eq!([world.pick(0), world.pick(0)], [Some((2, 0)), Some((2, 1))]);
        let others: Vec<_> = (1..4).map(|peer| world.pick(peer).unwrap()).collect();
        assert!(others.iter().all(|&(piece, block)| piece != 2 && block == 0), "{others:?}");
        let (piece, block) = world.pick(4).unwrap();
        assert!(piece != 2 && block == 1, "with one who has begun it");
    }

    #[test]
    fn equals_by_chance() {
        let mut begun = [0; 4];
        for seed in 0..400 {
            let mut world = World::new();
            world.random = Random::new(seed);
            begun[world.pick(0).unwrap().0 as usize] += 1;
        }
        assert!(begun.iter().all(|&count| count > 60), "{begun:?}");
    }

    #[test]
    fn what_is_suggested() {
        let mut world = World::new();
        world.have_twice(&[3]);
        world.downloads[0].suggest(3);
        assert_eq!(world.pick(0), Some((3, 0)));
    }

    #[test]
    fn what_fits_into_the_room() {
        let mut world = World::new();
        world.room = 0;
        assert_eq!(world.pick(0), None);
    }

    #[test]
    fn in_the_end_blocks_are_asked_for_again_and_not_of_the_same() {
        let mut world = World::new();
        for _ in 0..8 {
            world.pick(0).unwrap();
        }
        assert!(world.pieces.is_endgame());
        assert_eq!(world.pick(0), None, "it is asked for everything");
        let mut copies: Vec<_> = (1..=4).flat_map(|peer| [world.pick(peer), world.pick(peer)]).collect();
        assert!((1..=4).all(|peer| world.pick(peer).is_none()), "each has enough to do");
        copies.sort_unstable();
        copies.dedup();
        assert_eq!(copies.len(), 8, "each once before any twice");
        for peer in 1..=4 {
            world.downloads[peer].abandon();
        }
        assert_eq!((1..=4).filter_map(|peer| world.pick(peer)).count(), 4);
        for unfinished in world.pieces.unfinished.values_mut() {
            unfinished.blocks.fill(Block::Asked(COPIES));
        }
        assert_eq!(world.pick(3), None, "three times are enough");
    }

    #[test]
    fn what_was_wrong_comes_from_one() {
        let mut world = World::new();
        world.pieces.suspect(0);
        world.has = Bitfield::none(4);
        world.has.insert(0);
        assert_eq!(world.pick(0), Some((0, 0)));
        assert_eq!(world.pick(1), None);
        assert_eq!(world.pick(0), Some((0, 1)));
        assert_eq!(world.pick(1), None, "not even in the end");
        let span = world.pieces.geometry.block(0, 0);
        let who = Who::peer([10, 0, 0, 1].into(), crate::PeerId([0; 20]));
        _ = world.pieces.receive(span, who);
        world.pieces.release(world.pieces.geometry.block(0, 1));
        assert!(world.pieces.leave(0, Sender::Peer(PeerKey(0))), "another begins anew");
        assert_eq!(world.pick(1), Some((0, 0)));
    }
}
