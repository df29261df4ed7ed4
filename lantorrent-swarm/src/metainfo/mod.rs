//! What a torrent is: the `.torrent` file and the magnet link that lead to it, and how one is made.
//!
//! Read by one rule: what clients could understand in different ways, or what would put a file where nobody expects it,
//! is refused and named, and never repaired. What is only untidy is taken: unsorted or repeated keys, needless zeros,
//! unknown keys, addresses that make no sense, something behind the last byte. The hash is that of the info dictionary as
//! it stands.
//!
//! Names are bytes, as on Linux. `path.utf-8` and `name.utf-8`, which some old clients write beside a name in their own
//! encoding, go before the plain ones when they are UTF-8. Other names are taken as they are, whatever their encoding: a
//! file gets the very bytes that the torrent names, and who made the torrent on Linux finds his own file again.
//!
//! ```
//! use lantorrent_swarm::metainfo::{Draft, Kind, Layout, Magnet, Metainfo};
//!
//! let layout = Layout::of_file("a.img".as_ref(), 20_000, Kind::Plain, 16 << 10)?;
//! let draft = Draft::default().trackers(vec![vec!["http://10.0.0.1:6969/announce".into()]]);
//! let torrent = draft.build(&layout, &[0; 40])?;
//! assert_eq!(torrent.info.geometry().pieces(), 2);
//! assert_eq!(Metainfo::read(&torrent.encode())?, torrent);
//! assert_eq!(torrent.magnet().to_string().parse::<Magnet>()?.info_hash, torrent.info.hash());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod create;
mod error;
mod info;
mod layout;
mod magnet;
mod path;
mod torrent;

pub use address::{LeftOut, WhyLeftOut};
pub use create::{Draft, piece_length_for};
pub use error::MetainfoError;
pub use info::Info;
pub use layout::{FileEntry, Kind, Layout, Part};
pub use magnet::{Magnet, MagnetError};
pub use torrent::{Contact, Metainfo, ParseContactError};

/// Bytes that a `.torrent` file may have. Enough for a million and a half of pieces.
pub const METAINFO: usize = 32 << 20;

/// Files that a torrent may have.
pub const FILES: usize = 500_000;

/// Bytes that a piece may have. No common program makes larger ones.
pub const PIECE_LENGTH: u32 = 256 << 20;
