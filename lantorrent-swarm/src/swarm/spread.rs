//! How a seed gets each piece into the swarm once before any of them twice.
//!
//! Many who come at the same time and choose by chance often choose alike, and the seed sends the same piece many times while
//! others have been sent to nobody. So it tells each peer which pieces to ask for: those that nobody else was told of
//! (suggestions of BEP 6, which are only advice: who does not take it loses nothing).

use std::collections::BTreeMap;

use super::availability::Availability;
use super::event::PeerKey;
use crate::bitfield::Bitfield;
use crate::random::Random;

/// Suggestions that a peer has not taken up yet.
const AHEAD: usize = 3;

/// What was suggested to whom.
#[derive(Clone, Debug, Default)]
pub(super) struct Spread {
    /// Pieces that somebody has asked us for.
    taken: Bitfield,
    /// Pieces of which somebody was sent something.
    pub(super) sent: Bitfield,
    suggested: BTreeMap<u32, PeerKey>,
}

impl Spread {
    pub(super) fn new(pieces: u32) -> Self {
        Self { taken: Bitfield::none(pieces), sent: Bitfield::none(pieces), suggested: BTreeMap::new() }
    }

    /// A peer asks for that piece. False if somebody has before.
    pub(super) fn asked(&mut self, piece: u32) -> bool {
        self.suggested.remove(&piece);
        self.taken.insert(piece)
    }

    pub(super) fn gone(&mut self, peer: PeerKey) {
        self.suggested.retain(|_, whom| *whom != peer);
    }

    /// What to suggest to a peer that has these pieces: some that we have and nobody else, and that nobody has asked for.
    pub(super) fn suggest(
        &mut self,
        peer: PeerKey,
        ours: &Bitfield,
        theirs: &Bitfield,
        availability: &Availability,
        random: &mut Random,
    ) -> Vec<u32> {
        let open = self.suggested.values().filter(|whom| **whom == peer).count();
        let wanted = AHEAD.saturating_sub(open);
        if wanted == 0 || self.taken.is_full() {
            return Vec::new();
        }
        let fits = |piece: &u32| {
            !theirs.contains(*piece) && !self.suggested.contains_key(piece) && availability.of(*piece) == 0
        };
        let mut fresh: Vec<u32> =
            self.taken.missing().filter(|piece| ours.contains(*piece)).filter(fits).collect();
        let mut chosen = Vec::new();
        while chosen.len() < wanted && !fresh.is_empty() {
            chosen.push(fresh.swap_remove(random.below(fresh.len())));
        }
        self.suggested.extend(chosen.iter().map(|piece| (*piece, peer)));
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_what_another_was_told() {
        let (availability, random) = (Availability::new(10), &mut Random::new(1));
        let (ours, none) = (Bitfield::all(10), Bitfield::none(10));
        let mut spread = Spread::new(10);
        let mut suggest =
            |spread: &mut Spread, peer| spread.suggest(PeerKey(peer), &ours, &none, &availability, random);
        let first = suggest(&mut spread, 1);
        assert_eq!((first.len(), suggest(&mut spread, 1)), (AHEAD, vec![]));
        spread.asked(first[0]);
        assert_eq!(suggest(&mut spread, 1).len(), 1, "one was taken up");
        let mut second = [suggest(&mut spread, 2), suggest(&mut spread, 3), suggest(&mut spread, 4)].concat();
        assert_eq!(second.len(), 6, "nothing is left");
        second.extend(first);
        second.sort_unstable();
        second.dedup();
        assert_eq!(second.len(), 9);
        spread.gone(PeerKey(1));
        assert_eq!(suggest(&mut spread, 4).len(), 3);
    }
}
