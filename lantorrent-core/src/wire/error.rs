//! What can be wrong with bytes from a peer. Every one of these is the peer's fault, or that of the line between.

use thiserror::Error;

/// Why a header was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// More bytes or lines than [`limits`](super::limits) allow.
    #[error("the header is too long: {0}")]
    TooLong(&'static str),
    /// The signature is missing, malformed, or made with another password.
    #[error("bad signature: the sender's password is not this node's")]
    BadSignature,
    /// The connection ended before the `EOH` line.
    #[error("the connection ended before the end of the header")]
    Truncated,
    /// The signature is one of a wire for which no password is configured.
    #[error("wire {0} is off on this node: it has no password for it")]
    WireOff(u8),
    /// The signature is good, the text is no JSON object.
    #[error("the header is not JSON: {0}")]
    NotJson(String),
    /// A value is missing, of the wrong type or out of range.
    #[error("the header cannot be used: {0}")]
    Invalid(String),
    /// A destination in the list is malformed.
    #[error("a destination in the header cannot be used: {0}")]
    Destination(String),
    /// A wire or verb that this version does not speak.
    #[error("not supported by this version: {0}")]
    Unsupported(String),
}

/// Why a payload was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// A frame does not bear the tag that the password and its content ask for.
    #[error("the frame for offset {offset} is damaged or forged: its tag is wrong")]
    BadTag {
        /// Offset in the file, in bytes, at which the frame was expected.
        offset: u64,
    },
    /// A frame that the protocol does not allow there.
    #[error("the frame for offset {offset} breaks the protocol: {what}")]
    Malformed {
        /// Offset in the file, in bytes, at which the frame was expected.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Everything arrived, and is not what the source sent, or what it has signed.
    #[error("the checksum of the whole file differs from what the source says")]
    WrongSum,
    /// Wire 1: what follows the payload is no footer.
    #[error("no usable footer with an md5sum follows the payload")]
    NoFooter,
    /// The connection ended before the payload did.
    #[error("the connection ended at offset {offset}, before the end of the payload")]
    Truncated {
        /// Bytes of the file that had arrived, whole blocks only.
        offset: u64,
    },
}

/// Why what a node sent towards the source was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LineError {
    /// A line, or a JSON object in wire 1, longer than the limit.
    #[error("a line is longer than the limit")]
    TooLong,
    /// The bytes are no JSON object of the expected form.
    #[error("the node sent no JSON that can be used: {0}")]
    NotJson(String),
    /// The authentication code of the line is missing or wrong.
    #[error("a line is not authentic: its authentication code is wrong")]
    BadMac,
    /// Authentic, and not what the protocol allows.
    #[error("a line breaks the protocol: {0}")]
    Malformed(&'static str),
    /// A line was lost, repeated or moved.
    #[error("line {found} came where line {expected} was due")]
    Sequence {
        /// The sequence number that was due.
        expected: u64,
        /// The one that came.
        found: u64,
    },
}
