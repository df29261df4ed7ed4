//! What a node says towards its source, and when it was last heard of from there.

use std::time::Instant;

use super::desk::{Desk, Relayed};
use super::io::{Now, Output};
use super::timing::Timing;
use crate::wire::{Line, LineWriter, SealedReport, Wire};

#[derive(Debug)]
pub(super) struct Upstream {
    lines: Option<LineWriter>,
    heard: Instant,
    alive_at: Instant,
    progress_at: Instant,
}

impl Upstream {
    pub(super) fn new(lines: Option<LineWriter>, now: Instant, timing: &Timing) -> Self {
        Self { lines, heard: now, alive_at: now + timing.alive, progress_at: now + timing.progress }
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    /// Says something that only wire 2 can say.
    pub(super) fn say(&mut self, desk: &mut Desk, line: &Line) {
        if let Some(lines) = &mut self.lines {
            desk.out.push_back(Output::Reply(lines.encode(line)));
        }
    }

    /// Passes on a report: on wire 2 as its maker sealed it, or sealed here where it was made here.
    pub(super) fn relay(&mut self, desk: &mut Desk, relayed: Relayed) {
        match &desk.result_key {
            Some(key) => {
                let sealed = relayed.sealed.unwrap_or_else(|| SealedReport::seal(&relayed.report, key));
                self.say(desk, &Line::Result(sealed));
            }
            None => {
                let mut line = relayed.report.encode().into_bytes();
                line.push(b'\n');
                desk.out.push_back(Output::Reply(line));
            }
        }
    }

    /// When silence from upstream means that it is dead.
    pub(super) fn dead_at(&self, timing: &Timing) -> Instant {
        self.heard
            + match self.wire() {
                Wire::One => timing.dead_after_wire_1,
                Wire::Two => timing.dead_after,
            }
    }

    /// When the next `tick` is due. On wire 1 nothing is said then, but a session that is not over has a deadline,
    /// even while it waits for its disk alone.
    pub(super) fn next_tick_at(&self) -> Instant {
        self.alive_at.min(self.progress_at)
    }

    fn wire(&self) -> Wire {
        if self.lines.is_some() { Wire::Two } else { Wire::One }
    }

    /// Says that the node is alive if that is due, and returns whether its progress is due.
    pub(super) fn tick(&mut self, desk: &mut Desk, now: Now) -> bool {
        if self.alive_at <= now.instant {
            self.alive_at = now.instant + desk.timing.alive;
            self.say(desk, &Line::Alive);
        }
        let due = self.progress_at <= now.instant;
        if due {
            self.progress_at = now.instant + desk.timing.progress;
        }
        due && self.lines.is_some()
    }
}
