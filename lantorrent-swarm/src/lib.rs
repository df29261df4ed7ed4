//! A synchronous BitTorrent engine: for software that many machines fetch whenever they come, mostly from each other.
//!
//! Everything that a protocol decides is pure: bytes, events and the time go in, values and actions come out. It touches
//! no socket, file, clock or randomness, so all of it is tested without a network. Drivers only move bytes.
//!
#![cfg_attr(all(feature = "drive", target_os = "linux"), doc = include_str!("guide.md"))]
//!
//! # Where things are
//!
//! - [`bencode`]: the encoding that everything else is written in.
//! - [`metainfo`]: torrents and magnet links.
//! - [`url`]: where trackers, web seeds and files are.
//! - [`wire`]: what peers say to each other.
//! - [`swarm`]: what one torrent decides.
//! - [`tracker`]: who tells peers of each other, and how it is asked.
//! - [`local`]: peers of the same network find each other.
//! - [`dht`]: peers without a tracker.
#![cfg_attr(feature = "files", doc = "- [`files`]: their bytes on disk, and new ones from what is there.")]
#![cfg_attr(
    feature = "drive",
    doc = "- [`drive`]: sessions, in which torrents are fetched and served; [`Session`] is where to begin."
)]
//!
//! The library installs no signal handler and changes no limit. A program that uses its files or drivers ignores `SIGPIPE` (as Rust's
//! standard library does) and ignores or handles `SIGXFSZ`, so that a peer that goes away and a file that is too large are errors
//! and not the end of the process; it raises `RLIMIT_NOFILE`, of which each connection takes one; and it stops a session itself
//! when it is told to end.

#![warn(clippy::exhaustive_enums, clippy::exhaustive_structs)]

#[cfg(all(any(feature = "files", feature = "tracker"), not(target_os = "linux")))]
compile_error!("the drivers need Linux; for another system build with default-features = false");

pub mod bencode;
mod bitfield;
mod compact;
pub mod dht;
#[cfg(all(feature = "drive", target_os = "linux"))]
pub mod drive;
mod entropy;
#[cfg(all(feature = "files", target_os = "linux"))]
pub mod files;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzz;
mod geometry;
mod id;
pub mod local;
pub mod metainfo;
mod percent;
mod random;
mod rate;
pub mod swarm;
mod text;
pub mod tracker;
pub mod url;
pub mod wire;

pub use compact::Compact;
#[cfg(all(feature = "drive", target_os = "linux"))]
pub use drive::{
    AddTorrent, Alert, Bounds, Existing, Phase, Session, SessionError, Settings, Status, TorrentError,
    TorrentHandle, TorrentSource, TorrentWarning, Trust,
};
pub use entropy::Seed;
pub use geometry::{BLOCK, Geometry, Span};
pub use id::{InfoHash, ParseHashError, PeerId};
pub use url::{Scheme, Url, UrlError};

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
