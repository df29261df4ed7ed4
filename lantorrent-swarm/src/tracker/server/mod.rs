//! Being a tracker.

mod choice;
#[cfg(all(feature = "tracker", target_os = "linux"))]
mod drive;
mod http;
mod pool;
mod registry;
mod udp;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Instant;

#[cfg(all(feature = "tracker", target_os = "linux"))]
pub use drive::{ServiceError, TrackerHandle, TrackerService};
pub use http::HttpAnswer;
use registry::Registry;
pub use registry::TrackerSettings;
use udp::Door;

use crate::InfoHash;
use crate::entropy::{Entropy, Seed};

/// A tracker: it answers HTTP requests and datagrams, and keeps who has announced. Both share their peers.
#[derive(Debug)]
pub struct Tracker {
    registry: Registry,
    door: Door,
}

impl Tracker {
    /// One that knows nobody yet. The seed is for connection ids that nobody can guess, and for a fair choice of peers.
    pub fn new(settings: TrackerSettings, seed: Seed, now: Instant) -> Self {
        let door = Door::new(now, &mut Entropy::new(seed.clone()));
        Self { registry: Registry::new(settings, seed, now), door }
    }

    /// Answers a `GET` of that path and query, which came from there.
    pub fn http(&mut self, now: Instant, from: SocketAddr, target: &[u8]) -> HttpAnswer {
        http::answer(&mut self.registry, now, from, target)
    }

    /// Answers a datagram that came from there; none if it deserves no answer.
    pub fn udp(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        self.door.answer(&mut self.registry, now, from, datagram)
    }

    /// From now on it serves these torrents, or any. Of others it forgets all peers.
    pub fn set_whitelist(&mut self, whitelist: Option<HashSet<InfoHash>>) {
        self.registry.set_whitelist(whitelist);
    }

    /// How many peers it keeps; those of several torrents count as often.
    pub fn peers(&self) -> usize {
        self.registry.peers()
    }

    /// How many torrents those are of.
    pub fn torrents(&self) -> usize {
        self.registry.torrents()
    }
}
