//! The drivers: they move bytes between sockets, files and sessions, and decide nothing.
//!
//! [`Node`] and [`Transfer`] are all that most programs need; both use the blocking driver, a few threads for each
//! connection.

mod block;
mod config;
mod copies;
mod error;
mod gap;
mod holes;
mod hub;
mod ring;
mod shelf;
mod target;
mod threads;

pub use config::NodeConfig;
pub use error::{Error, Fault};
pub use target::{DEFAULT_PORT, Target};
pub use threads::{Cancel, Check, Event, ListedNode, Node, NodeHandle, Outcome, Transfer, TransferHandle};
