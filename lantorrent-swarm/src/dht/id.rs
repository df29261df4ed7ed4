//! Names of nodes, and how far they are from each other.

use std::fmt;

use crate::InfoHash;
use crate::entropy::Entropy;

/// What a node of the DHT is known by, and where it stands among the others (BEP 5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "20 bytes by BEP 5")]
pub struct NodeId(pub [u8; 20]);

/// Bits of an id.
pub(super) const BITS: usize = 160;

impl NodeId {
    /// How far it is from there: the exclusive or, as a number.
    pub(super) fn distance(&self, other: &Self) -> [u8; 20] {
        std::array::from_fn(|index| self.0[index] ^ other.0[index])
    }

    /// How many bits at the start both have; all 160 if they are the same.
    pub(super) fn shared_bits(&self, other: &Self) -> usize {
        let distance = self.distance(other);
        let zeros = distance.iter().take_while(|&&byte| byte == 0).count();
        zeros * 8 + distance.get(zeros).map_or(0, |byte| byte.leading_zeros() as usize)
    }

    /// A random id that has just so many bits of this one at its start.
    pub(super) fn at_distance(&self, shared: usize, entropy: &mut Entropy) -> Self {
        let mut id = entropy.bytes::<20>();
        for bit in 0..=shared.min(BITS - 1) {
            let mask = 0x80 >> (bit % 8);
            // The first bit behind the shared ones is another one.
            let wanted = self.0[bit / 8] ^ if bit == shared { mask } else { 0 };
            id[bit / 8] = id[bit / 8] & !mask | wanted & mask;
        }
        Self(id)
    }
}

impl From<InfoHash> for NodeId {
    /// Where the peers of the torrent are kept: at the nodes that are closest to this id.
    fn from(torrent: InfoHash) -> Self {
        Self(torrent.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({})", InfoHash(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Seed;

    #[test]
    fn distances() {
        let (zero, mut other) = (NodeId([0; 20]), NodeId([0; 20]));
        assert_eq!(zero.shared_bits(&other), 160);
        other.0[2] = 0b0001_0000;
        assert_eq!((zero.shared_bits(&other), other.shared_bits(&zero)), (19, 19));
        assert_eq!(other.distance(&zero), other.0);
    }

    #[test]
    fn ids_at_a_distance() {
        let mut entropy = Entropy::new(Seed([1; 32]));
        let own = NodeId(entropy.bytes());
        for shared in 0..BITS {
            assert_eq!(own.at_distance(shared, &mut entropy).shared_bits(&own), shared);
        }
        assert_eq!(own.at_distance(BITS, &mut entropy), own);
    }
}
