//! One transfer as a node sees it: receive, write, forward, report.

use std::time::{Duration, Instant};

use super::desk::Desk;
use super::downstream::Downstream;
use super::entropy::Seed;
use super::files::{FileState, Files};
use super::incoming::Proven;
use super::io::{FileFault, Input, Now, Output, ReadBack};
use super::timing::Timing;
use super::upstream::Upstream;
use crate::wire::{
    Abort, Change, Code, Header, Keyring, Line, NodeState, PayloadError, Progress, Report, Sum, Wire, limits,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Files are being opened; where nothing written could be read back, children are awaited too.
    Opening,
    /// The payload comes.
    Receiving,
    /// The payload is complete; results are awaited.
    Ended,
    /// The payload will never be complete; results are awaited, for a while.
    Aborted,
    /// Over.
    Done,
}

/// The state machine of a node, for one transfer. See [the module](super) for how to drive it.
#[derive(Debug)]
pub struct NodeSession {
    desk: Desk,
    upstream: Upstream,
    downstream: Downstream,
    files: Files,
    phase: Phase,
    received: u64,
    written: u64,
    end: Option<(u64, Sum)>,
    stop_at: Option<Instant>,
    told: Option<NodeState>,
}

impl NodeSession {
    /// Takes part in the transfer that a proven header asks for.
    pub fn new(now: Now, proven: Proven, keys: Keyring, timing: Timing, seed: Seed) -> Self {
        let mut session = Self::prepare(now, proven, keys, timing, seed);
        session.upstream.say(&mut session.desk, &Line::Accepted);
        for file in 0..session.header().node.requests.len() {
            session.desk.out.push_back(Output::Open(file));
        }
        session.downstream.start(&mut session.desk, now);
        session
    }

    /// Only says, for every request of this node, why it takes no part in the transfer.
    pub fn refuse(
        now: Now,
        proven: Proven,
        keys: Keyring,
        timing: Timing,
        code: Code,
        message: &str,
    ) -> Self {
        // Nothing unpredictable is needed to say no.
        let mut session = Self::prepare(now, proven, keys, timing, Seed([0; 32]));
        session.downstream = Downstream::new(Vec::new(), 1, None, None);
        session.upstream.say(&mut session.desk, &Line::Accepted);
        session.abort(now, &Abort { code, reason: message.into() });
        session.advance(now);
        session
    }

    fn prepare(now: Now, proven: Proven, keys: Keyring, timing: Timing, seed: Seed) -> Self {
        let Proven { mut header, lines } = proven;
        let upstream = Upstream::new(lines, now.instant, &timing);
        let list = std::mem::take(&mut header.destinations);
        let files = Files::new(header.node.requests.len());
        let all: Vec<_> = std::iter::once(&header.node).chain(&list).cloned().collect();
        let downstream = Downstream::new(list, header.degree, Some(header.node.index), header.length);
        Self {
            desk: Desk::new(header, &all, keys, timing, seed),
            upstream,
            downstream,
            files,
            phase: Phase::Opening,
            received: 0,
            written: 0,
            end: None,
            stop_at: None,
            told: None,
        }
    }

    /// What this node was asked for; its list of destinations is with the session.
    pub fn header(&self) -> &Header {
        &self.desk.header
    }

    /// The next thing to do, if there is one.
    pub fn poll(&mut self) -> Option<Output> {
        self.desk.out.pop_front()
    }

    /// When to hand in [`Input::Tick`] if nothing else happens before. None when the session is over.
    pub fn deadline(&self) -> Option<Instant> {
        if self.phase == Phase::Done {
            return None;
        }
        let silence = (self.phase == Phase::Receiving).then(|| self.upstream.dead_at(&self.desk.timing));
        let tick = Some(self.upstream.next_tick_at());
        let deadlines = [tick, self.downstream.deadline(&self.desk), silence, self.stop_at];
        deadlines.into_iter().flatten().min()
    }

    /// Something happened.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        if self.phase == Phase::Done {
            return;
        }
        match input {
            Input::Tick => self.tick(now),
            Input::Stop(grace) => self.stop(now, grace),
            Input::Received(_) | Input::Heard | Input::End { .. } => self.payload(now, &input),
            Input::Aborted(abort) => self.abort(now, &abort),
            Input::BadPayload(error) => self.bad_payload(now, &error),
            Input::UpstreamClosed => {
                self.bad_payload(now, &PayloadError::Truncated { offset: self.received });
            }
            Input::Connected(link, to) => self.downstream.connected(&mut self.desk, now, link, to),
            Input::Bytes(link, bytes) => self.downstream.bytes(&mut self.desk, now, link, bytes),
            Input::Sent(link, _) => self.downstream.sent(now, link),
            Input::SentEnd(link) => self.downstream.sent_end(now, link),
            Input::Closed(link, why) => self.downstream.closed(&mut self.desk, now, link, &why),
            Input::Opened(file, result) => self.opened(file, result),
            Input::Written(upto) => self.written = upto,
            Input::WriteFailed(file, fault) => self.fail(file, &fault),
            Input::Placed(file, result) => self.placed(file, result.as_ref().copied()),
        }
        self.advance(now);
    }

    /// A second word may shorten the time, and never makes it longer.
    fn stop(&mut self, now: Now, grace: Duration) {
        // A time that no clock will show is no limit.
        let stop_at = now.instant.checked_add(grace);
        self.stop_at = self.stop_at.into_iter().chain(stop_at).min();
    }

    fn payload(&mut self, now: Now, input: &Input<'_>) {
        self.upstream.heard(now.instant);
        match *input {
            Input::Received(upto) => self.received = upto,
            Input::End { size, sum } if self.phase == Phase::Receiving => {
                self.end = Some((size, sum));
                self.downstream.payload_ended();
                self.received = size;
                self.phase = Phase::Ended;
            }
            _ => {}
        }
    }

    /// Before the end it ruins the transfer; after it there is nothing left to ruin.
    fn bad_payload(&mut self, now: Now, error: &PayloadError) {
        if self.end.is_none() {
            self.abort(now, &Abort { code: Code::from(error), reason: error.to_string() });
        }
    }

    fn opened(&mut self, file: usize, result: Result<ReadBack, FileFault>) {
        match (self.files.state(file), result) {
            (Some(FileState::Opening), Ok(read_back)) => self.files.set(file, FileState::Open(read_back)),
            (Some(FileState::Opening), Err(fault)) => self.settle(file, Err(&fault)),
            // The transfer was given up while the file was being opened.
            (Some(_), Ok(_)) => self.desk.out.push_back(Output::Discard(file)),
            _ => {}
        }
    }

    /// A file is lost to this transfer, whatever becomes of the others.
    fn fail(&mut self, file: usize, fault: &FileFault) {
        match self.files.state(file) {
            Some(FileState::Open(_)) => {
                self.desk.out.push_back(Output::Discard(file));
                let in_place = self.header().node.requests.get(file).is_some_and(|request| !request.rename);
                let remains =
                    if in_place && self.received > 0 { "; the file in place is not whole" } else { "" };
                let message = format!("{}{remains}", fault.message);
                self.settle(file, Err(&FileFault { code: fault.code, message }));
            }
            Some(FileState::Opening) => self.settle(file, Err(fault)),
            _ => {}
        }
    }

    fn placed(&mut self, file: usize, result: Result<(), &FileFault>) {
        if self.files.state(file) == Some(FileState::Placing) {
            self.settle(file, result);
        }
    }

    /// The one place where a request of this node gets its result.
    fn settle(&mut self, file: usize, result: Result<(), &FileFault>) {
        let index = self.header().node.index;
        let Some(request) = self.desk.header.node.requests.get(file) else { return };
        let (code, message) = match result {
            Ok(()) => (Code::SUCCESS, "Success"),
            // An abort brings any number from upstream, and none of them makes a failure a success.
            Err(fault) if fault.code.is_success() => (Code::UNKNOWN, fault.message.as_str()),
            Err(fault) => (fault.code, fault.message.as_str()),
        };
        let Some(report) = self.desk.ledger.about(&request.id, code, message) else { return };
        let sum = self.end.filter(|_| code.is_success()).map(|(_, sum)| sum);
        let report = match self.desk.wire() {
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
        self.desk.report(report, None);
    }

    /// The transfer ends here without the file, and so it does for everybody behind.
    fn abort(&mut self, now: Now, abort: &Abort) {
        if self.phase == Phase::Aborted {
            return;
        }
        self.phase = Phase::Aborted;
        let fault = FileFault { code: abort.code, message: abort.reason.clone() };
        for (file, _) in self.files.unfinished() {
            self.fail(file, &fault);
        }
        self.downstream.abort(&mut self.desk, now, abort);
    }

    fn tick(&mut self, now: Now) {
        if self.upstream.tick(&mut self.desk, now) {
            let progress = self.progress();
            self.upstream.say(&mut self.desk, &Line::Progress(progress));
        }
        self.downstream.tick(&mut self.desk, now);
        if self.phase == Phase::Receiving && self.upstream.dead_at(&self.desk.timing) <= now.instant {
            let reason = format!("the sender has been silent for too long, at offset {}", self.received);
            self.abort(now, &Abort { code: Code::TIMED_OUT, reason });
        }
        if self.stop_at.is_some_and(|stop_at| stop_at <= now.instant) {
            self.stop_at = None;
            self.abort(now, &Abort { code: Code::STOPPED, reason: "the node is being stopped".into() });
        }
    }

    fn state(&self) -> NodeState {
        match self.phase {
            _ if self.files.settled() && self.files.any_failed() => NodeState::Failed,
            _ if self.files.settled() => NodeState::Done,
            Phase::Opening => NodeState::Waiting,
            Phase::Receiving => NodeState::Receiving,
            Phase::Ended | Phase::Aborted | Phase::Done => NodeState::Finishing,
        }
    }

    fn progress(&mut self) -> Progress {
        let state = self.state();
        let mut sum = Progress::of_node(state, self.received);
        self.downstream.progress(&self.desk, &mut sum);
        if self.told != Some(state) {
            self.told = Some(state);
            sum.changed.push(Change { index: self.header().node.index, state, offset: self.received });
        }
        let room = limits::PROGRESS_CHANGES - sum.changed.len();
        sum.changed.extend(self.downstream.take_changes(room));
        sum
    }

    /// Whatever has become possible by what just happened.
    fn advance(&mut self, now: Now) {
        self.get_ready(now);
        self.place();
        let over = self.is_over();
        if over {
            self.tell_last_progress();
        }
        while let Some(relayed) = self.desk.relayed.pop_front() {
            self.upstream.relay(&mut self.desk, relayed);
        }
        if over {
            self.phase = Phase::Done;
            self.desk.out.extend([Output::CloseUpstream, Output::Done]);
        }
    }

    fn get_ready(&mut self, now: Now) {
        if self.phase != Phase::Opening || self.files.opening() {
            return;
        }
        // What cannot be read back must wait for the children, as they could not be served later.
        if !self.files.readable() && !self.downstream.settled() {
            return;
        }
        // Nobody here needs the payload. Wire 1 cannot be told so, and has to be listened to.
        if self.desk.wire() == Wire::Two && self.files.settled() && self.downstream.finished() {
            return;
        }
        self.phase = Phase::Receiving;
        // Until now it was not its turn to speak, however long opening took.
        self.upstream.heard(now.instant);
        self.upstream.say(&mut self.desk, &Line::Ready { offset: 0 });
        self.desk.out.push_back(Output::Accept(0));
    }

    fn place(&mut self) {
        let Some((size, _)) = self.end.filter(|&(size, _)| self.written >= size) else { return };
        for (file, _) in self.files.unfinished() {
            self.files.set(file, FileState::Placing);
            self.desk.out.push_back(Output::Place(file, size));
        }
    }

    fn is_over(&self) -> bool {
        let heard_out = match self.phase {
            Phase::Ended | Phase::Aborted => true,
            Phase::Opening | Phase::Receiving => self.desk.wire() == Wire::Two,
            Phase::Done => false,
        };
        heard_out && self.files.settled() && self.downstream.finished()
    }

    /// The final state of this node and of all behind it. Upstream hangs up on the last result.
    fn tell_last_progress(&mut self) {
        loop {
            let progress = self.progress();
            self.upstream.say(&mut self.desk, &Line::Progress(progress));
            if !self.downstream.has_changes() {
                return;
            }
        }
    }
}
