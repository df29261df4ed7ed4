//! Which pieces a peer may ask for while it is choked, as both sides can compute it (BEP 6).

use std::net::Ipv4Addr;

use sha1::{Digest, Sha1};

use crate::InfoHash;

/// How many pieces that are.
pub(super) const ALLOWED: usize = 10;

/// The first pieces of the set for that address.
pub(super) fn allowed_set(address: Ipv4Addr, info_hash: InfoHash, pieces: u32, count: usize) -> Vec<u32> {
    let [a, b, c, _] = address.octets();
    let mut hash = [&[a, b, c, 0][..], &info_hash.0].concat();
    let mut set = Vec::new();
    while pieces > 0 && set.len() < count.min(pieces as usize) {
        hash = Sha1::digest(&hash).to_vec();
        for word in hash.as_chunks::<4>().0 {
            let piece = u32::from_be_bytes(*word) % pieces;
            if set.len() < count && !set.contains(&piece) {
                set.push(piece);
            }
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_specification_computes_it() {
        let set = |count| allowed_set([80, 4, 4, 200].into(), InfoHash([0xaa; 20]), 1313, count);
        assert_eq!(set(7), [1059, 431, 808, 1217, 287, 376, 1188]);
        assert_eq!(set(9), [1059, 431, 808, 1217, 287, 376, 1188, 353, 508]);
    }

    #[test]
    fn of_few_pieces_all() {
        let mut set = allowed_set([1, 2, 3, 4].into(), InfoHash([1; 20]), 3, ALLOWED);
        set.sort_unstable();
        assert_eq!(set, [0, 1, 2]);
        assert!(allowed_set([1, 2, 3, 4].into(), InfoHash([1; 20]), 0, ALLOWED).is_empty());
    }
}
