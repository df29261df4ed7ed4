//! What the drivers of chains and of swarms are made of: the network of this host, and the parts of an event loop.
//!
//! For the crates of this workspace alone; what other programs need of it is in the crate's root.

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

/// From the operating system's random source.
pub fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}
