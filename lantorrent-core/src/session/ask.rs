//! What one process of a node asks another that holds its files, where each connection has a process of its own.

#![expect(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "a driver has to tell and to do all of it: what is new here must not compile unseen"
)]

use serde::{Deserialize, Serialize};

use crate::wire::{Header, SourceHint, TransferId};

/// May I go on with the files that you hold? Who asks has a proven header in hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The transfer of that header.
    pub transfer: TransferId,
    /// The node's place in it.
    pub index: u32,
    /// The place of who made the header; None for the source.
    pub from: Option<u32>,
    /// When that transfer began at its source.
    pub begun: Option<u64>,
    /// Which version of which file it is about.
    pub source: Option<SourceHint>,
}

/// How a running session stands to those that ask for its transfer or its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its upstream lives.
    Served,
    /// It has no upstream, or one that has been silent for too long while it was listened to.
    Orphan,
    /// What came is not what its source has signed. It is about to end; the source may begin anew then.
    Spoiled,
}

/// What the holder says to that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Yes, as soon as this is said: the files are free then.
    Yes,
    /// No: whom they are received from has a better right, or it is another file.
    No,
    /// They are complete, and their results soon known.
    Finishing,
    /// No: this node takes part in the transfer already, in that place of the list.
    Elsewhere(u32),
    /// No: theirs is an older transfer of the same file.
    Outdated,
}

impl Ask {
    /// Whether this transfer is known to be newer than that one.
    pub(crate) fn outranks(&self, other: &Self) -> bool {
        let age = |ask: &Self| Some((ask.begun?, ask.transfer));
        age(other).is_some_and(|other| age(self) > Some(other))
    }

    /// The question that goes with a header; none with one of wire 1, which resumes nothing.
    pub fn for_header(header: &Header) -> Option<Self> {
        let envelope = header.envelope.as_ref()?;
        Some(Self {
            transfer: envelope.transfer,
            index: header.node.index,
            from: envelope.from,
            begun: envelope.begun,
            source: envelope.source.clone(),
        })
    }
}
