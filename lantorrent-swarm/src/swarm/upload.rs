//! What one peer has asked for, and what of it is under way.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::rate::Rate;
use crate::bitfield::Bitfield;
use crate::{BLOCK, Span};

/// Requests of a peer that may wait: what we tell it (`reqq` of BEP 10).
pub(super) const QUEUE: usize = 500;
/// Bytes that the driver is given for a peer before it has sent any of them: as many as it takes in this time, and within
/// these bounds, so that those who take little do not hold back the others.
const AHEAD: Duration = Duration::from_millis(250);
const LEAST_UNDER_WAY: u64 = 2 * BLOCK as u64;
const MOST_UNDER_WAY: u64 = 256 << 10;
/// Bytes that the driver is given for all peers together. Little, so that pieces are sent one after another and not all at
/// the same time: a peer can only pass on what it has all of.
pub(super) const ALL_UNDER_WAY: u32 = 1 << 20;
/// Who has waited for so long comes before those who ask for something better.
const PATIENCE: Duration = Duration::from_secs(2);

/// One peer as somebody whom we send to.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    waiting: VecDeque<Span>,
    under_way: u32,
    /// When something of that was sent, or it began to be under way.
    moved: Instant,
    /// The piece of which it was sent a block last, and when.
    last: Option<u32>,
    served: Instant,
    /// We answer no requests.
    pub(super) choked: bool,
    /// They have told us that they are interested.
    pub(super) interested: bool,
    /// Pieces that they may ask for while they are choked.
    pub(super) allowed: Vec<u32>,
    pub(super) rate: Rate,
    /// When it was choked or unchoked.
    pub(super) changed: Instant,
}

impl Upload {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            waiting: VecDeque::new(),
            under_way: 0,
            moved: now,
            last: None,
            served: now,
            choked: true,
            interested: false,
            allowed: Vec::new(),
            rate: Rate::default(),
            changed: now,
        }
    }

    pub(super) fn serves(&self, piece: u32) -> bool {
        !self.choked || self.allowed.contains(&piece)
    }

    /// They ask for that. False if too much is waiting already.
    pub(super) fn ask(&mut self, now: Instant, span: Span) -> bool {
        let room = self.waiting.len() < QUEUE;
        if self.waiting.is_empty() {
            self.served = now;
        }
        if room {
            self.waiting.push_back(span);
        }
        room
    }

    /// They don't want that any more. False if it is not waiting.
    pub(super) fn cancel(&mut self, span: Span) -> bool {
        let at = self.waiting.iter().position(|waiting| *waiting == span);
        at.is_some_and(|at| self.waiting.remove(at).is_some())
    }

    /// How urgent it is to send to this peer, the least first; none if there is nothing to send, or enough under way.
    /// Who has got part of a piece gets the rest; after that, what nobody was sent yet comes before what others can send as
    /// well.
    pub(super) fn urgency(&self, now: Instant, sent: &Bitfield) -> Option<(Urgency, Instant)> {
        if u64::from(self.under_way) >= self.ahead(now).clamp(LEAST_UNDER_WAY, MOST_UNDER_WAY) {
            return None;
        }
        let next = self.waiting.front()?;
        let urgency = match self.last {
            Some(piece) if piece == next.piece => Urgency::Continued,
            _ if now >= self.served + PATIENCE => Urgency::Late,
            _ if !sent.contains(next.piece) => Urgency::Fresh,
            _ => Urgency::Repeated,
        };
        Some((urgency, self.served))
    }

    /// Bytes that it takes in the time in which it is to be kept busy.
    fn ahead(&self, now: Instant) -> u64 {
        self.rate.value(now) * AHEAD.as_millis() as u64 / 1000
    }

    /// Bytes that keep the driver busy: no more than the peer is known to take soon, and none if it takes nothing any more.
    /// Those who stall, or take little, must not hold back others, however many they are.
    pub(super) fn busy(&self, now: Instant) -> u32 {
        match u32::try_from(self.ahead(now)) {
            _ if now >= self.moved + PATIENCE => 0,
            Ok(ahead) if self.rate.total() > 0 => self.under_way.min(ahead),
            _ => self.under_way,
        }
    }

    /// What the driver is to send next.
    pub(super) fn next(&mut self, now: Instant) -> Option<Span> {
        let span = self.waiting.pop_front()?;
        if self.under_way == 0 {
            self.moved = now;
        }
        self.under_way += span.length;
        self.last = Some(span.piece);
        self.served = now;
        Some(span)
    }

    /// The driver has sent that.
    pub(super) fn sent(&mut self, now: Instant, span: Span) {
        self.under_way = self.under_way.saturating_sub(span.length);
        self.moved = now;
        self.rate.add(now, span.length);
    }

    /// Takes back what waits and may not be asked for any more.
    pub(super) fn refuse(&mut self, unfit: impl Fn(&Self, &Span) -> bool) -> Vec<Span> {
        let all = std::mem::take(&mut self.waiting);
        let (refused, kept): (Vec<Span>, Vec<Span>) = all.into_iter().partition(|span| unfit(self, span));
        self.waiting = kept.into();
        refused
    }
}

/// Why a peer is sent something before others, the first before all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// It has got part of that piece.
    Continued,
    /// It has waited for long.
    Late,
    /// Nobody was sent that piece.
    Fresh,
    /// Others have it too.
    Repeated,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(piece: u32) -> Span {
        Span { piece, begin: 0, length: BLOCK }
    }

    #[test]
    fn not_too_many_wait() {
        let now = Instant::now();
        let mut upload = Upload::new(now);
        assert_eq!((0..1000).filter(|&piece| upload.ask(now, block(piece))).count(), QUEUE);
        assert_eq!((upload.next(now), upload.next(now)), (Some(block(0)), Some(block(1))));
        assert!(upload.cancel(block(17)) && !upload.cancel(block(17)) && !upload.cancel(block(1)));
        assert_eq!(upload.refuse(|_, span| span.piece != 18).len(), QUEUE - 4);
        assert_eq!((upload.next(now), upload.next(now)), (Some(block(18)), None));
    }

    #[test]
    fn as_much_is_under_way_as_a_peer_takes() {
        let start = Instant::now();
        let mut upload = Upload::new(start);
        let none = Bitfield::none(1000);
        let fill = |upload: &mut Upload, now| {
            while upload.urgency(now, &none).is_some() {
                upload.next(now).unwrap();
            }
            upload.under_way / BLOCK
        };
        for piece in 0..200 {
            upload.ask(start, block(piece));
        }
        assert_eq!(fill(&mut upload, start), 2);
        // 32 blocks in a second.
        for step in 0..32 {
            let now = start + Duration::from_millis(step * 31);
            upload.sent(now, block(0));
            upload.next(now).unwrap();
        }
        assert!((7..=8).contains(&fill(&mut upload, start + Duration::from_secs(1))));
    }

    #[test]
    fn who_stalls_does_not_count() {
        let start = Instant::now();
        let mut upload = Upload::new(start);
        upload.ask(start, block(0));
        let later = start + PATIENCE;
        upload.next(later);
        assert_eq!((upload.busy(later), upload.busy(later + PATIENCE)), (BLOCK, 0));
        upload.sent(later, block(0));
        assert_eq!(upload.busy(later), 0);
    }

    #[test]
    fn the_order_of_service() {
        let start = Instant::now();
        let mut upload = Upload::new(start);
        let mut sent = Bitfield::none(10);
        assert_eq!(upload.urgency(start, &sent), None);
        upload.ask(start, block(7));
        upload.ask(start, Span { begin: BLOCK, ..block(7) });
        assert_eq!(upload.urgency(start, &sent), Some((Urgency::Fresh, start)));
        sent.insert(7);
        assert_eq!(upload.urgency(start, &sent), Some((Urgency::Repeated, start)));
        assert_eq!(upload.urgency(start + PATIENCE, &sent), Some((Urgency::Late, start)));
        upload.next(start);
        assert_eq!(upload.urgency(start + PATIENCE, &sent), Some((Urgency::Continued, start)));
    }
}
