//! Asks nodes something, each over a connection of its own, that they answer with a result for each request: many at the
//! same time, and each twice if need be. PROTOCOL.md, "Direct exchange".

use core::net::SocketAddr;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::connection::{Connection, Said, refused};
use super::context::Context;
use super::exchange::{Proof, Word};
use super::io::{Asks, LinkId, LinkInput, Now};
use super::links::Owner;
use super::outgoing::{Loss, NO_ANSWER, OUT_OF_TURN, Outcome, Outgoing, Purpose, Stage};
use super::timers::Timers;
use crate::wire::{Code, Destination, Line, Request, SealedReport, Verb};

/// How often each is asked.
const TRIES: u32 = 2;

/// The questions, and which nodes are being asked.
#[derive(Debug)]
pub(super) struct Inquiry {
    /// Nodes that are asked at the same time.
    most: usize,
    waiting: VecDeque<Asked>,
    /// By the number that names the question.
    open: BTreeMap<u32, Question>,
    asked: u32,
    failures: Vec<Failure>,
}

#[derive(Debug)]
struct Asked {
    verb: Verb,
    node: Destination,
    /// How often the node was asked before.
    tries: u32,
}

#[derive(Debug)]
struct Question {
    asked: Asked,
    since: Instant,
    state: State,
}

/// ```text
///   Handshake ──accepted──▶ Accepted ──a result for each request──▶ over
/// ```
#[derive(Debug)]
enum State {
    Handshake(Outgoing),
    /// The node is at work.
    Accepted(Connection),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The node has not answered in time.
    Answer,
    Handshake,
    Silence,
}

/// A node that gave no answer.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) verb: Verb,
    pub(super) node: Destination,
    pub(super) code: Code,
    pub(super) why: String,
    /// Whether the node was there, and has challenged this side.
    pub(super) reached: bool,
}

impl Inquiry {
    /// Of no node yet, and at most that many at the same time.
    pub(super) fn new(most: usize) -> Self {
        let (waiting, open, failures) = (VecDeque::new(), BTreeMap::new(), Vec::new());
        Self { most, waiting, open, asked: 0, failures }
    }

    /// A node is to be asked about these of its requests, but for those that it is being asked about.
    pub(super) fn ask(&mut self, verb: Verb, mut node: Destination) {
        let alike = |asked: &Asked| asked.verb == verb && asked.node.index == node.index;
        let open = self.open.values().map(|question| &question.asked);
        let asked = open.chain(&self.waiting).filter(|asked| alike(asked));
        let known: Vec<Request> = asked.flat_map(|asked| asked.node.requests.clone()).collect();
        node.requests.retain(|request| !known.contains(request));
        if node.requests.is_empty() {
            return;
        }
        match self.waiting.iter_mut().find(|asked| asked.verb == verb && asked.node.index == node.index) {
            Some(asked) => asked.node.requests.extend(node.requests),
            None => self.waiting.push_back(Asked { verb, node, tries: 0 }),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.open.is_empty()
    }

    /// The nodes that gave no answer since this was asked last.
    pub(super) fn take_failures(&mut self) -> Vec<Failure> {
        std::mem::take(&mut self.failures)
    }

    /// When to call [`tick`](Self::tick) if nothing happens before.
    pub(super) fn deadline(&self, ctx: &Context<impl Asks>) -> Option<Instant> {
        self.open.values().filter_map(|question| question.timers(ctx).next()).min()
    }

    /// This side stood still for so long, and has not read yet what was answered meanwhile.
    pub(super) fn excuse(&mut self, late: Duration) {
        for question in self.open.values_mut() {
            question.since += late;
            match &mut question.state {
                State::Handshake(handshake) => handshake.excuse(late),
                State::Accepted(connection) => connection.excuse(late),
            }
        }
    }

    /// Lets go of nodes whose answer is known, whoever brought it, and asks the next ones.
    pub(super) fn advance(&mut self, ctx: &mut Context<impl Asks>, now: Now) {
        self.open.retain(|_, question| {
            let known = ctx.results.settled(&question.asked.node);
            if known {
                question.close(ctx);
            }
            !known
        });
        while self.open.len() < self.most
            && let Some(asked) = self.waiting.pop_front()
        {
            if !ctx.results.settled(&asked.node) {
                let owner = Owner::Question(self.asked);
                let purpose = Purpose { owner, verb: asked.verb, from: None, answer_in: None };
                let state = State::Handshake(Outgoing::begin(asked.node.clone(), purpose, ctx, now.instant));
                self.open.insert(self.asked, Question { asked, since: now.instant, state });
                self.asked += 1;
            }
        }
    }

    /// No node is asked any more.
    pub(super) fn stop(&mut self, ctx: &mut Context<impl Asks>) {
        self.waiting.clear();
        for question in std::mem::take(&mut self.open).values() {
            question.close(ctx);
        }
    }

    fn key(ctx: &Context<impl Asks>, link: LinkId) -> Option<u32> {
        match ctx.links.owner(link)? {
            Owner::Question(key) => Some(key),
            _ => None,
        }
    }

    /// Something happens to a handshake, and its question goes on by that. False if there is none of that link.
    fn step<O: Asks>(
        &mut self,
        ctx: &mut Context<O>,
        now: Now,
        key: u32,
        step: impl FnOnce(&mut Outgoing, &mut Context<O>) -> Outcome,
    ) -> bool {
        let Some(question) = self.open.get_mut(&key) else { return false };
        let State::Handshake(handshake) = &mut question.state else { return false };
        match step(handshake, ctx) {
            Outcome::Pending => {}
            Outcome::Challenged => handshake.prove(ctx, now.instant),
            Outcome::Accepted(mut connection) => {
                connection.expect(now.instant);
                question.state = State::Accepted(connection);
            }
            // It is said to nodes alone.
            Outcome::Left => self.fail(ctx, key, OUT_OF_TURN),
            Outcome::Failed(loss) => self.lose(key, loss),
        }
        true
    }

    /// Something becomes of a connection, or of a lookup.
    pub(super) fn handle(&mut self, ctx: &mut Context<impl Asks>, now: Now, input: LinkInput<'_>) {
        match input {
            LinkInput::Found(link, addresses) => self.found(ctx, now, link, &addresses),
            LinkInput::Connected(link, to) => self.connected(ctx, now, link, to),
            LinkInput::Bytes(link, bytes) => self.bytes(ctx, now, link, bytes),
            LinkInput::Closed(link, why) => self.closed(ctx, now, link, &why),
        }
    }

    /// The name of a node has these addresses.
    fn found(&mut self, ctx: &mut Context<impl Asks>, now: Now, link: LinkId, addresses: &[SocketAddr]) {
        let Some(key) = Self::key(ctx, link) else { return };
        self.step(ctx, now, key, |handshake, ctx| handshake.found(ctx, now, link, addresses));
    }

    fn connected(&mut self, ctx: &mut Context<impl Asks>, now: Now, link: LinkId, to: SocketAddr) {
        let Some(key) = Self::key(ctx, link) else { return };
        self.step(ctx, now, key, |handshake, ctx| handshake.connected(ctx, now, link, to, Vec::new()));
    }

    fn bytes(&mut self, ctx: &mut Context<impl Asks>, now: Now, link: LinkId, mut input: &[u8]) {
        while !input.is_empty() {
            let Some(key) = Self::key(ctx, link) else { return };
            if self.step(ctx, now, key, |handshake, ctx| handshake.bytes(ctx, now, link, &mut input)) {
                continue;
            }
            let Some(State::Accepted(connection)) = self.open.get_mut(&key).map(|open| &mut open.state)
            else {
                return;
            };
            match connection.read(input, now.instant) {
                Ok((used, said)) => {
                    input = &input[used..];
                    if let Some(said) = said {
                        self.said(ctx, key, said);
                    }
                }
                Err(error) => return self.drop(ctx, key, Code::from(&error), &error.to_string()),
            }
        }
    }

    fn said(&mut self, ctx: &mut Context<impl Asks>, key: u32, said: Said) {
        match said {
            Said::Bare(report) => {
                let (code, why) = refused(&report);
                self.drop(ctx, key, code, &why);
            }
            Said::Line(Line::Result(sealed)) => self.reported(ctx, key, &sealed),
            // Signs of life, while it is at work.
            Said::Line(Line::Alive | Line::Progress(_) | Line::Unknown { .. }) => {}
            Said::Line(_) => self.fail(ctx, key, OUT_OF_TURN),
        }
    }

    fn reported(&mut self, ctx: &mut Context<impl Asks>, key: u32, sealed: &SealedReport) {
        let Some(Question { asked: Asked { node, verb, .. }, .. }) = self.open.get(&key) else { return };
        // It speaks for itself alone, with the key that this connection has made.
        let report = match ctx.weigh(sealed) {
            Ok(Word { report, proof: Proof::Given })
                if report.is_own() && report.index == Some(node.index) =>
            {
                report
            }
            _ => return self.fail(ctx, key, "it sent a result that cannot be read"),
        };
        if *verb == Verb::Query && report.code == Code::NEVER_REPORTED {
            let loss = Loss::certain(Code::NEVER_REPORTED, "it does not know the transfer");
            return self.end(ctx, key, loss);
        }
        ctx.report(report, None);
        if ctx.results.settled(node)
            && let Some(question) = self.open.remove(&key)
        {
            question.close(ctx);
        }
    }

    /// A connection could not be made, or has ended.
    fn closed(&mut self, ctx: &mut Context<impl Asks>, now: Now, link: LinkId, why: &str) {
        let Some(key) = Self::key(ctx, link) else { return };
        if self.step(ctx, now, key, |handshake, ctx| handshake.closed(ctx, now, link, why)) {
            return;
        }
        let Some(State::Accepted(connection)) = self.open.get(&key).map(|open| &open.state) else { return };
        match connection.refusal().as_ref().map(refused) {
            Some((code, why)) => self.drop(ctx, key, code, &why),
            None => self.drop(ctx, key, Code::CONNECTION_LOST, why),
        }
    }

    pub(super) fn tick(&mut self, ctx: &mut Context<impl Asks>, now: Now) {
        for key in self.open.keys().copied().collect::<Vec<_>>() {
            let Some(question) = self.open.get(&key) else { continue };
            let mut timers = question.timers(ctx);
            while let Some(timer) = timers.expired(now.instant) {
                match timer {
                    Timer::Answer => self.give_up(ctx, key),
                    Timer::Handshake => {
                        self.step(ctx, now, key, |handshake, ctx| handshake.tick(ctx, now));
                    }
                    Timer::Silence => self.drop(ctx, key, Code::TIMED_OUT, "silent"),
                }
            }
        }
    }

    fn give_up(&mut self, ctx: &mut Context<impl Asks>, key: u32) {
        match self.open.get_mut(&key).map(|question| &mut question.state) {
            Some(State::Handshake(handshake)) => {
                let loss = handshake.give_up(ctx);
                self.lose(key, loss);
            }
            Some(State::Accepted(_)) => self.drop(ctx, key, Code::TIMED_OUT, NO_ANSWER),
            None => {}
        }
    }

    /// A connection that was accepted is of no use any more.
    fn drop(&mut self, ctx: &mut Context<impl Asks>, key: u32, code: Code, why: &str) {
        self.end(ctx, key, Loss::new(code, why));
    }

    /// What may have been a mishap is tried once more.
    fn lose(&mut self, key: u32, loss: Loss) {
        let Some(Question { asked: Asked { verb, node, tries }, .. }) = self.open.remove(&key) else {
            return;
        };
        if loss.mishap && tries + 1 < TRIES {
            self.waiting.push_back(Asked { verb, node, tries: tries + 1 });
        } else {
            let reached = matches!(loss.stage, Stage::Challenged(_) | Stage::Proving);
            self.failures.push(Failure { verb, node, code: loss.code, why: loss.why, reached });
        }
    }

    /// The node breaks the protocol: there is no use in asking it once more.
    fn fail(&mut self, ctx: &mut Context<impl Asks>, key: u32, why: &str) {
        self.end(ctx, key, Loss::certain(Code::PROTOCOL, why));
    }

    fn end(&mut self, ctx: &mut Context<impl Asks>, key: u32, loss: Loss) {
        if let Some(question) = self.open.get(&key) {
            question.close(ctx);
            self.lose(key, Loss { stage: Stage::Proving, ..loss });
        }
    }
}

impl Question {
    fn timers(&self, ctx: &Context<impl Asks>) -> Timers<Timer> {
        let mut timers = Timers::default();
        timers.set(Timer::Answer, self.since + ctx.timing.check);
        match &self.state {
            State::Handshake(handshake) => timers.set(Timer::Handshake, handshake.deadline(&ctx.timing)),
            State::Accepted(connection) => timers.set(Timer::Silence, connection.dead_at(&ctx.timing)),
        }
        timers
    }

    fn close(&self, ctx: &mut Context<impl Asks>) {
        match &self.state {
            State::Handshake(handshake) => handshake.close(ctx),
            State::Accepted(connection) => ctx.close(connection.link),
        }
    }
}
