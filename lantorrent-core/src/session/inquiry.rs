//! Asks nodes something, each over a connection of its own, that they answer with a result for each request: many at the
//! same time, and each twice if need be. PROTOCOL.md, "Check" and "Cancel".

use core::net::SocketAddr;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::child::{Child, Reader, Said, Stage};
use super::desk::Desk;
use super::io::{LinkId, Now, Output};
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
    open: Vec<(Child, Asked)>,
    next_link: u32,
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
        Self { verb, most, waiting, open, next_link: first_link, failures }
    }

    /// A node is to be asked about these of its requests, but for those that it is being asked about.
    pub(super) fn ask(&mut self, mut node: Destination) {
        let asked = self.open.iter().map(|(_, asked)| asked).chain(&self.waiting);
        for asked in asked.filter(|asked| asked.node.index == node.index) {
            node.requests.retain(|request| !asked.node.requests.contains(request));
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

    pub(super) fn deadline(&self, desk: &Desk) -> Option<Instant> {
        self.open.iter().map(|(child, _)| child.asked_until(desk.timing.check)).min()
    }

    /// This side stood still for so long, and has not read yet what was answered meanwhile.
    pub(super) fn excuse(&mut self, late: Duration) {
        self.open.iter_mut().for_each(|(child, _)| child.excuse(late));
    }

    /// Lets go of those whose answer is known, whoever brought it, and asks the next ones.
    pub(super) fn advance(&mut self, desk: &mut Desk, now: Now) {
        let (known, open) = self.open.drain(..).partition(|(_, asked)| desk.ledger.settled(&asked.node));
        self.open = open;
        let known: Vec<(Child, Asked)> = known;
        desk.out.extend(known.iter().map(|(child, _)| Output::Close(child.link)));
        while self.open.len() < self.most
            && let Some(asked) = self.waiting.pop_front()
        {
            if !desk.ledger.settled(&asked.node) {
                self.launch(desk, now, asked);
            }
        }
    }

    fn launch(&mut self, desk: &mut Desk, now: Now, asked: Asked) {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let node = &asked.node;
        desk.out.push_back(Output::Connect { link, host: node.host.clone(), port: node.port });
        self.open.push((Child::new(link, 0, node.clone(), now.instant), asked));
    }

    /// Nobody is asked any more.
    pub(super) fn stop(&mut self, desk: &mut Desk) {
        self.waiting.clear();
        desk.out.extend(self.open.drain(..).map(|(child, _)| Output::Close(child.link)));
    }

    fn find(&mut self, link: LinkId) -> Option<&mut Child> {
        self.open.iter_mut().map(|(child, _)| child).find(|child| child.link == link)
    }

    pub(super) fn connected(&mut self, desk: &mut Desk, now: Now, link: LinkId, to: SocketAddr) {
        let verb = self.verb;
        let Some(child) = self.find(link) else { return };
        if desk.introduce(now, child, verb, Vec::new(), None, to).is_none() {
            self.fail(desk, link, Code::UNSUPPORTED, "no password for this wire");
        }
    }

    pub(super) fn bytes(&mut self, desk: &mut Desk, now: Now, link: LinkId, mut input: &[u8]) {
        while !input.is_empty() {
            let Some(child) = self.find(link) else { return };
            match child.read(input, now.instant) {
                Ok((used, said)) => {
                    input = &input[used..];
                    if let Some(said) = said {
                        self.said(desk, now, link, said);
                    }
                }
                Err(error) => return self.retry(desk, link, Code::from(&error), &error.to_string()),
            }
        }
    }

    fn said(&mut self, desk: &mut Desk, now: Now, link: LinkId, said: Said) {
        let Some(child) = self.find(link) else { return };
        match (said, child.stage) {
            (Said::Bare(report), _) => self.refused(desk, link, &report),
            (Said::Line(Line::Challenge { challenge }), Stage::Greeting) => {
                let Reader::Wire2(reader) = &child.reader else { return };
                let Some(proof) = proof::line(&desk.keys, &reader.nonce(), &challenge) else { return };
                child.enter(Stage::Proving, now.instant);
                desk.out.push_back(Output::Send(link, proof));
            }
            (Said::Line(Line::Accepted), Stage::Proving) => child.enter(Stage::Opening, now.instant),
            (Said::Line(Line::Result(sealed)), Stage::Opening) => {
                let index = child.node.index;
                let opened = desk.result_key.as_ref().map(|key| sealed.open(key));
                match opened {
                    // It speaks for itself alone.
                    Some(Ok(report)) if report.index == Some(index) => self.reported(desk, link, report),
                    _ => self.fail(desk, link, Code::PROTOCOL, "it sent a result that cannot be read"),
                }
            }
            // Signs of life, while it is at work.
            (Said::Line(Line::Alive | Line::Progress(_)), Stage::Opening) => {}
            (Said::Line(_), _) => self.fail(desk, link, Code::PROTOCOL, "it sent a line out of turn"),
        }
    }

    fn reported(&mut self, desk: &mut Desk, link: LinkId, report: Report) {
        desk.report(report, None);
        let Some(at) = self.position(link) else { return };
        if desk.ledger.settled(&self.open[at].1.node) {
            self.open.remove(at);
            desk.out.push_back(Output::Close(link));
        }
    }

    /// What a damaged header or proof is answered with cannot be told from a refusal.
    fn refused(&mut self, desk: &mut Desk, link: LinkId, report: &Report) {
        let code = if report.code.is_success() { Code::PROTOCOL } else { report.code };
        self.retry(desk, link, code, &format!("it says {:?}", report.message));
    }

    /// A connection could not be made, or has ended.
    pub(super) fn closed(&mut self, desk: &mut Desk, link: LinkId, why: &str) {
        let Some(child) = self.find(link) else { return };
        if let Reader::Wire2(reader) = &child.reader
            && let Some(report) = reader.finish()
        {
            return self.refused(desk, link, &report);
        }
        let code = match child.stage {
            Stage::Connecting => Code::CANNOT_CONNECT,
            _ => Code::CONNECTION_LOST,
        };
        self.retry(desk, link, code, why);
    }

    pub(super) fn tick(&mut self, desk: &mut Desk, now: Now) {
        let time = desk.timing.check;
        let late = self.open.iter().filter(|(child, _)| child.asked_until(time) <= now.instant);
        let late: Vec<(LinkId, Stage)> = late.map(|(child, _)| (child.link, child.stage)).collect();
        for (link, stage) in late {
            let (code, why) = match stage {
                Stage::Connecting => (Code::CANNOT_CONNECT, "no connection in time"),
                _ => (Code::TIMED_OUT, "connected, but no answer in time"),
            };
            self.retry(desk, link, code, why);
        }
    }

    fn position(&self, link: LinkId) -> Option<usize> {
        self.open.iter().position(|(child, _)| child.link == link)
    }

    /// What may have been a mishap is tried once more.
    fn retry(&mut self, desk: &mut Desk, link: LinkId, code: Code, why: &str) {
        let Some(at) = self.position(link) else { return };
        if self.open[at].1.tries + 1 >= TRIES {
            return self.fail(desk, link, code, why);
        }
        let (_, asked) = self.open.remove(at);
        desk.out.push_back(Output::Close(link));
        self.waiting.push_back(Asked { tries: asked.tries + 1, ..asked });
    }

    fn fail(&mut self, desk: &mut Desk, link: LinkId, code: Code, why: &str) {
        let Some(at) = self.position(link) else { return };
        let (_, Asked { node, .. }) = self.open.remove(at);
        desk.out.push_back(Output::Close(link));
        self.failures.push(Failure { node, code, why: why.to_owned() });
    }
}
