//! What a node reports: its results, how far it is, and the end.

use super::{NodeSession, Phase};
use crate::session::context::Relayed;
use crate::session::files::FileState;
use crate::session::io::{FileFault, NodeOutput};
use crate::session::results::News;
use crate::wire::{Change, Code, Line, NodeState, Progress, Report, SealedReport, Sum, Wire, limits};

impl NodeSession {
    /// When the session is over: the results to tell whoever asks again, for [`Admission::leave`](crate::flow::admission::Admission::leave). None
    /// if the transfer is to be forgotten here, so that it can begin anew with what was kept.
    pub fn results(&self) -> Option<Vec<SealedReport>> {
        let over = self.phase == Phase::Done && self.ctx.wire() == Wire::Two;
        over.then(|| self.ctx.told.values().cloned().collect())
    }

    /// The one place where a request of this node gets its result.
    pub(super) fn settle(&mut self, file: usize, result: Result<(), &FileFault>) {
        let index = self.header().node.index;
        let Some(request) = self.ctx.header.node.requests.get(file) else { return };
        let (code, message) = match result {
            Ok(()) => (Code::SUCCESS, "Success"),
            // An abort brings any number from upstream, and none of them makes a failure a success.
            Err(fault) if fault.code.is_success() => (Code::UNKNOWN, fault.message.as_str()),
            Err(fault) => (fault.code, fault.message.as_str()),
        };
        let Some(report) = self.ctx.results.about(&request.id, code, message) else { return };
        let sum = self.end.filter(|_| code.is_success()).map(|(_, sum)| sum);
        let report = match self.ctx.wire() {
            Wire::One => Report { md5sum: sum.map_or_else(String::new, Sum::to_hex), index: None, ..report },
            Wire::Two => Report { root: sum.map(Sum::to_hex), by: Some(index), ..report },
        };
        if code.is_success() {
            log::info!("{}: whole and in place, {} bytes", request.filename, self.received);
            self.files.set(file, FileState::Settled);
        } else {
            log::warn!("{}: {message}", request.filename);
            self.files.fail(file);
        }
        self.ctx.report(report, None);
    }

    /// A success is none any more, and is told as such from now on.
    pub(super) fn displaced(&mut self, id: &str, fault: &FileFault) {
        let index = self.header().node.index;
        let file = self.header().node.requests.iter().position(|request| request.id == id);
        let Some(file) = file.filter(|&file| self.files.state(file) == Some(FileState::Settled)) else {
            return;
        };
        let Some(report) = self.ctx.results.about(id, fault.code, &fault.message) else { return };
        self.files.fail(file);
        let report = Report { by: Some(index), ..report };
        self.ctx.relayed.push_back(Relayed { report, sealed: None, news: News::Settles });
    }

    fn state(&self) -> NodeState {
        match self.phase {
            _ if self.files.settled() && self.files.any_failed() => NodeState::Failed,
            _ if self.files.settled() => NodeState::Done,
            Phase::Opening => NodeState::Waiting,
            Phase::Receiving => NodeState::Receiving,
            _ => NodeState::Finishing,
        }
    }

    pub(super) fn progress(&mut self) -> Progress {
        let state = self.state();
        let mut sum = Progress::of_node(state, self.received);
        if !self.aside {
            self.downstream.progress(&self.ctx, &mut sum);
        }
        if self.told != Some(state) {
            self.told = Some(state);
            sum.changed.push(Change { index: self.header().node.index, state, offset: self.received });
        }
        let room = limits::PROGRESS_CHANGES - sum.changed.len();
        sum.changed.extend(self.downstream.take_changes(room));
        sum
    }

    /// The final state of this node and of all behind it. Upstream hangs up on the last result.
    pub(super) fn tell_last_progress(&mut self) {
        loop {
            let progress = self.progress();
            self.upstream.say(&mut self.ctx, &Line::Progress(progress));
            if !self.downstream.has_changes() {
                return;
            }
        }
    }

    pub(super) fn finish(&mut self) {
        // Those that another upstream has taken may still be asked for.
        self.downstream.hang_up(&mut self.ctx);
        self.phase = Phase::Done;
        self.ctx.out.extend(self.upstream.id().map(NodeOutput::CloseUpstream));
        self.ctx.out.push_back(NodeOutput::Done);
    }
}
