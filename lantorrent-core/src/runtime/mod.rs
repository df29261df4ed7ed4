//! What the drivers of chains and of swarms are made of: the network of this host, and the parts of an event loop.
//!
//! Needed by a driver of your own that shall treat names, connections and rates as ours do; not by users of a
//! [`Node`](crate::Node) or a [`Transfer`](crate::Transfer).

pub mod dial;
pub mod dscp;
pub mod interfaces;
pub mod mailbox;
pub mod names;
pub mod socket;
pub mod timers;
pub mod workers;

pub use dial::connect;
pub use dscp::{Dscp, NoDscp};
pub use mailbox::Mailbox;
pub use names::{Resolver, host_of, look_up, look_up_all, look_up_within};
pub use timers::Timers;
pub use workers::Workers;

pub use crate::race::{ADDRESSES, Race};
pub use crate::rate::RateLimiter;

/// From the operating system's random source.
pub fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}
