//! The blocking driver. A node spends on each transfer one thread that runs the session, one that receives, one for the
//! disk, and two for each child: one that sends and one that hears what the child says. Another connection for the same
//! transfer is handed to its session. Whoever waits for a socket is woken by shutting it down. Who only asks many nodes
//! something does so on one thread.

mod archive;
mod bell;
mod calls;
mod cancel;
mod check;
mod children;
mod connection;
mod control;
mod doorbell;
mod handover;
mod hands;
mod handshake;
mod listeners;
mod live;
mod monitor;
mod node;
mod origin;
mod outcome;
mod reader;
mod receiver;
mod rendezvous;
mod siblings;
mod signal;
mod source;
mod survey;
mod transfer;
mod transfers;
mod upstreams;
mod wishes;

use super::{random, socket};

/// What threads wait with. In unit tests it is the model checker's, which tries in which order they may go on.
#[cfg(test)]
use shuttle::sync as waiting;
#[cfg(not(test))]
use std::sync as waiting;

pub use cancel::Cancel;
pub use check::Check;
pub(super) use node::{Server, Stopper};
pub use outcome::{
    Failure, ListedNode, Outcome, TargetOutcome, TargetProgress, TransferEvent, TransferProgress,
};
pub use transfer::Transfer;
pub use wishes::TransferHandle;

/// Things that happened and that a session has not dealt with yet; whoever brings more waits.
const HAPPENINGS: usize = 256;
