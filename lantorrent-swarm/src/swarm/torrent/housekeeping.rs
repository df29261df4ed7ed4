//! What has to be looked after from time to time.

use std::time::{Duration, Instant};

use super::Torrent;
use crate::swarm::event::{PeerKey, Reason};
use crate::swarm::metadata;
use crate::swarm::peer::Peer;
use crate::swarm::pieces::Unfinished;
use crate::wire::Message;

/// Between two looks while something is being fetched, and while nothing is.
const BUSY: Duration = Duration::from_millis(500);
const CALM: Duration = Duration::from_secs(10);
/// Who was sent nothing for so long is sent a keep-alive: others close after two minutes.
const KEEP_ALIVE: Duration = Duration::from_secs(100);
/// Who has said nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(180);

impl Torrent {
    /// How long until the next look; none if nobody is there.
    pub(super) fn interval(&self) -> Option<Duration> {
        let fetching = !self.is_complete() && (!self.peers.is_empty() || self.webs.any());
        match (fetching, self.peers.is_empty()) {
            (true, _) => Some(BUSY),
            (false, false) => Some(CALM),
            (false, true) => None,
        }
    }

    pub(super) fn tick(&mut self, now: Instant) {
        self.dial(now);
        if self.interval().is_none_or(|interval| now < self.looked + interval) {
            return;
        }
        self.looked = now;
        for key in self.keys() {
            self.look_after(now, key);
        }
        if now >= self.choker.next_round {
            self.share_slots(now);
        }
        self.renew(now);
        self.look_after_metadata(now);
        let nothing_open = self.holdings.as_ref().is_some_and(|holdings| holdings.pieces.open.count() == 0);
        let dripping = if nothing_open { self.webs.dripping(now) } else { None };
        for web in self.webs.silent(now).into_iter().chain(dripping) {
            self.stop_fetch(now, web);
        }
        self.clear_what_is_stuck();
        self.refill_all(now);
        self.ask_webs(now);
    }

    fn look_after(&mut self, now: Instant, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        if now >= peer.heard + SILENCE {
            return self.close(now, key, Reason::Silent);
        }
        let late = peer.download.snub(now);
        if now >= peer.spoken + KEEP_ALIVE {
            self.send(now, key, Message::KeepAlive);
        }
        if !late.is_empty() {
            self.release(key, &late);
        }
        self.tell_of_peers(now, key);
    }

    fn look_after_metadata(&mut self, now: Instant) {
        if self.holdings.is_some() {
            return;
        }
        let offers = |peer: &Peer| peer.metadata_id != 0 && metadata::is_possible(peer.metadata_size);
        let offering = self.peers.iter().filter(|(_, peer)| offers(peer));
        // Whoever was not asked for longest comes first, whatever has become of that.
        let mut order: Vec<_> = offering.map(|(key, peer)| (peer.metadata_asked, *key)).collect();
        order.sort_unstable();
        self.metadata.give_up(now, order.len());
        for (_, key) in order {
            self.ask_metadata(now, key);
        }
    }

    /// Pieces that were begun and that nobody who is there can go on with must not take the place of others for ever; and
    /// what no peer has any more has to be free for web seeds, which are asked for whole pieces.
    fn clear_what_is_stuck(&mut self) {
        let Some(holdings) = &self.holdings else { return };
        let pieces = &holdings.pieces;
        let orphan = |piece: u32, unfinished: &Unfinished| {
            unfinished.missing > 0 && !unfinished.asked() && holdings.availability.of(piece) == 0
        };
        let full = pieces.room(self.limits.unfinished) == 0;
        if !full && !self.webs.any() {
            return;
        }
        let orphans = pieces.unfinished.iter().filter(|(piece, unfinished)| orphan(**piece, unfinished));
        let orphans: Vec<u32> = orphans.map(|(piece, _)| *piece).collect();
        for piece in orphans {
            self.discard(piece);
        }
    }
}
