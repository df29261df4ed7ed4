//! The wire: bytes in, values out, and back. No socket, no file, no clock, no randomness.
//!
//! Needed to speak the protocol without our state machines: to read and verify headers in a loop of your own, to test a
//! node, to look into a recording. Users of a [`Transfer`](crate::Transfer) need [`Keyring`] and [`Password`] alone, and
//! [`Code`] to tell failures from each other.
//!
//! A connection carries, away from the source, a [`Header`] with its signature ([`HeaderReader`]), in wire 2 a
//! [`proof`], and the payload ([`PayloadReader`]); towards the source, [`Line`]s in wire 2 ([`LineReader`]) and bare
//! [`Report`]s in wire 1 ([`ReportReader`]). PROTOCOL.md says what every byte means.

mod bounded;
mod code;
mod error;
mod features;
mod frame;
mod header;
mod header_reader;
mod header_text;
mod id;
mod json;
mod keys;
pub mod limits;
mod line;
mod line_codec;
mod payload;
mod progress;
pub mod proof;
mod raw;
mod report;
mod signature;
mod sum;

pub use code::Code;
pub use error::{HeaderError, LineError, PayloadError};
pub use features::Features;
pub use frame::{Abort, Extension, Frame, FrameReader, FrameWriter, HEAD_BYTES, TAG_BYTES};
pub use header::{Destination, Envelope, Header, HeaderLink, Request, SourceHint, Verb, Wire};
pub use header_reader::{HeaderReader, SignedHeader};
pub use id::{Nonce, TransferId};
pub use keys::{FrameKey, KeyId, Keyring, LineKey, Password, PasswordError, ResultKey};
pub use line::{Line, SealedReport};
pub use line_codec::{FromNode, LineReader, LineWriter};
pub use payload::{PayloadReader, PayloadWriter, Wrapping, block_size};
pub use progress::{Change, NodeState, Progress};
pub use raw::{Footer, RawReader, RawWriter};
pub use report::{Report, ReportReader};
pub use signature::{SignedRoot, Signer, TransferKey};
pub use sum::{Md5Sum, RootHasher, Sum};

pub use crate::digest::{Digest, digest, zero_digest};
