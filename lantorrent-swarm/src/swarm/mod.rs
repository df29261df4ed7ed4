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
//!
//! Two torrents, one of which has everything, with nothing between them:
//!
//! ```
//! use lantorrent_swarm::swarm::{
//!     Action, Bitfield, Config, Content, Direction, Event, Fate, PeerKey, Sender, Torrent, Verdict,
//! };
//! use lantorrent_swarm::{Geometry, InfoHash, PeerId};
//! use std::sync::Arc;
//! use std::time::Instant;
//!
//! let now = Instant::now();
//! let info: Arc<[u8]> = (*b"an info dictionary").into();
//! let geometry = Geometry::new(40_000, 32_768).ok_or("two pieces")?;
//! let node = |number: u8, have: Bitfield| {
//!     let content = Content::new(info.clone(), geometry, have);
//!     let mut config = Config::new(InfoHash::of(&info), PeerId([number; 20]), number.into());
//!     config.content = Some(content);
//!     Torrent::new(config, now)
//! };
//! let mut nodes = [node(1, Bitfield::all(2)), node(2, Bitfield::none(2))];
//!
//! // The connection has the same name at both ends.
//! let peer = PeerKey(0);
//! for (at, direction) in [(0, Direction::Outgoing), (1, Direction::Incoming)] {
//!     let handshake = nodes[1 - at].handshake();
//!     let address = ([10, 0, 0, 1], 6881).into();
//!     nodes[at].handle(now, Event::Connected { peer, address, direction, handshake });
//! }
//! while !nodes[1].is_complete() {
//!     for (at, other) in [(0, 1), (1, 0)] {
//!         while let Some(action) = nodes[at].poll() {
//!             match action {
//!                 Action::Send(_, message) => nodes[other].handle(now, Event::Message(peer, message)),
//!                 Action::Upload(_, block) => {
//!                     nodes[at].handle(now, Event::Sent(peer, block));
//!                     // Its header is read, and then its data.
//!                     assert_eq!(nodes[other].expects(now, peer, block), Fate::Keep);
//!                     assert_eq!(nodes[other].received(now, Sender::Peer(peer), block), Fate::Keep);
//!                 }
//!                 Action::Verify { piece, .. } => {
//!                     let verdict = Verdict::Stored;
//!                     nodes[at].handle(now, Event::Verified { piece, verdict, sums: &[] });
//!                 }
//!                 _ => {}
//!             }
//!         }
//!     }
//! }
//! # Ok::<(), &str>(())
//! ```

mod availability;
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

pub use crate::bitfield::Bitfield;
pub use config::{Config, Content, Limits, Network};
pub use event::{
    Action, BlockSum, Direction, Event, Fate, Fetching, Origin, PeerKey, Reason, Sender, Verdict, WebKey,
};
pub use torrent::{PeerStatus, Progress, Torrent};
