//! What must be true of a run, given what has gone wrong in it.

use std::time::Duration;

use lantorrent_core::wire::Code;

use crate::plan::Plan;
use crate::scenario::{BLOCK, Outcome, Scenario};
use crate::world::disk::Kind;
use crate::world::fault::{Fault, Mishap};

/// How long a source may stand still without anybody being lost: nodes wait for a minute.
const NAP: Duration = Duration::from_secs(40);
/// How long a node must be well again before the end, to be asked once more in time.
const NOTICE: Duration = Duration::from_secs(10);
/// How many blocks may be received and not be written when a session lets go.
const PENDING: u64 = 9;

/// How long the source may wait for what does not come, all in all.
const PAUSES: Duration = Duration::from_secs(30);
/// How long sessions and connections may go on when their source does not: orphans wait for a minute.
const REST: Duration = Duration::from_secs(80);
/// How much later each node of a chain may find out that nothing comes any more.
const NOTICED: Duration = Duration::from_secs(3);

struct Verdict<'a> {
    scenario: &'a Scenario,
    outcome: &'a Outcome,
    /// What has happened, and when.
    struck: Vec<(Mishap, Duration)>,
}

pub(crate) fn judge(plan: &Plan, outcome: &Outcome) {
    let struck = plan.scenario.mishaps.iter().zip(&outcome.struck);
    let struck = struck.filter_map(|(mishap, at)| Some((*mishap, (*at)?))).collect();
    let verdict = Verdict { scenario: &plan.scenario, outcome, struck };
    verdict.check_time();
    for node in 0..plan.scenario.list.len() {
        verdict.check_exact(node);
        verdict.check_cancelled(node);
        if verdict.is_fine(node) {
            verdict.check_success(node);
        }
        if verdict.is_untouched(node) {
            verdict.check_moved(node);
            verdict.check_kept(node);
            verdict.check_upstreams(node);
        }
    }
}

impl Verdict<'_> {
    /// What happened to a node: to its process, its disk, its links.
    fn happened(&self, node: usize) -> impl Iterator<Item = &(Mishap, Duration)> {
        let source = self.scenario.source();
        self.struck.iter().filter(move |(mishap, _)| mishap.fault.touches(node, source))
    }

    fn is_untouched(&self, node: usize) -> bool {
        self.happened(node).next().is_none()
    }

    /// Whether a node must have the file in the end: nothing happened to it, or nothing that lasts.
    fn is_fine(&self, node: usize) -> bool {
        let files = &self.scenario.list[node].1;
        let good = |name: &String| matches!(self.scenario.kind(node, name), Kind::Good | Kind::NotReadable);
        files.iter().all(good)
            && self.happened(node).all(|(mishap, at)| self.is_harmless(mishap) || self.is_over(mishap, *at))
    }

    /// Whether it is repaired without anybody being lost.
    fn is_harmless(&self, mishap: &Mishap) -> bool {
        let source = self.scenario.source();
        match mishap.fault {
            Fault::Reset(_) | Fault::Damage(..) => self.insults() <= 1,
            Fault::Cancel(..) => true,
            // Somebody else can serve both.
            Fault::Silence { cut, .. } => !cut.from.contains(source) && !cut.to.contains(source),
            _ => false,
        }
    }

    /// How often connections were reset or damaged. Each is tried again once.
    fn insults(&self) -> u32 {
        self.struck.iter().map(|(mishap, _)| mishap.fault.insults()).sum()
    }

    /// Whether it was over so early that the node was asked once more, by a source that was awake.
    fn is_over(&self, mishap: &Mishap, at: Duration) -> bool {
        let lasts = matches!(mishap.fault, Fault::Fill(_) | Fault::Break(_) | Fault::Stop(..));
        let source = self.scenario.source();
        !lasts
            && !self.happened(source).any(|(mishap, _)| mishap.ends.is_some())
            && mishap.ends.is_some_and(|time| at + time + NOTICE < self.outcome.took)
    }

    /// Whether the source was there all the time, or the one that came after it was.
    fn source_lives(&self) -> bool {
        let source = self.scenario.source();
        // Who of two comes first is not known everywhere in the same order: each may take nodes from the other.
        let alone = self.struck.iter().all(|(mishap, _)| mishap.fault != Fault::Again);
        alone
            && self.happened(source).all(|(mishap, _)| match mishap.fault {
                Fault::Kill(_) | Fault::Suspend => mishap.ends.is_some(),
                Fault::Freeze(_) => mishap.ends.is_some_and(|time| time < NAP),
                Fault::Reset(_) | Fault::Damage(..) => self.insults() <= 1,
                _ => false,
            })
    }

    fn source_was_restarted(&self) -> bool {
        let restarts = [Fault::Kill(self.scenario.source()), Fault::Again, Fault::Suspend];
        self.struck.iter().any(|(mishap, _)| restarts.contains(&mishap.fault))
    }

    /// A node is said not to have the file only if that is so, as far as it can know.
    fn check_exact(&self, node: usize) {
        for (file, name) in self.scenario.list[node].1.iter().enumerate() {
            let Some(report) = self.outcome.reports.get(&format!("{node}/{file}")) else { continue };
            let whole = self.outcome.files[node].contains_key(name);
            let fine = !whole || report.code.is_success() || report.code == Code::NEVER_REPORTED;
            let again = self.source_was_restarted() || self.scenario.may_begin_anew(node, self.outcome);
            let forgotten = report.is_own() && self.outcome.has_forgotten(node, name, report.code);
            assert!(fine || again || forgotten, "it has the file: {report:?}");
        }
    }

    fn is_cancelled(&self, node: usize, file: usize) -> bool {
        self.struck.iter().any(|(mishap, _)| mishap.fault == Fault::Cancel(node, file))
    }

    /// What a node calls cancelled was cancelled, and nothing of it is left on a node that has its memory.
    fn check_cancelled(&self, node: usize) {
        let forgets = |fault| matches!(fault, Fault::Kill(_) | Fault::PowerCut(_));
        let forgot = self.happened(node).any(|(mishap, _)| forgets(mishap.fault));
        for (file, name) in self.scenario.list[node].1.iter().enumerate() {
            let report = self.outcome.reports.get(&format!("{node}/{file}"));
            let Some(report) = report.filter(|report| report.code == Code::CANCELLED) else { continue };
            assert!(self.is_cancelled(node, file), "nobody has cancelled it: {report:?}");
            let left =
                self.outcome.files[node].contains_key(name) || self.outcome.partials[node].contains(name);
            assert!(!left || forgot || self.source_was_restarted(), "something is left: {report:?}");
        }
    }

    fn check_success(&self, node: usize) {
        if !self.source_lives() || !self.outcome.told {
            return;
        }
        for file in 0..self.scenario.list[node].1.len() {
            let report = &self.outcome.reports[&format!("{node}/{file}")];
            let fine =
                report.code.is_success() || report.code == Code::CANCELLED && self.is_cancelled(node, file);
            assert!(fine, "h{node} is fine, and failed: {report:?}");
        }
    }

    /// Nobody receives anything twice, but for what was not written when one session took over from another.
    fn check_moved(&self, node: usize) {
        let size = self.scenario.content.len() as u64;
        let partial = self.scenario.partials.iter().rfind(|(host, _)| *host == node);
        let had = partial.map_or(0, |&(_, bytes)| bytes as u64);
        let readable = self.scenario.kind(node, "/f") == Kind::Good && self.scenario.list[node].1.len() == 1;
        let sessions = self.outcome.begun[node].len() as u64;
        let again = sessions.saturating_sub(1) * PENDING * u64::from(BLOCK);
        let most = match (readable, self.source_was_restarted()) {
            (true, false) => size - had + again,
            (true, true) => 2 * size + again,
            (false, _) => sessions * size,
        };
        let taken = self.outcome.taken[node];
        assert!(
            taken <= most,
            "h{node} received {taken} bytes of {size}, and had {had}: {sessions} sessions"
        );
    }

    /// What a node has received and not got a name for is there for a later source to go on with.
    fn check_kept(&self, node: usize) {
        let files = &self.scenario.list[node].1;
        if self.scenario.kind(node, "/f") != Kind::Good
            || files.len() > 1
            || self.outcome.files[node].contains_key("/f")
        {
            return;
        }
        let (kept, received) = (self.outcome.kept[node], self.outcome.received[node]);
        let least = received.saturating_sub(PENDING * u64::from(BLOCK));
        assert!(kept >= least, "h{node} has received {received} bytes, and kept {kept}");
    }

    /// Nobody is torn to and fro between two who both want to serve it.
    fn check_upstreams(&self, node: usize) {
        // Whatever happens may cost an upstream when it begins, and another one when it ends. The source has three rounds,
        // and there may be two sources.
        let sources = 1 + usize::from(self.source_was_restarted());
        let most = 2 + sources + 2 * (self.struck.len() + self.scenario.kinds.len());
        // A process that takes over from another makes the connections to its children anew.
        let most = if self.scenario.solo.is_empty() { most } else { 2 * most };
        let upstreams = self.outcome.upstreams[node] as usize;
        assert!(upstreams <= most, "h{node} has had {upstreams} upstreams");
    }

    /// It ends soon after the last thing that happened, and everything is quiet soon after that.
    fn check_time(&self) {
        let ends = self.struck.iter().map(|(mishap, at)| *at + mishap.ends.unwrap_or_default());
        let last = ends.max().unwrap_or_default();
        let scenario = self.scenario;
        let slowest = scenario.micros_per_block.iter().map(|&(_, micros)| micros).max().unwrap_or(0);
        let block = Duration::from_micros(slowest.max(scenario.source_micros) as u64);
        // The file may go over the network twice in a row: down the chain, and then to a node that was lost.
        let block = block.max(self.outcome.block_time);
        let blocks = scenario.content.len().div_ceil(BLOCK as usize) as u32;
        let took = self.outcome.took;
        assert!(
            took < last + block * blocks * 2 + PAUSES,
            "it took {took:?}, and was left alone from {last:?} on"
        );
        let quiet = self.outcome.quiet;
        let rest = REST + NOTICED * scenario.list.len() as u32;
        assert!(
            quiet < took.max(last + block * blocks) + rest,
            "it was quiet after {quiet:?}, and over after {took:?}"
        );
    }
}
