//! Children that hold up everybody behind them. PROTOCOL.md, "Slow nodes".

use super::Downstream;
use crate::session::child::Stage;
use crate::session::context::Context;
use crate::session::io::{Feeds, Now};
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
    pub(in crate::session) fn watch_pace(&mut self, ctx: &mut Context<impl Feeds>, now: Now) -> Slow {
        let Some(floor) = ctx.header.envelope.as_ref().and_then(|envelope| envelope.min_rate) else {
            return Slow::Dealt;
        };
        if ctx.wire() == Wire::One || !ctx.adopting || self.aborting.is_some() {
            return Slow::Dealt;
        }
        for at in 0..self.runs.len() {
            let Some(rate) = self.runs[at].slow(ctx, now, self.available, floor) else { continue };
            if std::mem::replace(&mut self.was_slow, true) {
                return Slow::StepAside;
            }
            self.bypass_slow(ctx, now, at, rate, floor);
        }
        Slow::Dealt
    }

    fn bypass_slow(&mut self, ctx: &mut Context<impl Feeds>, now: Now, at: usize, rate: u64, floor: u64) {
        let (nodes, slow) = ctx.results.said_of(Code::SLOW);
        // Where many are slow it is the network, or the floor is too high.
        if slow >= (nodes / 10).max(1) {
            return;
        }
        let Some(child) = self.runs[at].take_child() else { return };
        ctx.close(child.link());
        let seconds = ctx.timing.slow.as_secs();
        let why = format!("took {rate} bytes a second for {seconds} s, less than {floor}");
        self.bypass(ctx, now, at, &child, Code::SLOW, &why);
    }
}

impl Run {
    /// How fast the child is, where that is too slow and holds up somebody.
    fn slow(&mut self, ctx: &Context<impl Feeds>, now: Now, available: u64, floor: u64) -> Option<u64> {
        let child = self.child_mut().filter(|child| child.stage == Stage::Feeding)?;
        child.pace.sample(now.instant, child.sent, available, ctx.timing.slow);
        let rate = child.pace.rate(ctx.timing.slow).filter(|&rate| rate < floor)?;
        let place = child.place;
        (!ctx.results.heard_of_all(self.behind(place))).then_some(rate)
    }
}
