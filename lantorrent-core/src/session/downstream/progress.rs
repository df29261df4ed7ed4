//! How far everything behind this side is, for the `progress` lines.

use super::Downstream;
use crate::session::context::Context;
use crate::session::io::Feeds;
use crate::session::run::State;
use crate::wire::{Change, Destination, NodeState, Progress, Wire};

impl Downstream {
    /// A child says how far it and everybody behind it is.
    pub(super) fn progressed(&mut self, at: usize, mut progress: Progress) {
        let run = &mut self.runs[at];
        // It is only shown to people, and still must not be more than there is.
        let told: u64 = progress.states.values().map(|&count| u64::from(count)).sum();
        if told > run.rest().len() as u64 {
            log::debug!("dropped a progress line with more nodes than there are");
            return;
        }
        let length = self.length.unwrap_or(u64::MAX);
        progress.greatest = progress.greatest.min(length);
        progress.least = progress.least.min(progress.greatest);
        let places = run.places.clone();
        let changed = std::mem::take(&mut progress.changed);
        if let Some(child) = run.child_mut() {
            child.progress = progress;
        }
        for change in changed.into_iter().filter(|change| places.contains(&change.index)) {
            self.note_change(Change { offset: change.offset.min(length), ..change });
        }
    }

    /// Keeps the latest word on a node, until it can be told. So the queue cannot outgrow the list.
    pub(super) fn note_change(&mut self, change: Change) {
        self.changes.retain(|known| known.index != change.index);
        self.changes.push_back(change);
        self.latest.insert(change.index, change);
    }

    /// The results of a node may be all that is ever heard of it, as on wire 1, or where its last lines were lost.
    pub(super) fn note_fate(&mut self, ctx: &Context<impl Feeds>, at: usize, index: u32) {
        let fate = self.runs[at].node(index).and_then(|node| ctx.results.fate(node));
        let Some(state) = fate else { return };
        let latest = self.latest.get(&index);
        if latest.is_some_and(|latest| latest.state == state) {
            return;
        }
        let offset = match state {
            NodeState::Done => self.length.unwrap_or(self.available),
            _ => latest.map_or(0, |latest| latest.offset),
        };
        self.note_change(Change { index, state, offset });
    }

    /// Sums up all that is behind.
    pub(in crate::session) fn progress(&self, ctx: &Context<impl Feeds>, sum: &mut Progress) {
        for run in &self.runs {
            let first = *run.places.start();
            let nodes = u32::try_from(run.rest().len()).unwrap_or(u32::MAX);
            let before = |node: &Destination| node.index.checked_sub(1).map(|last| first..=last);
            let settled = match &run.state {
                State::Fed(child) => {
                    match child.connection.wire() {
                        Wire::Two => {
                            sum.merge(&child.progress);
                            // It learns only little by little who is behind it.
                            let told =
                                child.progress.states.values().fold(0, |sum: u32, &n| sum.saturating_add(n));
                            add(sum, NodeState::Waiting, nodes.saturating_sub(told));
                        }
                        // Wire 1 says nothing on the way.
                        Wire::One => add(sum, NodeState::Receiving, nodes),
                    }
                    // Those that were tried before the child.
                    before(&child.node)
                }
                State::Over(_) => Some(run.places.clone()),
                State::Seeking | State::Chosen(_) => {
                    add(sum, NodeState::Waiting, nodes);
                    run.rest().first().and_then(before)
                }
            };
            let (done, failed) = settled.map_or((0, 0), |places| ctx.results.done(&places));
            if let State::Over(Some(last)) = &run.state
                && done > 0
            {
                // Of a run that is over the results say more than the child's last words, but not how far it came.
                sum.merge(&Progress { states: [(NodeState::Done, 0)].into(), ..last.clone() });
            }
            add(sum, NodeState::Done, done);
            add(sum, NodeState::Failed, failed);
        }
    }

    /// The nodes behind whose state changed, at most so many.
    pub(in crate::session) fn take_changes(&mut self, most: usize) -> impl Iterator<Item = Change> {
        let count = self.changes.len().min(most);
        self.changes.drain(..count)
    }

    pub(in crate::session) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }
}

fn add(sum: &mut Progress, state: NodeState, nodes: u32) {
    if nodes > 0 {
        let count = sum.states.entry(state).or_default();
        *count = count.saturating_add(nodes);
    }
}
