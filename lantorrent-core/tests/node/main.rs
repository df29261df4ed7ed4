//! Nodes and transfers over real sockets and files: what works, what 0.2 did, and what hostile peers try.
//!
//! Nothing here measures time. Where a deadline has to fire it is made short; whatever should not have to wait for
//! one runs with the default ones, and shows it by being slow.
#![cfg(feature = "threads")]

mod support;

mod cancelling;
mod cancels;
mod chains;
mod checks;
mod children;
mod claims;
mod devices;
mod files;
mod headers;
mod limits;
mod nimbus;
#[path = "../common/nimbus.rs"]
mod recorded;
mod repair;
mod replay;
mod resume;
mod serving;
mod solo;
mod sources;
mod suspend;
mod sweeps;
#[path = "../common/system.rs"]
mod system;
