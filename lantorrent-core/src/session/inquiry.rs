//! Asks nodes something, each over a connection of its own, that they answer with a result for each request: many at the
//! same time, and each twice if need be. PROTOCOL.md, "Check" and "Cancel".

use core::net::SocketAddr;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::attempt::{Attempt, Loss};
use super::child::{Child, Reader, Said, Stage};
use super::context::Context;
use super::io::{LinkId, LinkIds, Now, Output};
use crate::wire::{Code, Destination, Line, Report, Verb, proof};

/// How often each is asked.
const TRIES: u32 = 2;

/// The questions, and who is being asked.
#[derive(Debug)]
pub(super) struct Inquiry {
    verb: Verb,
    /// Nodes that are asked at the same time.
    most: usize,
    waiting: VecDeque<Asked>,
    /// With how often each was asked before.
    open: Vec<(Attempt, u32)>,
    ids: LinkIds,
    failures: Vec<Failure>,
}

#[derive(Debug)]
struct Asked {
    node: Destination,
    tries: u32,
}

/// A node that gave no answer.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) node: Destination,
    pub(super) code: Code,
    pub(super) why: String,
}

impl Inquiry {
    /// Nobody yet. Its links have the numbers from `first_link` on.
    pub(super) fn new(verb: Verb, most: usize, first_link: u32) -> Self {
        let (waiting, open, failures) = (VecDeque::new(), Vec::new(), Vec::new());
        Self { verb, most, waiting, open, ids: LinkIds::from(first_link), failures }
    }

    /// A node is to be asked about these of its requests, but for those that it is being asked about.
    pub(super) fn ask(&mut self, mut node: Destination) {
        let open = self.open.iter().map(|(attempt, _)| &attempt.node);
        let asked = open.chain(self.waiting.iter().map(|asked| &asked.node));
        for asked in asked.filter(|asked| asked.index == node.index) {
            node.requests.retain(|request| !asked.requests.contains(request));
        }
        if node.requests.is_empty() {
            return;
        }
        match self.waiting.iter_mut().find(|asked| asked.node.index == node.index) {
            Some(asked) => asked.node.requests.extend(node.requests),
            None => self.waiting.push_back(Asked { node, tries: 0 }),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.open.is_empty()
    }

    /// Who gave no answer since this was asked last.
    pub(super) fn take_failures(&mut self) -> Vec<Failure> {
        std::mem::take(&mut self.failures)
    }

    pub(super) fn deadline(&self, ctx: &Context) -> Option<Instant> {
        let due = |attempt: &Attempt| {
            let late = attempt.asked_until(ctx.timing.check);
            attempt.deadline(&ctx.timing, ctx.wire()).map_or(late, |due| due.min(late))
        };
        self.open.iter().map(|(attempt, _)| due(attempt)).min()
    }

    /// This side stood still for so long, and has not read yet what was answered meanwhile.
    pub(super) fn excuse(&mut self, late: Duration) {
        self.open.iter_mut().for_each(|(attempt, _)| attempt.excuse(late));
    }

    /// Lets go of those whose answer is known, whoever brought it, and asks the next ones.
    pub(super) fn advance(&mut self, ctx: &mut Context, now: Now) {
        let known = |(attempt, _): &mut (Attempt, u32)| ctx.results.settled(&attempt.node);
        let known: Vec<_> = self.open.extract_if(.., known).collect();
        for (attempt, _) in known {
            attempt.close(ctx);
        }
        while self.open.len() < self.most
            && let Some(Asked { node, tries }) = self.waiting.pop_front()
        {
            if !ctx.results.settled(&node) {
                self.open.push((Attempt::begin(0, node, &mut self.ids, ctx, now.instant), tries));
            }
        }
    }

    /// Nobody is asked any more.
    pub(super) fn stop(&mut self, ctx: &mut Context) {
        self.waiting.clear();
        self.open.drain(..).for_each(|(attempt, _)| attempt.close(ctx));
    }

    fn position(&self, link: LinkId) -> Option<usize> {
        self.open.iter().position(|(attempt, _)| attempt.has(link))
    }

    fn find(&mut self, link: LinkId) -> Option<&mut Child> {
        self.open.iter_mut().find_map(|(attempt, _)| attempt.find(link))
    }

    /// The name of a node has these addresses.
    pub(super) fn found(&mut self, ctx: &mut Context, now: Now, link: LinkId, addresses: &[SocketAddr]) {
        let Some(at) = self.position(link) else { return };
        if let Some(loss) = self.open[at].0.found(addresses, &mut self.ids, ctx, now.instant) {
            self.retry(at, loss);
        }
    }

    pub(super) fn connected(&mut self, ctx: &mut Context, now: Now, link: LinkId, to: SocketAddr) {
        let verb = self.verb;
        let Some(child) = self.find(link) else { return };
        if ctx.introduce(now, child, verb, Vec::new(), None, to).is_none() {
            self.fail(ctx, link, Code::UNSUPPORTED, "no password for this wire");
        }
    }

    pub(super) fn bytes(&mut self, ctx: &mut Context, now: Now, link: LinkId, mut input: &[u8]) {
        while !input.is_empty() {
            let Some(child) = self.find(link) else { return };
            match child.read(input, now.instant) {
                Ok((used, said)) => {
                    input = &input[used..];
                    if let Some(said) = said {
                        self.said(ctx, now, link, said);
                    }
                }
                Err(error) => return self.lose(ctx, now, link, Code::from(&error), &error.to_string()),
            }
        }
    }

    fn said(&mut self, ctx: &mut Context, now: Now, link: LinkId, said: Said) {
        let Some(child) = self.find(link) else { return };
        match (said, child.stage) {
            (Said::Bare(report), _) => self.refused(ctx, now, link, &report),
            (Said::Line(Line::Challenge { challenge }), Stage::Greeting) => {
                let Reader::Wire2(reader) = &child.reader else { return };
                let Some(proof) = proof::line(&ctx.keys, &reader.nonce(), &challenge) else { return };
                child.enter(Stage::Proving, now.instant);
                self.settle(ctx, now, link);
                ctx.out.push_back(Output::Send(link, proof));
            }
            (Said::Line(Line::Accepted), Stage::Proving) => child.enter(Stage::Opening, now.instant),
            (Said::Line(Line::Result(sealed)), Stage::Opening) => {
                let index = child.node.index;
                let opened = ctx.result_key.as_ref().map(|key| sealed.open(key));
                match opened {
                    // It speaks for itself alone.
                    Some(Ok(report)) if report.index == Some(index) => self.reported(ctx, link, report),
                    _ => self.fail(ctx, link, Code::PROTOCOL, "it sent a result that cannot be read"),
                }
            }
            // Signs of life, while it is at work.
            (Said::Line(Line::Alive | Line::Progress(_)), Stage::Opening) => {}
            (Said::Line(_), _) => self.fail(ctx, link, Code::PROTOCOL, "it sent a line out of turn"),
        }
    }

    /// The node has answered there: its other addresses are not needed.
    fn settle(&mut self, ctx: &mut Context, now: Now, link: LinkId) {
        if let Some((attempt, _)) = self.open.iter_mut().find(|(attempt, _)| attempt.has(link)) {
            attempt.settle(link, ctx, now.instant);
        }
    }

    fn reported(&mut self, ctx: &mut Context, link: LinkId, report: Report) {
        ctx.report(report, None);
        let Some(at) = self.position(link) else { return };
        if ctx.results.settled(&self.open[at].0.node) {
            self.open.remove(at).0.close(ctx);
        }
    }

    /// What a damaged header or proof is answered with cannot be told from a refusal.
    fn refused(&mut self, ctx: &mut Context, now: Now, link: LinkId, report: &Report) {
        let code = if report.code.is_success() { Code::PROTOCOL } else { report.code };
        self.lose(ctx, now, link, code, &format!("it says {:?}", report.message));
    }

    /// A connection could not be made, or has ended.
    pub(super) fn closed(&mut self, ctx: &mut Context, now: Now, link: LinkId, why: &str) {
        let Some(child) = self.find(link) else {
            // Its name could not be looked up.
            return self.lose(ctx, now, link, Code::CANNOT_CONNECT, why);
        };
        if let Reader::Wire2(reader) = &child.reader
            && let Some(report) = reader.finish()
        {
            return self.refused(ctx, now, link, &report);
        }
        let code = match child.stage {
            Stage::Connecting => Code::CANNOT_CONNECT,
            _ => Code::CONNECTION_LOST,
        };
        self.lose(ctx, now, link, code, why);
    }

    pub(super) fn tick(&mut self, ctx: &mut Context, now: Now) {
        for at in (0..self.open.len()).rev() {
            let attempt = &mut self.open[at].0;
            let loss = if attempt.asked_until(ctx.timing.check) <= now.instant {
                Some(attempt.give_up(ctx))
            } else {
                attempt.tick(&mut self.ids, ctx, now.instant)
            };
            if let Some(loss) = loss {
                self.retry(at, loss);
            }
        }
    }

    /// A link is of no use. What may have been a mishap is tried once more, unless another address may still answer.
    fn lose(&mut self, ctx: &mut Context, now: Now, link: LinkId, code: Code, why: &str) {
        let Some(at) = self.position(link) else { return };
        if let Some(loss) = self.open[at].0.lose(link, code, why, &mut self.ids, ctx, now.instant) {
            self.retry(at, loss);
        }
    }

    fn retry(&mut self, at: usize, loss: Loss) {
        let (Attempt { node, .. }, tries) = self.open.remove(at);
        if tries + 1 < TRIES {
            self.waiting.push_back(Asked { node, tries: tries + 1 });
        } else {
            self.failures.push(Failure { node, code: loss.code, why: loss.why });
        }
    }

    /// There is no use in asking that node once more.
    fn fail(&mut self, ctx: &mut Context, link: LinkId, code: Code, why: &str) {
        let Some(at) = self.position(link) else { return };
        let (attempt, _) = self.open.remove(at);
        attempt.close(ctx);
        self.failures.push(Failure { node: attempt.node, code, why: why.to_owned() });
    }
}
