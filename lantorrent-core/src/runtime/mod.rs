//! What the drivers of chains and of swarms are made of: the network of this host, and the parts of an event loop.
//!
//! For the crates of this workspace alone; what other programs need of it is in the crate's root.

pub mod dial;
pub mod dscp;
pub mod names;
pub mod socket;

pub use dial::connect;
pub use dscp::{Dscp, NoDscp};
pub use names::{Resolver, host_of, look_up, look_up_all, look_up_within};
