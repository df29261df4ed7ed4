//! One transfer as a node sees it: receive, write, forward, report; and go on when a neighbour is lost.

mod cancel;
mod claim;
mod finish;

use std::time::{Duration, Instant};

use cancel::Cancels;

use super::ask::Standing;
use super::context::Context;
use super::downstream::Downstream;
use super::downstream::Slow;
use super::entropy::Seed;
use super::files::{FileState, Files};
use super::incoming::Proven;
use super::io::{
    FeedInput, FileFault, FileInput, FileOutput, LinkId, NodeInput, NodeOutput, Now, Opened, UpstreamId,
};
use super::timers::Timers;
use super::timing::Timing;
use super::upstream::{Link, Upstream};
use crate::wire::{Abort, Code, Header, Keyring, Line, NodeState, PayloadError, Sum, Wire};

/// How far the transfer is on this node. Whether an upstream is there, and read, is [`Upstream`]'s.
///
/// ```text
///   Opening ──files open──▶ Receiving ──END──▶ Ended ──all has reported──▶ Done
///      │                        │                │                          ▲
///      └──── aborted, or let go ┴────────────────┴──▶ Aborted ──────────────┘
///      └──── not taken up again, or left to another process ──▶ Forgotten
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Files are being opened; where nothing written could be read back, children are awaited too.
    Opening,
    /// The payload comes, or its next upstream is awaited.
    Receiving,
    /// The payload is complete; results are awaited.
    Ended {
        /// Another process awaits them too: those that cannot be served without an upstream are left to that one.
        awaited: bool,
    },
    /// The payload will never be complete; results are awaited, for a while.
    Aborted,
    /// Over, with a result for each request.
    Done,
    /// Over without results, so that the transfer may begin anew.
    Forgotten,
}

impl Phase {
    fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Forgotten)
    }

    fn has_ended(self) -> bool {
        matches!(self, Self::Ended { .. })
    }
}

/// What is due, in the order in which it is dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Upstream is to hear that this node lives.
    Alive,
    /// Upstream is to hear how far this node and all behind it is.
    Progress,
    /// Of the children.
    Children,
    /// Upstream has been silent, or away, for too long.
    Upstream,
    /// The time that the owner has given is over.
    Stop,
}

/// What happens to a file that this transfer will not complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is of no use.
    Discard,
    /// Another transfer of the same source can go on with it.
    Keep,
}

/// The state machine of a node, for one transfer. See [the module](super) for how to drive it.
#[derive(Debug)]
pub struct NodeSession {
    ctx: Context<NodeOutput>,
    upstream: Upstream,
    downstream: Downstream,
    /// The places of those behind, as the header in force says.
    list: Vec<u32>,
    files: Files,
    cancels: Cancels,
    phase: Phase,
    timers: Timers<Timer>,
    /// Exact while nothing is read, else what the driver said last.
    received: u64,
    written: u64,
    end: Option<(u64, Sum)>,
    /// Whether `end` is what the source has signed.
    verified: bool,
    told: Option<NodeState>,
    /// Whether what came is not what the source has signed, as this node found or one before it.
    spoiled: bool,
    /// Whether those behind are for others to serve.
    aside: bool,
}

impl NodeSession {
    /// Takes part in the transfer that a proven header asks for. `upstream` is the connection it came on.
    pub fn new(
        now: Now,
        upstream: UpstreamId,
        proven: Proven,
        keys: Keyring,
        timing: Timing,
        seed: Seed,
    ) -> Self {
        let mut session = Self::prepare(now, upstream, proven, keys, timing, seed);
        let accepted = session.ctx.accepted();
        session.upstream.say(&mut session.ctx, &accepted);
        for file in 0..session.header().node.requests.len() {
            session.ctx.out.push_back(NodeOutput::File(FileOutput::Open(file)));
        }
        session.downstream.start(&mut session.ctx, now);
        session.arm();
        session
    }

    /// Only says, for every request of this node, why it takes no part in the transfer.
    pub fn refuse(
        now: Now,
        upstream: UpstreamId,
        proven: Proven,
        keys: Keyring,
        timing: Timing,
        code: Code,
        message: &str,
    ) -> Self {
        // Nothing unpredictable is needed to say no.
        let mut session = Self::prepare(now, upstream, proven, keys, timing, Seed([0; 32]));
        session.downstream = Downstream::new(Vec::new(), 1, None, None);
        let accepted = session.ctx.accepted();
        session.upstream.say(&mut session.ctx, &accepted);
        session.abort(now, &Abort { code, reason: message.into() });
        session.advance(now);
        session.arm();
        session
    }

    fn prepare(
        now: Now,
        upstream: UpstreamId,
        proven: Proven,
        keys: Keyring,
        timing: Timing,
        seed: Seed,
    ) -> Self {
        let Proven { mut header, lines, node_key, features } = proven;
        let from = header.envelope.as_ref().and_then(|envelope| envelope.from);
        let link = Link::new(upstream, from, lines, now.instant);
        let upstream = Upstream::new(link, now.instant);
        let mut timers = Timers::default();
        timers.set(Timer::Alive, now.instant + timing.alive);
        timers.set(Timer::Progress, now.instant + timing.progress);
        let list = std::mem::take(&mut header.destinations);
        let files = Files::new(header.node.requests.len());
        let all: Vec<_> = std::iter::once(&header.node).chain(&list).cloned().collect();
        let places = list.iter().map(|node| node.index).collect();
        let downstream = Downstream::new(list, header.degree, Some(header.node.index), header.length);
        let mut ctx = Context::new(header, &all, keys, timing, seed);
        ctx.seal_key = node_key.or(ctx.seal_key);
        ctx.features = features;
        Self {
            ctx,
            upstream,
            downstream,
            list: places,
            files,
            cancels: Cancels::default(),
            phase: Phase::Opening,
            timers,
            received: 0,
            written: 0,
            end: None,
            told: None,
            verified: false,
            spoiled: false,
            aside: false,
        }
    }

    /// What this node was asked for; its list of destinations is with the session.
    pub fn header(&self) -> &Header {
        &self.ctx.header
    }

    /// How it stands to those that ask for its transfer or its files.
    pub fn standing(&self, now: Now) -> Standing {
        match (self.spoiled, self.is_orphan(now)) {
            (true, _) => Standing::Spoiled,
            (false, true) => Standing::Orphan,
            (false, false) => Standing::Served,
        }
    }

    /// Whether there is no upstream, or one that has been silent for too long while it was listened to.
    fn is_orphan(&self, now: Now) -> bool {
        let listens = self.phase == Phase::Receiving && self.upstream.is_reading();
        let is_dead = || self.upstream.dead_at(&self.ctx).is_some_and(|at| at <= now.instant);
        self.upstream.id().is_none() || listens && is_dead()
    }

    /// The next thing to do, if there is one.
    pub fn poll(&mut self) -> Option<NodeOutput> {
        self.ctx.out.pop_front()
    }

    /// When to hand in [`NodeInput::Tick`] if nothing else happens before. None when the session is over.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.next().filter(|_| !self.phase.is_over())
    }

    /// Says when those things are due that follow from how the session stands.
    fn arm(&mut self) {
        self.timers.set(Timer::Upstream, self.upstream_due());
        self.timers.set(Timer::Children, self.downstream.deadline(&self.ctx));
    }

    /// When it is too long that nothing came from upstream, or that there is none.
    fn upstream_due(&self) -> Option<Instant> {
        match self.phase {
            Phase::Opening | Phase::Receiving => self.upstream.lost_at(&self.ctx),
            // A node that has everything need not wait for another upstream, nor hold up its upstream, which waits for its results.
            Phase::Ended { .. } if self.downstream.waits() => self.upstream.gone_at(&self.ctx),
            _ => None,
        }
    }

    /// Something happened.
    pub fn handle<'a>(&mut self, now: Now, input: impl Into<NodeInput<'a>>) {
        if self.phase.is_over() {
            return;
        }
        self.excuse_lateness(now);
        self.ctx.adopting = self.may_adopt(now);
        match input.into() {
            NodeInput::Tick => self.tick(now),
            NodeInput::Stop(grace) => self.stop(now, grace),
            NodeInput::Superseded => self.let_go(Code::SUPERSEDED, SUPERSEDED),
            NodeInput::Claimed(upstream, proven) => self.claimed(now, upstream, *proven),
            NodeInput::Asked(ask) => self.asked(now, &ask),
            NodeInput::Unwanted(ids) => self.unwanted(&ids),
            NodeInput::Cancelled(upstream, proven) => self.cancelled(now, upstream, *proven),
            NodeInput::Queried(upstream, proven) => self.queried(now, upstream, *proven),
            NodeInput::Heard => self.upstream.heard(now.instant),
            NodeInput::Received(upto) => {
                self.upstream.heard(now.instant);
                self.received = upto;
                self.downstream.available(upto);
            }
            NodeInput::End { size, sum } => self.ended(now, size, sum),
            NodeInput::EndVerified(result) => self.end_verified(now, result),
            NodeInput::Aborted(abort) => self.abort(now, &abort),
            NodeInput::Halted { offset, cause } => self.halted(now, offset, cause),
            NodeInput::Link(input) => self.downstream.handle(&mut self.ctx, now, input),
            NodeInput::Feed(FeedInput::Unservable(link)) => self.unservable(now, link),
            NodeInput::Feed(input) => self.downstream.fed(&mut self.ctx, now, &input),
            NodeInput::File(input) => self.filed(input),
        }
        self.advance(now);
        self.arm();
    }

    /// A process that was stopped for a while wakes up with every deadline past, and with all that was said meanwhile unread.
    fn excuse_lateness(&mut self, now: Now) {
        if let Some(late) = self.ctx.lateness(now, self.deadline()) {
            self.upstream.excuse(late);
            self.downstream.excuse(late);
        }
    }

    /// A node that was left behind must not take children from the nodes that went on without it.
    fn may_adopt(&self, now: Now) -> bool {
        self.ctx.wire() == Wire::One || !self.aside && self.upstream.lives(&self.ctx, now) || !self.begun()
    }

    /// Whether the payload is, or was, read. Before that nothing is due from upstream.
    fn begun(&self) -> bool {
        self.phase != Phase::Opening
    }

    /// A second word may shorten the time, and never makes it longer.
    fn stop(&mut self, now: Now, grace: Duration) {
        // A time that no clock will show is no limit.
        let stop_at = now.instant.checked_add(grace);
        self.timers.set(Timer::Stop, self.timers.get(Timer::Stop).into_iter().chain(stop_at).min());
    }

    fn ended(&mut self, now: Now, size: u64, sum: Sum) {
        self.upstream.heard(now.instant);
        if self.phase == Phase::Receiving {
            self.end = Some((size, sum));
            self.downstream.available(size);
            self.downstream.payload_ended();
            self.received = size;
            self.phase = Phase::Ended { awaited: false };
        }
    }

    fn end_verified(&mut self, now: Now, result: Result<(), PayloadError>) {
        match result {
            Ok(()) => self.verified |= self.end.is_some(),
            // The same size and root may have come before, signed.
            Err(error) if self.phase.has_ended() && !self.verified => self.fail_payload(now, &error),
            Err(_) => {}
        }
    }

    fn filed(&mut self, input: FileInput) {
        match input {
            FileInput::Opened(file, result) => self.opened(file, result),
            FileInput::Written(upto) => self.written = upto,
            FileInput::WriteFailed(file, fault) => self.fail(file, &fault, Fate::Discard),
            FileInput::Removed(id, result) => self.removed(&id, result.as_ref().copied()),
            FileInput::Placed(file, result) => self.placed(file, result.as_ref().copied()),
            FileInput::Displaced(id, fault) => self.displaced(&id, &fault),
        }
    }

    fn unservable(&mut self, now: Now, link: LinkId) {
        if self.downstream.unservable(&mut self.ctx, now, link) {
            self.step_aside();
        }
    }

    /// The nodes behind are better served by another.
    fn step_aside(&mut self) {
        self.aside = true;
        self.ctx.adopting = false;
        self.downstream.hang_up(&mut self.ctx);
        self.upstream.say(&mut self.ctx, &Line::Aside);
    }

    fn opened(&mut self, file: usize, result: Result<Opened, FileFault>) {
        match (self.files.state(file), result) {
            (Some(FileState::Opening), Ok(opened)) => self.files.set(file, FileState::Open(opened)),
            (Some(FileState::Opening), Err(fault)) => self.settle(file, Err(&fault)),
            // What was opened is removed next.
            (Some(FileState::Removing), _) => {}
            // The transfer was given up while the file was being opened.
            (Some(_), Ok(_)) => self.ctx.out.push_back(NodeOutput::File(FileOutput::Keep(file))),
            _ => {}
        }
    }

    /// A file is lost to this transfer, whatever becomes of the others.
    fn fail(&mut self, file: usize, fault: &FileFault, fate: Fate) {
        match self.files.state(file) {
            Some(FileState::Open(_)) => {
                self.ctx.out.push_back(match fate {
                    Fate::Discard => NodeOutput::File(FileOutput::Discard(file)),
                    Fate::Keep => NodeOutput::File(FileOutput::Keep(file)),
                });
                let message = format!("{}{}", fault.message, self.remains(file));
                self.settle(file, Err(&FileFault { code: fault.code, message }));
            }
            Some(FileState::Opening) => self.settle(file, Err(fault)),
            _ => {}
        }
    }

    /// What is to be said of a file in place that will not be whole.
    fn remains(&self, file: usize) -> &'static str {
        let in_place = self.header().node.requests.get(file).is_some_and(|request| !request.rename);
        if in_place && self.received > 0 { "; the file in place is not whole" } else { "" }
    }

    fn placed(&mut self, file: usize, result: Result<(), &FileFault>) {
        if self.files.state(file) == Some(FileState::Placing) {
            self.settle(file, result);
        }
    }

    /// The transfer ends here without the file, and so it does for every node behind.
    fn abort(&mut self, now: Now, abort: &Abort) {
        if self.phase == Phase::Aborted {
            return;
        }
        self.phase = Phase::Aborted;
        self.spoiled = abort.code == Code::WRONG_CHECKSUM && self.ctx.wire() == Wire::Two;
        let fault = FileFault { code: abort.code, message: abort.reason.clone() };
        for file in self.files.unfinished() {
            self.fail(file, &fault, Fate::Discard);
        }
        self.downstream.abort(&mut self.ctx, now, abort);
    }

    /// This node ends its part, and no other's: the nodes behind are taken up by one before it.
    fn let_go(&mut self, code: Code, message: &str) {
        if self.phase == Phase::Aborted {
            return;
        }
        self.phase = Phase::Aborted;
        let fault = FileFault { code, message: message.into() };
        for file in self.files.unfinished() {
            self.fail(file, &fault, Fate::Keep);
        }
        self.downstream.hang_up(&mut self.ctx);
    }

    fn tick(&mut self, now: Now) {
        self.arm();
        // On each tick: which children may be sought depends on more than the time.
        self.timers.set(Timer::Children, now.instant);
        while let Some(timer) = self.timers.expired(now.instant) {
            match timer {
                // On wire 1 nothing is said then, but a session that is not over has a deadline, even while it waits
                // for its disk alone.
                Timer::Alive => {
                    self.timers.set(Timer::Alive, now.instant + self.ctx.timing.alive);
                    self.upstream.say(&mut self.ctx, &Line::Alive);
                }
                Timer::Progress => self.tell_progress(now),
                Timer::Children => {
                    self.downstream.tick(&mut self.ctx, now);
                    // It may have left nothing to wait for, or no upstream to wait with.
                    self.timers.set(Timer::Upstream, self.upstream_due());
                }
                Timer::Upstream => self.lose_patience(now),
                // It may just have been given up.
                Timer::Stop if self.phase.is_over() => {}
                Timer::Stop if self.ctx.wire() == Wire::One => {
                    self.abort(now, &Abort { code: Code::STOPPED, reason: STOPPED.into() });
                }
                Timer::Stop => self.let_go(Code::STOPPED, STOPPED),
            }
        }
    }

    fn tell_progress(&mut self, now: Now) {
        self.timers.set(Timer::Progress, now.instant + self.ctx.timing.progress);
        if self.ctx.wire() == Wire::One {
            return;
        }
        let progress = self.progress();
        self.upstream.say(&mut self.ctx, &Line::Progress(progress));
        if self.downstream.watch_pace(&mut self.ctx, now) == Slow::StepAside {
            self.step_aside();
        }
    }

    /// Whatever has become possible by what just happened.
    fn advance(&mut self, now: Now) {
        self.get_ready(now);
        self.place();
        if self.phase == (Phase::Ended { awaited: true }) {
            self.downstream.forgo();
        }
        let over = self.is_over();
        if over {
            self.tell_last_progress();
        }
        while let Some(relayed) = self.ctx.relayed.pop_front() {
            self.upstream.relay(&mut self.ctx, relayed);
        }
        self.answer_cancels();
        if over {
            self.finish();
        }
    }

    fn get_ready(&mut self, now: Now) {
        let Some(upstream) = self.upstream.waiting() else { return };
        match self.phase {
            Phase::Opening if !self.is_ready() => return,
            Phase::Opening => {
                self.phase = Phase::Receiving;
                self.received = self.files.resumed();
                self.downstream.available(self.received);
            }
            Phase::Receiving | Phase::Ended { .. } => {}
            Phase::Aborted | Phase::Done | Phase::Forgotten => return,
        }
        self.upstream.read(now.instant);
        self.upstream.say(&mut self.ctx, &Line::Ready { offset: self.received });
        self.ctx.out.push_back(NodeOutput::Accept(upstream, self.received));
    }

    fn is_ready(&self) -> bool {
        // What cannot be read back must wait for the children, as they could not be served later.
        let open = !self.files.opening() && (self.files.readable() || self.downstream.settled());
        // Where the payload is not needed, wire 1 cannot be told so, and has to be listened to.
        let needed = self.ctx.wire() == Wire::One || !self.files.settled() || !self.downstream.finished();
        open && needed
    }

    fn place(&mut self) {
        let Some((size, _)) = self.end.filter(|&(size, _)| self.verified && self.written >= size) else {
            return;
        };
        if !self.phase.has_ended() {
            return;
        }
        for file in self.files.unfinished() {
            self.files.set(file, FileState::Placing);
            self.ctx.out.push_back(NodeOutput::File(FileOutput::Place(file, size)));
        }
    }

    fn is_over(&self) -> bool {
        let heard_out = match self.phase {
            Phase::Ended { .. } | Phase::Aborted => true,
            Phase::Opening | Phase::Receiving => self.ctx.wire() == Wire::Two,
            Phase::Done | Phase::Forgotten => false,
        };
        heard_out && self.files.settled() && self.cancels.settled() && self.downstream.finished()
    }

    /// The payload turned out wrong, or its upstream is gone.
    fn fail_payload(&mut self, now: Now, error: &PayloadError) {
        self.abort(now, &Abort { code: Code::from(error), reason: error.to_string() });
    }
}

const STOPPED: &str = "the node is being stopped";
/// Why an older transfer of a file does not go on.
pub const SUPERSEDED: &str = "a newer transfer of the same file took over";
