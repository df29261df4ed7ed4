//! A contiguous part of the list, one child of which is fed: which node that is, and which comes next where it cannot be
//! had.

use core::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::child::{Child, Stage};
use super::context::Context;
use super::io::{Feeds, LinkId};
use super::outgoing::{Outgoing, Purpose};
use super::timing::Timing;
use crate::wire::{Destination, Progress, Wire};

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

/// What was lost in a run, or before it: the nodes behind may be served from there, and nothing of that is heard here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lost {
    Nothing,
    /// A child that cannot have had the end of the payload.
    Unfinished,
    /// A child that may have had all of it, so that the nodes behind may be whole, whatever others say of them.
    Finished,
}

/// A node that is asked to become the child.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Its place in its run.
    pub(super) place: usize,
    pub(super) handshake: Box<Outgoing>,
}

/// Which step of becoming a child the run is at.
///
/// ```text
///             candidate chosen            accepted
///   Seeking ───────────────────▶ Chosen ────────────▶ Fed
///      ▲                            │                  │
///      └──── lost, bypassed, left ──┴──────────────────┤
///                                                      ▼ heard out, lost for good, aborted
///   Seeking, Chosen ── no candidate left, aborted ──▶ Over
/// ```
///
/// A run whose child has another upstream seeks that child alone; see [`Run::left`].
#[derive(Debug)]
pub(super) enum State {
    /// Candidates are asked.
    Seeking,
    /// That one is sent the proof. The others are still asked, in case it does not accept.
    Chosen(Candidate),
    /// The child is let in.
    Fed(Box<Child>),
    /// Nothing comes from it any more. With what the last child said of itself and all behind it.
    Over(Option<Progress>),
}

#[derive(Debug)]
pub(super) struct Run {
    /// All in it, in order.
    nodes: Vec<Destination>,
    /// The indices of all that it answers for.
    pub(super) places: RangeInclusive<u32>,
    pub(super) state: State,
    /// Candidates that are being asked, in order.
    pub(super) candidates: Vec<Candidate>,
    /// The place of the next candidate.
    next: usize,
    /// When the next one is asked too, although another has not answered yet.
    launch_at: Option<Instant>,
    pub(super) left: Option<Left>,
    /// The place of the child that was given a fresh connection after it lost one, which is done once.
    pub(super) retried: Option<usize>,
    /// Whether a node that is asked by itself was asked twice.
    pub(super) asked_again: bool,
    pub(super) lost: Lost,
}

impl Run {
    /// None for no node.
    pub(super) fn new(nodes: Vec<Destination>) -> Option<Self> {
        let places = nodes.first()?.index..=nodes.last()?.index;
        Some(Self {
            nodes,
            places,
            state: State::Seeking,
            candidates: Vec::new(),
            next: 0,
            launch_at: None,
            left: None,
            retried: None,
            asked_again: false,
            lost: Lost::Nothing,
        })
    }

    /// The same, behind what was lost.
    pub(super) fn behind_lost(self, lost: Lost) -> Self {
        Self { lost, ..self }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Over(_))
    }

    /// Nothing comes from it any more.
    pub(super) fn end(&mut self) {
        let last = match std::mem::replace(&mut self.state, State::Seeking) {
            State::Fed(child) => Some(child.progress),
            State::Over(last) => last,
            State::Seeking | State::Chosen(_) => None,
        };
        self.state = State::Over(last);
    }

    pub(super) fn child(&self) -> Option<&Child> {
        match &self.state {
            State::Fed(child) => Some(child),
            _ => None,
        }
    }

    pub(super) fn child_mut(&mut self) -> Option<&mut Child> {
        match &mut self.state {
            State::Fed(child) => Some(child),
            _ => None,
        }
    }

    /// Takes the child out, if that is so: another one is sought.
    pub(super) fn take_child_if(&mut self, is_so: impl FnOnce(&Child) -> bool) -> Option<Child> {
        match std::mem::replace(&mut self.state, State::Seeking) {
            State::Fed(child) if is_so(&child) => Some(*child),
            other => {
                self.state = other;
                None
            }
        }
    }

    pub(super) fn take_child(&mut self) -> Option<Child> {
        self.take_child_if(|_| true)
    }

    /// The candidate that was sent the proof.
    pub(super) fn take_chosen(&mut self) -> Option<Candidate> {
        match std::mem::replace(&mut self.state, State::Seeking) {
            State::Chosen(candidate) => Some(candidate),
            other => {
                self.state = other;
                None
            }
        }
    }

    /// The place of the child, or of the candidate that may be it soon.
    fn taken(&self) -> Option<usize> {
        match &self.state {
            State::Chosen(candidate) => Some(candidate.place),
            State::Fed(child) => Some(child.place),
            State::Seeking | State::Over(_) => None,
        }
    }

    /// The nodes that are still of interest: the child, or the next candidate, and all behind.
    pub(super) fn rest(&self) -> &[Destination] {
        let first = self.candidates.first().map_or(self.next, |candidate| candidate.place.min(self.next));
        let from = self.taken().unwrap_or(first);
        &self.nodes[from.min(self.nodes.len())..]
    }

    /// The node that has that place in the source's list.
    pub(super) fn node(&self, index: u32) -> Option<&Destination> {
        let at = self.nodes.binary_search_by_key(&index, |node| node.index).ok()?;
        self.nodes.get(at)
    }

    /// All behind the one at that place.
    pub(super) fn behind(&self, place: usize) -> &[Destination] {
        &self.nodes[(place + 1).min(self.nodes.len())..]
    }

    /// Takes all behind that place out of the run. What the run still answers for ends there.
    pub(super) fn cut_behind(&mut self, place: usize) -> Vec<Destination> {
        let behind = self.nodes.split_off((place + 1).min(self.nodes.len()));
        let last = self.nodes.last().map_or(*self.places.start(), |node| node.index);
        self.places = *self.places.start()..=last;
        self.next = self.next.min(self.nodes.len());
        behind
    }

    /// Whether its child is ready, or none is sought any more.
    pub(super) fn settled(&self) -> bool {
        let ready = self.child().is_some_and(|child| child.stage >= Stage::Feeding);
        self.is_over() || self.left.is_some() || ready
    }

    /// Whether something goes on in it.
    pub(super) fn active(&self) -> bool {
        match self.state {
            State::Seeking => !self.candidates.is_empty(),
            State::Chosen(_) | State::Fed(_) => true,
            State::Over(_) => false,
        }
    }

    /// Whether a candidate is still to be chosen.
    pub(super) fn seeks(&self) -> bool {
        matches!(self.state, State::Seeking)
    }

    /// Whether nothing goes on in it: it waits for the upstream that children are sought for.
    pub(super) fn waits(&self) -> bool {
        !self.is_over() && self.left.is_none() && !self.active()
    }

    /// A child is let in.
    pub(super) fn feed(&mut self, child: Child) {
        self.state = State::Fed(Box::new(child));
    }

    /// Whether a child was let in, and is not heard out.
    pub(super) fn serves(&self) -> bool {
        !self.is_over() && (self.child().is_some() || self.left.is_some())
    }

    /// Takes out the candidate that a link belongs to, be it the chosen one.
    pub(super) fn take_candidate(&mut self, link: LinkId) -> Option<(Candidate, Role)> {
        if matches!(&self.state, State::Chosen(chosen) if chosen.handshake.has(link)) {
            return Some((self.take_chosen()?, Role::Chosen));
        }
        let at = self.candidates.iter().position(|candidate| candidate.handshake.has(link))?;
        Some((self.candidates.remove(at), Role::Asked))
    }

    /// Puts a candidate where it belongs.
    pub(super) fn put(&mut self, candidate: Candidate, role: Role) {
        match role {
            Role::Asked => {
                let at = self.candidates.partition_point(|other| other.place <= candidate.place);
                self.candidates.insert(at, candidate);
            }
            Role::Chosen => self.state = State::Chosen(candidate),
        }
    }

    /// From that place on every node is a candidate again.
    pub(super) fn resume_at(&mut self, place: usize) {
        self.next = place;
        self.launch_at = None;
    }

    /// Asks no candidate any more.
    pub(super) fn drop_candidates(&mut self, ctx: &mut Context<impl Feeds>) {
        self.candidates.drain(..).for_each(|candidate| candidate.handshake.close(ctx));
    }

    /// The place of the next candidate that may be asked now, if there is one. Those that there is word of are passed
    /// over: a node that has the file needs nothing, and one that was found dead or unable is asked at the end once more.
    pub(super) fn candidate(&mut self, ctx: &Context<impl Feeds>, now: Instant) -> Option<usize> {
        if let Some(left) = self.left {
            return (self.candidates.is_empty() && left.claim_at <= now).then_some(left.place);
        }
        while self.nodes.get(self.next).is_some_and(|node| ctx.results.heard_of_all([node])) {
            self.next += 1;
        }
        let at_once = match ctx.wire() {
            Wire::One => 1,
            Wire::Two => RACE,
        };
        let due = self.candidates.is_empty() || self.launch_at.is_some_and(|at| at <= now);
        (due && self.candidates.len() < at_once && self.next < self.nodes.len()).then_some(self.next)
    }

    /// That candidate is being asked.
    pub(super) fn launch(
        &mut self,
        place: usize,
        purpose: Purpose,
        ctx: &mut Context<impl Feeds>,
        now: Instant,
    ) {
        if self.left.is_none() {
            self.next = place + 1;
            self.launch_at = Some(now + ctx.timing.race);
        }
        let handshake = Box::new(Outgoing::begin(self.nodes[place].clone(), purpose, ctx, now));
        self.put(Candidate { place, handshake }, Role::Asked);
    }

    /// Asks the only candidate a second time beside the first.
    pub(super) fn ask_beside(&mut self, ctx: &mut Context<impl Feeds>, now: Instant) {
        let Some(Candidate { place, handshake }) = self.candidates.first() else { return };
        let second = Candidate { place: *place, handshake: Box::new(handshake.again(ctx, now)) };
        self.asked_again = true;
        self.put(second, Role::Asked);
    }

    /// Whether there is a connection to the one at that place.
    pub(super) fn asks(&self, place: usize) -> bool {
        let asked = self.candidates.iter().map(|candidate| candidate.place);
        self.taken().into_iter().chain(asked).any(|asked| asked == place)
    }

    /// When a node that is asked by itself, and once so far, should have answered unless something was damaged.
    pub(super) fn doubted_at(&self, timing: &Timing) -> Option<Instant> {
        let [Candidate { handshake, .. }] = &self.candidates[..] else { return None };
        let silent = handshake.is_silent() && !self.asked_again;
        silent.then(|| handshake.asked_until(timing.direct / 2))
    }

    /// Whether there is no candidate left.
    pub(super) fn exhausted(&self) -> bool {
        self.left.is_none()
            && self.taken().is_none()
            && self.candidates.is_empty()
            && self.next >= self.nodes.len()
    }

    /// The first candidate that has answered, if none before it is still waited for: how many come before it.
    pub(super) fn choice(&self, ctx: &Context<impl Feeds>, now: Instant) -> Option<usize> {
        let best = self.candidates.iter().position(|candidate| candidate.handshake.is_challenged())?;
        self.grace_over(ctx, best).is_none_or(|at| at <= now).then_some(best)
    }

    /// Until when the candidates before that one are waited for.
    fn grace_over(&self, ctx: &Context<impl Feeds>, best: usize) -> Option<Instant> {
        let early = self.candidates[..best].iter();
        early.map(|candidate| candidate.handshake.asked_until(ctx.timing.grace)).max()
    }

    /// When something is due that has to do with candidates.
    pub(super) fn seek_at(&self, ctx: &Context<impl Feeds>) -> Option<Instant> {
        if self.taken().is_some() {
            return None;
        }
        if let Some(left) = self.left {
            return self.candidates.is_empty().then_some(left.claim_at);
        }
        let launch = self
            .launch_at
            .filter(|_| self.next < self.nodes.len() && (1..RACE).contains(&self.candidates.len()))
            .filter(|_| ctx.wire() == Wire::Two);
        let best = self.candidates.iter().position(|candidate| candidate.handshake.is_challenged());
        let chosen = best.and_then(|best| self.grace_over(ctx, best));
        [launch, chosen].into_iter().flatten().min()
    }

    /// This side stood still for so long, and cannot tell which of them fell silent meanwhile.
    pub(super) fn excuse(&mut self, late: Duration) {
        match &mut self.state {
            State::Chosen(candidate) => candidate.handshake.excuse(late),
            State::Fed(child) => child.excuse(late),
            State::Seeking | State::Over(_) => {}
        }
        self.candidates.iter_mut().for_each(|candidate| candidate.handshake.excuse(late));
    }
}

/// Whether a candidate was sent the proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Asked,
    Chosen,
}
