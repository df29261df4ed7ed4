//! How many peers have each piece.

use crate::bitfield::Bitfield;

/// For each piece, how many of the connected peers have it.
#[derive(Clone, Debug, Default)]
pub(super) struct Availability {
    counts: Vec<u32>,
    /// Peers that have all pieces are counted once, and not in each.
    seeds: u32,
}

impl Availability {
    pub(super) fn new(pieces: u32) -> Self {
        Self { counts: vec![0; pieces as usize], seeds: 0 }
    }

    /// A peer has these.
    pub(super) fn add(&mut self, have: &Bitfield) {
        if is_seed(have) {
            self.seeds += 1;
            return;
        }
        for piece in have.iter() {
            self.counts[piece as usize] += 1;
        }
    }

    /// The peer that had these has gone.
    pub(super) fn remove(&mut self, have: &Bitfield) {
        if is_seed(have) {
            self.seeds -= 1;
            return;
        }
        for piece in have.iter() {
            self.counts[piece as usize] -= 1;
        }
    }

    /// A peer has got this one; these are all that it has now.
    pub(super) fn gained(&mut self, piece: u32, have: &Bitfield) {
        self.counts[piece as usize] += 1;
        if have.is_full() {
            for count in &mut self.counts {
                *count -= 1;
            }
            self.seeds += 1;
        }
    }

    /// How many have it.
    pub(super) fn of(&self, piece: u32) -> u32 {
        self.seeds + self.counts.get(piece as usize).copied().unwrap_or(0)
    }
}

/// Of no pieces at all, nobody is one: whoever has said nothing yet would be.
fn is_seed(have: &Bitfield) -> bool {
    have.is_full() && have.pieces() > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_becomes_a_seed_is_counted_as_one() {
        let mut availability = Availability::new(3);
        let mut peer = Bitfield::none(3);
        availability.add(&peer);
        availability.add(&Bitfield::all(3));
        for piece in 0..3 {
            assert_eq!(availability.of(piece), 1);
            peer.insert(piece);
            availability.gained(piece, &peer);
            assert_eq!(availability.of(piece), 2);
        }
        availability.remove(&peer);
        assert_eq!([0, 1, 2, 3].map(|piece| availability.of(piece)), [1, 1, 1, 1]);
        availability.remove(&Bitfield::all(3));
        assert_eq!([0, 1, 2].map(|piece| availability.of(piece)), [0, 0, 0]);
    }
}
