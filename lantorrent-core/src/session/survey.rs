//! Asks all nodes at once, and does nothing else: the state machine of a check, and of a cancel where no transfer runs.
//! PROTOCOL.md, "Check" and "Cancel".

use std::time::Instant;

use super::desk::Desk;
use super::entropy::Seed;
use super::inquiry::{Failure, Inquiry};
use super::io::{Input, Now, Output};
use super::ledger::News;
use super::plan::Plan;
use super::timing::Timing;
use crate::wire::{Keyring, Verb};

/// Nodes that are asked at the same time.
const AT_ONCE: usize = 256;

/// The state machine of a question to many nodes: whether they could write what is requested ([`Verb::Check`]), or that
/// nobody wants it any more ([`Verb::Cancel`]). See [the module](super) for how to drive it; it asks for
/// [`Output::LookUp`], [`Connect`](Output::Connect), [`Send`](Output::Send), [`Close`](Output::Close) and [`Report`](Output::Report), one for each
/// request, and is [`Done`](Output::Done).
#[derive(Debug)]
pub struct SurveySession {
    desk: Desk,
    inquiry: Inquiry,
    done: bool,
}

impl SurveySession {
    /// Begins to ask everybody in the plan.
    pub fn new(now: Now, mut plan: Plan, verb: Verb, keys: Keyring, timing: Timing, seed: Seed) -> Self {
        let (desk, _) = Desk::for_plan(&mut plan, verb, keys, timing, seed);
        let mut inquiry = Inquiry::new(verb, AT_ONCE, 0);
        plan.destinations.into_iter().for_each(|node| inquiry.ask(node));
        let mut session = Self { desk, inquiry, done: false };
        session.advance(now);
        session
    }

    /// The next thing to do, if there is one.
    pub fn poll(&mut self) -> Option<Output> {
        self.desk.out.pop_front()
    }

    /// When to hand in [`Input::Tick`] if nothing else happens before. None when the session is over.
    pub fn deadline(&self) -> Option<Instant> {
        self.inquiry.deadline(&self.desk)
    }

    /// Something happened. Inputs that have nothing to do with it change nothing.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        if let Some(late) = self.desk.lateness(now, self.deadline()) {
            self.inquiry.excuse(late);
        }
        let desk = &mut self.desk;
        match input {
            Input::Tick => self.inquiry.tick(desk, now),
            Input::Stop(_) => self.inquiry.stop(desk),
            Input::Found(link, addresses) => self.inquiry.found(desk, now, link, &addresses),
            Input::Connected(link, to) => self.inquiry.connected(desk, now, link, to),
            Input::Bytes(link, bytes) => self.inquiry.bytes(desk, now, link, bytes),
            Input::Closed(link, why) => self.inquiry.closed(desk, now, link, &why),
            _ => {}
        }
        self.advance(now);
    }

    fn advance(&mut self, now: Now) {
        self.inquiry.advance(&mut self.desk, now);
        for Failure { node, code, why } in self.inquiry.take_failures() {
            let message = format!("{} {node}: {why}", code.meaning());
            self.desk.report_for([&node], None, code, &message);
        }
        while let Some(relayed) = self.desk.relayed.pop_front() {
            if relayed.news != News::Nothing {
                self.desk.out.push_back(Output::Report(relayed.report));
            }
        }
        if self.inquiry.is_over() && !self.done {
            self.done = true;
            let last = self.desk.ledger.unreported();
            self.desk.out.extend(last.into_iter().map(Output::Report));
            self.desk.out.push_back(Output::Done);
        }
    }
}
