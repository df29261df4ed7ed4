//! Trackers: who tells peers of each other (BEP 3, 12, 15, 23, 48).
//!
//! **Asking them.** An [`Announcer`] for each torrent decides when to announce, and to whom; over HTTP its questions
//! become [`announce_url`]s and what is answered goes through [`read_announced`]; over UDP one [`UdpClient`] carries the
//! questions of all torrents.
//!
//! **Being one.** A [`Tracker`] answers requests and datagrams; `TrackerService` brings the sockets (feature `tracker`).

mod announce;
mod client;
mod server;
mod udp;

pub use announce::{Announce, AnnounceEvent, Scrape, Stats};
pub use client::{
    Announced, Announcer, AnnouncerAction, AnnouncerEvent, AskId, Identity, REPLY_LIMIT, Retry, Standing,
    TrackerError, UdpAction, UdpAnswer, UdpClient, UdpEvent, UdpQuestion, announce_url, read_announced,
    read_scraped, scrape_url,
};
pub use server::{HttpAnswer, Tracker, TrackerSettings};
#[cfg(all(feature = "tracker", target_os = "linux"))]
pub use server::{ServiceError, TrackerHandle, TrackerService};
pub use udp::SCRAPED;

/// Peers that are taken from one answer.
const PEERS: usize = 2000;
