//! What the fuzz targets run. A panic is a finding.
//!
//! Each function takes any bytes. They are here and not in the fuzz crate so that `cargo test` replays the committed
//! corpora with them on any toolchain.

mod finding;
mod swarm;
mod torrents;
mod wire;

pub use finding::{dht, lpd, tracker_reply, tracker_request};
pub use swarm::swarm;
pub use torrents::{bencode, metainfo};
pub use wire::peer_wire;

/// The input as a source of decisions. When it is used up every answer is 0.
struct Script<'a> {
    rest: &'a [u8],
}

impl<'a> Script<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// Bytes as many as the next two say.
    fn chunk(&mut self) -> &'a [u8] {
        let length = self.word();
        self.take(length.into())
    }

    /// The next bytes, fewer than `count` at the end.
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }
}
