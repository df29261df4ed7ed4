//! One connection to a child: what stage it is in, how long that may last, and what the child says.

use core::net::SocketAddr;
use std::time::{Duration, Instant};

use super::io::LinkId;
use super::pace::Pace;
use super::timing::Timing;
use crate::wire::{
    Destination, FromNode, Line, LineError, LineReader, NodeState, Nonce, Progress, Report, ReportReader,
    Wire,
};

/// How far becoming a child has come. PROTOCOL.md, "Becoming a child".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The network is asked for a connection.
    Connecting,
    /// The header is out; a challenge is due.
    Greeting,
    /// The challenge is here; the proof waits until this candidate is chosen.
    Challenged,
    /// The proof is out; `accepted` is due.
    Proving,
    /// The child opens its files; `ready` is due.
    Opening,
    /// The payload flows.
    Feeding,
    /// The payload is out; results are due.
    Reporting,
}

#[derive(Debug)]
pub(super) enum Reader {
    /// Not connected yet.
    None,
    Wire1(ReportReader),
    Wire2(LineReader),
}

/// What a child said.
#[derive(Debug)]
pub(super) enum Said {
    Line(Line),
    /// A result of wire 1, or on wire 2 the refusal of a header.
    Bare(Report),
}

#[derive(Debug)]
pub(super) struct Child {
    pub(super) link: LinkId,
    /// Its place in its run.
    pub(super) place: usize,
    pub(super) node: Destination,
    /// The address that is connected to.
    pub(super) to: SocketAddr,
    pub(super) stage: Stage,
    pub(super) reader: Reader,
    pub(super) challenge: Option<Nonce>,
    /// On wire 1 the last report that was about no request.
    pub(super) refusal: Option<Report>,
    /// What the child last said of itself and all behind it.
    pub(super) progress: Progress,
    pub(super) pace: Pace,
    /// How much of the payload it was sent, from where it began.
    pub(super) sent: u64,
    /// When the node was asked, be it over another link.
    pub(super) asked: Instant,
    since: Instant,
    heard: Instant,
    /// When it was last sent something, or asked to be.
    fed: Instant,
    /// When it last took something, be it an IDLE.
    took: Instant,
}

impl Child {
    pub(super) fn new(link: LinkId, place: usize, node: Destination, to: SocketAddr, now: Instant) -> Self {
        Self {
            link,
            place,
            progress: Progress::of_node(NodeState::Waiting, 0),
            node,
            to,
            stage: Stage::Connecting,
            reader: Reader::None,
            challenge: None,
            refusal: None,
            pace: Pace::default(),
            sent: 0,
            asked: now,
            since: now,
            heard: now,
            fed: now,
            took: now,
        }
    }

    pub(super) fn enter(&mut self, stage: Stage, now: Instant) {
        self.stage = stage;
        self.since = now;
        self.heard = now;
        self.fed = now;
        self.took = now;
    }

    /// This side stood still for so long: what the child did meanwhile is not known yet.
    pub(super) fn excuse(&mut self, late: Duration) {
        for instant in [&mut self.asked, &mut self.since, &mut self.heard, &mut self.fed, &mut self.took] {
            *instant += late;
        }
        self.pace = Pace::default();
    }

    /// Takes bytes from the child, and returns the next thing it said and how many bytes that took.
    pub(super) fn read(&mut self, input: &[u8], now: Instant) -> Result<(usize, Option<Said>), LineError> {
        self.heard = now;
        match &mut self.reader {
            Reader::None => Err(LineError::Malformed("it spoke before it was spoken to")),
            Reader::Wire1(reader) => reader.push(input).map(|(used, report)| (used, report.map(Said::Bare))),
            Reader::Wire2(reader) => reader.push(input).map(|(used, said)| {
                let said = said.map(|said| match said {
                    FromNode::Line(line) => Said::Line(line),
                    FromNode::Refusal(report) => Said::Bare(report),
                });
                (used, said)
            }),
        }
    }

    /// A result came: the time that the next one may take begins anew.
    pub(super) fn reported(&mut self, now: Instant) {
        self.since = now;
    }

    /// A frame went out: no IDLE is due for a while.
    pub(super) fn took(&mut self, now: Instant, upto: u64) {
        self.fed = now;
        self.took = now;
        self.sent = self.sent.max(upto);
    }

    /// It was sent something, and would take more.
    pub(super) fn held_back(&mut self, now: Instant) {
        self.fed = now;
        self.took = now;
        self.pace = Pace::default();
    }

    /// An IDLE is on its way, and will be out if the child takes anything.
    pub(super) fn idles(&mut self, now: Instant) {
        self.fed = now;
    }

    pub(super) fn idle_at(&self, timing: &Timing) -> Option<Instant> {
        (self.stage >= Stage::Feeding && matches!(self.reader, Reader::Wire2(_)))
            .then(|| self.fed + timing.alive)
    }

    /// How long nothing was heard from it.
    pub(super) fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard)
    }

    /// When the child counts as dead unless something happens, and in which words.
    pub(super) fn deadline(&self, timing: &Timing, wire: Wire) -> (Instant, &'static str) {
        let silence = match wire {
            Wire::One => timing.dead_after_wire_1,
            Wire::Two => timing.dead_after,
        };
        let silent = (self.heard + silence, SILENT);
        let earlier = |at: Instant, why| if at < silent.0 { (at, why) } else { silent };
        match self.stage {
            // All addresses of a node share that time, and so does the lookup of its name.
            Stage::Connecting => (self.asked + timing.connect, "no connection in time"),
            Stage::Greeting => (self.since + timing.handshake, "no answer to the header in time"),
            // It waits for the proof only so long, and is asked again if it is wanted later.
            Stage::Challenged => (self.since + timing.handshake, "not chosen in time"),
            Stage::Proving => (self.since + timing.handshake, "no answer to the proof in time"),
            Stage::Opening => earlier(self.since + timing.opening, "not ready in time"),
            // On wire 1 nothing is due while the payload flows, however long that takes; what shows is a payload
            // that stands still.
            Stage::Feeding if wire == Wire::One => (self.took + silence, "it took no data for too long"),
            Stage::Feeding => earlier(self.took + timing.stall, "it took no data for too long"),
            Stage::Reporting if wire == Wire::One => {
                (self.heard.max(self.since) + timing.finish, "no result in time")
            }
            Stage::Reporting => earlier(self.since + timing.finish, "no result in time"),
        }
    }
}

/// Why a child is dead that says nothing.
pub(super) const SILENT: &str = "silent";
