//! What a result says, as a number. The one place where errors become codes of the wire.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::{HeaderError, LineError, PayloadError};

/// The code of a [`Report`](super::Report). 0 and 500 to 510 are those of wire 1; 511 and up are ours.
/// PROTOCOL.md, "Codes".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
#[expect(clippy::exhaustive_structs, reason = "a number of the wire, and nothing else")]
pub struct Code(pub u16);

macro_rules! codes {
    ($($name:ident = $number:literal, $what:literal;)*) => {
        impl Code {
            $(#[doc = $what] pub const $name: Code = Code($number);)*

            /// What the code means, in a few words.
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Code::$name => $what,)*
                    _ => "a code this version does not know",
                }
            }

            /// Every code this version knows.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];
        }
    };
}

codes! {
    SUCCESS = 0, "success";
    UNKNOWN = 500, "unknown error";
    HEADER_TOO_LONG = 501, "header too long";
    VALUE_MISSING = 502, "value missing or unusable in header";
    CANNOT_OPEN = 503, "cannot open output";
    BAD_DESTINATION = 504, "bad destination";
    CANNOT_CONNECT = 505, "cannot connect to next";
    CONNECTION_LOST = 506, "connection lost while sending";
    NOT_JSON = 507, "peer sent no JSON";
    ACCESS_DENIED = 508, "access denied";
    NEVER_REPORTED = 509, "completion never reported";
    WRONG_CHECKSUM = 510, "checksum differs";
    CANNOT_WRITE = 511, "cannot write output";
    NO_SPACE = 512, "no space left for the file";
    NOT_ALLOWED = 513, "path outside the allowed folders";
    IN_USE = 514, "file in use by another transfer";
    ABORTED = 515, "transfer aborted by its source";
    EXPIRED = 516, "header expired, or the clocks differ";
    UNSUPPORTED = 517, "not supported by this node";
    BAD_FRAME = 518, "damaged or forged frame";
    PROTOCOL = 519, "peer broke the protocol";
    TAKING_PART = 520, "node takes part in this transfer already";
    STOPPED = 521, "node is being stopped";
    TIMED_OUT = 522, "peer silent for too long";
    SUPERSEDED = 523, "superseded by a newer transfer of the same file";
    CANCELLED = 524, "cancelled";
    LOST = 525, "node lost during the transfer (provisional)";
    LEFT_OUT = 526, "node left out after the check (provisional)";
    SLOW = 527, "node bypassed as too slow (provisional)";
    WRONG_NODE = 528, "header is meant for another address";
    SOURCE_FAILED = 529, "source file cannot be read, or changed";
}

impl Code {
    /// Whether this is the code of a request that has its file, whole and in place.
    pub fn is_success(self) -> bool {
        self == Self::SUCCESS
    }

    /// Whether it says no more than that a node could not be spoken to.
    pub(crate) fn is_absence(self) -> bool {
        matches!(self, Self::CANNOT_CONNECT | Self::CONNECTION_LOST | Self::TIMED_OUT)
    }

    /// Whether it says what ended the transfer, and no more than that of the node.
    pub(crate) fn is_end_of_transfer(self) -> bool {
        matches!(self, Self::STOPPED | Self::SOURCE_FAILED | Self::SUPERSEDED)
    }

    /// Whether a result of the node itself, should one come, replaces a report with this code that somebody else
    /// made about it.
    pub fn is_provisional(self) -> bool {
        matches!(self, Self::LOST | Self::LEFT_OUT | Self::SLOW)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl From<&HeaderError> for Code {
    fn from(error: &HeaderError) -> Self {
        match error {
            HeaderError::TooLong(_) => Self::HEADER_TOO_LONG,
            // 0.2 answers a header that ends early as a bad signature, and so must we.
            HeaderError::BadSignature | HeaderError::Truncated | HeaderError::WireOff(_) => {
                Self::ACCESS_DENIED
            }
            HeaderError::NotJson(_) => Self::UNKNOWN,
            HeaderError::Invalid(_) => Self::VALUE_MISSING,
            HeaderError::Destination(_) => Self::BAD_DESTINATION,
            HeaderError::Unsupported(_) => Self::UNSUPPORTED,
        }
    }
}

impl From<&PayloadError> for Code {
    fn from(error: &PayloadError) -> Self {
        match error {
            PayloadError::BadTag { .. } => Self::BAD_FRAME,
            PayloadError::WrongSum | PayloadError::NoFooter => Self::WRONG_CHECKSUM,
            PayloadError::Truncated { .. } => Self::CONNECTION_LOST,
            PayloadError::Malformed { .. } => Self::PROTOCOL,
        }
    }
}

impl From<&LineError> for Code {
    fn from(error: &LineError) -> Self {
        match error {
            LineError::NotJson(_) => Self::NOT_JSON,
            LineError::BadMac => Self::ACCESS_DENIED,
            LineError::TooLong | LineError::Malformed(_) | LineError::Sequence { .. } => Self::PROTOCOL,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_distinct_and_described() {
        let mut numbers: Vec<u16> = Code::ALL.iter().map(|code| code.0).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), Code::ALL.len());
        assert!(Code(999).meaning().contains("does not know"));
    }
}
