//! A synchronous BitTorrent engine: for software that many machines fetch whenever they come, mostly from each other.
//!
//! Everything that a protocol decides is pure: bytes, events and the time go in, values and actions come out. It touches
//! no socket, file, clock or randomness, so all of it is tested without a network. Drivers only move bytes.
//!
//! - [`bencode`]: the encoding that everything else is written in.
//! - [`dht`]: peers without a tracker.
//! - [`local`]: peers of the same network find each other.
//! - [`tracker`]: who tells peers of each other, and how it is asked.

pub mod bencode;
mod compact;
pub mod dht;
mod entropy;
#[doc(hidden)]
pub mod fuzz;
mod geometry;
mod id;
pub mod local;
mod rate;
mod text;
pub mod tracker;

pub use compact::Compact;
pub use entropy::Seed;
pub use geometry::{BLOCK, Geometry, Span};
pub use id::{InfoHash, ParseHashError, PeerId};
