//! Getting the info dictionary from peers, and giving it to them (BEP 9).
//!
//! All parts of one attempt come from one peer. So when they do not have the right hash, there is no doubt who lies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::event::PeerKey;
use crate::InfoHash;
use crate::wire::METADATA_PIECE;

/// No info dictionary is larger: 16 MiB describe 800,000 pieces.
const LARGEST: u32 = 16 << 20;
/// Peers that are asked at the same time.
const AT_ONCE: usize = 3;
/// Parts that one is asked for at the same time.
const AHEAD: u32 = 8;
/// After so long without a part another peer is asked.
const PATIENCE: Duration = Duration::from_secs(3);
/// While others wait to be asked, an attempt may take so long in all: at first, and twice as long each time that this was
/// too short.
const FIRST_TERM: Duration = Duration::from_secs(10);
/// How often each part is given to a peer, in all.
const GENEROSITY: usize = 3;

/// What one peer has sent of it.
#[derive(Debug)]
struct Attempt {
    size: u32,
    bytes: Vec<u8>,
    /// Parts that were asked for.
    asked: u32,
    begun: Instant,
    progress: Instant,
}

/// What we know of it.
#[derive(Debug)]
pub(super) struct Metadata {
    info_hash: InfoHash,
    info: Option<Arc<[u8]>>,
    attempts: BTreeMap<PeerKey, Attempt>,
    term: Duration,
}

/// What a part has led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask the peer for these parts.
    Ask(std::ops::Range<u32>),
    /// That is it.
    Done(Vec<u8>),
    /// The peer has sent something else.
    Lie,
    /// The peer has sent what it was not asked for.
    Unasked,
}

impl Metadata {
    pub(super) fn new(info_hash: InfoHash, info: Option<Arc<[u8]>>) -> Self {
        Self { info_hash, info, attempts: BTreeMap::new(), term: FIRST_TERM }
    }

    pub(super) fn known(&mut self, info: Arc<[u8]>) {
        self.info = Some(info);
        self.attempts.clear();
    }

    pub(super) fn size(&self) -> Option<u32> {
        self.info.as_ref().and_then(|info| u32::try_from(info.len()).ok())
    }

    /// A peer has it, with so many bytes. Returns the parts to ask it for, if it is needed.
    pub(super) fn offered(&mut self, now: Instant, peer: PeerKey, size: u32) -> std::ops::Range<u32> {
        let busy = self.attempts.len() >= AT_ONCE || self.attempts.contains_key(&peer);
        if self.info.is_some() || busy || !is_possible(size) {
            return 0..0;
        }
        let asked = parts(size).min(AHEAD);
        self.attempts.insert(peer, Attempt { size, bytes: Vec::new(), asked, begun: now, progress: now });
        0..asked
    }

    /// A peer has sent a part. They come in the order in which they were asked for.
    pub(super) fn data(&mut self, now: Instant, peer: PeerKey, piece: u32, data: &[u8]) -> Step {
        let Some(attempt) = self.attempts.get_mut(&peer) else { return Step::Unasked };
        let start = piece as usize * METADATA_PIECE;
        let expected = (attempt.size as usize).saturating_sub(start).min(METADATA_PIECE);
        if attempt.bytes.len() != start || data.len() != expected || piece >= attempt.asked {
            self.attempts.remove(&peer);
            return Step::Unasked;
        }
        attempt.bytes.extend_from_slice(data);
        attempt.progress = now;
        if attempt.bytes.len() < attempt.size as usize {
            let next = attempt.asked..parts(attempt.size).min(piece + 1 + AHEAD);
            attempt.asked = next.end;
            return Step::Ask(next);
        }
        let bytes = self.attempts.remove(&peer).map(|attempt| attempt.bytes).unwrap_or_default();
        if InfoHash::of(&bytes) != self.info_hash {
            return Step::Lie;
        }
        // The attempts of others are not needed any more; what they still send is unasked for.
        self.known(bytes.as_slice().into());
        Step::Done(bytes)
    }

    /// A peer will send no more of it.
    pub(super) fn gone(&mut self, peer: PeerKey) {
        self.attempts.remove(&peer);
    }

    /// Gives up attempts with peers that have been silent for too long; and, if more than are being asked offer it, those
    /// that do not come to an end.
    pub(super) fn give_up(&mut self, now: Instant, offering: usize) {
        self.attempts.retain(|_, attempt| now < attempt.progress + PATIENCE);
        if offering > self.attempts.len() {
            let (before, term) = (self.attempts.len(), self.term);
            self.attempts.retain(|_, attempt| now < attempt.begun + term);
            if self.attempts.len() < before {
                self.term = term.saturating_mul(2);
            }
        }
    }

    /// That part of it, and its size, for a peer that was given so many parts before.
    pub(super) fn part(&self, piece: u32, given: usize) -> Option<(u32, &[u8])> {
        let (info, size) = (self.info.as_ref()?, self.size()?);
        let generous = given < parts(size) as usize * GENEROSITY;
        let data = info.chunks(METADATA_PIECE).nth(piece as usize)?;
        generous.then_some((size, data))
    }
}

/// Whether metadata can have that size.
pub(super) fn is_possible(size: u32) -> bool {
    (1..=LARGEST).contains(&size)
}

fn parts(size: u32) -> u32 {
    size.div_ceil(METADATA_PIECE as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerKey = PeerKey(1);

    fn info() -> Vec<u8> {
        (0..METADATA_PIECE * 20 + 5).map(|index| (index % 251) as u8).collect()
    }

    fn fetch(claim: &[u8], info_hash: InfoHash) -> Step {
        let now = Instant::now();
        let mut metadata = Metadata::new(info_hash, None);
        let mut asked = metadata.offered(now, PEER, claim.len() as u32);
        assert_eq!(asked, 0..8);
        loop {
            let piece = asked.start;
            let data = claim.chunks(METADATA_PIECE).nth(piece as usize).unwrap();
            match metadata.data(now, PEER, piece, data) {
                Step::Ask(more) => asked = piece + 1..more.end.max(asked.end),
                end => {
                    assert!(metadata.attempts.is_empty());
                    return end;
                }
            }
        }
    }

    #[test]
    fn the_right_hash_and_another() {
        assert_eq!(fetch(&info(), InfoHash::of(&info())), Step::Done(info()));
        assert_eq!(fetch(&info(), InfoHash([0; 20])), Step::Lie);
    }

    #[test]
    fn what_was_not_asked_for() {
        let now = Instant::now();
        let mut metadata = Metadata::new(InfoHash([0; 20]), None);
        assert_eq!(metadata.data(now, PEER, 0, b"x"), Step::Unasked);
        for (piece, length) in
            [(0, METADATA_PIECE - 1), (1, METADATA_PIECE), (u32::MAX, 0), (0, METADATA_PIECE + 1)]
        {
            assert_eq!(metadata.offered(now, PEER, 20_000), 0..2);
            assert_eq!(metadata.data(now, PEER, piece, &vec![0; length]), Step::Unasked);
        }
        assert_eq!(metadata.offered(now, PEER, 0), 0..0);
        assert_eq!(metadata.offered(now, PEER, LARGEST + 1), 0..0);
        assert_eq!(
            (1..9).filter(|&peer| !metadata.offered(now, PeerKey(peer), 5).is_empty()).count(),
            AT_ONCE
        );
        metadata.give_up(now, 9);
        assert_eq!(metadata.attempts.len(), AT_ONCE);
        metadata.give_up(now + PATIENCE, 9);
        assert!(metadata.attempts.is_empty());
    }

    #[test]
    fn who_comes_to_no_end_gets_longer_each_time() {
        let start = Instant::now();
        let mut metadata = Metadata::new(InfoHash([0; 20]), None);
        let mut lasts = |from: Instant, offering| {
            metadata.offered(from, PEER, LARGEST);
            let seconds = (1..100).find(|second| {
                let now = from + Duration::from_secs(*second);
                _ = metadata.data(now, PEER, *second as u32 - 1, &[0; METADATA_PIECE]);
                metadata.give_up(now, offering);
                metadata.attempts.is_empty()
            });
            metadata.gone(PEER);
            seconds
        };
        assert_eq!((lasts(start, 1), lasts(start, 2), lasts(start, 2)), (None, Some(10), Some(20)));
    }

    #[test]
    fn given_to_others() {
        let metadata = Metadata::new(InfoHash::of(&info()), Some(info().into()));
        assert_eq!(metadata.part(20, 0), Some((info().len() as u32, &info()[20 * METADATA_PIECE..])));
        assert_eq!((metadata.part(21, 0), metadata.part(0, 63)), (None, None));
        assert!(metadata.part(0, 62).is_some());
        assert_eq!(Metadata::new(InfoHash([0; 20]), None).part(0, 0), None);
    }
}
