//! What happens when a child, or a candidate, is gone or of no use. PROTOCOL.md, "Repair".

use super::Downstream;
use crate::session::child::{self, Child, SILENT};
use crate::session::context::Context;
use crate::session::io::{Feeds, LinkId, Now};
use crate::session::outgoing::{Loss, Stage};
use crate::session::run::{Candidate, Left, Lost, Run};
use crate::session::share::share;
use crate::wire::{Code, Destination, NodeState, Progress, Wire};

impl Downstream {
    /// A connection could not be made, or has ended.
    pub(super) fn closed(&mut self, ctx: &mut Context<impl Feeds>, now: Now, link: LinkId, why: &str) {
        let Some((at, child)) = self.find(ctx, link) else {
            self.step(ctx, now, link, |candidate, _, ctx| candidate.handshake.closed(ctx, now, link, why));
            return;
        };
        match child.connection.refusal().or_else(|| child.refusal.take()) {
            Some(report) => self.refused(ctx, now, at, &report),
            None => self.lose(ctx, now, at, Code::CONNECTION_LOST, why),
        }
    }

    /// A child is of no use any more. Its run goes on: with the same node over a fresh connection, with the next, or not
    /// at all.
    pub(super) fn lose(&mut self, ctx: &mut Context<impl Feeds>, now: Now, at: usize, code: Code, why: &str) {
        let Some(child) = self.runs[at].take_child() else { return };
        ctx.close(child.link());
        match (self.aborting, ctx.wire()) {
            (None, Wire::Two) => self.lose_child(ctx, now, at, &child, code, why),
            (Some(_), _) | (None, Wire::One) => {
                self.lose_for_good(ctx, at, (child.place, &child.node), child.sent, code, why);
            }
        }
    }

    /// A node that was asked does not answer, or answers with no.
    pub(super) fn lose_candidate(
        &mut self,
        ctx: &mut Context<impl Feeds>,
        now: Now,
        at: usize,
        candidate: &Candidate,
        loss: &Loss,
    ) {
        let Candidate { place, handshake } = candidate;
        let run = &mut self.runs[at];
        if let Some(left) = &mut run.left {
            left.claim_at = now.instant + ctx.timing.reclaim;
            return;
        }
        if run.asks(*place) {
            // Over another connection.
            return;
        }
        let once_more =
            loss.stage == Stage::HeaderSent && loss.code != Code::TIMED_OUT && self.asks_once_more(at);
        if matches!(loss.stage, Stage::Challenged(_)) || once_more {
            // It did its part, and was not needed yet.
            self.runs[at].resume_at(*place);
        } else {
            self.skip(ctx, at, *place, &handshake.node, loss.code, &loss.why);
        }
        self.seek(ctx, now, at);
    }

    /// A node that was sent the proof does not accept it.
    pub(super) fn lose_chosen(
        &mut self,
        ctx: &mut Context<impl Feeds>,
        now: Now,
        at: usize,
        candidate: &Candidate,
        loss: &Loss,
    ) {
        let (place, node) = (candidate.place, &candidate.handshake.node);
        if self.aborting.is_some() {
            return self.lose_for_good(ctx, at, (place, node), 0, loss.code, &loss.why);
        }
        let run = &mut self.runs[at];
        if !ctx.adopting {
            return run.resume_at(place);
        }
        if let Some(left) = &mut run.left {
            left.claim_at = now.instant + ctx.timing.reclaim;
            return;
        }
        if self.asks_once_more(at) {
            self.runs[at].resume_at(place);
        } else if !self.runs[at].asks(place) {
            self.skip(ctx, at, place, node, loss.code, &loss.why);
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
        ctx: &mut Context<impl Feeds>,
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
        } else if self.runs[at].lost > Lost::Nothing {
            (Code::LOST, why.to_owned())
        } else {
            (code, format!("{} {node}: {why}", code.meaning()))
        };
        ctx.report_for([node], self.by, code, &message);
    }

    /// Those behind that place may be served from there, and nobody here gets to know it.
    fn lose_sight(&mut self, ctx: &mut Context<impl Feeds>, at: usize, place: usize) {
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

    /// A child that was let in is lost on wire 2.
    fn lose_child(
        &mut self,
        ctx: &mut Context<impl Feeds>,
        now: Now,
        at: usize,
        child: &Child,
        code: Code,
        why: &str,
    ) {
        self.lose_sight(ctx, at, child.place);
        let run = &mut self.runs[at];
        if !ctx.adopting {
            // Perhaps it has only lost patience with a node that cannot serve it. It is the first to be asked when that is
            // over.
            run.resume_at(child.place);
            return;
        }
        let silent = code == Code::TIMED_OUT;
        let done = ctx.results.settled(&child.node);
        if !silent && !done && run.retried != Some(child.place) {
            run.retried = Some(child.place);
            run.resume_at(child.place);
            return self.seek(ctx, now, at);
        }
        let lasted = if why == SILENT {
            format!("silent for {:.1} s", child.connection.silence(now.instant).as_secs_f64())
        } else {
            why.to_owned()
        };
        self.bypass(ctx, now, at, child, Code::LOST, &lasted);
    }

    /// The chain goes on without a child that was let in. In a tree the heads of what it had shared out are taken up.
    pub(super) fn bypass(
        &mut self,
        ctx: &mut Context<impl Feeds>,
        now: Now,
        at: usize,
        child: &Child,
        code: Code,
        why: &str,
    ) {
        let message = match self.length.filter(|&length| length > 0 && child.stage == child::Stage::Feeding) {
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

    fn report_lost(&mut self, ctx: &mut Context<impl Feeds>, child: &Child, code: Code, message: &str) {
        let node = &child.node;
        if !ctx.results.heard_of_all([node]) {
            log::warn!("bypassed {node}: {message}");
            self.note(node, NodeState::Failed, child.sent);
        }
        ctx.report_for([node], self.by, code, message);
    }

    /// Those behind a node become runs of their own, as that node had shared them out.
    fn adopt_behind(
        &mut self,
        ctx: &mut Context<impl Feeds>,
        now: Now,
        at: usize,
        node: &Destination,
        place: usize,
    ) {
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
    pub(super) fn left(
        &mut self,
        ctx: &mut Context<impl Feeds>,
        now: Now,
        at: usize,
        node: &Destination,
        place: usize,
    ) {
        log::info!("{node} has another upstream");
        let run = &mut self.runs[at];
        run.drop_candidates(ctx);
        if let Some(child) = run.take_child() {
            ctx.close(child.link());
        }
        run.left = Some(Left { place, claim_at: now.instant + ctx.timing.reclaim });
    }

    /// A child goes on by itself, and somebody else has to serve those behind it.
    pub(super) fn stepped_aside(&mut self, ctx: &mut Context<impl Feeds>, now: Now, at: usize) {
        let Some(child) = self.runs[at].child() else { return };
        log::info!("{} cannot serve those behind it", child.node);
        let (node, place) = (child.node.clone(), child.place);
        let alone = Progress::of_node(NodeState::Receiving, child.progress.greatest);
        self.lose_sight(ctx, at, place);
        self.adopt_behind(ctx, now, at, &node, place);
        if let Some(child) = self.runs[at].child_mut() {
            child.progress = alone;
        }
        self.close_if_complete(ctx, now, at);
    }

    /// A child is lost, and nobody takes its place.
    fn lose_for_good(
        &mut self,
        ctx: &mut Context<impl Feeds>,
        at: usize,
        (place, node): (usize, &Destination),
        sent: u64,
        code: Code,
        why: &str,
    ) {
        let message = format!("lost {node}: {why}");
        log::warn!("{message}");
        let run = &mut self.runs[at];
        run.end();
        run.resume_at(place);
        let news = !ctx.results.heard_of_all([node]);
        match ctx.wire() {
            // Who asked by wire 1 is told of everything behind, for lack of anybody else who would.
            Wire::One => ctx.report_for(run.rest(), self.by, code, &message),
            // It may be whole by now, whatever came between: only the node itself knows.
            Wire::Two => ctx.report_for([node], self.by, Code::LOST, &message),
        }
        if news {
            self.note(node, NodeState::Failed, sent);
        }
    }

    /// Nobody is sought any more, since nobody is there to serve them for. Who takes the payload goes on with it.
    pub(in crate::session) fn suspend(&mut self, ctx: &mut Context<impl Feeds>) {
        for run in self.runs.iter_mut().filter(|run| !run.is_over()) {
            let chosen = run.take_chosen();
            let asked = run.candidates.iter().chain(&chosen).map(|candidate| candidate.place);
            if let (Some(place), None) = (asked.min(), run.left) {
                run.resume_at(place);
            }
            run.drop_candidates(ctx);
            if let Some(candidate) = chosen {
                candidate.handshake.close(ctx);
            }
        }
    }

    /// What a child needs cannot be had here. Returns whether this side has to step aside.
    pub(in crate::session) fn unservable(
        &mut self,
        ctx: &mut Context<impl Feeds>,
        now: Now,
        link: LinkId,
    ) -> bool {
        if self.by.is_some() && ctx.wire() == Wire::Two {
            return true;
        }
        if let Some((at, _)) = self.find(ctx, link) {
            self.lose(ctx, now, at, Code::SOURCE_FAILED, "its part of the file cannot be read back");
        }
        false
    }
}
