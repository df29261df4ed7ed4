//! Peers of the same network, without a tracker (local service discovery, BEP 14).

mod discovery;
mod message;

pub use discovery::{Discovery, LocalAction, LocalEvent};
pub use message::{DATAGRAM_LIMIT, Group};
