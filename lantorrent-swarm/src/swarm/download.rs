//! What one peer is asked for, and how much of it at a time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::rate::Rate;
use crate::{BLOCK, Span};

/// Requests that a peer gets at least, whatever its rate.
const LEAST: usize = 4;
/// Requests that a peer gets at most.
const MOST: usize = 500;
/// Requests wait at a peer for so long: long enough for any delay on the way, short enough not to bind what others could
/// send sooner.
const AHEAD: Duration = Duration::from_millis(250);
/// The rest of a piece that is begun is asked for at once, if it comes within this time and has no more blocks than that: a
/// seed can send it whole then, and we can pass it on.
const WHOLE: Duration = Duration::from_secs(2);
const MOST_WHOLE: usize = 64;
/// A peer that owes us blocks and sends none for so long is snubbed: its blocks are asked of others.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a peer is left alone that has rejected a request.
const PAUSE: Duration = Duration::from_secs(1);
/// Pieces that are remembered as suggested, or allowed while choked.
const REMEMBERED: usize = 32;

/// How many more requests a peer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// For anything.
    pub(super) any: usize,
    /// If they are for the piece that it was asked for last; at least as many.
    pub(super) same_piece: usize,
}

/// Whether a block that a peer was asked for is still counted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hope {
    Expected,
    /// It may be asked of others, but it is taken if it comes.
    Late,
}

/// One peer as somebody who sends to us.
#[derive(Clone, Debug)]
pub(super) struct Download {
    requests: VecDeque<(Span, Hope)>,
    /// They answer no requests.
    pub(super) choked: bool,
    /// We have told them that we are interested.
    pub(super) interested: bool,
    snubbed: bool,
    suggested: VecDeque<u32>,
    allowed: VecDeque<u32>,
    /// How many requests may wait at it.
    queue: usize,
    pub(super) rate: Rate,
    /// When a block has come, or the first request was sent after a time without any.
    progress: Instant,
    paused_until: Option<Instant>,
}

impl Download {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            requests: VecDeque::new(),
            choked: true,
            interested: false,
            snubbed: false,
            suggested: VecDeque::new(),
            allowed: VecDeque::new(),
            queue: MOST,
            rate: Rate::default(),
            progress: now,
            paused_until: None,
        }
    }

    /// It wants no more requests than that to wait (`reqq` of BEP 10).
    pub(super) fn limit(&mut self, requests: u32) {
        self.queue = (requests as usize).clamp(1, MOST);
    }

    /// How many more requests it gets now.
    pub(super) fn room(&self, now: Instant) -> Room {
        let paused = self.paused_until.is_some_and(|until| now < until);
        if paused || (self.choked && self.allowed.is_empty()) {
            return Room { any: 0, same_piece: 0 };
        }
        let any = if self.snubbed { 1 } else { LEAST + self.blocks_within(now, AHEAD) };
        let whole = match self.rate.total() {
            _ if self.snubbed => 1,
            0 => MOST_WHOLE,
            _ => self.blocks_within(now, WHOLE).min(MOST_WHOLE),
        };
        let room = |wanted: usize| wanted.min(self.queue).saturating_sub(self.requests.len());
        Room { any: room(any), same_piece: room(any.max(whole)) }
    }

    /// How many blocks it sends in that time.
    fn blocks_within(&self, now: Instant, time: Duration) -> usize {
        let blocks = self.rate.value(now) * time.as_millis() as u64 / 1000 / u64::from(BLOCK);
        usize::try_from(blocks).unwrap_or(MOST)
    }

    /// Whether that piece may be asked for.
    pub(super) fn allows(&self, piece: u32) -> bool {
        !self.choked || self.allowed.contains(&piece)
    }

    pub(super) fn is_asked(&self, span: Span) -> bool {
        self.requests.iter().any(|(asked, _)| *asked == span)
    }

    pub(super) fn outstanding(&self) -> usize {
        self.requests.len()
    }

    /// The piece that it was asked for last.
    pub(super) fn newest(&self) -> Option<u32> {
        self.requests.back().map(|(span, _)| span.piece)
    }

    pub(super) fn works_on(&self, piece: u32) -> bool {
        self.requests.iter().any(|(span, hope)| span.piece == piece && *hope == Hope::Expected)
    }

    pub(super) fn ask(&mut self, now: Instant, span: Span) {
        if self.requests.is_empty() {
            self.progress = now;
        }
        self.requests.push_back((span, Hope::Expected));
        self.suggested.retain(|piece| *piece != span.piece);
    }

    /// A block has come. None if it was not asked for; otherwise whether others are free to be asked for it already.
    pub(super) fn came(&mut self, now: Instant, span: Span) -> Option<Taken> {
        let at = self.requests.iter().position(|(asked, _)| *asked == span)?;
        let (_, hope) = self.requests.remove(at)?;
        self.progress = now;
        self.snubbed = false;
        self.rate.add(now, span.length);
        Some(if hope == Hope::Expected { Taken::Expected } else { Taken::Late })
    }

    /// The request is not open any more. None if it was not.
    pub(super) fn withdraw(&mut self, span: Span) -> Option<Taken> {
        let at = self.requests.iter().position(|(asked, _)| *asked == span)?;
        let (_, hope) = self.requests.remove(at)?;
        Some(if hope == Hope::Expected { Taken::Expected } else { Taken::Late })
    }

    /// It has rejected something.
    pub(super) fn pause(&mut self, now: Instant) {
        if !self.choked {
            self.paused_until = Some(now + PAUSE);
        }
    }

    /// It answers requests from now on. False if it did before.
    pub(super) fn unchoked(&mut self, now: Instant) -> bool {
        self.progress = now;
        self.paused_until = None;
        std::mem::replace(&mut self.choked, false)
    }

    pub(super) fn suggest(&mut self, piece: u32) {
        remember(&mut self.suggested, piece);
    }

    /// What it suggests, the oldest first.
    pub(super) fn suggested(&self) -> impl Iterator<Item = u32> {
        self.suggested.iter().copied()
    }

    pub(super) fn allow(&mut self, piece: u32) {
        remember(&mut self.allowed, piece);
    }

    /// All requests that count, which will not be answered.
    pub(super) fn abandon(&mut self) -> Vec<Span> {
        let all = self.requests.drain(..);
        all.filter(|(_, hope)| *hope == Hope::Expected).map(|(span, _)| span).collect()
    }

    /// If it has been silent for too long: the requests that others may be asked for now.
    pub(super) fn snub(&mut self, now: Instant) -> Vec<Span> {
        if self.requests.is_empty() || now < self.progress + PATIENCE {
            return Vec::new();
        }
        self.progress = now;
        self.snubbed = true;
        // What was late by then is not waited for any more.
        self.requests.retain(|(_, hope)| *hope == Hope::Expected);
        self.requests.iter_mut().for_each(|(_, hope)| *hope = Hope::Late);
        self.requests.iter().map(|(span, _)| *span).collect()
    }
}

/// How a block was asked for that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Expected,
    Late,
}

fn remember(list: &mut VecDeque<u32>, piece: u32) {
    if !list.contains(&piece) {
        if list.len() == REMEMBERED {
            list.pop_front();
        }
        list.push_back(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(number: u32) -> Span {
        Span { piece: number, begin: 0, length: BLOCK }
    }

    fn willing(now: Instant) -> Download {
        let mut download = Download::new(now);
        assert!(download.unchoked(now));
        download
    }

    #[test]
    fn requests_are_as_many_as_a_quarter_of_a_second_takes() {
        let start = Instant::now();
        let mut download = willing(start);
        assert_eq!(download.room(start), Room { any: LEAST, same_piece: MOST_WHOLE });
        for step in 0..200 {
            let now = start + Duration::from_millis(step * 10);
            download.ask(now, block(0));
            assert_eq!(download.came(now, block(0)), Some(Taken::Expected));
        }
        // A hundred blocks in a second.
        let room = download.room(start + Duration::from_millis(1999));
        assert!((26..=29).contains(&room.any) && room.same_piece == MOST_WHOLE, "{room:?}");
        download.limit(3);
        assert_eq!(download.room(start + Duration::from_secs(2)), Room { any: 3, same_piece: 3 });
        download.limit(0);
        assert_eq!(download.room(start + Duration::from_secs(2)).any, 1);
    }

    #[test]
    fn a_silent_peer_is_snubbed_and_taken_back() {
        let start = Instant::now();
        let mut download = willing(start);
        for number in 0..4 {
            download.ask(start, block(number));
        }
        assert_eq!(download.snub(start + PATIENCE / 2), []);
        let late = start + PATIENCE;
        assert_eq!(download.snub(late), [0, 1, 2, 3].map(block));
        assert_eq!(download.came(late, block(2)), Some(Taken::Late));
        assert_eq!(download.came(late, block(2)), None);
        assert_eq!(download.room(late).any, LEAST + 2 - 3, "as if it had sent 8 in a second");
        assert_eq!(download.snub(late + PATIENCE), []);
        assert_eq!(download.outstanding(), 0, "what was late twice is not waited for");
    }

    #[test]
    fn who_rejects_is_left_alone_for_a_while() {
        let now = Instant::now();
        let mut download = willing(now);
        download.ask(now, block(1));
        assert_eq!(download.withdraw(block(1)), Some(Taken::Expected));
        download.pause(now);
        assert_eq!((download.room(now).any, download.room(now + PAUSE).any), (0, LEAST));
    }

    #[test]
    fn what_is_allowed_while_choked() {
        let now = Instant::now();
        let mut download = Download::new(now);
        assert_eq!(download.room(now), Room { any: 0, same_piece: 0 });
        download.allow(3);
        assert!(download.room(now).any > 0 && download.allows(3) && !download.allows(4));
        for piece in 0..1000 {
            download.allow(piece);
        }
        assert_eq!(download.allowed.len(), REMEMBERED);
    }
}
