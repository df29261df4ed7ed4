//! What one peer has asked for, and what of it is under way.

use std::collections::VecDeque;
use std::time::Instant;

use super::rate::Rate;
use crate::Span;

/// Requests of a peer that may wait: what we tell it (`reqq` of BEP 10).
pub(super) const QUEUE: usize = 500;
/// Bytes that the driver is given for a peer before it has sent any of them.
const UNDER_WAY: u32 = 256 << 10;

/// One peer as somebody whom we send to.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    waiting: VecDeque<Span>,
    under_way: u32,
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
    pub(super) fn ask(&mut self, span: Span) -> bool {
        let room = self.waiting.len() < QUEUE;
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

    /// What the driver is to send next, if it has not enough.
    pub(super) fn next(&mut self) -> Option<Span> {
        if self.under_way >= UNDER_WAY {
            return None;
        }
        let span = self.waiting.pop_front()?;
        self.under_way += span.length;
        Some(span)
    }

    /// The driver has sent that.
    pub(super) fn sent(&mut self, now: Instant, span: Span) {
        self.under_way = self.under_way.saturating_sub(span.length);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BLOCK;

    fn block(piece: u32) -> Span {
        Span { piece, begin: 0, length: BLOCK }
    }

    #[test]
    fn few_are_under_way_and_not_too_many_wait() {
        let now = Instant::now();
        let mut upload = Upload::new(now);
        assert_eq!((0..1000).filter(|&piece| upload.ask(block(piece))).count(), QUEUE);
        let first: Vec<_> = std::iter::from_fn(|| upload.next()).collect();
        assert_eq!(first, (0..UNDER_WAY / BLOCK).map(block).collect::<Vec<_>>());
        upload.sent(now, block(0));
        assert_eq!((upload.next(), upload.next()), (Some(block(16)), None));
        assert!(upload.cancel(block(17)) && !upload.cancel(block(17)) && !upload.cancel(block(1)));
        assert_eq!(upload.refuse(|_, span| span.piece != 18).len(), QUEUE - 19);
        for piece in 1..=16 {
            upload.sent(now, block(piece));
        }
        assert_eq!((upload.next(), upload.next()), (Some(block(18)), None));
    }
}
