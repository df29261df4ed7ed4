//! Admission: what becomes of a connection, from the moment it is accepted until a session has it or it has its answer.
//!
//! ```text
//!                  Slots                Incoming              Admission
//!   accepted ───────────────▶ pending ────────────▶ proven ──────────────▶ Start   a session of its own
//!       │ limit                  │ crowded out         ▲      │            Join    the running session of its transfer
//!       ▼                        ▼                     │      │            Probe   the answer to a check
//!     closed                   closed                  └──────┘            Close   refused, or told how it ended
//!                                                  Look, Wait: again
//! ```
//!
//! A node whose connections have a process each asks its other processes first ([`Rendezvous`]), tells its [`Admission`]
//! what they know, and goes on like any other node.

mod answer;
mod cancelled;
mod decide;
mod final_reply;
#[cfg(test)]
mod fixture;
mod met;
mod registry;
mod rendezvous;
mod slots;

pub use answer::{Follower, PlacedFiles, answer_check};
pub use decide::{Admission, Attempt, Errand, Join, PATIENCE, Start, Task, Verdict};
pub use final_reply::FinalReply;
pub use rendezvous::{Holder, Kept, Name, Rendezvous, Step};
pub use slots::{Capacity, Slot, Slots};
