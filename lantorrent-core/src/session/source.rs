//! One transfer as its source sees it: send, collect results.

use std::time::{Duration, Instant};

use super::context::Context;
use super::downstream::Downstream;
use super::entropy::Seed;
use super::inquiry::{Failure, Inquiry};
use super::io::{FeedInput, Now, SourceInput, SourceOutput};
use super::links::Owner;
use super::plan::Plan;
use super::probe::{Probes, Sight};
use super::results::News;
use super::timers::Timers;
use super::timing::Timing;
use crate::wire::{
    Abort, Code, Destination, Header, Keyring, NodeState, Progress, Report, Sum, TransferId, TransferKey,
    Verb, Wire,
};

/// How nodes are reached that have not reported yet, one way after the other.
///
/// ```text
///   First ──few are left──────────────────────▶ Direct ──▶ Direct, while it is worth it
///     └────many──▶ Again ─────────────────────────┘
/// ```
#[derive(Debug, Clone, Copy)]
enum Round {
    /// All of them, in a chain or a tree.
    First,
    /// The nodes that are left, in a chain once more.
    Again,
    /// Each by itself.
    Direct(Asked),
}

/// Whether nodes are still sought.
///
/// ```text
///   Sending ──stopped, suspended, cannot be read──▶ Aborted ──▶ Done
///      └─────────────────── all is known ─────────────────────────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Sending,
    /// Only what the nodes say to that is waited for.
    Aborted,
    Done,
}

/// What is due, in the order in which it is dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Of the children.
    Children,
    /// Of the lost nodes that are asked whether they are there.
    Probes,
    /// Of the nodes that are asked, or told, something.
    Inquiry,
    /// The owner is to hear how far the nodes are.
    Progress,
}

/// When the nodes were asked that had not reported, and how many they were.
#[derive(Debug, Clone, Copy)]
struct Asked {
    at: Instant,
    open: usize,
}

impl Asked {
    /// Whether some have reported since, and it took so long that the others are worth asking again.
    fn was_worth_it(self, now: Now, open: usize) -> bool {
        open < self.open && now.instant.saturating_duration_since(self.at) >= AGAIN_AFTER
    }
}

/// How long a round has to last for the nodes that did not answer at its beginning to be asked again.
const AGAIN_AFTER: Duration = Duration::from_secs(3);
/// How often nodes are asked directly once more because what they had was not all from the source, and not what it signed.
/// The first time they let go of it, so that all of it is the source's the second time.
const FOR_SUMS: u32 = 2;
/// How many nodes are asked something at the same time.
const QUESTIONS: usize = 64;
/// How many are asked directly at the same time.
const DIRECT: usize = 16;
/// More nodes than that which have not reported are worth another chain.
const FEW: usize = 8;

/// The state machine of a source, for one transfer. See [the module](super) for how to drive it.
#[derive(Debug)]
pub struct SourceSession {
    key: TransferKey,
    ctx: Context<SourceOutput>,
    downstream: Downstream,
    probes: Probes,
    /// Asks nodes for their own word where that of the chain proves nothing, and tells them what is cancelled.
    inquiry: Inquiry,
    nodes: Vec<Destination>,
    round: Round,
    phase: Phase,
    timers: Timers<Timer>,
    sum: Option<Sum>,
    /// How often nodes were asked again for nothing but a result that was deferred.
    asked_for_sums: u32,
}

impl SourceSession {
    /// Begins to build the chain. Where `keys` has no password for the wire, every request fails with 517.
    pub fn new(now: Now, mut plan: Plan, keys: Keyring, timing: Timing, seed: Seed) -> Self {
        let (mut ctx, key) = Context::for_plan(&mut plan, Verb::Send, keys, timing, seed);
        let mut inquiry = Inquiry::new(QUESTIONS);
        let cancelled = plan.take_cancelled();
        // Until its node speaks for itself.
        ctx.report_for(&cancelled, None, Code::CANCELLED, "cancelled before it was sent");
        if ctx.wire() == Wire::Two {
            for node in cancelled {
                inquiry.ask(Verb::Cancel, node);
            }
        }
        let nodes = plan.destinations.clone();
        let mut downstream = Downstream::new(plan.destinations, plan.degree, None, plan.length);
        downstream.start(&mut ctx, now);
        let mut timers = Timers::default();
        timers.set(Timer::Progress, now.instant + ctx.timing.progress);
        let (round, phase, probes) = (Round::First, Phase::Sending, Probes::default());
        let mut session = Self {
            key,
            ctx,
            downstream,
            probes,
            inquiry,
            nodes,
            round,
            phase,
            timers,
            sum: None,
            asked_for_sums: 0,
        };
        session.advance(now);
        session
    }

    /// Names this transfer; on wire 2 it does so in every header.
    pub fn transfer(&self) -> TransferId {
        self.key.transfer()
    }

    /// What signs the end of the payload, for [`Supply::new`](crate::flow::Supply::new). None on wire 1.
    pub fn key(&self) -> Option<TransferKey> {
        (self.ctx.wire() == Wire::Two).then(|| self.key.clone())
    }

    /// The list that is sent, with each node's place in it.
    pub fn nodes(&self) -> &[Destination] {
        &self.nodes
    }

    /// The header that all headers of this transfer are made from, for
    /// [`PayloadWriter::new`](crate::wire::PayloadWriter::new).
    pub fn header(&self) -> &Header {
        &self.ctx.header
    }

    /// The next thing to do, if there is one.
    pub fn poll(&mut self) -> Option<SourceOutput> {
        self.ctx.out.pop_front()
    }

    /// When to hand in [`SourceInput::Tick`] if nothing else happens before. None when the session is over.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.next().filter(|_| self.phase != Phase::Done)
    }

    /// Says when those things are due that follow from how the session stands.
    fn arm(&mut self) {
        self.timers.set(Timer::Children, self.downstream.deadline(&self.ctx));
        self.timers.set(Timer::Probes, self.probes.deadline(&self.ctx));
        self.timers.set(Timer::Inquiry, self.inquiry.deadline(&self.ctx));
    }

    /// Something happened.
    pub fn handle<'a>(&mut self, now: Now, input: impl Into<SourceInput<'a>>) {
        if self.phase == Phase::Done {
            return;
        }
        if let Some(late) = self.ctx.lateness(now, self.deadline()) {
            self.downstream.excuse(late);
            self.probes.excuse(late);
            self.inquiry.excuse(late);
        }
        match input.into() {
            SourceInput::Tick => self.tick(now),
            SourceInput::Received(upto) => self.downstream.available(upto),
            SourceInput::Stop => {
                self.abort(now, &Abort { code: Code::STOPPED, reason: "the sender was stopped".into() });
            }
            SourceInput::Suspend => self.suspend(),
            SourceInput::Cancel(id) => self.cancel(&id),
            SourceInput::End { size, sum } => {
                self.sum = Some(sum);
                self.downstream.available(size);
                self.downstream.payload_ended();
            }
            SourceInput::Aborted(abort) => self.abort(now, &abort),
            SourceInput::Link(input) => match self.ctx.links.owner(input.link()) {
                Some(Owner::Run(_)) => self.downstream.handle(&mut self.ctx, now, input),
                Some(Owner::Probe(_)) => self.probes.handle(&mut self.ctx, now, input),
                Some(Owner::Question(_)) => self.inquiry.handle(&mut self.ctx, now, input),
                None => {}
            },
            // The source's file is all there is: its children are lost where it fails.
            SourceInput::Feed(FeedInput::Unservable(link)) => {
                self.downstream.unservable(&mut self.ctx, now, link);
            }
            SourceInput::Feed(input) => self.downstream.fed(&mut self.ctx, now, &input),
        }
        self.advance(now);
    }

    fn abort(&mut self, now: Now, abort: &Abort) {
        if self.phase == Phase::Sending {
            self.phase = Phase::Aborted;
            self.probes.stop(&mut self.ctx);
            self.inquiry.stop(&mut self.ctx);
            self.downstream.abort(&mut self.ctx, now, abort);
        }
    }

    /// Ends at once. The nodes keep what they have, and wait for another transfer of the same source.
    fn suspend(&mut self) {
        self.phase = Phase::Aborted;
        self.probes.stop(&mut self.ctx);
        self.inquiry.stop(&mut self.ctx);
        self.downstream.part(&mut self.ctx);
        let (code, why) = if self.downstream.end_is_out() {
            (
                Code::NEVER_REPORTED,
                "not known to be whole: the sender was suspended; the next transfer of the file finds out",
            )
        } else {
            (
                Code::STOPPED,
                "the sender was suspended; what the node has is kept for the next transfer of the file",
            )
        };
        self.ctx.report_for(&self.nodes, None, code, why);
    }

    /// Its node is told; what that says is the result. Where it does not answer, the result is what it would have been.
    fn cancel(&mut self, id: &str) {
        let index = self.ctx.results.index(id);
        let Some(node) = self.nodes.iter().find(|node| Some(node.index) == index) else { return };
        let requests = node.requests.iter().filter(|request| request.id == id).cloned().collect();
        if self.phase == Phase::Sending && self.ctx.wire() == Wire::Two {
            self.inquiry.ask(Verb::Cancel, Destination { requests, ..node.clone() });
        }
    }

    fn tick(&mut self, now: Now) {
        self.arm();
        // On each tick: which children may be sought depends on more than the time.
        self.timers.set(Timer::Children, now.instant);
        while let Some(timer) = self.timers.expired(now.instant) {
            match timer {
                Timer::Children => {
                    self.downstream.tick(&mut self.ctx, now);
                    // Where the second is slow too it is this side, and no other can serve them.
                    self.downstream.watch_pace(&mut self.ctx, now);
                }
                Timer::Probes => self.probes.tick(&mut self.ctx, now),
                Timer::Inquiry => self.inquiry.tick(&mut self.ctx, now),
                Timer::Progress => {
                    self.timers.set(Timer::Progress, now.instant + self.ctx.timing.progress);
                    self.tell_progress();
                }
            }
        }
    }

    fn tell_progress(&mut self) {
        let mut sum = Progress::default();
        self.downstream.progress(&self.ctx, &mut sum);
        self.count_the_rest(&mut sum);
        sum.changed.extend(self.downstream.take_changes(usize::MAX));
        self.ctx.out.push_back(SourceOutput::Progress(sum));
    }

    /// Those of former rounds are in no run any more.
    fn count_the_rest(&self, sum: &mut Progress) {
        let counted: usize = sum.states.values().map(|&count| count as usize).sum();
        let missing = u32::try_from(self.nodes.len().saturating_sub(counted)).unwrap_or(0);
        let (done, _) = self.ctx.results.done(&(0..=u32::MAX));
        let done = done.saturating_sub(sum.count(NodeState::Done)).min(missing);
        for (state, count) in [(NodeState::Done, done), (NodeState::Failed, missing - done)] {
            if count > 0 {
                *sum.states.entry(state).or_default() += count;
            }
        }
    }

    /// A node was lost, and may come back.
    fn watch(&mut self, now: Now, index: Option<u32>) {
        let node = self.nodes.iter().find(|node| Some(node.index) == index);
        let first = self.phase == Phase::Sending && matches!(self.round, Round::First);
        if let Some(node) = node.filter(|_| first) {
            self.probes.watch(now, node);
        }
    }

    fn advance(&mut self, now: Now) {
        while let Some(relayed) = self.ctx.relayed.pop_front() {
            // What others say of a node waits for the node's own word, until the end.
            if relayed.news == News::Settles {
                let report = self.checked(relayed.report);
                self.ctx.out.push_back(SourceOutput::Report(report));
            } else if relayed.news == News::Held {
                self.ask_about(&relayed.report);
            } else if relayed.report.code.is_provisional() && !matches!(self.round, Round::Direct(_)) {
                self.watch(now, relayed.report.index);
                self.ctx.out.push_back(SourceOutput::Bypassed(relayed.report));
            }
        }
        // Behind the reports: some of them make questions, which are asked at once.
        self.inquiry.advance(&mut self.ctx, now);
        for failure in self.inquiry.take_failures() {
            self.has_no_answer(&failure);
        }
        // A node that is about to say that nothing of it is written need not be asked for it.
        while self.downstream.finished() && self.inquiry.is_over() && self.phase != Phase::Done {
            if self.ask_again(now) {
                continue;
            }
            self.phase = Phase::Done;
            self.probes.stop(&mut self.ctx);
            self.tell_progress();
            let last = self.ctx.results.close();
            self.ctx.out.extend(last.into_iter().map(SourceOutput::Report));
            self.ctx.out.push_back(SourceOutput::Done);
        }
        self.arm();
    }

    /// The node is to say by itself what the chain says in its name.
    fn ask_about(&mut self, report: &Report) {
        let node = self.nodes.iter().find(|node| Some(node.index) == report.index);
        let Some(node) = node.filter(|_| self.phase == Phase::Sending) else { return };
        let requests = node.requests.iter().filter(|request| Some(&request.id) == report.id.as_ref());
        let requests = requests.cloned().collect();
        self.inquiry.ask(Verb::Query, Destination { requests, ..node.clone() });
    }

    /// A node could not be asked, or not be told.
    fn has_no_answer(&mut self, failure: &Failure) {
        let Failure { verb, node, code, why, reached } = failure;
        if *verb == Verb::Cancel {
            log::warn!("{node} was not told what is cancelled: {} {why}", code.meaning());
            return;
        }
        log::warn!("{node} did not confirm its result: {} {why}", code.meaning());
        if *code == Code::NEVER_REPORTED || *reached {
            // It never was in the transfer, or has forgotten it, or is not at its end: it is served by itself.
            return self.ctx.results.reopen(node);
        }
        for report in self.ctx.results.take_at_its_word(node) {
            let report = self.checked(report);
            self.ctx.out.push_back(SourceOutput::Report(report));
        }
    }

    /// Turns to those that have not reported themselves. False if there are none, or nothing can be done for them.
    fn ask_again(&mut self, now: Now) -> bool {
        let open = self.nodes.iter().filter(|node| !self.ctx.results.settled(node));
        let open: Vec<Destination> = open.cloned().collect();
        if self.phase != Phase::Sending || self.ctx.wire() == Wire::One || open.is_empty() {
            return false;
        }
        let asked = Asked { at: now.instant, open: open.len() };
        let deferred = self.ctx.results.take_deferred();
        let star = match self.round {
            Round::First if open.len() > FEW => {
                self.round = Round::Again;
                None
            }
            Round::Direct(_) if deferred && self.asked_for_sums < FOR_SUMS => {
                self.asked_for_sums += 1;
                self.round = Round::Direct(asked);
                Some(DIRECT)
            }
            // While some were served others may have come back.
            Round::Direct(before) if !before.was_worth_it(now, open.len()) => return false,
            Round::First | Round::Again | Round::Direct(_) => {
                self.round = Round::Direct(asked);
                Some(DIRECT)
            }
        };
        let gone = |node: &Destination| self.probes.sight(&self.ctx, now, node.index) == Sight::Gone;
        let (gone, open): (Vec<_>, Vec<_>) = open.into_iter().partition(gone);
        self.probes.stop(&mut self.ctx);
        log::info!("asking {} nodes that have not reported", open.len());
        self.ctx.results.doubt_hearsay();
        self.ctx.report_for(&gone, None, Code::LOST, "it has not answered since");
        let degree = self.ctx.header.degree;
        self.downstream.renew(&mut self.ctx, open, degree, star);
        self.downstream.start(&mut self.ctx, now);
        true
    }

    /// A success counts only for what this source sent.
    fn checked(&self, report: Report) -> Report {
        let claimed = match self.ctx.wire() {
            Wire::One => Some(report.md5sum.as_str()),
            Wire::Two => report.root.as_deref(),
        };
        if !report.code.is_success() || self.sum.is_some_and(|sum| Some(sum.to_hex().as_str()) == claimed) {
            return report;
        }
        Report {
            code: Code::WRONG_CHECKSUM,
            message: "the node reports success for other content than was sent".into(),
            ..report
        }
    }
}
