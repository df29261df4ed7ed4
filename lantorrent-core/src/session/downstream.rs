//! Everything behind this side: the runs of the list that it shares out, and the child at the head of each.
//!
//! Becoming a child is one operation, whatever the occasion: [`Downstream::next`] begins it, and it ends with the
//! payload flowing from the offset that the child names, or with the next candidate's turn.

mod progress;

use core::net::SocketAddr;
use core::ops::RangeInclusive;
use std::collections::VecDeque;

use super::child::{Child, Reader, Said, Stage};
use super::desk::Desk;
use super::io::{Control, LinkId, Now, Output};
use super::share::share;
use crate::wire::{
    Abort, Change, Code, Destination, Header, Line, LineReader, NodeState, Report, ReportReader,
    SealedReport, Wire, proof,
};

/// A contiguous part of the list.
#[derive(Debug)]
struct Run {
    child: Option<Child>,
    /// Who comes after the child, and takes its place where it cannot be had.
    rest: VecDeque<Destination>,
    /// The indices of all that it began with.
    places: RangeInclusive<u32>,
    over: bool,
}

impl Run {
    fn nodes(&self) -> impl DoubleEndedIterator<Item = &Destination> {
        self.child.as_ref().map(|child| &child.node).into_iter().chain(&self.rest)
    }
}

#[derive(Debug)]
pub(super) struct Downstream {
    runs: Vec<Run>,
    /// Who reports what this side sees of a child: the node's own index, none at the source.
    by: Option<u32>,
    next_link: u32,
    aborting: Option<std::time::Instant>,
    /// Whether the end of the payload is known here, and so may be with a child.
    payload_ended: bool,
    changes: VecDeque<Change>,
    length: Option<u64>,
}

impl Downstream {
    /// Shares out `list` among `degree` runs. Nothing happens before [`start`](Self::start).
    pub(super) fn new(list: Vec<Destination>, degree: u32, by: Option<u32>, length: Option<u64>) -> Self {
        let runs = share(list, degree)
            .into_iter()
            .map(|run| {
                // No run is empty, and indices grow along the list.
                let [start, end] = [run.first(), run.last()].map(|node| node.map_or(0, |node| node.index));
                Run { child: None, rest: run.into(), places: start..=end, over: false }
            })
            .collect();
        Self {
            runs,
            by,
            next_link: 0,
            aborting: None,
            payload_ended: false,
            changes: VecDeque::new(),
            length,
        }
    }

    pub(super) fn start(&mut self, desk: &mut Desk, now: Now) {
        for run in 0..self.runs.len() {
            self.next(desk, now, run);
        }
    }

    /// Whether every run has its child ready, or has run out of candidates.
    pub(super) fn settled(&self) -> bool {
        self.runs
            .iter()
            .all(|run| run.over || run.child.as_ref().is_some_and(|child| child.stage >= Stage::Feeding))
    }

    /// Whether nothing more will come from behind.
    pub(super) fn finished(&self) -> bool {
        self.runs.iter().all(|run| run.over)
    }

    /// The next candidate of a run has its turn.
    fn next(&mut self, desk: &mut Desk, now: Now, at: usize) {
        let run = &mut self.runs[at];
        run.child = None;
        // A child that was lost before it was ready may have tried some of them already.
        while run.rest.front().is_some_and(|node| desk.ledger.heard_of_all([node])) {
            run.rest.pop_front();
        }
        let Some(node) = run.rest.pop_front() else {
            run.over = true;
            return;
        };
        let link = LinkId(self.next_link);
        self.next_link += 1;
        desk.out.push_back(Output::Connect { link, host: node.host.clone(), port: node.port });
        run.child = Some(Child::new(link, node, now.instant));
    }

    fn find(&mut self, link: LinkId) -> Option<(usize, &mut Child)> {
        let open = self.runs.iter_mut().enumerate().filter(|(_, run)| !run.over);
        open.filter_map(|(at, run)| run.child.as_mut().map(|child| (at, child)))
            .find(|(_, child)| child.link == link)
    }

    /// A connection stands: the header goes out.
    pub(super) fn connected(&mut self, desk: &mut Desk, now: Now, link: LinkId, to: SocketAddr) {
        let Some((at, _)) = self.find(link) else { return };
        let nonce = desk.entropy.nonce();
        let Some((header, bytes)) = self.header(desk, now, at, to, nonce) else {
            return self.give_up(desk, now, at, Code::UNSUPPORTED, "no password for this wire");
        };
        let run = &mut self.runs[at];
        let Some(child) = &mut run.child else { return };
        desk.out.push_back(Output::Send(link, bytes));
        match header.wire() {
            Wire::One => {
                child.reader = Reader::Wire1(ReportReader::default());
                child.enter(Stage::Feeding, now.instant);
                desk.out.push_back(Output::Feed(link, 0));
            }
            Wire::Two => {
                child.reader = Reader::Wire2(LineReader::new(desk.keys.clone(), nonce));
                child.enter(Stage::Greeting, now.instant);
            }
        }
    }

    fn header(
        &self,
        desk: &Desk,
        now: Now,
        at: usize,
        to: SocketAddr,
        nonce: crate::wire::Nonce,
    ) -> Option<(Header, Vec<u8>)> {
        let run = &self.runs[at];
        let node = run.child.as_ref()?.node.clone();
        let rest = run.rest.iter().cloned().collect();
        let expires = now.unix + desk.timing.validity.as_secs();
        let header = desk.header.for_child(node, rest, to, nonce, expires);
        let bytes = header.sign(&desk.keys)?;
        Some((header, bytes))
    }

    /// A child sent bytes.
    pub(super) fn bytes(&mut self, desk: &mut Desk, now: Now, link: LinkId, mut input: &[u8]) {
        while !input.is_empty() {
            // What the child said last may have been its last word.
            let Some((at, child)) = self.find(link) else { return };
            match child.read(input, now.instant) {
                Ok((used, said)) => {
                    input = &input[used..];
                    if let Some(said) = said {
                        self.said(desk, now, at, said);
                    }
                }
                Err(error) => return self.lose(desk, now, at, Code::from(&error), &error.to_string()),
            }
        }
    }

    fn said(&mut self, desk: &mut Desk, now: Now, at: usize, said: Said) {
        let Some(child) = &mut self.runs[at].child else { return };
        match (said, child.stage) {
            (Said::Bare(report), _) => self.bare(desk, now, at, report),
            (Said::Line(Line::Challenge { challenge }), Stage::Greeting) => {
                let Reader::Wire2(reader) = &child.reader else { return };
                let Some(proof) = proof::line(&desk.keys, &reader.nonce(), &challenge) else { return };
                desk.out.push_back(Output::Send(child.link, proof));
                child.enter(Stage::Proving, now.instant);
            }
            (Said::Line(Line::Accepted), Stage::Proving) => child.enter(Stage::Opening, now.instant),
            (Said::Line(Line::Ready { offset }), Stage::Opening) => self.ready(desk, now, at, offset),
            (Said::Line(Line::Result(sealed)), stage) if stage >= Stage::Opening => {
                let Some(key) = &desk.result_key else { return };
                match sealed.open(key) {
                    Ok(report) => self.reported(desk, now, at, report, Some(sealed)),
                    Err(error) => self.lose(desk, now, at, Code::from(&error), &error.to_string()),
                }
            }
            (Said::Line(Line::Progress(progress)), stage) if stage >= Stage::Opening => {
                self.progressed(at, progress);
            }
            (Said::Line(Line::Alive), stage) if stage >= Stage::Opening => {}
            // Reserved for repair, which this version does not do: such a child is gone.
            (Said::Line(Line::Left | Line::Aside | Line::Parked), _) => {
                self.lose(
                    desk,
                    now,
                    at,
                    Code::UNSUPPORTED,
                    "it asked for a repair that this version cannot do",
                );
            }
            (Said::Line(_), _) => self.lose(desk, now, at, Code::PROTOCOL, "it sent a line out of turn"),
        }
    }

    /// A report without authentication: what wire 1 has, and on wire 2 the refusal of a header.
    fn bare(&mut self, desk: &mut Desk, now: Now, at: usize, report: Report) {
        if desk.wire() == Wire::One && report.id.is_some() {
            let report = Report { index: None, by: None, root: None, ..report };
            return self.reported(desk, now, at, report, None);
        }
        let code = if report.code.is_success() { Code::PROTOCOL } else { report.code };
        let why = format!("it says {:?}", report.message);
        // Wire 1 has no `ready`: a node is sent the payload before it can refuse. Where nothing was heard from it or
        // from behind it, it has not gone on to the next.
        if self.aborting.is_none() && desk.ledger.heard_of_none(self.runs[at].nodes()) {
            self.give_up(desk, now, at, code, &why);
        } else {
            self.lose(desk, now, at, code, &why);
        }
    }

    /// A child brings a report, its own or one from behind it.
    fn reported(
        &mut self,
        desk: &mut Desk,
        now: Now,
        at: usize,
        report: Report,
        sealed: Option<SealedReport>,
    ) {
        let run = &mut self.runs[at];
        let about = report.id.as_deref().and_then(|id| desk.ledger.index(id));
        // It has no say in what becomes of this node, or of another run.
        if !about.is_some_and(|index| run.places.contains(&index)) {
            log::debug!("dropped a report about somebody who is not behind its sender: {report:?}");
            return;
        }
        if let Some(child) = &mut run.child {
            child.reported(now.instant);
        }
        desk.report(report, sealed);
        self.close_if_complete(desk, at);
    }

    fn ready(&mut self, desk: &mut Desk, now: Now, at: usize, offset: u64) {
        let Some(child) = &mut self.runs[at].child else { return };
        let aligned = offset.is_multiple_of(desk.header.block_size.into());
        if !(aligned || self.length == Some(offset)) || self.length.is_some_and(|length| offset > length) {
            return self.lose(desk, now, at, Code::PROTOCOL, "it is ready for an impossible offset");
        }
        child.enter(Stage::Feeding, now.instant);
        desk.out.push_back(Output::Feed(child.link, offset));
    }

    /// When there is word of every request of a run, nothing more is expected of its child.
    fn close_if_complete(&mut self, desk: &mut Desk, at: usize) {
        let run = &mut self.runs[at];
        let Some(child) = &run.child else { return };
        // Without a child ready the rest of the run is still to be tried.
        // Those at the end of the run report last, as a rule, so that one look is enough.
        if child.stage >= Stage::Feeding && desk.ledger.heard_of_all(run.nodes().rev()) {
            desk.out.push_back(Output::Close(child.link));
            run.over = true;
        }
    }

    pub(super) fn payload_ended(&mut self) {
        self.payload_ended = true;
    }

    pub(super) fn sent(&mut self, now: Now, link: LinkId) {
        if let Some((_, child)) = self.find(link) {
            child.took(now.instant);
        }
    }

    pub(super) fn sent_end(&mut self, now: Now, link: LinkId) {
        if let Some((_, child)) = self.find(link)
            && child.stage == Stage::Feeding
        {
            child.enter(Stage::Reporting, now.instant);
        }
    }

    /// A connection could not be made, or has ended.
    pub(super) fn closed(&mut self, desk: &mut Desk, now: Now, link: LinkId, why: &str) {
        let Some((at, child)) = self.find(link) else { return };
        if let Reader::Wire2(reader) = &child.reader
            && let Some(report) = reader.finish()
        {
            return self.bare(desk, now, at, report);
        }
        let code = match child.stage {
            Stage::Connecting => Code::CANNOT_CONNECT,
            _ => Code::CONNECTION_LOST,
        };
        self.lose(desk, now, at, code, why);
    }

    /// A child is gone or of no use: the run goes on with the next, or ends where the payload already flowed.
    fn lose(&mut self, desk: &mut Desk, now: Now, at: usize, code: Code, why: &str) {
        let Some(child) = &self.runs[at].child else { return };
        if child.stage < Stage::Feeding && self.aborting.is_none() {
            return self.give_up(desk, now, at, code, why);
        }
        let run = &mut self.runs[at];
        let Some(child) = &run.child else { return };
        desk.out.push_back(Output::Close(child.link));
        run.over = true;
        let node = &child.node;
        let failed = Change { index: node.index, state: NodeState::Failed, offset: child.progress.greatest };
        let news = !desk.ledger.heard_of_all([node]);
        let message = format!("lost {}:{}: {why}", node.host, node.port);
        log::warn!("{message}");
        match desk.wire() {
            // Who asked by wire 1 is told of everything behind, for lack of anybody else who would.
            Wire::One => desk.report_for(run.nodes(), self.by, code, &message),
            // It may be whole by now, whatever came between: only the node itself knows.
            Wire::Two => desk.report_for([node], self.by, Code::LOST, &message),
        }
        if news {
            self.note(failed);
        }
    }

    fn give_up(&mut self, desk: &mut Desk, now: Now, at: usize, code: Code, why: &str) {
        let Some(child) = &self.runs[at].child else { return };
        let (link, node) = (child.link, child.node.clone());
        if !desk.ledger.heard_of_all([&node]) {
            log::warn!("skipped {}:{}: {why}", node.host, node.port);
            self.note(Change { index: node.index, state: NodeState::Failed, offset: 0 });
        }
        let message = format!("{} {}:{}: {why}", code.meaning(), node.host, node.port);
        desk.out.push_back(Output::Close(link));
        desk.report_for([&node], self.by, code, &message);
        self.next(desk, now, at);
    }

    /// Tells every child that the transfer is over without the file, and waits a little for what they have to say.
    pub(super) fn abort(&mut self, desk: &mut Desk, now: Now, abort: &Abort) {
        if self.aborting.is_some() {
            return;
        }
        self.aborting = Some(now.instant + desk.timing.linger);
        for run in self.runs.iter_mut().filter(|run| !run.over) {
            match &run.child {
                // After the end an abort would take back what may be complete already.
                Some(child) if child.stage == Stage::Reporting => {}
                Some(child) if child.stage == Stage::Feeding && desk.header.wire() == Wire::Two => {
                    desk.out.push_back(Output::Control(child.link, Control::Abort(abort.clone())));
                }
                Some(child) => {
                    desk.out.push_back(Output::Close(child.link));
                    run.over = true;
                    // Nobody was sent the end, so nobody there can be whole.
                    if child.stage < Stage::Feeding || !self.payload_ended {
                        desk.report_for(run.nodes(), self.by, abort.code, &abort.reason);
                    }
                }
                None => run.over = true,
            }
        }
    }

    pub(super) fn deadline(&self, desk: &Desk) -> Option<std::time::Instant> {
        let timing = &desk.timing;
        self.runs
            .iter()
            .filter(|run| !run.over)
            .filter_map(|run| run.child.as_ref())
            .flat_map(|child| {
                let (dead, _) = child.deadline(timing, desk.wire());
                let idle = child.idle_at(timing).filter(|_| self.aborting.is_none());
                [Some(dead), idle, self.aborting]
            })
            .flatten()
            .min()
    }

    pub(super) fn tick(&mut self, desk: &mut Desk, now: Now) {
        for at in 0..self.runs.len() {
            let run = &mut self.runs[at];
            let Some(child) = run.child.as_mut().filter(|_| !run.over) else { continue };
            if child.idle_at(&desk.timing).is_some_and(|idle| idle <= now.instant) && self.aborting.is_none()
            {
                desk.out.push_back(Output::Control(child.link, Control::Idle));
                child.idles(now.instant);
            }
            let (dead, why) = child.deadline(&desk.timing, desk.wire());
            if dead <= now.instant {
                self.lose(desk, now, at, Code::TIMED_OUT, why);
            } else if self.aborting.is_some_and(|aborting| aborting <= now.instant) {
                self.lose(desk, now, at, Code::ABORTED, "no answer to the abort in time");
            }
        }
    }
}
