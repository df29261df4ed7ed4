//! Asks all nodes at once, and does nothing else: the state machine of a check, and of a cancel where no transfer runs.
//! PROTOCOL.md, "Check" and "Cancel".

use std::time::Instant;

use super::context::Context;
use super::entropy::Seed;
use super::inquiry::{Failure, Inquiry};
use super::io::{Input, Now, Output};
use super::plan::Plan;
use super::results::News;
use super::timing::Timing;
use crate::wire::{Keyring, Verb};

/// Nodes that are asked at the same time.
const AT_ONCE: usize = 256;

/// The state machine of a question to many nodes: whether they could write what is requested ([`Verb::Check`]), or that
/// nobody wants it any more ([`Verb::Cancel`]). See [the module](super) for how to drive it; it asks for
/// [`Output::LookUp`], [`Connect`](Output::Connect), [`Send`](Output::Send), [`Close`](Output::Close) and [`Report`](Output::Report), one for each
/// request, and is [`Done`](Output::Done).
#[derive(Debug)]
pub struct PreflightSession {
    ctx: Context,
    inquiry: Inquiry,
    done: bool,
}

impl PreflightSession {
    /// Begins to ask everybody in the plan.
    pub fn new(now: Now, mut plan: Plan, verb: Verb, keys: Keyring, timing: Timing, seed: Seed) -> Self {
        let (ctx, _) = Context::for_plan(&mut plan, verb, keys, timing, seed);
        let mut inquiry = Inquiry::new(verb, AT_ONCE);
        plan.destinations.into_iter().for_each(|node| inquiry.ask(node));
        let mut session = Self { ctx, inquiry, done: false };
        session.advance(now);
        session
    }

    /// The next thing to do, if there is one.
    pub fn poll(&mut self) -> Option<Output> {
        self.ctx.out.pop_front()
    }

    /// When to hand in [`Input::Tick`] if nothing else happens before. None when the session is over.
    pub fn deadline(&self) -> Option<Instant> {
        self.inquiry.deadline(&self.ctx)
    }

    /// Something happened. Inputs that have nothing to do with it change nothing.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        if let Some(late) = self.ctx.lateness(now, self.deadline()) {
            self.inquiry.excuse(late);
        }
        let ctx = &mut self.ctx;
        match input {
            Input::Tick => self.inquiry.tick(ctx, now),
            Input::Stop(_) => self.inquiry.stop(ctx),
            Input::Found(link, addresses) => self.inquiry.found(ctx, now, link, &addresses),
            Input::Connected(link, to) => self.inquiry.connected(ctx, now, link, to),
            Input::Bytes(link, bytes) => self.inquiry.bytes(ctx, now, link, bytes),
            Input::Closed(link, why) => self.inquiry.closed(ctx, now, link, &why),
            _ => {}
        }
        self.advance(now);
    }

    fn advance(&mut self, now: Now) {
        self.inquiry.advance(&mut self.ctx, now);
        for Failure { node, code, why } in self.inquiry.take_failures() {
            let message = format!("{} {node}: {why}", code.meaning());
            self.ctx.report_for([&node], None, code, &message);
        }
        while let Some(relayed) = self.ctx.relayed.pop_front() {
            if relayed.news != News::Nothing {
                self.ctx.out.push_back(Output::Report(relayed.report));
            }
        }
        if self.inquiry.is_over() && !self.done {
            self.done = true;
            let last = self.ctx.results.unreported();
            self.ctx.out.extend(last.into_iter().map(Output::Report));
            self.ctx.out.push_back(Output::Done);
        }
    }
}
