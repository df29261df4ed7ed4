//! From whom a node has its payload: how it loses one upstream and goes on with another. PROTOCOL.md, "Claims".

use super::{NodeSession, Phase, SUPERSEDED};
use crate::session::answer::foreign;
use crate::session::ask::{Answer, Ask};
use crate::session::incoming::Proven;
use crate::session::io::{FileOutput, NodeOutput, Now, UpstreamId};
use crate::session::upstream::{Link, Upstream};
use crate::wire::{Abort, Code, Destination, Line, PayloadError, ResultKey, SealedReport, Wire};

impl NodeSession {
    /// Somebody wants to be the upstream, from now on.
    pub(super) fn claimed(&mut self, now: Now, id: UpstreamId, proven: Proven) {
        let Proven { header, lines, node_key, .. } = proven;
        self.adopt_key(node_key);
        let from = header.envelope.as_ref().and_then(|envelope| envelope.from);
        let link = Link::new(id, from, lines, now.instant);
        let before = from.is_none_or(|from| from < self.header().node.index);
        if !before || !self.upstream.yields_to(&self.ctx, now, from) {
            return Upstream::say_once(&mut self.ctx, link, &Line::Left);
        }
        let halt = self.upstream.is_reading();
        if let Some(former) = self.upstream.replace(link) {
            Upstream::say_once(&mut self.ctx, former, &Line::Left);
        }
        let accepted = self.ctx.accepted();
        self.upstream.say(&mut self.ctx, &accepted);
        self.say_all_again();
        self.refuse_foreign(&header.node);
        if halt {
            self.ctx.out.push_back(NodeOutput::Halt);
        }
        // A node that leaves serves nobody any more, and only says how it ends.
        if self.phase != Phase::Aborted {
            self.take_list(now, header.destinations);
        }
        if self.aside {
            self.upstream.say(&mut self.ctx, &Line::Aside);
        }
    }

    /// Another process has the connection of who claims this node, or of another transfer of the same file.
    pub(super) fn asked(&mut self, now: Now, ask: &Ask) {
        let answer = match Ask::for_header(self.header()) {
            Some(ours) if ours.transfer == ask.transfer => self.asked_for_claim(now, &ours, ask),
            Some(ours) if ours.source.is_some() && ours.source == ask.source => {
                self.asked_for_files(now, &ours, ask)
            }
            _ => Answer::No,
        };
        // Before the end, behind which nothing comes.
        self.ctx.out.push_front(NodeOutput::Answer(answer));
    }

    fn asked_for_claim(&mut self, now: Now, ours: &Ask, ask: &Ask) -> Answer {
        if ours.index != ask.index {
            return Answer::Elsewhere(ours.index);
        }
        let before = ask.from.is_none_or(|from| from < ask.index);
        let granted = before && self.upstream.yields_to(&self.ctx, now, ask.from);
        match &mut self.phase {
            Phase::Ended { awaited } => {
                *awaited |= granted;
                return Answer::Finishing;
            }
            // The source begins anew with this node. What those behind have to say it hears from them.
            Phase::Aborted if self.spoiled && ask.from.is_none() => {
                self.downstream.hang_up(&mut self.ctx);
                return Answer::Yes;
            }
            // What it is about to say is how the transfer ended here.
            Phase::Aborted => return Answer::Finishing,
            Phase::Opening | Phase::Receiving | Phase::Done | Phase::Forgotten => {}
        }
        if !granted {
            return Answer::No;
        }
        self.upstream.say(&mut self.ctx, &Line::Left);
        self.ctx.out.extend(self.upstream.lose(now.instant).map(NodeOutput::CloseUpstream));
        self.retire();
        Answer::Yes
    }

    fn asked_for_files(&mut self, now: Now, ours: &Ask, ask: &Ask) -> Answer {
        if ours.outranks(ask) && !self.is_orphan(now) {
            return Answer::Outdated;
        }
        self.let_go(Code::SUPERSEDED, SUPERSEDED);
        Answer::Yes
    }

    /// A claim goes on with the session, and adds nothing to it.
    fn refuse_foreign(&mut self, claimed: &Destination) {
        let Some(key) = &self.ctx.seal_key else { return };
        let own = &self.ctx.header.node.requests;
        for sealed in foreign(claimed, key, |id| own.iter().any(|request| request.id == id)) {
            self.upstream.say(&mut self.ctx, &Line::Result(sealed));
        }
    }

    /// The source has a key of this node: what this node has said counts under that from now on.
    pub(super) fn adopt_key(&mut self, key: Option<ResultKey>) {
        let Some(key) = key else { return };
        let index = self.header().node.index;
        for sealed in self.ctx.told.values_mut() {
            *sealed = sealed.sealed_again(index, &key);
        }
        self.ctx.seal_key = Some(key);
    }

    /// Whatever the former upstream was told may have died with it.
    fn say_all_again(&mut self) {
        let told: Vec<SealedReport> = self.ctx.told.values().cloned().collect();
        for sealed in told {
            self.upstream.say(&mut self.ctx, &Line::Result(sealed));
        }
        self.told = None;
    }

    /// Those behind are whom the new upstream says. Where that is what it was, their connections stand.
    fn take_list(&mut self, now: Now, list: Vec<Destination>) {
        let places: Vec<u32> = list.iter().map(|node| node.index).collect();
        if self.list != places {
            self.list = places;
            self.aside = false;
            for node in &list {
                self.ctx.results.add(node);
            }
            self.ctx.results.doubt_hearsay();
            let degree = self.ctx.header.degree;
            self.downstream.renew(&mut self.ctx, list, degree, None);
        }
        self.ctx.adopting = self.may_adopt(now);
        self.downstream.start(&mut self.ctx, now);
    }

    /// Nothing is read any more from who was upstream until now.
    pub(super) fn halted(&mut self, now: Now, offset: u64, cause: Option<PayloadError>) {
        if matches!(self.phase, Phase::Opening | Phase::Receiving) {
            self.received = offset;
            self.downstream.available(offset);
        }
        if self.upstream.halted() || !self.upstream.is_reading() {
            // What was wrong with the former upstream does not matter any more.
            return;
        }
        let error = cause.unwrap_or(PayloadError::Truncated { offset });
        match self.phase {
            Phase::Opening | Phase::Receiving => {
                if self.ctx.wire() == Wire::Two && error != PayloadError::WrongSum {
                    return self.lose_upstream(now, &error);
                }
                self.fail_payload(now, &error);
            }
            Phase::Ended { .. } | Phase::Aborted | Phase::Done | Phase::Forgotten => {}
        }
        // It may still listen to what became of the payload.
        self.upstream.mute(now.instant);
    }

    /// Waits for another upstream.
    fn lose_upstream(&mut self, now: Now, error: &PayloadError) {
        log::info!("lost the upstream at offset {}: {error}", self.received);
        if !matches!(error, PayloadError::Truncated { .. }) {
            self.upstream.say(&mut self.ctx, &Line::Damaged { offset: self.received });
        }
        if let Some(id) = self.upstream.lose(now.instant) {
            self.ctx.out.push_back(NodeOutput::CloseUpstream(id));
        }
        self.stand_still();
    }

    /// What is behind goes on with what is here, and may be taken up by others.
    fn stand_still(&mut self) {
        self.ctx.adopting = false;
        self.downstream.suspend(&mut self.ctx);
    }

    /// Upstream has been silent for too long, or nobody has come to take its place.
    pub(super) fn lose_patience(&mut self, now: Now) {
        if self.ctx.wire() == Wire::One {
            let reason = format!("the sender has been silent for too long, at offset {}", self.received);
            return self.abort(now, &Abort { code: Code::TIMED_OUT, reason });
        }
        if self.phase.has_ended() {
            return self.downstream.forgo();
        }
        let Some(id) = self.upstream.halt(now.instant) else {
            log::warn!("no upstream has come back for {:?}: given up", self.ctx.timing.orphan);
            return self.retire();
        };
        log::info!("the upstream is silent, at offset {}", self.received);
        self.ctx.out.extend([NodeOutput::Halt, NodeOutput::DropUpstream(id)]);
        self.stand_still();
    }

    /// Ends without the file, and without a result, since nobody listens. What can be resumed stays.
    fn retire(&mut self) {
        self.downstream.hang_up(&mut self.ctx);
        // What is still being opened is let go by the end.
        for file in self.files.open() {
            self.ctx.out.push_back(NodeOutput::File(FileOutput::Keep(file)));
        }
        self.dismiss_cancels();
        self.phase = Phase::Forgotten;
        self.ctx.out.push_back(NodeOutput::Done);
    }
}
