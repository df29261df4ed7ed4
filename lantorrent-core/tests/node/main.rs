//! Nodes and transfers over real sockets and files: what works, what 0.2 did, and what hostile peers try.
//!
//! Nothing here measures time. Where a deadline has to fire it is made short; whatever should not have to wait for one
//! runs with long ones, which hold on a busy machine too, and shows it by being slow.

include!("all.rs");

/// What serves the nodes of these tests.
const DRIVER: lantorrent_core::Driver = lantorrent_core::Driver::Threads;
