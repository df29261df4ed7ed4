//! The `progress` line: how far a node and all behind it are. PROTOCOL.md, "Progress".

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use super::json::Object;
use super::{bounded, limits};

/// What a node is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
#[expect(clippy::exhaustive_enums, reason = "a reader of the wire refuses every other")]
pub enum NodeState {
    /// Not part of the chain yet.
    Waiting,
    /// Receives, writes and forwards.
    Receiving,
    /// Has everything, and is making it durable.
    Finishing,
    /// Has reported a result for every request, all good.
    Done,
    /// Has reported, or had reported for it, a result that is not good.
    Failed,
}

impl TryFrom<String> for NodeState {
    type Error = &'static str;

    /// By its name alone: what serde derives takes `{"done": null}` as well.
    fn try_from(name: String) -> Result<Self, Self::Error> {
        match name.as_str() {
            "waiting" => Ok(Self::Waiting),
            "receiving" => Ok(Self::Receiving),
            "finishing" => Ok(Self::Finishing),
            "done" => Ok(Self::Done),
            "failed" => Ok(Self::Failed),
            _ => Err("an unknown state"),
        }
    }
}

/// A node whose state is not what the last line said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Change {
    /// The node's place in the source's list.
    pub index: u32,
    /// What it does now.
    pub state: NodeState,
    /// Bytes of the file that it has received.
    pub offset: u64,
}

impl Change {
    /// The node in that place is in that state, with so many bytes.
    pub fn new(index: u32, state: NodeState, offset: u64) -> Self {
        Self { index, state, offset }
    }
}

/// How far a node and all nodes behind it are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes that the node with the least of them has, among those that take part.
    pub least: u64,
    /// Bytes that the node with the most of them has.
    pub greatest: u64,
    /// How many nodes are in each state.
    pub states: BTreeMap<NodeState, u32>,
    /// Nodes whose state changed, at most [`limits::PROGRESS_CHANGES`]; the rest come with the next line.
    #[serde(default, deserialize_with = "changes", skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<Change>,
}

fn changes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Change>, D::Error> {
    let list = bounded::list::<_, Object<Change>, { limits::PROGRESS_CHANGES }>(deserializer)?;
    Ok(list.unwrap_or_default().into_iter().map(|Object(change)| change).collect())
}

impl Progress {
    /// One node alone.
    pub fn of_node(state: NodeState, offset: u64) -> Self {
        Self { least: offset, greatest: offset, states: BTreeMap::from([(state, 1)]), changed: Vec::new() }
    }

    /// Adds what stands behind a child. Changes are not merged: those are handed on by who keeps track of them.
    pub fn merge(&mut self, other: &Self) {
        if other.states.is_empty() {
            return;
        }
        let alone = self.states.is_empty();
        self.least = if alone { other.least } else { self.least.min(other.least) };
        self.greatest = self.greatest.max(other.greatest);
        for (&state, &count) in &other.states {
            let sum = self.states.entry(state).or_default();
            *sum = sum.saturating_add(count);
        }
    }

    /// Nodes in that state.
    pub fn count(&self, state: NodeState) -> u32 {
        self.states.get(&state).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_sums_up() {
        let mut sum = Progress::default();
        sum.merge(&Progress::of_node(NodeState::Receiving, 30));
        sum.merge(&Progress::of_node(NodeState::Done, 90));
        sum.merge(&Progress::default());
        assert_eq!((sum.least, sum.greatest), (30, 90));
        assert_eq!(sum.count(NodeState::Receiving) + sum.count(NodeState::Done), 2);
    }
}
