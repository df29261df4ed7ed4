//! How a transfer, a check or a cancellation ended, and what its user hears of it before.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::super::error::Error;
use super::super::target::Target;
use crate::wire::{Code, Destination, NodeState, Progress, Report, TransferId};

/// What happens while a transfer runs, for the listener of [`Transfer::on_event`](super::Transfer::on_event).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransferEvent {
    /// The chain is being built. First of all, but for the ends of targets that were left out before.
    #[non_exhaustive]
    Begun {
        /// Names the transfer; on wire 2 it does so in every header.
        transfer: TransferId,
        /// All nodes on the list that is sent, in order.
        nodes: Vec<ListedNode>,
    },
    /// About once a second.
    Progress(TransferProgress),
    /// A node was bypassed: the nodes behind it have another upstream. What becomes of its own targets is still to come,
    /// and may be a success.
    Bypassed(Report),
    /// A target has its result; once for each.
    Ended(TargetOutcome),
}

/// A node on the list of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListedNode {
    /// Its place on the list, by which [`Progress::changed`] names it.
    pub index: u32,
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Its targets: their places in the order in which they were given.
    pub places: Vec<usize>,
}

impl ListedNode {
    /// The node in that place on the list, with these targets.
    pub fn new(index: u32, host: String, port: u16, places: Vec<usize>) -> Self {
        Self { index, host, port, places }
    }
}

impl From<&Destination> for ListedNode {
    fn from(node: &Destination) -> Self {
        let places = node.requests.iter().filter_map(|request| place(&request.id)).collect();
        Self { index: node.index, host: node.host.clone(), port: node.port, places }
    }
}

/// How far a transfer is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferProgress {
    /// Bytes of the file, where known.
    pub size: Option<u64>,
    /// Bytes sent to the first node.
    pub sent: u64,
    /// All nodes together, as their `progress` lines sum them up. PROTOCOL.md, "Progress".
    pub nodes: Progress,
    targets: Arc<[Target]>,
    states: Vec<TargetProgress>,
}

impl TransferProgress {
    /// How far each target is, in the order in which they were given.
    pub fn targets(&self) -> impl ExactSizeIterator<Item = (&Target, TargetProgress)> {
        self.targets.iter().zip(self.states.iter().copied())
    }
}

/// How far the node of a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetProgress {
    /// What the node does.
    pub state: NodeState,
    /// Bytes of the file that it had when that state began; of a node that is receiving there are more by now.
    pub offset: u64,
}

/// What became of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetOutcome {
    /// The target, as it was given.
    pub target: Target,
    /// Of a transfer: whether the file is there, whole and under its name. Of a check: whether it could be. Of a
    /// cancellation: whether nothing is left there.
    pub result: Result<(), Failure>,
    /// How far the node was when it was heard of last.
    pub progress: TargetProgress,
    report: Report,
}

impl TargetOutcome {
    /// The report from which this is known, in the terms of the wire. Its `id` is the place of the target in the order in
    /// which they were given. PROTOCOL.md, "Results".
    pub fn report(&self) -> &Report {
        &self.report
    }
}

/// Why a target does not have the file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message} ({code})")]
#[non_exhaustive]
pub struct Failure {
    /// What kind of failure: one of [`Code`]'s constants, or a number that this version does not know.
    pub code: Code,
    /// What happened, in words that may come from the node: to be cleaned of control characters before they are shown.
    pub message: String,
}

/// How a transfer, a [`Check`](super::Check) or a [`Cancel`](super::Cancel) ended, target by target. That one has an outcome
/// says nothing of success: look at [`targets`](Self::targets), or use [`into_result`](Self::into_result).
#[must_use = "a transfer that failed on every node has an outcome too: look at its targets, or use `into_result`"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    targets: Vec<TargetOutcome>,
    bypassed: Vec<Report>,
    sent: u64,
    elapsed: Duration,
}

impl Outcome {
    /// What became of each target, in the order in which they were given.
    pub fn targets(&self) -> &[TargetOutcome] {
        &self.targets
    }

    /// The same in the terms of the wire.
    pub fn reports(&self) -> impl ExactSizeIterator<Item = &Report> {
        self.targets.iter().map(TargetOutcome::report)
    }

    /// The targets with a good result.
    pub fn succeeded(&self) -> impl Iterator<Item = &TargetOutcome> {
        self.targets.iter().filter(|target| target.result.is_ok())
    }

    /// The targets without one.
    pub fn failed(&self) -> impl Iterator<Item = &TargetOutcome> {
        self.targets.iter().filter(|target| target.result.is_err())
    }

    /// Whether no target has failed.
    pub fn all_succeeded(&self) -> bool {
        self.failed().next().is_none()
    }

    /// For callers with a `?`: a failed target is an error.
    ///
    /// # Errors
    /// [`Error::Incomplete`], with this outcome, where a target has failed.
    pub fn into_result(self) -> Result<(), Error> {
        if self.all_succeeded() { Ok(()) } else { Err(Error::Incomplete(Box::new(self))) }
    }

    /// Nodes that were bypassed on the way, in the order in which that happened. What became of their targets is among
    /// [`targets`](Self::targets).
    pub fn bypassed(&self) -> &[Report] {
        &self.bypassed
    }

    /// Bytes of the file that were sent to the first node.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// How long it took, results included.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }
}

/// Follows the targets of a transfer, a check or a cancellation to their results.
#[derive(Debug)]
pub(super) struct Board {
    targets: Arc<[Target]>,
    /// The code that is a good result.
    good: Code,
    /// The targets of the node in that place on the list.
    listed: HashMap<u32, Vec<usize>>,
    states: Vec<TargetProgress>,
    ended: Vec<Option<TargetOutcome>>,
    pub(super) bypassed: Vec<Report>,
}

impl Board {
    pub(super) fn new(targets: Vec<Target>, good: Code) -> Self {
        let waiting = TargetProgress { state: NodeState::Waiting, offset: 0 };
        Self {
            good,
            listed: HashMap::new(),
            states: vec![waiting; targets.len()],
            ended: vec![None; targets.len()],
            bypassed: Vec::new(),
            targets: targets.into(),
        }
    }

    /// These nodes are on the list that is sent.
    pub(super) fn list(&mut self, nodes: &[ListedNode]) {
        self.listed = nodes.iter().map(|node| (node.index, node.places.clone())).collect();
    }

    pub(super) fn progress(&mut self, size: Option<u64>, sent: u64, nodes: Progress) -> TransferProgress {
        for change in &nodes.changed {
            for &place in self.listed.get(&change.index).into_iter().flatten() {
                if let Some(state) = self.states.get_mut(place) {
                    *state = TargetProgress { state: change.state, offset: change.offset };
                }
            }
        }
        TransferProgress {
            size,
            sent,
            nodes,
            targets: Arc::clone(&self.targets),
            states: self.states.clone(),
        }
    }

    /// A request has its result, when so many bytes were sent. None where it is of no target.
    pub(super) fn end(&mut self, report: Report, sent: u64) -> Option<TargetOutcome> {
        let place = place(report.id.as_deref()?)?;
        let target = self.targets.get(place)?.clone();
        let state = self.states.get_mut(place)?;
        let result = if report.code == self.good {
            Ok(())
        } else {
            Err(Failure { code: report.code, message: report.message.clone() })
        };
        // A node that has the file was sent all of it, by the first one or directly.
        *state = match result {
            Ok(()) => TargetProgress { state: NodeState::Done, offset: sent },
            Err(_) => TargetProgress { state: NodeState::Failed, ..*state },
        };
        let outcome = TargetOutcome { target, result, progress: *state, report };
        *self.ended.get_mut(place)? = Some(outcome.clone());
        Some(outcome)
    }

    /// All results. A target that has none is not known to have the file.
    pub(super) fn outcome(mut self, sent: u64, elapsed: Duration) -> Outcome {
        let missing = self.ended.iter().enumerate().filter(|(_, ended)| ended.is_none());
        for place in missing.map(|(place, _)| place).collect::<Vec<_>>() {
            let report = Report {
                id: Some(place.to_string()),
                ..Report::refusal(Code::NEVER_REPORTED, "no result was reported")
            };
            self.end(report, 0);
        }
        let targets = self.ended.into_iter().flatten().collect();
        Outcome { targets, bypassed: self.bypassed, sent, elapsed }
    }
}

/// The place that a target was given in, from the id of its request.
fn place(id: &str) -> Option<usize> {
    id.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Change;

    fn target(host: &str) -> Target {
        Target { host: host.into(), port: 1, path: "/x".into() }
    }

    fn report(place: usize, code: Code) -> Report {
        Report { id: Some(place.to_string()), ..Report::refusal(code, "as it is") }
    }

    fn board() -> Board {
        let mut board = Board::new(vec![target("a"), target("b")], Code::SUCCESS);
        let node = |index, place| ListedNode { index, host: String::new(), port: 1, places: vec![place] };
        board.list(&[node(7, 1), node(8, 0)]);
        board
    }

    #[test]
    fn an_outcome_is_in_the_order_of_the_targets() {
        let mut board = board();
        assert!(board.end(report(1, Code::SUCCESS), 5).unwrap().result.is_ok());
        assert_eq!(board.end(report(0, Code::NO_SPACE), 5).unwrap().result.unwrap_err().code, Code::NO_SPACE);
        let outcome = board.outcome(5, Duration::ZERO);
        let hosts: Vec<&str> = outcome.targets().iter().map(|ended| ended.target.host.as_str()).collect();
        assert_eq!(hosts, ["a", "b"]);
        assert_eq!((outcome.succeeded().count(), outcome.failed().count()), (1, 1));
        let Err(Error::Incomplete(outcome)) = outcome.into_result() else { panic!("a target has failed") };
        assert_eq!(outcome.sent(), 5);
        assert_eq!(outcome.targets()[1].progress.offset, 5);
    }

    #[test]
    fn a_target_without_a_result_is_no_success() {
        let mut board = board();
        assert!(board.end(report(2, Code::SUCCESS), 5).is_none(), "there is no such target");
        board.end(report(1, Code::SUCCESS), 5);
        let outcome = board.outcome(0, Duration::ZERO);
        assert_eq!(outcome.targets()[0].report().code, Code::NEVER_REPORTED);
        assert!(!outcome.all_succeeded());
    }

    #[test]
    fn progress_is_told_by_target() {
        let mut board = board();
        let changed = vec![Change { index: 7, state: NodeState::Receiving, offset: 9 }];
        let progress = board.progress(None, 0, Progress { changed, ..Progress::default() });
        let states: Vec<_> =
            progress.targets().map(|(target, at)| (target.host.as_str(), at.state)).collect();
        assert_eq!(states, [("a", NodeState::Waiting), ("b", NodeState::Receiving)]);
        let later = board.progress(None, 0, Progress::default());
        assert_eq!(later.targets().nth(1).unwrap().1.offset, 9, "it stays so until it changes");
    }
}
