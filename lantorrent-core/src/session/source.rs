//! One transfer as its source sees it: send, collect results.

use core::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use super::desk::Desk;
use super::downstream::Downstream;
use super::entropy::{Entropy, Seed};
use super::io::{Input, Now, Output};
use super::ledger::News;
use super::timing::Timing;
use crate::wire::{
    Abort, Code, Destination, Envelope, Header, Keyring, Nonce, Progress, Report, SourceHint, Sum, Verb, Wire,
};

/// What a source is to send, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The wire that the chain speaks.
    pub wire: Wire,
    /// The chain, in order. Their `index` is given here.
    pub destinations: Vec<Destination>,
    /// Children of each node, from 1; more than one makes a tree.
    pub degree: u32,
    /// Bytes of a block; see [`block_size`](crate::wire::block_size).
    pub block_size: u32,
    /// Bytes of the file; None for a stream.
    pub length: Option<u64>,
    /// Which version of which file it is.
    pub source: Option<SourceHint>,
}

/// The state machine of a source, for one transfer. See [the module](super) for how to drive it.
#[derive(Debug)]
pub struct SourceSession {
    desk: Desk,
    downstream: Downstream,
    sum: Option<Sum>,
    aborted: bool,
    done: bool,
    progress_at: Instant,
}

impl SourceSession {
    /// Begins to build the chain. Where `keys` has no password for the wire, every request fails with 517.
    pub fn new(now: Now, mut plan: Plan, keys: Keyring, timing: Timing, seed: Seed) -> Self {
        for (place, destination) in plan.destinations.iter_mut().enumerate() {
            destination.index = u32::try_from(place).unwrap_or(u32::MAX);
        }
        let mut entropy = Entropy::new(seed);
        let transfer = entropy.transfer();
        let envelope = (plan.wire == Wire::Two).then(|| Envelope {
            verb: Verb::Send,
            transfer,
            // These three are another for each child.
            nonce: Nonce([0; 16]),
            expires: 0,
            to: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            source: plan.source.take(),
        });
        // The source itself is no destination, and its own values are never sent.
        let node = Destination {
            host: String::new(),
            port: 0,
            index: 0,
            requests: Vec::new(),
            degree: None,
            block_size: None,
        };
        let header = Header {
            node,
            length: plan.length,
            block_size: plan.block_size,
            degree: plan.degree,
            destinations: Vec::new(),
            envelope,
        };
        let mut desk = Desk::new(header, &plan.destinations, keys, timing, Seed([0; 32]));
        desk.entropy = entropy;
        let mut downstream = Downstream::new(plan.destinations, plan.degree, None, plan.length);
        downstream.start(&mut desk, now);
        let progress_at = now.instant + desk.timing.progress;
        Self { desk, downstream, sum: None, aborted: false, done: false, progress_at }
    }

    /// The header that all headers of this transfer are made from, for
    /// [`PayloadWriter::new`](crate::wire::PayloadWriter::new).
    pub fn header(&self) -> &Header {
        &self.desk.header
    }

    /// The next thing to do, if there is one.
    pub fn poll(&mut self) -> Option<Output> {
        self.desk.out.pop_front()
    }

    /// When to hand in [`Input::Tick`] if nothing else happens before. None when the session is over.
    pub fn deadline(&self) -> Option<Instant> {
        if self.done {
            return None;
        }
        Some(self.downstream.deadline(&self.desk).map_or(self.progress_at, |at| at.min(self.progress_at)))
    }

    /// Something happened. Inputs that only concern a node change nothing.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        if self.done {
            return;
        }
        match input {
            Input::Tick => self.tick(now),
            Input::Stop(_) => {
                self.abort(now, &Abort { code: Code::STOPPED, reason: "the sender was stopped".into() });
            }
            Input::End { sum, .. } => {
                self.sum = Some(sum);
                self.downstream.payload_ended();
            }
            Input::Aborted(abort) => self.abort(now, &abort),
            Input::Connected(link, to) => self.downstream.connected(&mut self.desk, now, link, to),
            Input::Bytes(link, bytes) => self.downstream.bytes(&mut self.desk, now, link, bytes),
            Input::Sent(link, _) => self.downstream.sent(now, link),
            Input::SentEnd(link) => self.downstream.sent_end(now, link),
            Input::Closed(link, why) => self.downstream.closed(&mut self.desk, now, link, &why),
            _ => {}
        }
        self.advance();
    }

    fn abort(&mut self, now: Now, abort: &Abort) {
        if !std::mem::replace(&mut self.aborted, true) {
            self.downstream.abort(&mut self.desk, now, abort);
        }
    }

    fn tick(&mut self, now: Now) {
        self.downstream.tick(&mut self.desk, now);
        if self.progress_at <= now.instant {
            self.progress_at = now.instant + self.desk.timing.progress;
            self.tell_progress();
        }
    }

    fn tell_progress(&mut self) {
        let mut sum = Progress::default();
        self.downstream.progress(&self.desk, &mut sum);
        sum.changed.extend(self.downstream.take_changes(usize::MAX));
        self.desk.out.push_back(Output::Progress(sum));
    }

    fn advance(&mut self) {
        while let Some(relayed) = self.desk.relayed.pop_front() {
            // What others say of a node waits for the node's own word, until the end.
            if relayed.news == News::Settles {
                let report = self.checked(relayed.report);
                self.desk.out.push_back(Output::Report(report));
            }
        }
        if self.downstream.finished() && !self.done {
            self.done = true;
            self.tell_progress();
            let last = self.desk.ledger.close();
            self.desk.out.extend(last.into_iter().map(Output::Report));
            self.desk.out.push_back(Output::Done);
        }
    }

    /// A success counts only for what this source sent.
    fn checked(&self, report: Report) -> Report {
        let claimed = match self.desk.wire() {
            Wire::One => Some(report.md5sum.as_str()),
            Wire::Two => report.root.as_deref(),
        };
        if !report.code.is_success() || self.sum.is_some_and(|sum| Some(sum.to_hex().as_str()) == claimed) {
            return report;
        }
        Report {
            code: Code::WRONG_CHECKSUM,
            message: "the node reports success for other content than was sent".into(),
            ..report
        }
    }
}
