//! Asks all nodes at once whether they could take part: the state machine of a check. PROTOCOL.md, "Check".

use core::net::SocketAddr;
use std::collections::VecDeque;
use std::time::Instant;

use super::child::{Child, Reader, Said, Stage};
use super::desk::Desk;
use super::entropy::Seed;
use super::io::{Input, LinkId, Now, Output};
use super::ledger::News;
use super::plan::Plan;
use super::timing::Timing;
use crate::wire::{Code, Destination, Keyring, Line, Report, Verb, proof};

/// Nodes that are asked at the same time.
const AT_ONCE: usize = 256;
/// How often each is asked.
const TRIES: u32 = 2;

/// The state machine of a check: for each request whether its node could write it. See [the module](super) for how to
/// drive it; it asks for [`Output::Connect`], [`Send`](Output::Send), [`Close`](Output::Close) and
/// [`Report`](Output::Report), one for each request, and is [`Done`](Output::Done).
#[derive(Debug)]
pub struct CheckSession {
    desk: Desk,
    waiting: VecDeque<Asked>,
    open: Vec<(Child, Asked, Instant)>,
    next_link: u32,
    done: bool,
}

#[derive(Debug, Clone)]
struct Asked {
    node: Destination,
    tries: u32,
}

impl CheckSession {
    /// Begins to ask everybody in the plan.
    pub fn new(now: Now, mut plan: Plan, keys: Keyring, timing: Timing, seed: Seed) -> Self {
        let (desk, _) = Desk::for_plan(&mut plan, Verb::Check, keys, timing, seed);
        let waiting = plan.destinations.into_iter().map(|node| Asked { node, tries: 0 }).collect();
        let mut session = Self { desk, waiting, open: Vec::new(), next_link: 0, done: false };
        session.advance(now);
        session
    }

    /// The next thing to do, if there is one.
    pub fn poll(&mut self) -> Option<Output> {
        self.desk.out.pop_front()
    }

    /// When to hand in [`Input::Tick`] if nothing else happens before. None when the session is over.
    pub fn deadline(&self) -> Option<Instant> {
        self.open.iter().map(|&(_, _, until)| until).min()
    }

    /// Something happened. Inputs that a check has no use for change nothing.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Tick => self.tick(now),
            Input::Stop(_) => self.stop(),
            Input::Connected(link, to) => self.connected(now, link, to),
            Input::Bytes(link, bytes) => self.bytes(now, link, bytes),
            Input::Closed(link, why) => self.closed(link, &why),
            _ => {}
        }
        self.advance(now);
    }

    fn advance(&mut self, now: Now) {
        while self.open.len() < AT_ONCE
            && let Some(asked) = self.waiting.pop_front()
        {
            let link = LinkId(self.next_link);
            self.next_link += 1;
            let node = &asked.node;
            self.desk.out.push_back(Output::Connect { link, host: node.host.clone(), port: node.port });
            let child = Child::new(link, 0, node.clone(), now.instant);
            self.open.push((child, asked, now.instant + self.desk.timing.check));
        }
        while let Some(relayed) = self.desk.relayed.pop_front() {
            if relayed.news != News::Nothing {
                self.desk.out.push_back(Output::Report(relayed.report));
            }
        }
        if self.open.is_empty() && !self.done {
            self.done = true;
            let last = self.desk.ledger.unreported();
            self.desk.out.extend(last.into_iter().map(Output::Report));
            self.desk.out.push_back(Output::Done);
        }
    }

    fn stop(&mut self) {
        self.waiting.clear();
        let open = std::mem::take(&mut self.open);
        self.desk.out.extend(open.into_iter().map(|(child, ..)| Output::Close(child.link)));
    }

    fn find(&mut self, link: LinkId) -> Option<&mut Child> {
        self.open.iter_mut().map(|(child, ..)| child).find(|child| child.link == link)
    }

    fn connected(&mut self, now: Now, link: LinkId, to: SocketAddr) {
        let Some((child, ..)) = self.open.iter_mut().find(|(child, ..)| child.link == link) else { return };
        if self.desk.introduce(now, child, Vec::new(), None, to).is_none() {
            self.fail(link, Code::UNSUPPORTED, "no password for this wire");
        }
    }

    fn bytes(&mut self, now: Now, link: LinkId, mut input: &[u8]) {
        while !input.is_empty() {
            let Some(child) = self.find(link) else { return };
            match child.read(input, now.instant) {
                Ok((used, said)) => {
                    input = &input[used..];
                    if let Some(said) = said {
                        self.said(now, link, said);
                    }
                }
                Err(error) => return self.retry(link, Code::from(&error), &error.to_string()),
            }
        }
    }

    fn said(&mut self, now: Now, link: LinkId, said: Said) {
        let keys = self.desk.keys.clone();
        let Some(child) = self.find(link) else { return };
        match (said, child.stage) {
            (Said::Bare(report), _) => self.refused(link, &report),
            (Said::Line(Line::Challenge { challenge }), Stage::Greeting) => {
                let Reader::Wire2(reader) = &child.reader else { return };
                let Some(proof) = proof::line(&keys, &reader.nonce(), &challenge) else { return };
                child.enter(Stage::Proving, now.instant);
                self.desk.out.push_back(Output::Send(link, proof));
            }
            (Said::Line(Line::Accepted), Stage::Proving) => child.enter(Stage::Opening, now.instant),
            (Said::Line(Line::Result(sealed)), Stage::Opening) => {
                let opened = self.desk.result_key.as_ref().map(|key| sealed.open(key));
                match opened {
                    Some(Ok(report)) => self.reported(link, report),
                    _ => self.fail(link, Code::PROTOCOL, "it sent a result that cannot be read"),
                }
            }
            (Said::Line(_), _) => self.fail(link, Code::PROTOCOL, "it sent a line out of turn"),
        }
    }

    fn reported(&mut self, link: LinkId, report: Report) {
        self.desk.report(report, None);
        let Some(at) = self.open.iter().position(|(child, ..)| child.link == link) else { return };
        if self.desk.ledger.settled(&self.open[at].0.node) {
            self.open.remove(at);
            self.desk.out.push_back(Output::Close(link));
        }
    }

    fn refused(&mut self, link: LinkId, report: &Report) {
        let code = if report.code.is_success() { Code::PROTOCOL } else { report.code };
        self.fail(link, code, &format!("it says {:?}", report.message));
    }

    fn closed(&mut self, link: LinkId, why: &str) {
        let Some(child) = self.find(link) else { return };
        if let Reader::Wire2(reader) = &child.reader
            && let Some(report) = reader.finish()
        {
            return self.refused(link, &report);
        }
        let code = match child.stage {
            Stage::Connecting => Code::CANNOT_CONNECT,
            _ => Code::CONNECTION_LOST,
        };
        self.retry(link, code, why);
    }

    fn tick(&mut self, now: Now) {
        let late = self.open.iter().filter(|&&(_, _, until)| until <= now.instant);
        let late: Vec<(LinkId, Stage)> = late.map(|(child, ..)| (child.link, child.stage)).collect();
        for (link, stage) in late {
            let (code, why) = match stage {
                Stage::Connecting => (Code::CANNOT_CONNECT, "no connection in time"),
                _ => (Code::TIMED_OUT, "connected, but no answer in time"),
            };
            self.retry(link, code, why);
        }
    }

    /// What may have been a mishap is tried once more.
    fn retry(&mut self, link: LinkId, code: Code, why: &str) {
        let Some(at) = self.open.iter().position(|(child, ..)| child.link == link) else { return };
        if self.open[at].1.tries + 1 >= TRIES {
            return self.fail(link, code, why);
        }
        let (_, asked, _) = self.open.remove(at);
        self.desk.out.push_back(Output::Close(link));
        self.waiting.push_back(Asked { tries: asked.tries + 1, ..asked });
    }

    fn fail(&mut self, link: LinkId, code: Code, why: &str) {
        let Some(at) = self.open.iter().position(|(child, ..)| child.link == link) else { return };
        let (child, ..) = self.open.remove(at);
        self.desk.out.push_back(Output::Close(link));
        let message = format!("{} {}:{}: {why}", code.meaning(), child.node.host, child.node.port);
        self.desk.report_for([&child.node], None, code, &message);
    }
}
