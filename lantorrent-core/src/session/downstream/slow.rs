//! Children that hold up everybody behind them. PROTOCOL.md, "Slow nodes".

use super::Downstream;
use crate::session::child::Stage;
use crate::session::desk::Desk;
use crate::session::io::{Now, Output};
use crate::session::run::Run;
use crate::wire::{Code, Wire};

/// What to do about a child that is too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) enum Slow {
    /// Nothing, or it is done.
    Dealt,
    /// The next child was too slow as well: it is this side that holds them up.
    StepAside,
}

impl Downstream {
    /// Looks how fast the children are, now and then.
    pub(in crate::session) fn watch_pace(&mut self, desk: &mut Desk, now: Now) -> Slow {
        let Some(floor) = desk.header.envelope.as_ref().and_then(|envelope| envelope.min_rate) else {
            return Slow::Dealt;
        };
        if desk.wire() == Wire::One || !desk.adopting || self.aborting.is_some() {
            return Slow::Dealt;
        }
        for at in 0..self.runs.len() {
            let Some(rate) = self.runs[at].slow(desk, now, self.available, floor) else { continue };
            if std::mem::replace(&mut self.was_slow, true) {
                return Slow::StepAside;
            }
            self.bypass_slow(desk, now, at, rate, floor);
        }
        Slow::Dealt
    }

    fn bypass_slow(&mut self, desk: &mut Desk, now: Now, at: usize, rate: u64, floor: u64) {
        let (nodes, slow) = desk.ledger.said_of(Code::SLOW);
        // Where many are slow it is the network, or the floor is too high.
        if slow >= (nodes / 10).max(1) {
            return;
        }
        let Some(child) = self.runs[at].child.take() else { return };
        desk.out.push_back(Output::Close(child.link));
        let seconds = desk.timing.slow.as_secs();
        let why = format!("took {rate} bytes a second for {seconds} s, less than {floor}");
        self.bypass(desk, now, at, &child, Code::SLOW, &why);
    }
}

impl Run {
    /// How fast the child is, where that is too slow and holds up somebody.
    fn slow(&mut self, desk: &Desk, now: Now, available: u64, floor: u64) -> Option<u64> {
        let child = self.child.as_mut().filter(|child| !self.over && child.stage == Stage::Feeding)?;
        child.pace.sample(now.instant, child.sent, available, desk.timing.slow);
        let rate = child.pace.rate(desk.timing.slow).filter(|&rate| rate < floor)?;
        let place = child.place;
        (!desk.ledger.heard_of_all(self.behind(place))).then_some(rate)
    }
}
