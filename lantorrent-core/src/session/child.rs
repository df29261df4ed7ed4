//! A node that this side feeds: what is due from it, and how long that may take.

use std::time::{Duration, Instant};

use super::connection::Connection;
use super::io::LinkId;
use super::pace::Pace;
use super::timers::Timers;
use super::timing::Timing;
use crate::wire::{Destination, NodeState, Progress, Report, Wire};

/// How far it is as a child. PROTOCOL.md, "Becoming a child".
///
/// ```text
///  wire 2: Opening ──ready──▶ Feeding ──END out──▶ Reporting
///  wire 1:                    Feeding ──footer out──▶ Reporting
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// The child opens its files; `ready` is due.
    Opening,
    /// The payload flows.
    Feeding,
    /// The payload is out; results are due.
    Reporting,
}

/// What may be due of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// An IDLE is to be sent, so that it knows that this side lives.
    Idle,
    /// Nothing was heard of it for too long.
    Silence,
    /// Its stage has lasted for too long.
    Stage,
}

#[derive(Debug)]
pub(super) struct Child {
    pub(super) connection: Connection,
    /// Its place in its run.
    pub(super) place: usize,
    pub(super) node: Destination,
    pub(super) stage: Stage,
    /// On wire 1 the last report that was about no request.
    pub(super) refusal: Option<Report>,
    /// What the child last said of itself and all behind it.
    pub(super) progress: Progress,
    pub(super) pace: Pace,
    /// How much of the payload it was sent, from where it began.
    pub(super) sent: u64,
    /// From which offset on it was ready for the payload.
    pub(super) began: Option<u64>,
    since: Instant,
    /// When it was last sent something, or asked to be.
    fed: Instant,
    /// When it last took something, be it an IDLE.
    took: Instant,
}

impl Child {
    /// A node that has accepted the proof, or on wire 1 the connection.
    pub(super) fn new(mut connection: Connection, place: usize, node: Destination, now: Instant) -> Self {
        connection.expect(now);
        let stage = match connection.wire() {
            Wire::One => Stage::Feeding,
            Wire::Two => Stage::Opening,
        };
        Self {
            connection,
            place,
            node,
            stage,
            refusal: None,
            progress: Progress::of_node(NodeState::Waiting, 0),
            pace: Pace::default(),
            sent: 0,
            began: None,
            since: now,
            fed: now,
            took: now,
        }
    }

    pub(super) fn link(&self) -> LinkId {
        self.connection.link
    }

    pub(super) fn enter(&mut self, stage: Stage, now: Instant) {
        self.stage = stage;
        self.connection.expect(now);
        self.since = now;
        self.fed = now;
        self.took = now;
    }

    /// This side stood still for so long: what the child did meanwhile is not known yet.
    pub(super) fn excuse(&mut self, late: Duration) {
        self.connection.excuse(late);
        for instant in [&mut self.since, &mut self.fed, &mut self.took] {
            *instant += late;
        }
        self.pace = Pace::default();
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

    pub(super) fn timers(&self, timing: &Timing) -> Timers<Timer> {
        let mut timers = Timers::default();
        let silence = Some(self.connection.dead_at(timing));
        let (silence, stage) = match (self.connection.wire(), self.stage) {
            (_, Stage::Opening) => (silence, self.since + timing.opening),
            // On wire 1 nothing is due while the payload flows, however long that takes; what shows is a payload that
            // stands still.
            (Wire::One, Stage::Feeding) => (None, self.took + timing.dead_after_wire_1),
            (Wire::Two, Stage::Feeding) => (silence, self.took + timing.stall),
            (Wire::One, Stage::Reporting) => (None, self.since.max(self.connection.heard()) + timing.finish),
            (Wire::Two, Stage::Reporting) => (silence, self.since + timing.finish),
        };
        timers.set(Timer::Silence, silence);
        timers.set(Timer::Stage, stage);
        if self.connection.wire() == Wire::Two && self.stage >= Stage::Feeding {
            timers.set(Timer::Idle, self.fed + timing.alive);
        }
        timers
    }

    /// In which words it is lost when that is due.
    pub(super) fn late(&self) -> &'static str {
        match self.stage {
            Stage::Opening => "not ready in time",
            Stage::Feeding => "it took no data for too long",
            Stage::Reporting => "no result in time",
        }
    }
}

/// Why a child is dead that says nothing.
pub(super) const SILENT: &str = "silent";
