//! Asks all nodes at once, and does nothing else: the state machine of a check, and of a cancel where no transfer runs.
//! PROTOCOL.md, "Direct exchange".

use std::time::Instant;

use super::context::Context;
use super::entropy::Seed;
use super::exchange::DirectExchange;
use super::inquiry::{Failure, Inquiry};
use super::io::{Now, PreflightInput, PreflightOutput};
use super::plan::Plan;
use super::results::News;
use super::timing::Timing;
use crate::wire::{Keyring, Verb};

/// Nodes that are asked at the same time.
const AT_ONCE: usize = 256;

/// The state machine of a question to many nodes: whether they could write what is requested ([`Verb::Check`]), or that
/// it is not wanted any more ([`Verb::Cancel`]). See [the module](super) for how to drive it; it says one
/// [`Report`](PreflightOutput::Report) for each request.
#[derive(Debug)]
pub struct PreflightSession {
    ctx: Context<PreflightOutput>,
    inquiry: Inquiry,
    done: bool,
}

impl PreflightSession {
    /// Begins to ask every node of the plan.
    pub fn new(now: Now, mut plan: Plan, verb: Verb, keys: Keyring, timing: Timing, seed: Seed) -> Self {
        let (ctx, _) = Context::for_plan(&mut plan, verb, keys, timing, seed);
        let mut inquiry = Inquiry::new(AT_ONCE);
        plan.destinations.into_iter().for_each(|node| inquiry.ask(verb, node));
        let mut session = Self { ctx, inquiry, done: false };
        session.advance(now);
        session
    }

    /// What the nodes have said by now, for [`Plan::exchange`] of the transfer that was asked about.
    pub fn take_exchange(&mut self) -> DirectExchange {
        self.ctx.exchange.take().unwrap_or_default()
    }

    /// The next thing to do, if there is one.
    pub fn poll(&mut self) -> Option<PreflightOutput> {
        self.ctx.out.pop_front()
    }

    /// When to hand in [`PreflightInput::Tick`] if nothing else happens before. None when the session is over.
    pub fn deadline(&self) -> Option<Instant> {
        self.inquiry.deadline(&self.ctx)
    }

    /// Something happened.
    pub fn handle<'a>(&mut self, now: Now, input: impl Into<PreflightInput<'a>>) {
        if let Some(late) = self.ctx.lateness(now, self.deadline()) {
            self.inquiry.excuse(late);
        }
        match input.into() {
            PreflightInput::Tick => self.inquiry.tick(&mut self.ctx, now),
            PreflightInput::Stop => self.inquiry.stop(&mut self.ctx),
            PreflightInput::Link(input) => self.inquiry.handle(&mut self.ctx, now, input),
        }
        self.advance(now);
    }

    fn advance(&mut self, now: Now) {
        self.inquiry.advance(&mut self.ctx, now);
        for Failure { node, code, why, .. } in self.inquiry.take_failures() {
            let message = format!("{} {node}: {why}", code.meaning());
            self.ctx.report_for([&node], None, code, &message);
        }
        while let Some(relayed) = self.ctx.relayed.pop_front() {
            if relayed.news != News::Nothing {
                self.ctx.out.push_back(PreflightOutput::Report(relayed.report));
            }
        }
        if self.inquiry.is_over() && !self.done {
            self.done = true;
            let last = self.ctx.results.unreported();
            self.ctx.out.extend(last.into_iter().map(PreflightOutput::Report));
            self.ctx.out.push_back(PreflightOutput::Done);
        }
    }
}
