//! What is due of the runs, and when.

use std::time::Instant;

use super::Downstream;
use crate::session::child;
use crate::session::context::Context;
use crate::session::io::{Control, FeedOutput, Feeds, Now};
use crate::session::outgoing::Outcome;
use crate::session::run::{Role, State};
use crate::session::timers::Timers;
use crate::wire::Code;

/// What may be due of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Of its child.
    Child(child::Timer),
    /// Of the candidate that was sent the proof.
    Chosen,
    /// The child has had its time to answer the abort.
    Abort,
    /// Of a candidate that is asked.
    Candidates,
    /// The only candidate is to be asked a second time.
    Beside,
    /// Another candidate is to be asked, or one that has answered to be chosen.
    Seek,
}

impl Downstream {
    /// When to call [`tick`](Self::tick) if nothing happens before.
    pub(in crate::session) fn deadline(&self, ctx: &Context<impl Feeds>) -> Option<Instant> {
        (0..self.runs.len()).filter_map(|at| self.timers(ctx, at).next()).min()
    }

    fn timers(&self, ctx: &Context<impl Feeds>, at: usize) -> Timers<Timer> {
        let (run, timing) = (&self.runs[at], &ctx.timing);
        let seeking = ctx.adopting && self.aborting.is_none();
        let mut timers = Timers::default();
        match &run.state {
            State::Over(_) => return timers,
            State::Seeking => {}
            State::Chosen(candidate) => {
                timers.set(Timer::Chosen, candidate.handshake.deadline(timing));
                timers.set(Timer::Abort, self.aborting);
            }
            State::Fed(child) => {
                let due = child.timers(timing);
                timers.set(Timer::Child(child::Timer::Silence), due.get(child::Timer::Silence));
                timers.set(Timer::Child(child::Timer::Stage), due.get(child::Timer::Stage));
                // A node without an upstream sends no sign of life: those behind may then be taken up by others.
                let idle = due.get(child::Timer::Idle).filter(|_| seeking);
                timers.set(Timer::Child(child::Timer::Idle), idle);
                timers.set(Timer::Abort, self.aborting);
            }
        }
        let asked = run.candidates.iter().filter_map(|candidate| candidate.handshake.deadline(timing));
        timers.set(Timer::Candidates, asked.min());
        timers.set(Timer::Beside, run.doubted_at(timing).filter(|_| self.is_star()));
        let crowded = self.is_star() && !run.active();
        timers.set(Timer::Seek, run.seek_at(ctx).filter(|_| seeking && !crowded));
        timers
    }

    pub(in crate::session) fn tick(&mut self, ctx: &mut Context<impl Feeds>, now: Now) {
        for at in 0..self.runs.len() {
            if !self.runs[at].is_over() {
                self.tick_run(ctx, now, at);
            }
        }
    }

    fn tick_run(&mut self, ctx: &mut Context<impl Feeds>, now: Now, at: usize) {
        let mut timers = self.timers(ctx, at);
        while let Some(timer) = timers.expired(now.instant) {
            match timer {
                Timer::Child(due) => self.tick_child(ctx, now, at, due),
                Timer::Chosen => self.tick_chosen(ctx, now, at),
                Timer::Abort => self.lose_unheard(ctx, now, at),
                // Where one was lost others are asked by now.
                Timer::Candidates if self.tick_candidates(ctx, now, at) => break,
                // Both are followed by what is next in the run.
                Timer::Candidates | Timer::Seek => {}
                // What was damaged or lost on its way may have no answer.
                Timer::Beside => self.runs[at].ask_beside(ctx, now.instant),
            }
        }
        // Also without a deadline: who may be asked depends on more than the time.
        self.seek(ctx, now, at);
    }

    fn tick_child(&mut self, ctx: &mut Context<impl Feeds>, now: Now, at: usize, due: child::Timer) {
        let Some(child) = self.runs[at].child_mut() else { return };
        let why = match due {
            child::Timer::Idle => {
                ctx.push(FeedOutput::Control(child.link(), Control::Idle));
                return child.idles(now.instant);
            }
            child::Timer::Silence => child::SILENT,
            child::Timer::Stage => child.late(),
        };
        self.lose(ctx, now, at, Code::TIMED_OUT, why);
    }

    fn tick_chosen(&mut self, ctx: &mut Context<impl Feeds>, now: Now, at: usize) {
        if let Some(mut candidate) = self.runs[at].take_chosen() {
            let outcome = candidate.handshake.tick(ctx, now);
            self.stepped(ctx, now, at, candidate, Role::Chosen, outcome);
        }
    }

    /// The child, or the candidate that was told of the abort, does not say how it ends.
    fn lose_unheard(&mut self, ctx: &mut Context<impl Feeds>, now: Now, at: usize) {
        let why = "no answer to the abort in time";
        match &self.runs[at].state {
            State::Fed(_) => self.lose(ctx, now, at, Code::ABORTED, why),
            State::Chosen(candidate) => {
                if let Some(link) = candidate.handshake.link() {
                    self.step(ctx, now, link, |candidate, _, ctx| {
                        candidate.handshake.lose(ctx, now, link, Code::ABORTED, why)
                    });
                }
            }
            State::Seeking | State::Over(_) => {}
        }
    }

    /// Returns whether nothing comes of one of them.
    fn tick_candidates(&mut self, ctx: &mut Context<impl Feeds>, now: Now, at: usize) -> bool {
        let mut lost = Vec::new();
        for mut candidate in std::mem::take(&mut self.runs[at].candidates) {
            match candidate.handshake.tick(ctx, now) {
                Outcome::Failed(loss) => lost.push((candidate, loss)),
                _ => self.runs[at].candidates.push(candidate),
            }
        }
        for (candidate, loss) in &lost {
            self.lose_candidate(ctx, now, at, candidate, loss);
        }
        !lost.is_empty()
    }
}
