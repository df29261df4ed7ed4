//! Requests that are not wanted any more: what there is of their files is removed, and who has cancelled them hears what
//! became of them. PROTOCOL.md, "Cancel".

use std::collections::{BTreeMap, BTreeSet};

use super::{NodeSession, Phase};
use crate::session::answer::{about, foreign};
use crate::session::downstream::Downstream;
use crate::session::entropy::Seed;
use crate::session::files::FileState;
use crate::session::incoming::Proven;
use crate::session::io::{FileFault, FileOutput, NodeOutput, Now, UpstreamId};
use crate::session::timing::Timing;
use crate::session::upstream::Link;
use crate::wire::{Code, Keyring, Line, Request, SealedReport, limits};

/// Connections that wait to hear how requests end. The source asks over one, and tries twice.
const CALLERS: usize = 64;

/// What was cancelled, and by whom.
#[derive(Debug, Default)]
pub(super) struct Cancels {
    /// Files of this session.
    files: BTreeSet<usize>,
    /// Requests that no header of this session has named, and what became of each; None while it is being removed.
    others: BTreeMap<String, (Request, Option<SealedReport>)>,
    callers: Vec<Caller>,
}

/// A connection whose sender waits to hear what becomes of requests.
#[derive(Debug)]
struct Caller {
    link: Link,
    ids: Vec<String>,
}

impl Cancels {
    /// Whether nothing is being removed but files of the session.
    pub(super) fn settled(&self) -> bool {
        self.others.values().all(|(_, told)| told.is_some())
    }
}

impl NodeSession {
    /// Only removes what there is of the files whose requests a proven header cancels, and says so. `told` is what the
    /// node has said of the transfer before, if it has ended here.
    pub fn cancel(
        now: Now,
        upstream: UpstreamId,
        proven: Proven,
        keys: Keyring,
        timing: Timing,
        told: &[SealedReport],
    ) -> Self {
        // Nothing unpredictable is needed.
        let mut session = Self::prepare(now, upstream, proven, keys, timing, Seed([0; 32]));
        session.downstream = Downstream::new(Vec::new(), 1, None, None);
        session.phase = Phase::Aborted;
        let accepted = session.ctx.accepted();
        session.upstream.say(&mut session.ctx, &accepted);
        for sealed in told {
            session.tell_success_again(sealed);
        }
        for file in session.files.unfinished() {
            session.cancel_file(file);
        }
        session.advance(now);
        session.arm();
        session
    }

    /// What is in place stays so, and is said once more.
    fn tell_success_again(&mut self, sealed: &SealedReport) {
        let (Some(key), Ok(report)) = (&self.ctx.seal_key, sealed.read()) else { return };
        let sealed = sealed.sealed_again(self.header().node.index, key);
        let file = report.id.as_deref().and_then(|id| self.file_of(id));
        if let Some(file) = file.filter(|_| report.code.is_success()) {
            self.files.set(file, FileState::Settled);
            self.upstream.say(&mut self.ctx, &Line::Result(sealed));
        }
    }

    fn file_of(&self, id: &str) -> Option<usize> {
        self.header().node.requests.iter().position(|request| request.id == id)
    }

    /// They were cancelled before the session began.
    pub(super) fn unwanted(&mut self, ids: &[String]) {
        for file in ids.iter().filter_map(|id| self.file_of(id)).collect::<Vec<_>>() {
            self.cancel_file(file);
        }
    }

    /// Somebody cancels requests, and wants to hear what became of them.
    pub(super) fn cancelled(&mut self, now: Now, id: UpstreamId, proven: Proven) {
        let requests = proven.header.node.requests.clone();
        if self.cancels.others.len() + requests.len() > limits::REQUESTS_TOTAL {
            log::warn!("hung up on somebody who cancels more requests than a transfer can have");
            return self.ctx.out.push_back(NodeOutput::CloseUpstream(id));
        }
        self.listens(now, id, proven);
        for request in requests {
            match self.file_of(&request.id) {
                Some(file) => self.cancel_file(file),
                None => self.cancel_other(request),
            }
        }
    }

    /// The source wants to hear what became of requests.
    pub(super) fn queried(&mut self, now: Now, id: UpstreamId, proven: Proven) {
        if self.cancels.callers.len() >= CALLERS {
            log::warn!("hung up on one question too many");
            return self.ctx.out.push_back(NodeOutput::CloseUpstream(id));
        }
        let asked = proven.header.node.clone();
        self.listens(now, id, proven);
        let is_known = |id: &str| self.file_of(id).is_some() || self.cancels.others.contains_key(id);
        let Some(key) = &self.ctx.seal_key else { return };
        let foreign = foreign(&asked, key, is_known);
        let known: Vec<String> =
            asked.requests.into_iter().map(|request| request.id).filter(|id| is_known(id)).collect();
        let Some(caller) = self.cancels.callers.last_mut() else { return };
        for sealed in foreign {
            caller.link.say(&mut self.ctx, &Line::Result(sealed));
        }
        caller.ids = known;
    }

    /// The sender of a proven header waits for the results of its requests.
    fn listens(&mut self, now: Now, id: UpstreamId, proven: Proven) {
        let Proven { header, lines, node_key, .. } = proven;
        self.adopt_key(node_key);
        let mut link = Link::new(id, None, lines, now.instant);
        let accepted = self.ctx.accepted();
        link.say(&mut self.ctx, &accepted);
        let ids = header.node.requests.into_iter().map(|request| request.id).collect();
        self.cancels.callers.push(Caller { link, ids });
    }

    /// What has its name, or is about to get it, stays.
    fn cancel_file(&mut self, file: usize) {
        let open = NodeOutput::File(FileOutput::Open(file));
        match self.files.state(file) {
            Some(FileState::Opening) if self.ctx.out.contains(&open) => {
                self.ctx.out.retain(|output| *output != open);
                self.cancels.files.insert(file);
                self.settle(file, Err(&left_nothing()));
            }
            Some(FileState::Opening | FileState::Open(_)) => {
                self.cancels.files.insert(file);
                self.files.set(file, FileState::Removing);
                let request = self.header().node.requests[file].clone();
                self.ctx.out.push_back(NodeOutput::File(FileOutput::Remove(request)));
            }
            _ => return,
        }
        if self.cancels.files.len() == self.header().node.requests.len() {
            // Nothing keeps this node in the chain.
            self.let_go(Code::CANCELLED, CANCELLED);
        }
    }

    fn cancel_other(&mut self, request: Request) {
        let others = &mut self.cancels.others;
        if !others.contains_key(&request.id) {
            others.insert(request.id.clone(), (request.clone(), None));
            self.ctx.out.push_back(NodeOutput::File(FileOutput::Remove(request)));
        }
    }

    /// What there was of a file is removed, or cannot be.
    pub(super) fn removed(&mut self, id: &str, result: Result<(), &FileFault>) {
        let mut fault = result.err().cloned().unwrap_or_else(left_nothing);
        if fault.code.is_success() {
            fault.code = Code::UNKNOWN;
        }
        if let Some(file) = self.file_of(id) {
            if self.files.state(file) == Some(FileState::Removing) {
                fault.message += self.remains(file);
                self.settle(file, Err(&fault));
            }
        } else if let (Some((request, told)), Some(key)) =
            (self.cancels.others.get_mut(id), &self.ctx.seal_key)
        {
            let report = about(&self.ctx.header.node, request, fault.code, &fault.message);
            told.get_or_insert_with(|| SealedReport::seal(&report, key));
        }
    }

    /// Tells those who can be told everything.
    pub(super) fn answer_cancels(&mut self) {
        for mut caller in std::mem::take(&mut self.cancels.callers) {
            let known: Option<Vec<SealedReport>> = caller.ids.iter().map(|id| self.told_of(id)).collect();
            let Some(known) = known else {
                self.cancels.callers.push(caller);
                continue;
            };
            for sealed in known {
                caller.link.say(&mut self.ctx, &Line::Result(sealed));
            }
            self.ctx.out.push_back(NodeOutput::CloseUpstream(caller.link.id));
        }
    }

    fn told_of(&self, id: &str) -> Option<SealedReport> {
        match self.file_of(id) {
            Some(_) => self.ctx.told.get(id).cloned(),
            None => self.cancels.others.get(id).and_then(|(_, told)| told.clone()),
        }
    }

    /// The session ends without results. Whoever asks again is answered by who comes after it.
    pub(super) fn dismiss_cancels(&mut self) {
        let callers = self.cancels.callers.drain(..);
        self.ctx.out.extend(callers.map(|caller| NodeOutput::CloseUpstream(caller.link.id)));
    }
}

fn left_nothing() -> FileFault {
    FileFault { code: Code::CANCELLED, message: CANCELLED.into() }
}

const CANCELLED: &str = "cancelled: what was written of it is removed, and what had its name already stays";
