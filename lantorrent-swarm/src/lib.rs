//! A synchronous BitTorrent engine: for software that many machines fetch whenever they come, mostly from each other.
//!
//! Everything that a protocol decides is pure: bytes, events and the time go in, values and actions come out. It touches
//! no socket, file, clock or randomness, so all of it is tested without a network. Drivers only move bytes.
//!
//! - [`bencode`]: the encoding that everything else is written in.
//! - [`wire`]: what peers say to each other.
//! - [`swarm`]: what one torrent decides.

pub mod bencode;
mod compact;
#[doc(hidden)]
pub mod fuzz;
mod geometry;
mod id;
mod random;
pub mod swarm;
pub mod wire;

pub use compact::Compact;
pub use geometry::{BLOCK, Geometry, Span};
pub use id::{InfoHash, ParseHashError, PeerId};
