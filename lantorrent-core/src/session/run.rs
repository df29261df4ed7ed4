//! A contiguous part of the list, one child of which is fed: who it is, and who comes next where it cannot be had.

use core::ops::RangeInclusive;
use std::time::Instant;

use super::attempt::Attempt;
use super::child::{Child, Stage};
use super::context::Context;
use super::io::{LinkId, LinkIds};
use super::timing::Timing;
use crate::wire::{Destination, Wire};

/// Candidates that are asked at the same time.
const RACE: usize = 16;

/// How a run stands that another upstream has taken over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    /// The place of the child that left.
    pub(super) place: usize,
    /// When to ask for it again.
    pub(super) claim_at: Instant,
}

/// Who was let in, in a run or before it, and lost: those behind may be served from there, and nobody here knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lost {
    Nobody,
    /// Somebody who cannot have had the end of the payload.
    Unfinished,
    /// Somebody who may have had all of it, so that those behind may be whole, whatever others say of them.
    Finished,
}

#[derive(Debug)]
pub(super) struct Run {
    /// Everybody in it, in order.
    nodes: Vec<Destination>,
    /// The indices of all that it answers for.
    pub(super) places: RangeInclusive<u32>,
    /// Who is to be asked next.
    next: usize,
    /// When the next one is asked too, although another has not answered yet.
    launch_at: Option<Instant>,
    /// Candidates that are being asked, in order.
    pub(super) attempts: Vec<Attempt>,
    /// Who was chosen.
    pub(super) child: Option<Child>,
    pub(super) left: Option<Left>,
    /// The place of the child that was given a fresh connection after it lost one, which is done once.
    pub(super) retried: Option<usize>,
    /// Whether a node that is asked by itself was asked twice.
    pub(super) asked_again: bool,
    pub(super) lost: Lost,
    pub(super) over: bool,
}

impl Run {
    /// None for nobody.
    pub(super) fn new(nodes: Vec<Destination>) -> Option<Self> {
        let places = nodes.first()?.index..=nodes.last()?.index;
        Some(Self {
            nodes,
            places,
            next: 0,
            launch_at: None,
            attempts: Vec::new(),
            child: None,
            left: None,
            retried: None,
            asked_again: false,
            lost: Lost::Nobody,
            over: false,
        })
    }

    /// The same, behind somebody who was lost so.
    pub(super) fn behind_lost(self, lost: Lost) -> Self {
        Self { lost, ..self }
    }

    /// Those that are still of interest: the child, or who is to be asked next, and everybody behind.
    pub(super) fn rest(&self) -> &[Destination] {
        let first = self.attempts.first().map_or(self.next, |attempt| attempt.place.min(self.next));
        let from = self.child.as_ref().map_or(first, |child| child.place);
        &self.nodes[from.min(self.nodes.len())..]
    }

    /// The node that has that place in the source's list.
    pub(super) fn node(&self, index: u32) -> Option<&Destination> {
        let at = self.nodes.binary_search_by_key(&index, |node| node.index).ok()?;
        self.nodes.get(at)
    }

    /// Everybody behind the one at that place.
    pub(super) fn behind(&self, place: usize) -> &[Destination] {
        &self.nodes[(place + 1).min(self.nodes.len())..]
    }

    /// Takes everybody behind that place out of the run. What the run still answers for ends there.
    pub(super) fn cut_behind(&mut self, place: usize) -> Vec<Destination> {
        let behind = self.nodes.split_off((place + 1).min(self.nodes.len()));
        let last = self.nodes.last().map_or(*self.places.start(), |node| node.index);
        self.places = *self.places.start()..=last;
        self.next = self.next.min(self.nodes.len());
        behind
    }

    pub(super) fn find(&mut self, link: LinkId) -> Option<&mut Child> {
        if self.over {
            return None;
        }
        let asked = self.attempts.iter_mut().flat_map(Attempt::links_mut);
        self.child.iter_mut().chain(asked).find(|child| child.link == link)
    }

    /// Whether its child is ready, or nobody is sought any more.
    pub(super) fn settled(&self) -> bool {
        let ready = self.child.as_ref().is_some_and(|child| child.stage >= Stage::Feeding);
        self.over || self.left.is_some() || ready
    }

    /// Whether something goes on in it.
    pub(super) fn active(&self) -> bool {
        !self.over && (self.child.is_some() || !self.attempts.is_empty())
    }

    /// Whether somebody in it was let in, and is not heard out.
    pub(super) fn serves(&self) -> bool {
        let serves = self.child.as_ref().is_some_and(|child| child.stage >= Stage::Opening);
        !self.over && (serves || self.left.is_some())
    }

    /// Takes out the attempt that a link belongs to.
    pub(super) fn take_attempt(&mut self, link: LinkId) -> Option<Attempt> {
        let at = self.attempts.iter().position(|attempt| attempt.has(link))?;
        Some(self.attempts.remove(at))
    }

    /// From that place on everybody is a candidate again.
    pub(super) fn resume_at(&mut self, place: usize) {
        self.next = place;
        self.launch_at = None;
    }

    /// The place of the next candidate that may be asked now, if there is one. Those that there is word of are passed
    /// over: who has the file needs nobody, and who was found dead or unable is asked at the end once more.
    pub(super) fn candidate(&mut self, ctx: &Context, now: Instant) -> Option<usize> {
        if let Some(left) = self.left {
            return (self.attempts.is_empty() && left.claim_at <= now).then_some(left.place);
        }
        while self.nodes.get(self.next).is_some_and(|node| ctx.results.heard_of_all([node])) {
            self.next += 1;
        }
        let at_once = match ctx.wire() {
            Wire::One => 1,
            Wire::Two => RACE,
        };
        let due = self.attempts.is_empty() || self.launch_at.is_some_and(|at| at <= now);
        (due && self.attempts.len() < at_once && self.next < self.nodes.len()).then_some(self.next)
    }

    /// That candidate is being asked.
    pub(super) fn launch(&mut self, place: usize, ids: &mut LinkIds, ctx: &mut Context, now: Instant) {
        if self.left.is_none() {
            self.next = place + 1;
            self.launch_at = Some(now + ctx.timing.race);
        }
        self.put_attempt(Attempt::begin(place, self.nodes[place].clone(), ids, ctx, now));
    }

    /// Puts an attempt where it belongs by its place.
    pub(super) fn put_attempt(&mut self, attempt: Attempt) {
        let at = self.attempts.partition_point(|other| other.place <= attempt.place);
        self.attempts.insert(at, attempt);
    }

    /// Whether there is a connection to the one at that place.
    pub(super) fn asks(&self, place: usize) -> bool {
        let asked = self.attempts.iter().map(|attempt| attempt.place);
        self.child.iter().map(|child| child.place).chain(asked).any(|asked| asked == place)
    }

    /// When a node that is asked by itself, and once so far, should have answered unless something was damaged.
    pub(super) fn doubted_at(&self, timing: &Timing) -> Option<Instant> {
        let [attempt] = &self.attempts[..] else { return None };
        let silent = attempt.stage() <= Stage::Greeting && !self.asked_again;
        silent.then(|| attempt.asked_until(timing.direct / 2))
    }

    /// Whether there is anybody left to ask.
    pub(super) fn exhausted(&self) -> bool {
        self.left.is_none()
            && self.child.is_none()
            && self.attempts.is_empty()
            && self.next >= self.nodes.len()
    }

    /// The first candidate that has answered, if nobody before it is still waited for: how many come before it.
    pub(super) fn choice(&self, ctx: &Context, now: Instant) -> Option<usize> {
        let best = self.attempts.iter().position(|attempt| attempt.stage() == Stage::Challenged)?;
        let before = &self.attempts[..best];
        before.iter().all(|attempt| attempt.asked_until(ctx.timing.grace) <= now).then_some(best)
    }

    /// When something is due that has to do with candidates.
    pub(super) fn seek_at(&self, ctx: &Context) -> Option<Instant> {
        if self.child.is_some() {
            return None;
        }
        if let Some(left) = self.left {
            return self.attempts.is_empty().then_some(left.claim_at);
        }
        let launch = self
            .launch_at
            .filter(|_| self.next < self.nodes.len() && (1..RACE).contains(&self.attempts.len()))
            .filter(|_| ctx.wire() == Wire::Two);
        let best = self.attempts.iter().position(|attempt| attempt.stage() == Stage::Challenged);
        let before = best.and_then(|best| {
            self.attempts[..best].iter().map(|early| early.asked_until(ctx.timing.grace)).max()
        });
        [launch, before].into_iter().flatten().min()
    }
}
