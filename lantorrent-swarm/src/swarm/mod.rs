//! What one torrent decides: whom to connect to, what to ask whom for, whom to serve, whom to believe.
//!
//! A [`Torrent`] sees no payload, socket, file or clock. A driver tells it what happened ([`Torrent::handle`], and
//! [`Torrent::received`] for each block) and does what it says: after each call it drains [`Torrent::poll`]. When
//! [`Torrent::deadline`] has come, it says [`Event::Tick`].
//!
//! The way of a piece: the torrent sends requests. When the header of a block is read, [`Torrent::expects`] tells whether
//! its data is wanted; what is not wanted is read and dropped. When the data is there, [`Torrent::received`] says whether
//! to keep it with the others of its piece, in memory. With the last of them comes [`Action::Verify`]: the driver hashes
//! the piece, writes it if it is good, forgets the blocks in either case, and says [`Event::Verified`].
//!
//! An upload: [`Action::Upload`] names a span to be sent to a peer, behind what it was sent before. When it has left,
//! the driver says [`Event::Sent`]; the torrent never has more than a few blocks for each peer under way like that.

mod availability;
mod bitfield;
mod blame;
mod candidates;
mod choker;
mod config;
mod download;
mod event;
mod fast;
mod gossip;
mod metadata;
mod peer;
mod picker;
mod pieces;
mod rate;
mod spread;
mod torrent;
mod upload;
mod web;

pub use bitfield::Bitfield;
pub use config::{Config, Content, Limits, Network};
pub use event::{
    Action, BlockSum, Direction, Event, Fate, Fetching, Origin, PeerKey, Reason, Sender, Verdict, WebKey,
};
pub use torrent::{PeerStatus, Progress, Torrent};
