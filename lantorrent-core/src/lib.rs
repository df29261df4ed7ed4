//! Copies one large file to many machines of a LAN at the speed of one copy.
//!
//! The layers, from the bottom: `wire` turns bytes into values and back; `session` holds the state machines of a
//! node and of a source, and with them every decision; `flow` is the data plane, which knows what is in memory and
//! what waits for what; `store` keeps files; `drive` steps session and data plane, and waits for sockets and files.
//!
//! # Features
//!
//! - `chain`: `wire`, `session` and `flow`, for a driver of your own. They use no socket, file, clock or randomness.
//! - `store`: files, for any program.
//! - `runtime`: names and connections, for any program (`look_up`, `connect`).
//! - `threads`: all of these, and the driver on blocking threads. On by default.
//! - `event`: as `threads`, and nodes on an event loop (`Driver::EventLoop`). On by default.
//! - `no-c`: checksums without assembly, so that no C compiler is needed.
//! - `fuzzing`: the functions that fuzz targets call. They are no part of the interface.
//!
//! `chain` builds for every system; what else there is needs Linux.
//!
#![cfg_attr(feature = "threads", doc = include_str!("process.md"))]

#[cfg(all(any(feature = "store", feature = "runtime"), not(target_os = "linux")))]
compile_error!(
    "the drivers need Linux; for another system build with default-features = false and the feature chain"
);

#[cfg(any(feature = "chain", feature = "store"))]
mod digest;
#[cfg(all(feature = "threads", target_os = "linux"))]
mod drive;
#[cfg(feature = "chain")]
pub mod flow;
#[cfg(all(feature = "chain", feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
#[cfg(any(feature = "chain", feature = "runtime"))]
mod race;
#[cfg(any(feature = "chain", feature = "runtime"))]
mod rate;
#[cfg(all(feature = "store", target_os = "linux"))]
pub mod rlimit;
#[cfg(all(feature = "runtime", target_os = "linux"))]
#[doc(hidden)]
pub mod runtime;
#[cfg(feature = "chain")]
pub mod session;
#[cfg(all(feature = "store", target_os = "linux"))]
pub mod store;
#[cfg(feature = "chain")]
pub mod wire;

#[cfg(all(feature = "threads", target_os = "linux"))]
pub use drive::{
    Cancel, Check, DEFAULT_PORT, Decision, Driver, Error, Failure, Fault, ListedNode, Node, NodeConfig,
    NodeEvent, NodeHandle, Offer, Outcome, Target, TargetOutcome, TargetProgress, Transfer, TransferEvent,
    TransferHandle, TransferProgress,
};
#[cfg(any(feature = "chain", feature = "runtime"))]
pub use rate::{Limit, Pace};
#[cfg(all(feature = "runtime", target_os = "linux"))]
pub use runtime::{Dscp, NoDscp, Resolver, connect, host_of, look_up, look_up_all, look_up_within};

/// Compiles the example of the README.
#[cfg(all(doctest, feature = "threads"))]
#[doc = include_str!("../README.md")]
struct Readme;
