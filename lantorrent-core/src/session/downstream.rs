//! Everything behind this side: the runs of the list that it shares out, and the child that is fed in each.
//!
//! Becoming a child is one operation, whatever the occasion: candidates are asked, the first in the list that answers
//! is chosen, and it ends with the payload flowing from the offset that the child names. `Downstream::seek` is what
//! drives it; it is called whenever something has changed.

mod loss;
mod progress;
mod said;
mod seek;
mod slow;
mod timers;

pub(super) use slow::Slow;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::child::{Child, Stage};
use super::context::Context;
use super::io::{Control, FeedInput, FeedOutput, Feeds, LinkId, LinkInput, Now, SourceOutput};
use super::links::Owner;
use super::run::{Lost, Run, State};
use super::share::share;
use crate::wire::{Abort, Change, Code, Destination, NodeState, Wire};

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
    /// The reporter of what this side sees of a child: the node's own index, none at the source.
    by: Option<u32>,
    /// Runs that may be active at the same time.
    most: usize,
    /// Once the transfer is aborted: until when the children may say how they end.
    aborting: Option<Instant>,
    end: End,
    /// How much of the payload there is to be sent.
    available: u64,
    changes: VecDeque<Change>,
    /// The latest change of each node that has had one.
    latest: HashMap<u32, Change>,
    length: Option<u64>,
    /// Whether a child was found too slow here already.
    was_slow: bool,
    /// What was lost in the runs of former lists.
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
            aborting: None,
            end: End::Awaited,
            available: 0,
            changes: VecDeque::new(),
            latest: HashMap::new(),
            length,
            was_slow: false,
            lost: Lost::Nothing,
        }
    }

    /// Begins anew with another list, of which each node is a child of this side if `star` limits how many at once.
    pub(super) fn renew(
        &mut self,
        ctx: &mut Context<impl Feeds>,
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

    pub(super) fn start(&mut self, ctx: &mut Context<impl Feeds>, now: Now) {
        for run in 0..self.runs.len() {
            self.seek(ctx, now, run);
        }
    }

    /// Whether every run has its child ready, or no node left to ask.
    pub(super) fn settled(&self) -> bool {
        self.runs.iter().all(Run::settled)
    }

    /// Whether nothing more will come from behind.
    pub(super) fn finished(&self) -> bool {
        self.runs.iter().all(|run| run.is_over() || run.left.is_some())
    }

    /// Whether there are runs in which nothing goes on: they wait for the upstream that children are sought for.
    pub(super) fn waits(&self) -> bool {
        self.runs.iter().any(Run::waits)
    }

    /// Gives those runs up: others have to see to them.
    pub(super) fn forgo(&mut self) {
        self.runs.iter_mut().filter(|run| run.waits()).for_each(Run::end);
    }

    /// The child that is fed over that link, and the place of its run.
    fn find(&mut self, ctx: &Context<impl Feeds>, link: LinkId) -> Option<(usize, &mut Child)> {
        let Some(Owner::Run(at)) = ctx.links.owner(link) else { return None };
        let child = self.runs.get_mut(at)?.child_mut()?;
        (child.link() == link).then_some((at, child))
    }

    fn ready(&mut self, ctx: &mut Context<impl Feeds>, now: Now, at: usize, offset: u64) {
        let length = self.length;
        let Some(child) = self.runs[at].child_mut() else { return };
        let aligned = offset.is_multiple_of(ctx.header.block_size.into());
        if !(aligned || length.is_none() || length == Some(offset))
            || length.is_some_and(|length| offset > length)
        {
            return self.lose(ctx, now, at, Code::PROTOCOL, "it is ready for an impossible offset");
        }
        child.enter(Stage::Feeding, now.instant);
        child.sent = offset;
        child.began = Some(offset);
        if self.aborting.is_none() {
            ctx.push(FeedOutput::Feed(child.link(), offset));
        }
    }

    /// When there is word of every request of a run, nothing more is expected of its child.
    fn close_if_complete(&mut self, ctx: &mut Context<impl Feeds>, now: Now, at: usize) {
        let run = &mut self.runs[at];
        let Some(child) = run.child() else { return };
        // Those at the end of the run report last, as a rule, so that one look is enough.
        if ctx.results.heard_of_all(run.rest().iter().rev()) {
            ctx.close(child.link());
            run.end();
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

    /// Something becomes of a connection, or of a lookup.
    pub(super) fn handle(&mut self, ctx: &mut Context<impl Feeds>, now: Now, input: LinkInput<'_>) {
        match input {
            LinkInput::Found(link, addresses) => self.found(ctx, now, link, &addresses),
            LinkInput::Connected(link, to) => self.connected(ctx, now, link, to),
            LinkInput::Bytes(link, bytes) => self.bytes(ctx, now, link, bytes),
            LinkInput::Closed(link, why) => self.closed(ctx, now, link, &why),
        }
    }

    /// The payload goes to a child.
    pub(super) fn fed(&mut self, ctx: &mut Context<impl Feeds>, now: Now, input: &FeedInput) {
        let (FeedInput::Sent(link, _)
        | FeedInput::HeldBack(link)
        | FeedInput::SentEnd(link)
        | FeedInput::Unservable(link)) = *input;
        let Some((_, child)) = self.find(ctx, link) else { return };
        match *input {
            FeedInput::Sent(_, upto) => child.took(now.instant, upto),
            // It is this side that is slow, and by intention.
            FeedInput::HeldBack(_) => child.held_back(now.instant),
            FeedInput::SentEnd(link) => self.sent_end(ctx, now, link),
            // What follows is another thing for a node than for a source.
            FeedInput::Unservable(_) => {}
        }
    }

    fn sent_end(&mut self, ctx: &mut Context<impl Feeds>, now: Now, link: LinkId) {
        if let Some((_, child)) = self.find(ctx, link)
            && child.stage == Stage::Feeding
        {
            child.enter(Stage::Reporting, now.instant);
            self.end = End::Out;
            // 0.2 reads its footer to the end of the stream, and neither renames nor answers before.
            if ctx.wire() == Wire::One {
                ctx.push(FeedOutput::Finish(link));
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

    /// This side stood still for so long, and cannot tell which nodes fell silent meanwhile.
    pub(super) fn excuse(&mut self, late: Duration) {
        self.runs.iter_mut().for_each(|run| run.excuse(late));
        self.aborting = self.aborting.map(|until| until + late);
    }

    /// Tells every child that the transfer is over without the file, and waits a little for what they have to say.
    pub(super) fn abort(&mut self, ctx: &mut Context<impl Feeds>, now: Now, abort: &Abort) {
        if self.aborting.is_some() {
            return;
        }
        self.aborting = Some(now.instant + ctx.timing.linger);
        let end_is_known = self.end_is_known();
        for run in self.runs.iter_mut().filter(|run| !run.is_over()) {
            if let Some(first) = run.candidates.first() {
                let place = first.place;
                run.drop_candidates(ctx);
                run.resume_at(place);
            }
            let told = match &run.state {
                // After the end an abort would take back what may be complete already.
                State::Fed(child) if child.stage == Stage::Reporting => continue,
                // A child that is let in hears of it, also while it opens its files: else it would wait for another
                // upstream, and keep them until then.
                State::Fed(child) if ctx.wire() == Wire::Two => Some(child.link()),
                State::Chosen(candidate) => candidate.handshake.link(),
                _ => None,
            };
            if let Some(link) = told {
                ctx.push(FeedOutput::Control(link, Control::Abort(abort.clone())));
                continue;
            }
            let fed = run.child().map(Child::link);
            if let Some(link) = fed {
                ctx.close(link);
            }
            // No child was sent the end, so none can be whole.
            if run.left.is_none() && (fed.is_none() || !end_is_known) {
                let code = if run.lost == Lost::Finished { Code::LOST } else { abort.code };
                ctx.report_for(run.rest(), self.by, code, &abort.reason);
            }
            run.end();
        }
    }

    /// Closes every connection, without a word: those behind have to be taken up by others.
    pub(super) fn hang_up(&mut self, ctx: &mut Context<impl Feeds>) {
        for run in self.runs.iter_mut().filter(|run| !run.is_over()) {
            run.drop_candidates(ctx);
            if let Some(candidate) = run.take_chosen() {
                candidate.handshake.close(ctx);
            }
            if let Some(child) = run.take_child() {
                ctx.close(child.link());
            }
            run.end();
        }
    }

    /// As [`hang_up`](Self::hang_up), but a child that is being fed gets all that was sent so far.
    pub(super) fn part(&mut self, ctx: &mut Context<SourceOutput>) {
        for run in &mut self.runs {
            if let Some(child) = run.take_child_if(|child| child.stage >= Stage::Feeding) {
                ctx.links.close(child.link());
                ctx.out.push_back(SourceOutput::Part(child.link()));
            }
        }
        self.hang_up(ctx);
    }

    fn note(&mut self, node: &Destination, state: NodeState, offset: u64) {
        self.note_change(Change { index: node.index, state, offset });
    }
}
