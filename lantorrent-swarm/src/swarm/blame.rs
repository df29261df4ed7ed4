//! Who has sent what was wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::event::{BlockSum, WebKey};
use crate::PeerId;

/// Somebody who can be banned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    /// A peer at that address, where there may be others: behind one that translates addresses, a whole site.
    Peer(IpAddr, PeerId),
    /// A web seed.
    Web(WebKey),
}

impl Who {
    pub(super) fn peer(address: IpAddr, id: PeerId) -> Self {
        Self::Peer(address.to_canonical(), id)
    }
}

/// Wrong pieces that are remembered until they are good, and how often one.
const MOST_PIECES: usize = 64;
const MOST_TRIES: usize = 4;
const MOST_BANNED: usize = 4096;
/// Where so many lie, all are taken for one who changes his name. Not on this very host.
const LIARS: usize = 3;

/// Who sent each block of a piece that was wrong.
type Try = Vec<(BlockSum, Who)>;

/// What is known against whom.
#[derive(Debug, Default)]
pub(super) struct Blame {
    tries: BTreeMap<u32, Vec<Try>>,
    banned: BTreeSet<Who>,
}

impl Blame {
    pub(super) fn is_banned(&self, who: &Who) -> bool {
        self.banned.contains(who) || matches!(who, Who::Peer(address, _) if self.is_full_of_liars(*address))
    }

    fn is_full_of_liars(&self, address: IpAddr) -> bool {
        let all = Who::Peer(address, PeerId([0; 20]))..=Who::Peer(address, PeerId([0xff; 20]));
        !address.is_loopback() && self.banned.range(all).count() >= LIARS
    }

    /// Whether the sums of the piece's blocks will be compared once it is good.
    pub(super) fn remembers(&self, piece: u32) -> bool {
        self.tries.contains_key(&piece)
    }

    /// A piece is wrong; these have sent its blocks. Returns who is guilty beyond doubt.
    pub(super) fn wrong(&mut self, piece: u32, senders: Vec<Who>, sums: &[BlockSum]) -> Vec<Who> {
        let alone = senders.first().filter(|first| senders.iter().all(|who| who == *first));
        if let Some(alone) = alone {
            let guilty = alone.clone();
            self.ban(guilty.clone());
            return vec![guilty];
        }
        if self.tries.len() < MOST_PIECES || self.remembers(piece) {
            let tries = self.tries.entry(piece).or_default();
            if tries.len() == MOST_TRIES {
                tries.remove(0);
            }
            tries.push(sums.iter().copied().zip(senders).collect());
        }
        Vec::new()
    }

    /// The piece is good at last, and its blocks have these sums. Returns who had sent others.
    pub(super) fn good(&mut self, piece: u32, sums: &[BlockSum]) -> Vec<Who> {
        let tries = self.tries.remove(&piece).unwrap_or_default();
        let blocks = tries.into_iter().flat_map(|blocks| blocks.into_iter().zip(sums));
        let mut guilty: Vec<Who> =
            blocks.filter(|((sum, _), good)| sum != *good).map(|((_, who), _)| who).collect();
        guilty.sort_unstable();
        guilty.dedup();
        for who in &guilty {
            self.ban(who.clone());
        }
        guilty
    }

    pub(super) fn ban(&mut self, who: Who) {
        if self.banned.len() >= MOST_BANNED {
            self.banned.pop_first();
        }
        self.banned.insert(who);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(number: u8) -> Who {
        Who::peer([10, 0, 0, number].into(), PeerId([number; 20]))
    }

    fn sums(data: &[u8]) -> Vec<BlockSum> {
        data.chunks(1).map(BlockSum::of).collect()
    }

    #[test]
    fn one_alone_is_guilty_at_once() {
        let mut blame = Blame::default();
        assert_eq!(blame.wrong(7, vec![host(1); 3], &sums(b"abc")), [host(1)]);
        assert!(blame.is_banned(&host(1)) && !blame.is_banned(&host(2)) && !blame.remembers(7));
    }

    #[test]
    fn of_several_those_whose_blocks_differ() {
        let mut blame = Blame::default();
        assert!(blame.wrong(7, vec![host(1), host(2), host(3)], &sums(b"aXc")).is_empty());
        assert!(blame.wrong(7, vec![host(4), host(1), host(1)], &sums(b"Ybc")).is_empty());
        assert!(blame.remembers(7));
        assert_eq!(blame.good(7, &sums(b"abc")), [host(2), host(4)]);
        assert!(!blame.is_banned(&host(1)) && !blame.remembers(7));
        assert!(blame.good(8, &sums(b"abc")).is_empty());
    }

    #[test]
    fn some_liars_are_taken_for_one() {
        let mut blame = Blame::default();
        let at = |address: &str, id| Who::peer(address.parse().unwrap(), PeerId([id; 20]));
        for (address, are_one) in [("10.0.0.1", true), ("127.0.0.1", false)] {
            for id in 1..=3 {
                assert!(!blame.is_banned(&at(address, 9)), "{id}");
                blame.ban(at(address, id));
            }
            assert_eq!(blame.is_banned(&at(address, 9)), are_one);
        }
        assert!(blame.is_banned(&at("::ffff:10.0.0.1", 9)), "the same address, however it is written");
        assert!(!blame.is_banned(&at("10.0.0.2", 1)));
    }

    #[test]
    fn what_is_remembered_has_a_bound() {
        let mut blame = Blame::default();
        for piece in 0..1000 {
            for _ in 0..10 {
                assert!(blame.wrong(piece, vec![host(1), host(2)], &sums(b"ab")).is_empty());
            }
        }
        assert_eq!(blame.tries.len(), MOST_PIECES);
        assert!(blame.tries.values().all(|tries| tries.len() == MOST_TRIES));
        for number in 0..10_000_u32 {
            blame.ban(Who::peer(number.to_be_bytes().into(), PeerId([1; 20])));
        }
        assert_eq!(blame.banned.len(), MOST_BANNED);
        assert!(blame.is_banned(&Who::peer(9_999_u32.to_be_bytes().into(), PeerId([1; 20]))));
    }
}
