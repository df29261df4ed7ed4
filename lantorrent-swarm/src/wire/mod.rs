//! What peers say to each other over TCP: the handshake and the messages of BEP 3, with the extensions that we speak (BEP 5,
//! 6, 9, 10, 11, 21).
//!
//! A connection begins with a [`Handshake`] from each side; everything behind it is read by a [`Reader`] and written by
//! [`Message::encode`]. The data of a block is never part of a message: the reader says that a block begins, and how much of
//! what comes next belongs to it, so that it can be read from the socket straight to where it is wanted. The other way, a
//! [`piece_header`] is followed by the block as it comes from the file.
//!
//! ```
//! use lantorrent_swarm::Span;
//! use lantorrent_swarm::wire::{Incoming, Limits, Message, Reader, piece_header};
//!
//! let mut bytes = Vec::new();
//! Message::Have(7).encode(&mut bytes);
//! bytes.extend(piece_header(Span { piece: 1, begin: 0, length: 4 }));
//! bytes.extend(b"data");
//!
//! let mut reader = Reader::new(Limits::default());
//! let mut rest = &bytes[..];
//! assert_eq!(reader.read(&mut rest)?, Some(Incoming::Message(Message::Have(7))));
//! assert_eq!(reader.read(&mut rest)?, Some(Incoming::Block(Span { piece: 1, begin: 0, length: 4 })));
//! assert_eq!(reader.take_data(&mut rest), b"data");
//! assert_eq!(reader.read(&mut rest)?, None);
//! # Ok::<(), lantorrent_swarm::wire::WireError>(())
//! ```

mod exchange;
mod extended;
mod handshake;
mod message;
mod metadata;
mod reader;

pub use exchange::{Exchange, ExchangePeer};
pub use extended::{EXCHANGE_ID, ExtendedHandshake, METADATA_ID};
pub use handshake::{Features, Handshake, HandshakeError};
pub use message::{Message, piece_header};
pub use metadata::{METADATA_PIECE, MetadataMessage};
pub use reader::{Incoming, Limits, Reader, WireError};
