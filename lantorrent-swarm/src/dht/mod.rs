//! Peers without a tracker: the distributed hash table (BEP 5, with 32 and 43).
//!
//! A [`DhtNode`] is driven by datagrams and the time. It works on the whole internet as between two machines of a LAN
//! that know of each other and of nobody else.

mod answers;
mod id;
mod io;
mod lookup;
mod message;
mod node;
mod pending;
mod saved;
mod searches;
mod store;
mod table;
mod tokens;
mod torrents;

pub use id::NodeId;
pub use io::{DhtAction, DhtEvent, DhtSettings};
pub use message::{DATAGRAM_LIMIT, Mode};
pub use node::DhtNode;
pub use saved::{Saved, SavedError};
