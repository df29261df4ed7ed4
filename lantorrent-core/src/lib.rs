#![doc = include_str!("guide.md")]
#![cfg_attr(feature = "threads", doc = include_str!("process.md"))]
#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

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
mod rlimit;
#[cfg(all(feature = "runtime", target_os = "linux"))]
#[expect(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "a driver has to do all of it: what is new here must not compile unseen"
)]
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
pub use rate::Limit;
#[cfg(all(feature = "runtime", target_os = "linux"))]
pub use runtime::{Dscp, Resolver};
#[cfg(feature = "chain")]
pub use wire::{Keyring, Password};

/// Compiles the example of the README.
#[cfg(all(doctest, feature = "threads"))]
#[doc = include_str!("../README.md")]
struct Readme;
