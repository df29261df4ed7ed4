//! The drivers: they move bytes between sockets, files and sessions, and decide nothing.
//!
//! [`Node`] and [`Transfer`] are all that most programs need; both use the blocking driver, a few threads for each
//! connection.

mod block;
mod config;
mod dscp;
mod error;
mod hub;
mod limit;
mod ring;
mod target;
mod threads;

pub use config::NodeConfig;
pub use dscp::{Dscp, NoDscp};
pub use error::{Error, Fault};
pub use limit::Limit;
pub use target::{DEFAULT_PORT, Target};
pub use threads::{Cancel, Check, Event, ListedNode, Node, NodeHandle, Outcome, Transfer, TransferHandle};
