//! The drivers: they move bytes between sockets, files and sessions, and decide nothing.
//!
//! [`Node`] and [`Transfer`] are all that most programs need. Both use the blocking driver, a few threads for each
//! connection, unless a node is configured for the [event loop](Driver).

mod baton;
mod block;
mod clock;
mod config;
mod copies;
mod disk;
mod error;
#[cfg(feature = "event")]
mod event;
mod gap;
mod grain;
mod holes;
mod hub;
mod memory;
mod node;
mod orders;
mod outbox;
mod patience;
mod placed;
mod preflight;
mod request;
mod ring;
mod shelf;
mod signal;
mod site;
mod slices;
mod target;
mod threads;

use std::time::Duration;

pub use config::{Driver, NodeConfig};
pub use error::{Error, Fault};
pub use node::{Node, NodeHandle};
pub use target::{DEFAULT_PORT, Target};
pub use threads::{Cancel, Check, Event, ListedNode, Outcome, Transfer, TransferHandle};

use crate::rate::{limit, pace};
use crate::runtime::{dscp, names, random, socket};

/// How often a session hears how far the payload is: received, written, or sent to a child.
const TELL: Duration = Duration::from_millis(100);

/// Items in a ring of blocks of that size: some MiB, so that short stalls of the disk or a child do not show.
fn ring_capacity(block_size: u32) -> usize {
    const BYTES: usize = 4 << 20;
    (BYTES / block_size as usize).clamp(4, 256)
}
