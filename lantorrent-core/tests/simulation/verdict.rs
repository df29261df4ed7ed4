//! What must be true of a run, given what has gone wrong in it.

use std::time::Duration;

use crate::plan::Plan;
use crate::scenario::{BLOCK, Outcome, Scenario};
use crate::world::disk::Kind;
use crate::world::fault::{Fault, Mishap};

/// How long a source may stand still without anybody being lost: nodes wait for a minute.
const NAP: Duration = Duration::from_secs(40);
/// How many blocks may be received and not be written when a session lets go.
const PENDING: u64 = 9;

struct Verdict<'a> {
    scenario: &'a Scenario,
    outcome: &'a Outcome,
    struck: Vec<Mishap>,
}

pub(crate) fn judge(plan: &Plan, outcome: &Outcome) {
    let struck = plan.scenario.mishaps.iter().zip(&outcome.struck).filter(|(_, struck)| **struck);
    let struck = struck.map(|(mishap, _)| *mishap).collect();
    let verdict = Verdict { scenario: &plan.scenario, outcome, struck };
    for node in 0..plan.scenario.list.len() {
        if verdict.is_untouched(node) {
            verdict.check_success(node);
            verdict.check_moved(node);
        }
    }
}

impl Verdict<'_> {
    /// Whether nothing happened to a node: its process, its disk, its links.
    fn is_untouched(&self, node: usize) -> bool {
        let source = self.scenario.source();
        let files = &self.scenario.list[node].1;
        let bad = |name: &String| !matches!(self.scenario.kind(node, name), Kind::Good | Kind::NotReadable);
        !files.iter().any(bad) && !self.struck.iter().any(|mishap| mishap.fault.touches(node, source))
    }

    /// Whether the source was there all the time, or the one that came after it was.
    fn source_lives(&self) -> bool {
        let source = self.scenario.source();
        self.struck.iter().filter(|mishap| mishap.fault.touches(source, source)).all(|mishap| match mishap.fault {
            Fault::Kill(_) => mishap.ends.is_some(),
            Fault::Freeze(_) => mishap.ends.is_some_and(|time| time < NAP),
            Fault::Reset(_) | Fault::Damage(..) => true,
            _ => false,
        })
    }

    fn source_was_restarted(&self) -> bool {
        self.struck.iter().any(|mishap| mishap.fault == Fault::Kill(self.scenario.source()))
    }

    fn check_success(&self, node: usize) {
        if !self.source_lives() || !self.outcome.told {
            return;
        }
        for file in 0..self.scenario.list[node].1.len() {
            let report = &self.outcome.reports[&format!("{node}/{file}")];
            assert!(report.code.is_success(), "nothing happened to h{node}, and it failed: {report:?}");
        }
    }

    /// Nobody receives anything twice, but for what was not written when one session took over from another.
    fn check_moved(&self, node: usize) {
        let size = self.scenario.content.len() as u64;
        let had = self.scenario.partials.iter().filter(|(host, _)| *host == node).map(|&(_, bytes)| bytes as u64);
        let had = had.last().unwrap_or(0);
        let readable = self.scenario.kind(node, "/f") == Kind::Good && self.scenario.list[node].1.len() == 1;
        let sessions = self.outcome.begun[node].len() as u64;
        let again = sessions.saturating_sub(1) * PENDING * u64::from(BLOCK);
        let most = match (readable, self.source_was_restarted()) {
            (true, false) => size - had + again,
            (true, true) => 2 * size,
            (false, _) => sessions * size,
        };
        let taken = self.outcome.taken[node];
        assert!(taken <= most, "h{node} received {taken} bytes of {size}, and had {had}: {sessions} sessions");
    }
}
