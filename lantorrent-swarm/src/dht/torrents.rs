//! The torrents whose peers we look for, and when again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::InfoHash;
use crate::entropy::Entropy;

/// How often a torrent is looked for, and announced. Others forget it after half an hour.
const INTERVAL: Duration = Duration::from_secs(15 * 60);
/// How long to wait when nobody has peers, and when nobody answers; each time twice as long.
const NO_PEERS: Duration = Duration::from_secs(60);
const NO_ANSWER: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Torrents {
    torrents: BTreeMap<InfoHash, Torrent>,
    due: BTreeSet<(Instant, InfoHash)>,
}

#[derive(Debug)]
struct Torrent {
    /// Where we take connections; none if we only look.
    port: Option<u16>,
    /// None while a lookup is under way.
    due: Option<Instant>,
    /// Lookups in a row that have found nobody.
    misses: u32,
}

/// What a lookup came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Peers,
    NoPeers,
    NoAnswer,
}

impl Torrents {
    pub(super) fn join(&mut self, now: Instant, torrent: InfoHash, port: Option<u16>) {
        self.leave(&torrent);
        self.torrents.insert(torrent, Torrent { port, due: Some(now), misses: 0 });
        self.due.insert((now, torrent));
    }

    pub(super) fn leave(&mut self, torrent: &InfoHash) {
        if let Some(Torrent { due: Some(due), .. }) = self.torrents.remove(torrent) {
            self.due.remove(&(due, *torrent));
        }
    }

    pub(super) fn has(&self, torrent: &InfoHash) -> bool {
        self.torrents.contains_key(torrent)
    }

    /// The port under which to announce the torrent.
    pub(super) fn port(&self, torrent: &InfoHash) -> Option<u16> {
        self.torrents.get(torrent)?.port
    }

    /// Takes a torrent that is to be looked for now. Tell [`finished`](Self::finished) how it went.
    pub(super) fn next(&mut self, now: Instant) -> Option<InfoHash> {
        self.due.first().filter(|(due, _)| *due <= now)?;
        let (_, torrent) = self.due.pop_first()?;
        self.torrents.get_mut(&torrent)?.due = None;
        Some(torrent)
    }

    pub(super) fn finished(&mut self, now: Instant, hash: InfoHash, outcome: Outcome, entropy: &mut Entropy) {
        // It may have been left, and joined again, meanwhile.
        let Some(torrent) = self.torrents.get_mut(&hash).filter(|torrent| torrent.due.is_none()) else {
            return;
        };
        let first = match outcome {
            Outcome::Peers => INTERVAL,
            Outcome::NoPeers => NO_PEERS,
            Outcome::NoAnswer => NO_ANSWER,
        };
        let wait = first.saturating_mul(2_u32.saturating_pow(torrent.misses)).min(INTERVAL);
        torrent.misses = if outcome == Outcome::Peers { 0 } else { torrent.misses + 1 };
        let due = now + wait.saturating_sub(entropy.within(wait / 10));
        torrent.due = Some(due);
        self.due.insert((due, hash));
    }

    /// There are nodes now where there were none: whoever has found nobody looks again.
    pub(super) fn hurry(&mut self, now: Instant) {
        for (hash, torrent) in &mut self.torrents {
            if let Some(due) = torrent.due.filter(|&due| torrent.misses > 0 && due > now) {
                self.due.remove(&(due, *hash));
                self.due.insert((now, *hash));
                torrent.due = Some(now);
                torrent.misses = 0;
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Seed;

    #[test]
    fn who_finds_nobody_looks_again_sooner() {
        let (start, mut entropy) = (Instant::now(), Entropy::new(Seed([1; 32])));
        let mut torrents = Torrents::default();
        let hash = InfoHash([1; 20]);
        torrents.join(start, hash, Some(6881));
        let mut now = start;
        let mut waits = Vec::new();
        for outcome in
            [Outcome::NoAnswer, Outcome::NoAnswer, Outcome::NoPeers, Outcome::Peers, Outcome::Peers]
        {
            assert_eq!(torrents.next(now), Some(hash));
            assert_eq!(torrents.next(now), None, "under way");
            torrents.finished(now, hash, outcome, &mut entropy);
            let due = torrents.deadline().unwrap();
            waits.push(due.duration_since(now).as_secs_f64());
            now = due;
        }
        for (wait, most) in waits.iter().zip([5.0, 10.0, 240.0, 900.0, 900.0]) {
            assert!((most * 0.89..=most).contains(wait), "{waits:?}");
        }
    }

    #[test]
    fn when_nodes_come_those_that_missed_them_look_again() {
        let (start, mut entropy) = (Instant::now(), Entropy::new(Seed([1; 32])));
        let mut torrents = Torrents::default();
        let hashes = [1, 2, 3].map(|byte| InfoHash([byte; 20]));
        for hash in hashes {
            torrents.join(start, hash, None);
        }
        for (hash, outcome) in hashes.into_iter().zip([Outcome::NoAnswer, Outcome::Peers]) {
            assert_eq!(torrents.next(start), Some(hash));
            torrents.finished(start, hash, outcome, &mut entropy);
        }
        torrents.hurry(start);
        let looked: Vec<_> = std::iter::from_fn(|| torrents.next(start)).collect();
        assert_eq!(looked, [hashes[0], hashes[2]]);
        torrents.leave(&hashes[0]);
        torrents.finished(start, hashes[0], Outcome::Peers, &mut entropy);
        torrents.leave(&hashes[1]);
        assert_eq!(
            (torrents.deadline(), torrents.has(&hashes[0]), torrents.has(&hashes[2])),
            (None, false, true)
        );
    }
}
