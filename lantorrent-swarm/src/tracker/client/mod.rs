//! Asking trackers for peers.

mod announcer;
mod http;
mod io;
mod reply;
mod tiers;
mod udp;

pub use announcer::Announcer;
pub use http::{announce_url, scrape_url};
pub use io::{AnnouncerAction, AnnouncerEvent, AskId, Identity, Standing};
pub use reply::{Announced, REPLY_LIMIT, Retry, TrackerError, read_announced, read_scraped};
pub use udp::{UdpAction, UdpAnswer, UdpClient, UdpEvent, UdpQuestion};
