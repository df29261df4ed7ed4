//! From whom a node has its payload: how it loses one upstream and goes on with another. PROTOCOL.md, "Claims".

use super::{NodeSession, Phase, Reading, SUPERSEDED};
use crate::session::answer::foreign;
use crate::session::ask::{Answer, Ask};
use crate::session::incoming::Proven;
use crate::session::io::{Now, Output, UpstreamId};
use crate::session::upstream::{Link, Upstream};
use crate::wire::{Abort, Code, Destination, Line, PayloadError, SealedReport, Wire};

impl NodeSession {
    /// Somebody wants to be the upstream, from now on.
    pub(super) fn claimed(&mut self, now: Now, id: UpstreamId, proven: Proven) {
        let Proven { header, lines } = proven;
        let from = header.envelope.as_ref().and_then(|envelope| envelope.from);
        let link = Link::new(id, from, lines, now.instant);
        let before = from.is_none_or(|from| from < self.header().node.index);
        if !before || !self.upstream.yields_to(&self.desk, now, from) {
            return Upstream::say_once(&mut self.desk, link, &Line::Left);
        }
        if let Some(former) = self.upstream.replace(link) {
            Upstream::say_once(&mut self.desk, former, &Line::Left);
        }
        self.upstream.say(&mut self.desk, &Line::Accepted);
        self.say_all_again();
        self.refuse_foreign(&header.node);
        self.reading = match self.reading {
            Reading::Yes => {
                self.desk.out.push_back(Output::Halt);
                Reading::Halting
            }
            Reading::Over => Reading::NotYet,
            other => other,
        };
        // A node that leaves serves nobody any more, and only says how it ends.
        if self.phase != Phase::Aborted {
            self.take_list(now, header.destinations);
        }
        if self.aside {
            self.upstream.say(&mut self.desk, &Line::Aside);
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
        self.desk.out.push_front(Output::Answer(answer));
    }

    fn asked_for_claim(&mut self, now: Now, ours: &Ask, ask: &Ask) -> Answer {
        if ours.index != ask.index {
            return Answer::Elsewhere(ours.index);
        }
        let before = ask.from.is_none_or(|from| from < ask.index);
        let granted = before && self.upstream.yields_to(&self.desk, now, ask.from);
        if self.phase == Phase::Ended {
            // Those that cannot be served without an upstream are left to who asks.
            self.finishing |= granted;
            return Answer::Finishing;
        }
        if !granted {
            return Answer::No;
        }
        self.upstream.say(&mut self.desk, &Line::Left);
        self.desk.out.extend(self.upstream.lose(now.instant).map(Output::CloseUpstream));
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
        let Some(key) = &self.desk.result_key else { return };
        let own = &self.desk.header.node.requests;
        for sealed in foreign(claimed, key, |id| own.iter().any(|request| request.id == id)) {
            self.upstream.say(&mut self.desk, &Line::Result(sealed));
        }
    }

    /// Whatever the former upstream was told may have died with it.
    fn say_all_again(&mut self) {
        let told: Vec<SealedReport> = self.desk.told.values().cloned().collect();
        for sealed in told {
            self.upstream.say(&mut self.desk, &Line::Result(sealed));
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
                self.desk.ledger.add(node);
            }
            self.desk.ledger.doubt_hearsay();
            let degree = self.desk.header.degree;
            self.downstream.renew(&mut self.desk, list, degree, None);
        }
        self.desk.adopting = self.may_adopt(now);
        self.downstream.start(&mut self.desk, now);
    }

    /// Nothing is read any more from who was upstream until now.
    pub(super) fn halted(&mut self, now: Now, offset: u64, cause: Option<PayloadError>) {
        if matches!(self.phase, Phase::Opening | Phase::Receiving) {
            self.received = offset;
            self.downstream.available(offset);
        }
        if self.reading == Reading::Halting {
            // Another upstream waits, or none: what was wrong with the former one does not matter any more.
            self.reading = Reading::NotYet;
            return;
        }
        let error = cause.unwrap_or(PayloadError::Truncated { offset });
        self.reading = Reading::Over;
        match self.phase {
            // It may still listen to what became of the payload.
            Phase::Ended | Phase::Aborted | Phase::Done => self.upstream.mute(now.instant),
            _ if self.desk.wire() == Wire::One || error == PayloadError::WrongSum => {
                self.fail_payload(now, &error);
            }
            _ => self.lose_upstream(now, &error),
        }
    }

    /// Waits for another upstream.
    fn lose_upstream(&mut self, now: Now, error: &PayloadError) {
        log::info!("lost the upstream at offset {}: {error}", self.received);
        self.reading = Reading::NotYet;
        if !matches!(error, PayloadError::Truncated { .. }) {
            self.upstream.say(&mut self.desk, &Line::Damaged { offset: self.received });
        }
        if let Some(id) = self.upstream.lose(now.instant) {
            self.desk.out.push_back(Output::CloseUpstream(id));
        }
        self.stand_still();
    }

    /// What is behind goes on with what is here, and may be taken up by others.
    fn stand_still(&mut self) {
        self.desk.adopting = false;
        self.downstream.suspend(&mut self.desk);
    }

    /// Upstream has been silent for too long, or nobody has come to take its place.
    pub(super) fn lose_patience(&mut self, now: Now) {
        if self.desk.wire() == Wire::One {
            let reason = format!("the sender has been silent for too long, at offset {}", self.received);
            return self.abort(now, &Abort { code: Code::TIMED_OUT, reason });
        }
        if self.phase == Phase::Ended {
            return self.downstream.forgo();
        }
        let Some(id) = self.upstream.lose(now.instant) else {
            log::warn!("no upstream has come back for {:?}: given up", self.desk.timing.orphan);
            return self.retire();
        };
        log::info!("the upstream is silent, at offset {}", self.received);
        self.desk.out.extend([Output::Halt, Output::DropUpstream(id)]);
        self.reading = Reading::Halting;
        self.stand_still();
    }

    /// Ends without the file, and without a result, since nobody listens. What can be resumed stays.
    fn retire(&mut self) {
        self.downstream.hang_up(&mut self.desk);
        // What is still being opened is let go by the end.
        for file in self.files.open() {
            self.desk.out.push_back(Output::Keep(file));
        }
        self.dismiss_cancels();
        self.forget = true;
        self.phase = Phase::Done;
        self.desk.out.push_back(Output::Done);
    }
}
