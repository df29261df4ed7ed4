//! Copies one large file to many machines of a LAN at the speed of one copy.
//!
//! The layers, from the bottom: [`wire`] turns bytes into values and back; `session` holds the state machines of a
//! node and of a source, and with them every decision; `flow` decides what becomes of connections and bytes; `store` keeps
//! files; `drive` moves bytes between sockets, files and sessions.
//!
#![cfg_attr(feature = "threads", doc = include_str!("process.md"))]

mod digest;
#[cfg(feature = "threads")]
pub mod drive;
pub mod flow;
#[doc(hidden)]
pub mod fuzz;
mod race;
mod rate;
#[cfg(feature = "store")]
pub mod rlimit;
#[cfg(feature = "threads")]
#[doc(hidden)]
pub mod runtime;
pub mod session;
#[cfg(feature = "store")]
pub mod store;
pub mod wire;

#[cfg(feature = "threads")]
pub use drive::{
    Cancel, Check, Driver, Error, Event, Fault, ListedNode, Node, NodeConfig, NodeHandle, Outcome, Target,
    Transfer, TransferHandle,
};
pub use rate::{Limit, Pace};
#[cfg(feature = "threads")]
pub use runtime::{Dscp, NoDscp, Resolver, connect, host_of, look_up, look_up_all, look_up_within};
