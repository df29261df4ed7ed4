//! What a node says to a sender that gets no session.

use super::answer::retell;
use crate::session::{Gate, NodeOutput, NodeSession, Now, Proven, SUPERSEDED, UpstreamId};
use crate::wire::{Code, Line, SealedReport};

/// What to say before closing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinalReply {
    /// Nothing: whatever is known now may not be true for long.
    Nothing,
    /// The node has another upstream.
    Left,
    /// Every request is refused, for this reason.
    Refusal(Code, String),
    /// The transfer has ended here, with these results.
    Results(Vec<SealedReport>),
}

impl FinalReply {
    /// The node is being stopped, and begins nothing new.
    pub fn stopping() -> Self {
        Self::Refusal(Code::STOPPED, "the node is being stopped".into())
    }

    /// A newer transfer of the same file is under way.
    pub(super) fn superseded() -> Self {
        Self::Refusal(Code::SUPERSEDED, SUPERSEDED.into())
    }

    /// The node has not taken part in the transfer, as far as it remembers.
    pub(super) fn unknown() -> Self {
        Self::Refusal(Code::NEVER_REPORTED, "this node does not know the transfer".into())
    }

    /// The node has that place in the transfer, and no other.
    pub(super) fn has_place(place: u32) -> Self {
        let why = format!(
            "this node is number {place} of the transfer already; its address stands in the list twice, or two names of it"
        );
        Self::Refusal(Code::TAKING_PART, why)
    }

    /// The bytes to write, in the words of a session. `id` names the connection.
    pub fn encode(self, now: Now, id: UpstreamId, proven: Proven, gate: &Gate) -> Vec<u8> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Left => proven.lines.map(|mut lines| lines.encode(&Line::Left)).unwrap_or_default(),
            Self::Refusal(code, why) => refuse(now, id, proven, gate, code, &why),
            Self::Results(results) => retell(proven, &gate.keys, &results),
        }
    }
}

fn refuse(now: Now, id: UpstreamId, proven: Proven, gate: &Gate, code: Code, why: &str) -> Vec<u8> {
    log::warn!("took no part in a transfer: {why}");
    let (keys, timing) = (gate.keys.clone(), gate.timing.clone());
    let mut session = NodeSession::refuse(now, id, proven, keys, timing, code, why);
    let mut words = Vec::new();
    while let Some(output) = session.poll() {
        if let NodeOutput::Reply(_, bytes) = output {
            words.extend(bytes);
        }
    }
    words
}
