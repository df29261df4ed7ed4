//! The same for nodes on an event loop.

include!("../node/all.rs");

/// What serves the nodes of these tests.
const DRIVER: lantorrent_core::Driver = lantorrent_core::Driver::EventLoop;
