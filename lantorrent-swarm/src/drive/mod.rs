//! Sockets, files and threads around the state machines.
//!
//! A [`Session`] is one thread that waits for all sockets at once, and some that hash, write and ask web servers. Torrents are
//! [added](Session::add) to it, each [`Alert`] tells what has happened to one of them, and a [`TorrentHandle`] asks for its
//! [`Status`] and controls it.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use lantorrent_swarm::metainfo::Metainfo;
//! use lantorrent_swarm::{AddTorrent, Alert, Session, Settings, TorrentError};
//!
//! let metainfo = Metainfo::read(&std::fs::read("package.torrent")?)?;
//! let mut session = Session::start(Settings::default())?;
//! let torrent = session.add(AddTorrent::new(metainfo, "packages"));
//! while let Some(alert) = session.next_alert(Duration::MAX) {
//!     match alert {
//!         Alert::Finished(hash) => println!("{hash} is there: {:?}", torrent.status()),
//!         Alert::Failed(_, TorrentError::DiskFull { needed, .. }) => println!("{needed} bytes are needed"),
//!         Alert::Failed(_, error) => println!("{error}"),
//!         _ => continue,
//!     }
//!     break;
//! }
//! session.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adjusting;
mod alert;
mod announce;
mod assembly;
mod connections;
mod connector;
mod datagrams;
mod dht;
mod disk;
mod engine;
mod error;
mod finding;
mod handle;
mod heads;
mod http;
mod intake;
mod interfaces;
mod keeping;
mod link;
mod local;
mod lookup;
mod membership;
mod message;
mod opening;
mod outgoing;
mod paced;
mod paces;
mod packing;
mod parts;
mod peer_sources;
mod piece;
mod pool;
mod proxies;
mod quota;
mod recheck;
mod retry;
mod running;
mod session;
mod settings;
mod sources;
mod starvation;
mod status;
#[cfg(feature = "tls")]
mod tls;
mod torrents;
mod trees;
mod warnings;
mod web;
mod web_answer;
mod web_fetches;
mod web_file;
mod web_name;

pub use alert::{Alert, TorrentWarning};
#[doc(hidden)] // For the other program of ours that uses ureq.
pub use connector::Dialer;
pub use error::{SessionError, TorrentError};
pub use handle::TorrentHandle;
#[doc(hidden)]
pub use heads::Heads;
#[doc(hidden)]
pub use lookup::Lookup;
#[doc(hidden)]
pub use retry::retry_after;
pub use running::Phase;
pub use session::Session;
pub use settings::{AddTorrent, Bounds, Dht, Existing, Settings, TorrentSource, Trust};
pub use status::Status;
pub use web_answer::WebError;
pub use web_file::{Page, Web, WebFile, WebProgress};
