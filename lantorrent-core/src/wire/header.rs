//! What a header says: who writes what, and who comes next.

use core::fmt;
use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::error::HeaderError;
use super::features::Features;
use super::header_text;
use super::id::{Nonce, TransferId};
use super::keys::Keyring;
use super::signature::Signer;

/// The wire that a chain speaks. Its source chose; nothing falls back by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "another wire would be another program")]
pub enum Wire {
    /// Nimbus LANTorrent 0.2.
    One,
    /// Ours: authentic, resumable, repairable.
    Two,
}

impl Wire {
    /// As written in a header and on the command line.
    pub fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// One file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// Absolute path on the node.
    pub filename: String,
    /// Names the request in its result; unique within a transfer.
    pub id: String,
    /// Whether the file is written beside its name first and renamed when whole. Otherwise it is written in place.
    pub rename: bool,
}

impl Request {
    /// A file that gets its name when it is whole.
    pub fn new(filename: String, id: String) -> Self {
        Self { filename, id, rename: true }
    }
}

/// One endpoint and what it writes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Destination {
    /// Name or address, as the source's user gave it.
    pub host: String,
    /// TCP port, not 0.
    pub port: u16,
    /// Place in the source's list, from 0; in wire 1 the place in the header's list.
    pub index: u32,
    /// The files to write, at least one.
    pub requests: Vec<Request>,
    /// How many children it is to have, where that differs from the header's.
    pub degree: Option<u32>,
    /// Its block size in bytes, where that differs from the header's.
    pub block_size: Option<u32>,
}

/// The endpoint, as it is written: an IPv6 address in brackets.
impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// What a header asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verb {
    /// Take part in a transfer.
    Send,
    /// Say whether a transfer could be taken part in.
    Check,
    /// Say how a transfer ended here.
    Query,
    /// Stop taking part, and remove what was written.
    Cancel,
}

impl Verb {
    const ALL: [Self; 4] = [Self::Send, Self::Check, Self::Query, Self::Cancel];

    /// As written in a header.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Check => "check",
            Self::Query => "query",
            Self::Cancel => "cancel",
        }
    }

    /// The verb of that name; None for one that this version does not know.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.name() == name)
    }
}

/// A hint which version of the file this is: equal hints, equal content.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SourceHint {
    /// Bytes, where known.
    pub size: Option<u64>,
    /// Last change of the content, in nanoseconds since the Unix epoch; None where unknown or before that.
    pub mtime: Option<u64>,
    /// Random or otherwise unique to this file at this source, 1 to 255 bytes.
    pub id: String,
}

/// What wire 2 adds to a header. PROTOCOL.md, "Header of wire 2".
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Envelope {
    /// What is asked for.
    pub verb: Verb,
    /// The multicast that this header belongs to.
    pub transfer: TransferId,
    /// What its source signs the end of the payload with; `transfer` is [its](Signer::transfer). None: there is no payload.
    pub signer: Option<Signer>,
    /// Unique to this header.
    pub nonce: Nonce,
    /// Unix time in seconds after which the header is void.
    pub expires: u64,
    /// The address and port of the node that this header is meant for.
    pub to: SocketAddr,
    /// Which version of which file is sent.
    pub source: Option<SourceHint>,
    /// Unix time in milliseconds at which the transfer began at its source: of two transfers of the same source the later
    /// one takes the place of the other, and of two of the same millisecond the one with the greater id. Without it, the
    /// one that comes later to the node.
    pub begun: Option<u64>,
    /// The place in the source's list of the node that made this header; None if the source did.
    pub from: Option<u32>,
    /// Bytes a second below which a node is bypassed; None: none is.
    pub min_rate: Option<u64>,
    /// The file has holes at its source, and is to have them on the nodes.
    pub sparse: bool,
    /// What the sender of this header can do.
    pub features: Features,
    /// What the transfer uses of that, and each node of it has to have: `use` in the header.
    pub features_in_use: Features,
}

/// What is new in a header with each link of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what a header says of its connection has to be given whole")]
pub struct HeaderLink {
    /// What is asked for.
    pub verb: Verb,
    /// Who makes the header: the place of a node, or None for the source.
    pub from: Option<u32>,
    /// The address that was connected to.
    pub to: SocketAddr,
    /// A new one.
    pub nonce: Nonce,
    /// Unix time in seconds after which the header is void.
    pub expires: u64,
    /// What the maker of the header can do.
    pub features: Features,
}

/// A header of either wire.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The node that reads it.
    pub node: Destination,
    /// Bytes of the payload; None for a stream of unknown length (wire 2 only).
    pub length: Option<u64>,
    /// Bytes of a block: a power of two within [`limits`](super::limits) in wire 2, a hint in wire 1.
    pub block_size: u32,
    /// How many children the node is to have, from 1.
    pub degree: u32,
    /// Who comes after the node, in order of `index`.
    pub destinations: Vec<Destination>,
    /// Wire 2's part. None makes it a header of wire 1.
    pub envelope: Option<Envelope>,
}

impl Destination {
    /// The first of a list, with the header's degree and block size.
    pub fn new(host: String, port: u16, requests: Vec<Request>) -> Self {
        Self { host, port, index: 0, requests, degree: None, block_size: None }
    }
}

impl SourceHint {
    /// A file of which no more is known.
    pub fn new(id: String) -> Self {
        Self { size: None, mtime: None, id }
    }
}

impl Envelope {
    /// Of a header of the transfer whose end `signer` signs, by its source, which says nothing beyond what each header has
    /// to.
    pub fn new(signer: Signer, nonce: Nonce, expires: u64, to: SocketAddr) -> Self {
        Self {
            verb: Verb::Send,
            transfer: signer.transfer(),
            signer: Some(signer),
            nonce,
            expires,
            to,
            source: None,
            begun: None,
            from: None,
            min_rate: None,
            sparse: false,
            features: Features::default(),
            features_in_use: Features::default(),
        }
    }
}

impl Header {
    /// A header of wire 1, for a node with nothing behind it.
    pub fn new(node: Destination, length: Option<u64>, block_size: u32) -> Self {
        Self { node, length, block_size, degree: 1, destinations: Vec::new(), envelope: None }
    }

    /// The transfer that it is about; none on wire 1.
    pub fn transfer(&self) -> Option<TransferId> {
        self.envelope.as_ref().map(|envelope| envelope.transfer)
    }

    /// The wire it is a header of.
    pub fn wire(&self) -> Wire {
        if self.envelope.is_some() { Wire::Two } else { Wire::One }
    }

    /// Reads the text before the `EOH` line, whose signature was verified for `wire`.
    ///
    /// # Errors
    /// Whatever [`HeaderError`] says but the signature's.
    pub fn parse(wire: Wire, text: &[u8]) -> Result<Self, HeaderError> {
        header_text::parse(wire, text)
    }

    /// The bytes to send: text, line end, signature line. None where `keys` has no password for the wire.
    pub fn sign(&self, keys: &Keyring) -> Option<Vec<u8>> {
        header_text::sign(self, keys)
    }

    /// The header for the next node of the chain: `child`'s own values, with `rest` behind it. In wire 2, `link` says
    /// what is this link's own, and the rest of the envelope stays as it is.
    #[must_use]
    pub fn for_child(&self, child: Destination, rest: Vec<Destination>, link: HeaderLink) -> Self {
        let HeaderLink { verb, from, to, nonce, expires, features } = link;
        Self {
            length: self.length,
            block_size: child.block_size.unwrap_or(self.block_size),
            degree: child.degree.unwrap_or(self.degree),
            node: child,
            destinations: rest,
            envelope: self.envelope.as_ref().map(|envelope| Envelope {
                verb,
                nonce,
                expires,
                to,
                from,
                features,
                ..envelope.clone()
            }),
        }
    }
}
