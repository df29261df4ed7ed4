//! What goes into a torrent's state machine and what comes out of it.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use sha1::{Digest, Sha1};
use thiserror::Error;

use super::config::{Content, Limits};
use crate::Span;
use crate::wire::{Handshake, Message};

/// Names a connection to a peer. The driver gives out each number once for a torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "a number of the driver's")]
pub struct PeerKey(pub u64);

/// Names a web seed: its place in the list that the driver has, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "a number of the driver's")]
pub struct WebKey(pub u32);

/// Whom a block came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Sender {
    /// A peer.
    Peer(PeerKey),
    /// A web seed.
    Web(WebKey),
}

/// Who began a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two ends")]
pub enum Direction {
    /// They did.
    Incoming,
    /// We did.
    Outgoing,
}

/// How the address of a peer was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Origin {
    /// The user named it.
    Given,
    /// It announced itself on the own network (BEP 14).
    Local,
    /// A tracker named it.
    Tracker,
    /// A peer named it (BEP 11).
    Exchange,
    /// The DHT named it (BEP 5).
    Dht,
}

/// SHA-1 of the data of one block, by which liars are told from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockSum([u8; 20]);

impl BlockSum {
    /// Of that data.
    pub fn of(data: &[u8]) -> Self {
        Self(Sha1::digest(data).into())
    }
}

/// What became of a piece whose blocks were all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Its hash is right, and it is written: it can be read from its file now.
    Stored,
    /// Its hash is wrong.
    Wrong,
    /// Its hash is right, but it cannot be written. Nothing more is fetched until [`Event::Fetching`] says so.
    NotStored,
}

/// Whether a block is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub enum Fate {
    /// Keep it with the other blocks of its piece.
    Keep,
    /// Drop it: it was not asked for, or somebody else was faster.
    Drop,
}

/// Whether pieces are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fetching {
    /// They are, as at the start.
    On,
    /// Nothing is asked for. Blocks that come are still taken, and peers are still served.
    Off,
}

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The deadline has come.
    Tick,
    /// Peers were found.
    Found {
        /// How.
        by: Origin,
        /// Where they take connections.
        addresses: &'a [SocketAddr],
    },
    /// Both handshakes of a connection are through; theirs names this torrent.
    Connected {
        /// Names the connection from now on.
        peer: PeerKey,
        /// The other end.
        address: SocketAddr,
        /// Who began it.
        direction: Direction,
        /// What they say.
        handshake: Handshake,
    },
    /// A connection that was asked for has not come about, for any reason before their handshake was through.
    ConnectFailed(SocketAddr),
    /// A peer sent a message.
    Message(PeerKey, Message),
    /// That span has been given to the connection of that peer.
    Sent(PeerKey, Span),
    /// The connection has ended. Not said after [`Action::Close`].
    Closed(PeerKey),
    /// What came from a peer cannot be read any further ([`WireError`](crate::wire::WireError)). It is closed by that.
    Unreadable(PeerKey),
    /// The driver has done what [`Action::Verify`] asked for.
    Verified {
        /// Which piece.
        piece: u32,
        /// What became of it.
        verdict: Verdict,
        /// Sums of all its blocks, in order: if the piece is wrong, or if they were asked for.
        sums: &'a [BlockSum],
    },
    /// A piece that was there cannot be read any more. It is fetched again.
    Lost(u32),
    /// A web seed has sent all that it was asked for.
    WebDone(WebKey),
    /// A web seed has failed, and will not go on with what it was asked for.
    WebFailed {
        /// Which one.
        web: WebKey,
        /// How long it wants to be left alone, if it said so.
        retry_after: Option<Duration>,
    },
    /// A web seed will never be of use: it does not have the files, or they are others.
    WebUseless(WebKey),
    /// A web seed sends files from their beginning alone, and nothing of what it was asked for: it is asked for one piece
    /// after the other from now on.
    WebInOrder(WebKey),
    /// A web seed sends, but what comes before the pieces that it was asked for.
    WebAlive(WebKey),
    /// What is there of the content is to be looked at again. All connections are closed, and there are no others before
    /// [`Event::Content`] says what was found. Not while the metadata is unknown.
    Recheck,
    /// The metadata is known now, and what there is of the content. Once, unless known from the start, and after each
    /// [`Event::Recheck`].
    Content(Content),
    /// From now on these are the limits.
    Limits(Limits),
    /// Whether to fetch pieces from now on.
    Fetching(Fetching),
    /// The user wants no more of it. All connections are closed.
    Stop,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a driver has to carry out every action")]
pub enum Action {
    /// Connect there, and exchange handshakes.
    Connect(SocketAddr),
    /// Send a message to a peer, behind the messages before it, but ahead of blocks whose sending has not begun: what
    /// peers know of each other should not be older than it must. Never wait for it. A peer that leaves more than a megabyte
    /// of messages unread may be closed.
    Send(PeerKey, Message),
    /// Send a peer a block, behind those before it.
    Upload(PeerKey, Span),
    /// Close the connection. Nothing is heard of it after this.
    Close(PeerKey, Reason),
    /// All blocks of the piece are there: hash it, write it if it is good, forget the blocks, and say
    /// [`Event::Verified`].
    Verify {
        /// Which piece.
        piece: u32,
        /// Whether the sums of its blocks are wanted also if it is good: an earlier try was wrong.
        compare: bool,
    },
    /// Forget the blocks of a piece.
    Discard(u32),
    /// Ask a web seed for these pieces. One such at a time for each web seed. Each block that is complete goes to
    /// [`Torrent::received`](super::Torrent::received).
    Fetch {
        /// Which one.
        web: WebKey,
        /// From which piece to before which.
        pieces: Range<u32>,
    },
    /// Ask a web seed for nothing any more: it is needed no more, or all that it was asked for has come. Nothing is heard of
    /// that after this.
    StopFetch(WebKey),
    /// A web seed has sent wrong data: it has other files, and is asked no more.
    WrongWeb(WebKey),
    /// The metadata, verified against the info hash. To be answered by [`Event::Content`].
    Metadata(Vec<u8>),
    /// All pieces are there. Said once for each time that they were not.
    Complete,
    /// A peer is a node of the DHT, there.
    DhtNode(SocketAddr),
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Reason {
    /// It is a connection to ourselves.
    #[error("it is ourselves")]
    Ourselves,
    /// There is another connection to the same peer.
    #[error("there is another connection to it")]
    Duplicate,
    /// There are as many connections as there may be.
    #[error("there are too many connections")]
    Full,
    /// It has sent data that was wrong.
    #[error("it has sent wrong data")]
    Banned,
    /// It has sent what no peer may send.
    #[error("it breaks the protocol: {0}")]
    Broken(&'static str),
    /// Neither side wants anything.
    #[error("both have everything")]
    NothingToDo,
    /// Nothing was heard of it for too long.
    #[error("nothing was heard of it")]
    Silent,
    /// It has become useless, and others wait.
    #[error("it makes place for others")]
    Idle,
    /// The torrent was stopped.
    #[error("the torrent was stopped")]
    Stopped,
}
