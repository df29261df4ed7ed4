#![doc = include_str!("guide.md")]
#![cfg_attr(feature = "threads", doc = include_str!("process.md"))]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

#[cfg(any(feature = "chain", feature = "store"))]
mod digest;
#[cfg(feature = "threads")]
mod drive;
#[cfg(feature = "chain")]
pub mod flow;
#[cfg(feature = "chain")]
#[doc(hidden)]
pub mod fuzz;
#[cfg(any(feature = "chain", feature = "runtime"))]
mod race;
#[cfg(any(feature = "chain", feature = "runtime"))]
mod rate;
#[cfg(feature = "store")]
pub mod rlimit;
#[cfg(feature = "runtime")]
#[doc(hidden)]
#[expect(clippy::exhaustive_enums, clippy::exhaustive_structs, reason = "shared with lantorrent-swarm alone")]
pub mod runtime;
#[cfg(feature = "chain")]
pub mod session;
#[cfg(feature = "store")]
pub mod store;
#[cfg(feature = "chain")]
pub mod wire;

#[cfg(feature = "threads")]
pub use drive::{
    Cancel, Check, DEFAULT_PORT, Decision, Driver, Error, Failure, Fault, ListedNode, Node, NodeConfig,
    NodeEvent, NodeHandle, Offer, Outcome, Target, TargetOutcome, TargetProgress, Transfer, TransferEvent,
    TransferHandle, TransferProgress,
};
#[cfg(any(feature = "chain", feature = "runtime"))]
pub use rate::{Limit, Pace};
#[cfg(feature = "runtime")]
pub use runtime::{Dscp, NoDscp, Resolver, connect, host_of, look_up, look_up_all, look_up_within};
#[cfg(feature = "chain")]
pub use wire::{Keyring, Password};
