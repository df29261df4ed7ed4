//! Everything behind this side: the runs of the list that it shares out, and the child that is fed in each.
//!
//! Becoming a child is one operation, whatever the occasion: candidates are asked, the first in the list that answers
//! is chosen, and it ends with the payload flowing from the offset that the child names. [`Downstream::seek`] is what
//! drives it; it is called whenever something has changed.

mod loss;
mod progress;
mod saying;
mod slow;

pub(super) use slow::Slow;

use core::net::SocketAddr;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::child::{Child, Reader, Stage};
use super::context::Context;
use super::io::{Control, LinkId, LinkIds, Now, Output};
use super::run::{Lost, Run};
use super::share::share;
use crate::wire::{Abort, Change, Code, Destination, NodeState, Verb, Wire, proof};

/// The end of the payload, as far as this side knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Awaited,
    /// It is known here, and so may be with a child.
    Known,
    /// A child was sent it, and so may be whole.
    Out,
}

#[derive(Debug)]
pub(super) struct Downstream {
    runs: Vec<Run>,
    /// Who reports what this side sees of a child: the node's own index, none at the source.
    by: Option<u32>,
    /// Runs that may be active at the same time.
    most: usize,
    ids: LinkIds,
    aborting: Option<Instant>,
    end: End,
    /// Whether the source knows every result, which each child hears behind the end.
    bye: bool,
    /// How much of the payload there is to be sent.
    available: u64,
    changes: VecDeque<Change>,
    /// The latest change of each node that has had one.
    latest: HashMap<u32, Change>,
    length: Option<u64>,
    /// Whether a child was found too slow here already.
    was_slow: bool,
    /// Who was let in and lost in the runs of former lists.
    lost: Lost,
}

impl Downstream {
    /// Shares out `list` among `degree` runs. Nothing happens before [`start`](Self::start).
    pub(super) fn new(list: Vec<Destination>, degree: u32, by: Option<u32>, length: Option<u64>) -> Self {
        let runs = share(list, degree).into_iter().filter_map(Run::new).collect();
        Self {
            runs,
            by,
            most: usize::MAX,
            ids: LinkIds::from(0),
            aborting: None,
            end: End::Awaited,
            bye: false,
            available: 0,
            changes: VecDeque::new(),
            latest: HashMap::new(),
            length,
            was_slow: false,
            lost: Lost::Nobody,
        }
    }

    /// Begins anew with another list, of which everybody is a child of this side if `star` limits how many at once.
    pub(super) fn renew(
        &mut self,
        ctx: &mut Context,
        list: Vec<Destination>,
        degree: u32,
        star: Option<usize>,
    ) {
        self.lost = self.runs.iter().map(|run| run.lost).fold(self.lost, Lost::max);
        if self.end_is_known() && self.runs.iter().any(Run::serves) {
            self.lost = Lost::Finished;
        }
        self.hang_up(ctx);
        let degree = star.map_or(degree, |_| u32::try_from(list.len()).unwrap_or(u32::MAX));
        let runs = share(list, degree).into_iter().filter_map(Run::new);
        self.runs = runs.map(|run| run.behind_lost(self.lost)).collect();
        self.most = star.unwrap_or(usize::MAX);
    }

    pub(super) fn start(&mut self, ctx: &mut Context, now: Now) {
        for run in 0..self.runs.len() {
            self.seek(ctx, now, run);
        }
    }

    /// Whether every run has its child ready, or nobody left to ask.
    pub(super) fn settled(&self) -> bool {
        self.runs.iter().all(Run::settled)
    }

    /// Whether nothing more will come from behind.
    pub(super) fn finished(&self) -> bool {
        self.runs.iter().all(|run| run.over || run.left.is_some())
    }

    /// Whether there are runs in which nothing goes on: they wait for the upstream that children are sought for.
    pub(super) fn waits(&self) -> bool {
        self.runs.iter().any(|run| !run.over && run.left.is_none() && !run.active())
    }

    /// Gives those runs up: others have to see to them.
    pub(super) fn forgo(&mut self) {
        for run in &mut self.runs {
            if !run.over && run.left.is_none() && !run.active() {
                run.over = true;
            }
        }
    }

    /// Does what is next in a run without a child: chooses one of those that have answered, or asks another.
    fn seek(&mut self, ctx: &mut Context, now: Now, at: usize) {
        if self.aborting.is_some() || !ctx.adopting {
            // Nobody is sought for a transfer that is over without the file.
            let unsought = self.aborting.is_some() && !self.runs[at].active();
            self.runs[at].over |= unsought || self.runs[at].exhausted();
            return;
        }
        while !self.runs[at].over && self.runs[at].child.is_none() {
            if let Some(before) = self.runs[at].choice(ctx, now.instant) {
                return self.choose(ctx, now, at, before);
            }
            let crowded =
                !self.runs[at].active() && self.runs.iter().filter(|run| run.active()).count() >= self.most;
            let run = &mut self.runs[at];
            let Some(place) = run.candidate(ctx, now.instant).filter(|_| !crowded) else {
                if run.exhausted() {
                    run.over = true;
                    self.seek_elsewhere(ctx, now);
                }
                return;
            };
            run.launch(place, &mut self.ids, ctx, now.instant);
        }
    }

    /// A run that is over makes room for one that waits.
    fn seek_elsewhere(&mut self, ctx: &mut Context, now: Now) {
        if self.most == usize::MAX {
            return;
        }
        let waiting = self.runs.iter().position(|run| !run.over && !run.active());
        if let Some(at) = waiting {
            self.seek(ctx, now, at);
        }
    }

    /// The candidate behind that many others gets the proof. Those before it have had their time.
    fn choose(&mut self, ctx: &mut Context, now: Now, at: usize, before: usize) {
        for _ in 0..before {
            let passed = self.runs[at].attempts.remove(0);
            passed.close(ctx);
            if !self.runs[at].asks(passed.place) {
                let (place, node) = (passed.place, &passed.node);
                self.skip(ctx, at, place, node, Code::CANNOT_CONNECT, "no answer in time");
            }
        }
        let run = &mut self.runs[at];
        let Some(mut child) = run.attempts.remove(0).into_child() else { return };
        let (Reader::Wire2(reader), Some(challenge)) = (&child.reader, child.challenge) else { return };
        let Some(proof) = proof::line(&ctx.keys, &reader.nonce(), &challenge) else { return };
        ctx.out.push_back(Output::Send(child.link, proof));
        child.enter(Stage::Proving, now.instant);
        run.child = Some(child);
    }

    /// The child is let in where it was chosen: nobody else is sought.
    fn accepted(&mut self, ctx: &mut Context, now: Now, at: usize) {
        let run = &mut self.runs[at];
        let Some(child) = &mut run.child else { return };
        child.enter(Stage::Opening, now.instant);
        let place = child.place;
        run.attempts.drain(..).for_each(|attempt| attempt.close(ctx));
        run.left = None;
        run.resume_at(place + 1);
    }

    fn find(&mut self, link: LinkId) -> Option<(usize, &mut Child)> {
        let mut runs = self.runs.iter_mut().enumerate();
        runs.find_map(|(at, run)| run.find(link).map(|child| (at, child)))
    }

    /// The run in which a node is asked over that link, or its name looked up.
    fn asking(&self, link: LinkId) -> Option<usize> {
        let asks = |run: &Run| !run.over && run.attempts.iter().any(|attempt| attempt.has(link));
        self.runs.iter().position(asks)
    }

    /// The name of a node has these addresses.
    pub(super) fn found(&mut self, ctx: &mut Context, now: Now, link: LinkId, addresses: &[SocketAddr]) {
        let Some(at) = self.asking(link) else { return };
        let Some(mut attempt) = self.runs[at].take_attempt(link) else { return };
        match attempt.found(addresses, &mut self.ids, ctx, now.instant) {
            None => self.runs[at].put_attempt(attempt),
            Some(loss) => self.lose_attempt(ctx, now, at, &attempt, &loss),
        }
    }

    /// A connection stands: the header goes out.
    pub(super) fn connected(&mut self, ctx: &mut Context, now: Now, link: LinkId, to: SocketAddr) {
        let Some(at) = self.asking(link) else { return };
        let run = &mut self.runs[at];
        let Some(mut attempt) = run.take_attempt(link) else { return };
        let rest = run.behind(attempt.place).to_vec();
        let Some(child) = attempt.find(link) else { return run.put_attempt(attempt) };
        let introduced = ctx.introduce(now, child, Verb::Send, rest, self.by, to);
        if introduced.is_some() && ctx.wire() == Wire::One {
            // It says nothing before it has the payload: who takes the connection is taken at his word.
            attempt.settle(link, ctx, now.instant);
            run.child = attempt.into_child();
            return ctx.out.push_back(Output::Feed(link, 0));
        }
        run.put_attempt(attempt);
        if introduced.is_none() {
            self.lose(ctx, now, link, Code::UNSUPPORTED, "no password for this wire");
        }
    }

    fn ready(&mut self, ctx: &mut Context, now: Now, at: usize, offset: u64) {
        let length = self.length;
        let Some(child) = &mut self.runs[at].child else { return };
        let aligned = offset.is_multiple_of(ctx.header.block_size.into());
        if !(aligned || length.is_none() || length == Some(offset))
            || length.is_some_and(|length| offset > length)
        {
            let link = child.link;
            return self.lose(ctx, now, link, Code::PROTOCOL, "it is ready for an impossible offset");
        }
        child.enter(Stage::Feeding, now.instant);
        child.sent = offset;
        if self.aborting.is_none() {
            ctx.out.push_back(Output::Feed(child.link, offset));
        }
    }

    /// When there is word of every request of a run, nothing more is expected of its child.
    fn close_if_complete(&mut self, ctx: &mut Context, now: Now, at: usize) {
        let run = &mut self.runs[at];
        let Some(child) = &run.child else { return };
        // Those at the end of the run report last, as a rule, so that one look is enough.
        if child.stage >= Stage::Opening && ctx.results.heard_of_all(run.rest().iter().rev()) {
            ctx.out.push_back(Output::Close(child.link));
            run.over = true;
            self.seek_elsewhere(ctx, now);
        }
    }

    /// The payload is there up to that offset.
    pub(super) fn available(&mut self, upto: u64) {
        self.available = upto;
    }

    pub(super) fn payload_ended(&mut self) {
        self.end = self.end.max(End::Known);
    }

    pub(super) fn sent(&mut self, now: Now, link: LinkId, upto: u64) {
        if let Some((_, child)) = self.find(link) {
            child.took(now.instant, upto);
        }
    }

    /// It is this side that is slow, and by intention.
    pub(super) fn held_back(&mut self, now: Now, link: LinkId) {
        if let Some((_, child)) = self.find(link) {
            child.held_back(now.instant);
        }
    }

    pub(super) fn sent_end(&mut self, ctx: &mut Context, now: Now, link: LinkId) {
        let bye = self.bye;
        if let Some((_, child)) = self.find(link)
            && child.stage == Stage::Feeding
        {
            child.enter(Stage::Reporting, now.instant);
            self.end = End::Out;
            // 0.2 reads its footer to the end of the stream, and neither renames nor answers before.
            if ctx.wire() == Wire::One {
                ctx.out.push_back(Output::Finish(link));
            }
            if bye {
                ctx.out.push_back(Output::Control(link, Control::Bye));
            }
        }
    }

    fn end_is_known(&self) -> bool {
        self.end >= End::Known
    }

    /// Whether a child was sent the end of the payload: it, and those behind it, may be whole.
    pub(super) fn end_is_out(&self) -> bool {
        self.end == End::Out
    }

    /// The source knows every result: those that have the whole payload are told, the others when they have it.
    pub(super) fn bye(&mut self, ctx: &mut Context) {
        if std::mem::replace(&mut self.bye, true) {
            return;
        }
        let open = self.runs.iter().filter(|run| !run.over).filter_map(|run| run.child.as_ref());
        let whole = open.filter(|child| child.stage == Stage::Reporting);
        ctx.out.extend(whole.map(|child| Output::Control(child.link, Control::Bye)));
    }

    /// This side stood still for so long, and cannot tell who fell silent meanwhile.
    pub(super) fn excuse(&mut self, late: Duration) {
        for run in &mut self.runs {
            run.child.iter_mut().for_each(|child| child.excuse(late));
            run.attempts.iter_mut().for_each(|attempt| attempt.excuse(late));
        }
        self.aborting = self.aborting.map(|until| until + late);
    }

    /// Tells every child that the transfer is over without the file, and waits a little for what they have to say.
    pub(super) fn abort(&mut self, ctx: &mut Context, now: Now, abort: &Abort) {
        if self.aborting.is_some() {
            return;
        }
        self.aborting = Some(now.instant + ctx.timing.linger);
        let end_is_known = self.end_is_known();
        for run in self.runs.iter_mut().filter(|run| !run.over) {
            if let Some(first) = run.attempts.first() {
                let place = first.place;
                run.attempts.drain(..).for_each(|attempt| attempt.close(ctx));
                run.resume_at(place);
            }
            match &run.child {
                // After the end an abort would take back what may be complete already.
                Some(child) if child.stage == Stage::Reporting => {}
                // Who is let in hears of it, also while it opens its files: else it would wait for somebody else, and
                // keep them until then.
                Some(child) if child.stage >= Stage::Proving && ctx.wire() == Wire::Two => {
                    ctx.out.push_back(Output::Control(child.link, Control::Abort(abort.clone())));
                }
                child => {
                    let fed = child.as_ref().is_some_and(|child| child.stage >= Stage::Feeding);
                    ctx.out.extend(child.as_ref().map(|child| Output::Close(child.link)));
                    run.over = true;
                    // Nobody was sent the end, so nobody there can be whole.
                    if run.left.is_none() && (!fed || !end_is_known) {
                        let code = if run.lost == Lost::Finished { Code::LOST } else { abort.code };
                        ctx.report_for(run.rest(), self.by, code, &abort.reason);
                    }
                }
            }
        }
    }

    /// Closes every connection, without a word: who is behind has to be taken up by somebody else.
    pub(super) fn hang_up(&mut self, ctx: &mut Context) {
        for run in self.runs.iter_mut().filter(|run| !run.over) {
            run.attempts.drain(..).for_each(|attempt| attempt.close(ctx));
            ctx.out.extend(run.child.take().map(|child| Output::Close(child.link)));
            run.over = true;
        }
    }

    /// As [`hang_up`](Self::hang_up), but who is being fed gets all that was sent so far.
    pub(super) fn part(&mut self, ctx: &mut Context) {
        for run in &mut self.runs {
            if let Some(child) = run.child.take_if(|child| !run.over && child.stage >= Stage::Feeding) {
                ctx.out.push_back(Output::Part(child.link));
            }
        }
        self.hang_up(ctx);
    }

    pub(super) fn deadline(&self, ctx: &Context) -> Option<Instant> {
        let timing = &ctx.timing;
        let seeking = ctx.adopting && self.aborting.is_none();
        let of_child = |child: &Child| {
            let (dead, _) = child.deadline(timing, ctx.wire());
            let idle = child.idle_at(timing).filter(|_| seeking);
            [Some(dead), idle, self.aborting]
        };
        let open = self.runs.iter().filter(|run| !run.over);
        open.flat_map(|run| {
            let children = run.child.iter().flat_map(of_child);
            let attempts = run.attempts.iter().map(|attempt| attempt.deadline(timing, ctx.wire()));
            let star = self.most != usize::MAX;
            let asked = run.attempts.iter().filter(|attempt| star && attempt.stage() <= Stage::Greeting);
            let asked = asked.map(|attempt| attempt.asked_until(timing.direct)).min();
            let doubted = run.doubted_at(timing).filter(|_| star);
            let crowded = self.most != usize::MAX && !run.active();
            let seek = run.seek_at(ctx).filter(|_| seeking && !crowded);
            children.chain(attempts).chain([seek, asked, doubted]).flatten().collect::<Vec<_>>()
        })
        .min()
    }

    pub(super) fn tick(&mut self, ctx: &mut Context, now: Now) {
        for at in 0..self.runs.len() {
            if !self.runs[at].over {
                self.tick_run(ctx, now, at);
            }
        }
    }

    fn tick_run(&mut self, ctx: &mut Context, now: Now, at: usize) {
        let run = &mut self.runs[at];
        let mut dead = Vec::new();
        if let Some(child) = &mut run.child {
            let idle = child.idle_at(&ctx.timing).is_some_and(|idle| idle <= now.instant);
            // Who has no upstream sends no sign of life: those behind may then be taken up by others.
            if idle && ctx.adopting && self.aborting.is_none() {
                ctx.out.push_back(Output::Control(child.link, Control::Idle));
                child.idles(now.instant);
            }
            let (at, why) = child.deadline(&ctx.timing, ctx.wire());
            if at <= now.instant {
                dead.push((child.link, Code::TIMED_OUT, why));
            } else if self.aborting.is_some_and(|aborting| aborting <= now.instant) {
                dead.push((child.link, Code::ABORTED, "no answer to the abort in time"));
            }
        }
        for (link, code, why) in dead {
            self.lose(ctx, now, link, code, why);
        }
        self.tick_attempts(ctx, now, at);
        self.ask_beside(ctx, now, at);
        self.seek(ctx, now, at);
    }

    fn tick_attempts(&mut self, ctx: &mut Context, now: Now, at: usize) {
        let mut lost = Vec::new();
        for mut attempt in std::mem::take(&mut self.runs[at].attempts) {
            // A node that is asked directly was asked before, or is the last one that is waited for.
            let is_late = self.most != usize::MAX
                && attempt.stage() <= Stage::Greeting
                && attempt.asked_until(ctx.timing.direct) <= now.instant;
            let loss = if is_late {
                Some(attempt.give_up(ctx))
            } else {
                attempt.tick(&mut self.ids, ctx, now.instant)
            };
            match loss {
                None => self.runs[at].attempts.push(attempt),
                Some(loss) => lost.push((attempt, loss)),
            }
        }
        for (attempt, loss) in lost {
            self.lose_attempt(ctx, now, at, &attempt, &loss);
        }
    }

    /// Where each node is asked by itself, one that does not answer is asked over a second connection: what was damaged or
    /// lost on its way may have no answer.
    fn ask_beside(&mut self, ctx: &mut Context, now: Now, at: usize) {
        let run = &mut self.runs[at];
        let doubted = run.doubted_at(&ctx.timing).is_some_and(|at| at <= now.instant);
        let Some(first) = run.attempts.first().filter(|_| doubted && self.most != usize::MAX) else { return };
        let second = first.again(&mut self.ids, ctx, now.instant);
        run.asked_again = true;
        run.put_attempt(second);
    }

    fn note(&mut self, node: &Destination, state: NodeState, offset: u64) {
        self.note_change(Change { index: node.index, state, offset });
    }
}
