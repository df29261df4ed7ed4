//! From requests to whole pieces.

use std::time::{Duration, Instant};

use super::Torrent;
use crate::Span;
use crate::swarm::blame::Who;
use crate::swarm::download::Taken;
use crate::swarm::event::{Action, BlockSum, Fate, Fetching, PeerKey, Reason, Sender, Verdict};
use crate::swarm::picker::{Picker, Seeker};
use crate::wire::Message;

/// Blocks that a peer may send without having been asked for them, more than others: those that have crossed a cancel, or
/// were under way when it choked us, are no fault of its.
const MOST_STRAYS: u32 = 2000;
/// Within this time all comes that is asked for, if there is a limit to the rate.
const SOON: Duration = Duration::from_secs(2);

impl Torrent {
    /// A block begins to come from that peer: whether to keep its data, and to say [`received`](Self::received) when it is
    /// complete. What is to be dropped is read all the same, but nothing more said about it. Drain [`poll`](Self::poll)
    /// behind it.
    pub fn expects(&mut self, now: Instant, key: PeerKey, span: Span) -> Fate {
        let Some(peer) = self.peers.get_mut(&key) else { return Fate::Drop };
        peer.heard = now;
        let wanted = self.holdings.as_ref().is_some_and(|holdings| !holdings.pieces.is_here(span));
        if peer.download.is_asked(span) && wanted {
            return Fate::Keep;
        }
        self.wasted += u64::from(span.length);
        peer.strays += 1;
        if peer.strays > MOST_STRAYS {
            self.close(now, key, Reason::Broken("it sends what nobody has asked for"));
        }
        Fate::Drop
    }

    /// The data of a block is there: whether to keep it, since somebody else may have been faster. Drain
    /// [`poll`](Self::poll) behind it.
    pub fn received(&mut self, now: Instant, sender: Sender, span: Span) -> Fate {
        let taken = match sender {
            Sender::Peer(key) => self.came_from_peer(now, key, span),
            Sender::Web(web) => {
                self.webs.came(now, web, span.piece).then_some((Taken::Expected, Who::Web(web)))
            }
        };
        let progress = taken.and_then(|(taken, who)| {
            let fits = self.is_block(span);
            let holdings = self.holdings.as_mut().filter(|_| fits)?;
            Some((taken, holdings.pieces.receive(span, who)?))
        });
        let Some((taken, progress)) = progress else {
            self.wasted += u64::from(span.length);
            self.refill_sender(now, sender);
            return Fate::Drop;
        };
        if let Sender::Web(_) = sender {
            self.past.downloaded += u64::from(span.length);
        }
        if progress.asked > u8::from(taken == Taken::Expected) {
            self.cancel_others(now, span);
        }
        if progress.whole {
            let compare = self.blame.remembers(span.piece);
            self.out.push_back(Action::Verify { piece: span.piece, compare });
            self.webs_that_are_done(now);
        }
        self.refill_sender(now, sender);
        Fate::Keep
    }

    /// Whether it is one of the blocks in which we ask for pieces.
    fn is_block(&self, span: Span) -> bool {
        self.holdings.as_ref().is_some_and(|holdings| {
            let geometry = &holdings.pieces.geometry;
            span.length > 0 && geometry.block(span.piece, span.begin / crate::BLOCK) == span
        })
    }

    fn came_from_peer(&mut self, now: Instant, key: PeerKey, span: Span) -> Option<(Taken, Who)> {
        let peer = self.peers.get_mut(&key)?;
        peer.heard = now;
        let taken = peer.download.came(now, span)?;
        peer.useful = now;
        peer.strays = peer.strays.saturating_sub(1);
        Some((taken, peer.who.clone()))
    }

    /// Others who were asked for it need not send it any more.
    fn cancel_others(&mut self, now: Instant, span: Span) {
        for key in self.keys() {
            let asked = self.peers.get_mut(&key).and_then(|peer| peer.download.withdraw(span));
            if asked.is_some() {
                self.send(now, key, Message::Cancel(span));
                self.refill(now, key);
            }
        }
    }

    fn refill_sender(&mut self, now: Instant, sender: Sender) {
        if let Sender::Peer(key) = sender {
            self.refill(now, key);
        }
    }

    pub(super) fn refill_all(&mut self, now: Instant) {
        for key in self.keys() {
            self.refill(now, key);
        }
    }

    /// How many more requests there may be in all.
    fn total_room(&self) -> usize {
        let Some(rate) = self.limits.download else { return usize::MAX };
        let most = usize::try_from(rate * SOON.as_secs() / u64::from(crate::BLOCK)).unwrap_or(usize::MAX);
        let outstanding = self.peers.values().map(|peer| peer.download.outstanding()).sum();
        most.max(2).saturating_sub(outstanding)
    }

    /// Asks a peer for as much as it should be asked for.
    pub(super) fn refill(&mut self, now: Instant, key: PeerKey) {
        let total_room = self.total_room();
        let (Some(peer), Some(holdings)) = (self.peers.get_mut(&key), &mut self.holdings) else { return };
        if self.fetching == Fetching::Off || peer.wants == 0 {
            return;
        }
        let room = peer.download.room(now);
        for count in 0..room.same_piece.min(total_room) {
            let sender = Sender::Peer(key);
            let picker = Picker {
                pieces: &holdings.pieces,
                availability: &holdings.availability,
                room: holdings.pieces.room(self.limits.unfinished),
            };
            let seeker = Seeker { sender, has: &peer.has, download: &peer.download };
            let pick =
                if count < room.any { picker.pick(&seeker, &mut self.random) } else { picker.own(&seeker) };
            let Some((piece, block)) = pick else { return };
            let span = holdings.pieces.geometry.block(piece, block);
            holdings.pieces.ask(piece, block, sender);
            peer.download.ask(now, span);
            peer.spoken = now;
            self.out.push_back(Action::Send(key, Message::Request(span)));
        }
    }

    /// These will not come from that peer.
    pub(super) fn release(&mut self, key: PeerKey, spans: &[Span]) {
        let Some(holdings) = &mut self.holdings else { return };
        for span in spans {
            holdings.pieces.release(*span);
        }
        self.leave(Sender::Peer(key));
    }

    /// A sender is done with every piece that it is not asked for anything of.
    pub(super) fn leave(&mut self, sender: Sender) {
        let Some(holdings) = &mut self.holdings else { return };
        let works_on = |piece| match sender {
            Sender::Peer(key) => self.peers.get(&key).is_some_and(|peer| peer.download.works_on(piece)),
            Sender::Web(web) => self.webs.task(web).is_some_and(|pieces| pieces.contains(&piece)),
        };
        let of_it = holdings.pieces.unfinished.iter().filter(|(_, piece)| piece.workers.contains(&sender));
        let left: Vec<u32> = of_it.map(|(piece, _)| *piece).filter(|piece| !works_on(*piece)).collect();
        for piece in left {
            if holdings.pieces.leave(piece, sender) {
                self.out.push_back(Action::Discard(piece));
            }
        }
    }

    pub(super) fn discard(&mut self, piece: u32) {
        if let Some(holdings) = &mut self.holdings
            && holdings.pieces.discard(piece)
        {
            self.out.push_back(Action::Discard(piece));
        }
    }

    /// They answer no requests any more. Who speaks the fast extension says so of each.
    pub(super) fn choked_by(&mut self, now: Instant, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        peer.download.choked = true;
        if !peer.features.fast {
            let abandoned = peer.download.abandon();
            self.release(key, &abandoned);
            if !abandoned.is_empty() {
                self.refill_all(now);
            }
        }
    }

    pub(super) fn rejected(&mut self, now: Instant, key: PeerKey, span: Span) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let Some(taken) = peer.download.withdraw(span) else { return };
        peer.download.pause(now);
        // Who rejects all rejects them one after another: others are asked when that is through.
        let is_last = peer.download.outstanding() == 0;
        if taken == Taken::Expected {
            self.release(key, &[span]);
        }
        if is_last {
            self.refill_all(now);
        }
    }

    pub(super) fn verified(&mut self, now: Instant, piece: u32, verdict: Verdict, sums: &[BlockSum]) {
        let Some(holdings) = &mut self.holdings else { return };
        let Some(unfinished) = holdings.pieces.judged(piece) else { return };
        let guilty = match verdict {
            Verdict::Stored => {
                holdings.pieces.store(piece);
                self.blame.good(piece, sums)
            }
            Verdict::Wrong => {
                holdings.pieces.suspect(piece);
                holdings.pieces.reopen(piece);
                self.blame.wrong(piece, unfinished.contributions(), sums)
            }
            Verdict::NotStored => {
                holdings.pieces.reopen(piece);
                self.fetching = Fetching::Off;
                Vec::new()
            }
        };
        for who in &guilty {
            self.punish(now, who);
        }
        if verdict == Verdict::Stored {
            self.announce(now, piece);
        }
        self.refill_all(now);
        self.ask_webs(now);
    }

    fn punish(&mut self, now: Instant, who: &Who) {
        if let Who::Web(web) = who {
            self.out.push_back(Action::WrongWeb(*web));
            return self.web_useless(now, *web);
        }
        let banned = self.peers.iter().filter(|(_, peer)| self.blame.is_banned(&peer.who));
        let banned: Vec<PeerKey> = banned.map(|(key, _)| *key).collect();
        for key in banned {
            self.close(now, key, Reason::Banned);
        }
    }

    /// A piece is there: those who lack it are told.
    fn announce(&mut self, now: Instant, piece: u32) {
        for key in self.keys() {
            let Some(peer) = self.peers.get_mut(&key) else { continue };
            if peer.has.contains(piece) {
                peer.wants -= 1;
                self.declare_interest(now, key);
            } else if !peer.upload_only {
                self.send(now, key, Message::Have(piece));
            }
        }
        if self.is_complete() {
            self.out.push_back(Action::Complete);
            for key in self.keys() {
                self.want_no_more(now, key);
                self.part_if_done(now, key);
            }
        }
    }

    /// A piece cannot be read any more.
    pub(super) fn lost(&mut self, now: Instant, piece: u32) {
        let Some(holdings) = &mut self.holdings else { return };
        if !holdings.pieces.lose(piece) {
            return;
        }
        for key in self.keys() {
            let Some(peer) = self.peers.get_mut(&key) else { continue };
            peer.wants += u32::from(peer.has.contains(piece));
            let unfit = peer.upload.refuse(|_, span| span.piece == piece);
            self.reject_all(now, key, unfit);
            self.declare_interest(now, key);
        }
        self.refill_all(now);
        self.dial(now);
    }

    /// Tells a peer whether it has anything that we lack, when that has changed.
    pub(super) fn declare_interest(&mut self, now: Instant, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(&key) else { return };
        let interested = peer.wants > 0;
        if interested != std::mem::replace(&mut peer.download.interested, interested) {
            let message = if interested { Message::Interested } else { Message::NotInterested };
            self.send(now, key, message);
        }
    }
}
