//! The tracker's sockets: all of them on one thread, none of which waits for another.

mod connection;
mod connections;
mod service;
mod socket;

pub use service::{ServiceError, TrackerHandle, TrackerService};
