//! The drivers: they move bytes between sockets, files and sessions, and decide nothing.
//!
//! [`Node`] and [`Transfer`] are all that most programs need. Both use the blocking driver, a few threads for each
//! connection, unless a node is configured for the [event loop](Driver).

mod backing;
mod clock;
mod config;
mod error;
#[cfg(feature = "event")]
mod event;
mod files;
mod grain;
mod holes;
mod hooks;
mod memory;
mod node;
mod outbox;
mod placed;
mod preflight;
mod request;
mod resume;
mod site;
mod target;
mod threads;

pub use config::{Driver, NodeConfig};
pub use error::{Error, Fault};
pub use hooks::{Decision, NodeEvent, Offer};
pub use node::{Node, NodeHandle};
pub use target::{DEFAULT_PORT, Target};
pub use threads::{
    Cancel, Check, Failure, ListedNode, Outcome, TargetOutcome, TargetProgress, Transfer, TransferEvent,
    TransferHandle, TransferProgress,
};

use crate::rate::limit;
use crate::runtime::{dscp, names, random, socket};
