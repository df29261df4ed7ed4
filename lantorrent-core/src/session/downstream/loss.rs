//! What happens when a child, or somebody who might become one, is gone or of no use. PROTOCOL.md, "Repair".

use super::Downstream;
use crate::session::attempt::{Attempt, Loss};
use crate::session::child::{Child, Reader, SILENT, Stage};
use crate::session::context::Context;
use crate::session::io::{LinkId, Now, Output};
use crate::session::run::{Left, Lost, Run};
use crate::session::share::share;
use crate::wire::{Code, Destination, NodeState, Progress, Wire};

impl Downstream {
    /// A connection could not be made, or has ended.
    pub(in crate::session) fn closed(&mut self, ctx: &mut Context, now: Now, link: LinkId, why: &str) {
        let Some((_, child)) = self.find(link) else {
            // Its name could not be looked up.
            return self.lose(ctx, now, link, Code::CANNOT_CONNECT, why);
        };
        let refusal = match &child.reader {
            Reader::Wire2(reader) => reader.finish(),
            Reader::Wire1(_) | Reader::None => child.refusal.take(),
        };
        if let Some(report) = refusal {
            return self.refused(ctx, now, link, &report);
        }
        let code = match child.stage {
            Stage::Connecting => Code::CANNOT_CONNECT,
            _ => Code::CONNECTION_LOST,
        };
        self.lose(ctx, now, link, code, why);
    }

    /// A link is of no use any more. Whose run it is goes on: with the same node over a fresh connection, with the
    /// next, or not at all.
    pub(super) fn lose(&mut self, ctx: &mut Context, now: Now, link: LinkId, code: Code, why: &str) {
        if let Some(at) = self.asking(link) {
            let Some(mut attempt) = self.runs[at].take_attempt(link) else { return };
            // Other addresses of the same node may still answer.
            return match attempt.lose(link, code, why, &mut self.ids, ctx, now.instant) {
                None => self.runs[at].put_attempt(attempt),
                Some(loss) => self.lose_attempt(ctx, now, at, &attempt, &loss),
            };
        }
        let Some((at, _)) = self.find(link) else { return };
        if let Some(child) = self.runs[at].child.take() {
            ctx.out.push_back(Output::Close(link));
            match (self.aborting, ctx.wire()) {
                (None, Wire::Two) => self.lose_child(ctx, now, at, &child, code, why),
                (Some(_), _) | (None, Wire::One) => self.lose_for_good(ctx, at, &child, code, why),
            }
        }
    }

    /// Somebody who was asked does not answer, or answers with no.
    pub(super) fn lose_attempt(
        &mut self,
        ctx: &mut Context,
        now: Now,
        at: usize,
        attempt: &Attempt,
        loss: &Loss,
    ) {
        let Loss { stage, code, why } = loss;
        let run = &mut self.runs[at];
        if let Some(left) = &mut run.left {
            left.claim_at = now.instant + ctx.timing.reclaim;
            return;
        }
        if run.asks(attempt.place) {
            // Over another connection.
            return;
        }
        let once_more = *stage == Stage::Greeting && *code != Code::TIMED_OUT && self.asks_once_more(at);
        let run = &mut self.runs[at];
        if *stage == Stage::Challenged || once_more {
            // It did its part, and nobody had use for it yet.
            run.resume_at(attempt.place);
        } else {
            self.skip(ctx, at, attempt.place, &attempt.node, *code, why);
        }
        self.seek(ctx, now, at);
    }

    /// Whether a node that did not let this side in is to be asked again. What a damaged header or proof is answered with
    /// cannot be told from a refusal, and where each node is asked by itself no other will ask this one.
    fn asks_once_more(&mut self, at: usize) -> bool {
        self.most != usize::MAX && !std::mem::replace(&mut self.runs[at].asked_again, true)
    }

    /// Reports a node that will not be a child, for now.
    pub(super) fn skip(
        &mut self,
        ctx: &mut Context,
        at: usize,
        place: usize,
        node: &Destination,
        code: Code,
        why: &str,
    ) {
        if !ctx.results.heard_of_all([node]) {
            log::warn!("skipped {node}: {why}");
            self.note(node, NodeState::Failed, 0);
        }
        // Who was fed before may be whole by now, and so may those behind.
        let (code, message) = if self.runs[at].retried == Some(place) {
            (Code::LOST, format!("connection lost, and then: {why}"))
        } else if self.runs[at].lost > Lost::Nobody {
            (Code::LOST, why.to_owned())
        } else {
            (code, format!("{} {node}: {why}", code.meaning()))
        };
        ctx.report_for([node], self.by, code, &message);
    }

    /// Those behind that place may be served from there, and nobody here gets to know it.
    fn lose_sight(&mut self, ctx: &mut Context, at: usize, place: usize) {
        let lost = if self.end_is_known() { Lost::Finished } else { Lost::Unfinished };
        let run = &mut self.runs[at];
        run.lost = run.lost.max(lost);
        if run.lost == Lost::Finished {
            ctx.lose_sight(run.behind(place), self.by);
        }
    }

    /// Whether those in a run may be whole, whatever others say of them. What comes of an abort is certain.
    pub(super) fn may_be_whole(&self, at: usize) -> bool {
        self.runs[at].lost == Lost::Finished && self.aborting.is_none()
    }

    /// A chosen child is lost on wire 2.
    fn lose_child(&mut self, ctx: &mut Context, now: Now, at: usize, child: &Child, code: Code, why: &str) {
        if child.stage >= Stage::Opening {
            self.lose_sight(ctx, at, child.place);
        }
        let run = &mut self.runs[at];
        if !ctx.adopting {
            // Perhaps it has only lost patience with who cannot serve it. It is the first to be asked when that is over.
            run.resume_at(child.place);
            return;
        }
        if child.stage == Stage::Proving {
            if let Some(left) = &mut run.left {
                left.claim_at = now.instant + ctx.timing.reclaim;
                return;
            }
            if self.asks_once_more(at) {
                self.runs[at].resume_at(child.place);
            } else if !self.runs[at].asks(child.place) {
                self.skip(ctx, at, child.place, &child.node, code, why);
            }
            return self.seek(ctx, now, at);
        }
        let silent = code == Code::TIMED_OUT;
        let done = ctx.results.settled(&child.node);
        if !silent && !done && run.retried != Some(child.place) {
            run.retried = Some(child.place);
            run.resume_at(child.place);
            return self.seek(ctx, now, at);
        }
        let lasted = if why == SILENT {
            format!("silent for {:.1} s", child.silence(now.instant).as_secs_f64())
        } else {
            why.to_owned()
        };
        self.bypass(ctx, now, at, child, Code::LOST, &lasted);
    }

    /// The chain goes on without a child that was let in. In a tree the heads of what it had shared out are taken up.
    pub(super) fn bypass(
        &mut self,
        ctx: &mut Context,
        now: Now,
        at: usize,
        child: &Child,
        code: Code,
        why: &str,
    ) {
        let message = match self.length.filter(|&length| length > 0 && child.stage == Stage::Feeding) {
            Some(length) => format!("{why}, at {} %", child.sent.saturating_mul(100) / length),
            None => why.to_owned(),
        };
        self.lose_sight(ctx, at, child.place);
        self.report_lost(ctx, child, code, &message);
        let degree = child.node.degree.unwrap_or(ctx.header.degree);
        if degree > 1 {
            self.adopt_behind(ctx, now, at, &child.node, child.place);
        }
        self.runs[at].resume_at(child.place + 1);
        self.seek(ctx, now, at);
    }

    fn report_lost(&mut self, ctx: &mut Context, child: &Child, code: Code, message: &str) {
        let node = &child.node;
        if !ctx.results.heard_of_all([node]) {
            log::warn!("bypassed {node}: {message}");
            self.note(node, NodeState::Failed, child.sent);
        }
        ctx.report_for([node], self.by, code, message);
    }

    /// Those behind a node become runs of their own, as that node had shared them out.
    fn adopt_behind(&mut self, ctx: &mut Context, now: Now, at: usize, node: &Destination, place: usize) {
        let lost = self.runs[at].lost;
        let behind = self.runs[at].cut_behind(place);
        let first = self.runs.len();
        let runs = share(behind, node.degree.unwrap_or(ctx.header.degree));
        self.runs.extend(runs.into_iter().filter_map(Run::new).map(|run| run.behind_lost(lost)));
        for run in first..self.runs.len() {
            self.seek(ctx, now, run);
        }
    }

    /// A child is taken, or kept, by another upstream. It is asked for again now and then: that one may be gone soon.
    pub(super) fn left(&mut self, ctx: &mut Context, now: Now, at: usize) {
        let run = &mut self.runs[at];
        let Some(child) = run.child.take() else { return };
        log::info!("{} has another upstream", child.node);
        run.attempts.drain(..).for_each(|attempt| attempt.close(ctx));
        ctx.out.push_back(Output::Close(child.link));
        run.left = Some(Left { place: child.place, claim_at: now.instant + ctx.timing.reclaim });
    }

    /// A child goes on by itself, and somebody else has to serve those behind it.
    pub(super) fn stepped_aside(&mut self, ctx: &mut Context, now: Now, at: usize) {
        let Some(child) = &self.runs[at].child else { return };
        log::info!("{} cannot serve those behind it", child.node);
        let (node, place) = (child.node.clone(), child.place);
        let alone = Progress::of_node(NodeState::Receiving, child.progress.greatest);
        self.lose_sight(ctx, at, place);
        self.adopt_behind(ctx, now, at, &node, place);
        if let Some(child) = &mut self.runs[at].child {
            child.progress = alone;
        }
        self.close_if_complete(ctx, now, at);
    }

    /// A child is lost, and nobody takes its place.
    fn lose_for_good(&mut self, ctx: &mut Context, at: usize, child: &Child, code: Code, why: &str) {
        let node = &child.node;
        let message = format!("lost {node}: {why}");
        log::warn!("{message}");
        let run = &mut self.runs[at];
        run.over = true;
        run.resume_at(child.place);
        let news = !ctx.results.heard_of_all([node]);
        match ctx.wire() {
            // Who asked by wire 1 is told of everything behind, for lack of anybody else who would.
            Wire::One => ctx.report_for(run.rest(), self.by, code, &message),
            // It may be whole by now, whatever came between: only the node itself knows.
            Wire::Two => ctx.report_for([node], self.by, Code::LOST, &message),
        }
        if news {
            self.note(node, NodeState::Failed, child.sent);
        }
    }

    /// Nobody is sought any more, since nobody is there to serve them for. Who takes the payload goes on with it.
    pub(in crate::session) fn suspend(&mut self, ctx: &mut Context) {
        for run in self.runs.iter_mut().filter(|run| !run.over) {
            let chosen = run.child.take_if(|child| child.stage == Stage::Proving);
            let asked = run.attempts.iter().map(|attempt| attempt.place);
            if let (Some(place), None) = (asked.chain(chosen.iter().map(|child| child.place)).min(), run.left)
            {
                run.resume_at(place);
            }
            run.attempts.drain(..).for_each(|attempt| attempt.close(ctx));
            ctx.out.extend(chosen.map(|child| Output::Close(child.link)));
        }
    }

    /// What a child needs cannot be had here. Returns whether this side has to step aside.
    pub(in crate::session) fn unservable(&mut self, ctx: &mut Context, now: Now, link: LinkId) -> bool {
        if self.by.is_none() || ctx.wire() == Wire::One {
            self.lose(ctx, now, link, Code::SOURCE_FAILED, "its part of the file cannot be read back");
            return false;
        }
        true
    }
}
