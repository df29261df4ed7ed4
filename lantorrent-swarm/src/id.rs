//! The two names of twenty bytes.

use std::fmt;
use std::str::FromStr;

use sha1::{Digest, Sha1};
use thiserror::Error;

/// What a torrent is known by: the SHA-1 of its info dictionary, byte for byte (BEP 3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "20 bytes by BEP 3")]
pub struct InfoHash(pub [u8; 20]);

/// What a client calls itself for one run, as `-LN0100-` and twelve random bytes (BEP 20).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "20 bytes by BEP 3")]
pub struct PeerId(pub [u8; 20]);

/// Text that is no info hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an info hash has 40 hexadecimal digits, or 32 of base 32")]
#[non_exhaustive]
pub struct ParseHashError;

impl InfoHash {
    /// Of that info dictionary, as it stands in the file.
    pub fn of(info: &[u8]) -> Self {
        Self(Sha1::digest(info).into())
    }
}

impl PeerId {
    /// Ours, with these twelve random bytes.
    pub fn ours(random: [u8; 12]) -> Self {
        let mut id = *b"-LN0100-............";
        id[8..].copy_from_slice(&random);
        Self(id)
    }
}

impl FromStr for InfoHash {
    type Err = ParseHashError;

    /// Reads 40 hexadecimal digits, or 32 of base 32, as older magnet links have them.
    fn from_str(text: &str) -> Result<Self, ParseHashError> {
        let bits = match text.len() {
            40 => 4,
            32 => 5,
            _ => return Err(ParseHashError),
        };
        let mut hash = [0; 20];
        for (index, byte) in text.bytes().enumerate() {
            let digit = digit(byte, bits).ok_or(ParseHashError)?;
            for bit in (0..bits).filter(|bit| digit >> (bits - 1 - bit) & 1 == 1) {
                let at = index * bits + bit;
                hash[at / 8] |= 0x80 >> (at % 8);
            }
        }
        Ok(Self(hash))
    }
}

fn digit(byte: u8, bits: usize) -> Option<u8> {
    match byte.to_ascii_lowercase() {
        digit @ b'0'..=b'9' if bits == 4 => Some(digit - b'0'),
        digit @ b'a'..=b'f' if bits == 4 => Some(digit - b'a' + 10),
        digit @ b'a'..=b'z' if bits == 5 => Some(digit - b'a'),
        digit @ b'2'..=b'7' if bits == 5 => Some(digit - b'2' + 26),
        _ => None,
    }
}

impl fmt::Display for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for InfoHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InfoHash({self})")
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_hash() {
        // The SHA-1 of nothing, in base 16 and in base 32.
        let hash = InfoHash::of(b"");
        assert_eq!(hash.to_string(), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        assert_eq!("DA39a3ee5e6b4b0d3255bfef95601890afd80709".parse(), Ok(hash));
        assert_eq!("3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ".parse(), Ok(hash));
        for bad in
            ["", "da39a3ee", "zz39a3ee5e6b4b0d3255bfef95601890afd80709", "1I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ"]
        {
            assert_eq!(bad.parse::<InfoHash>(), Err(ParseHashError), "{bad}");
        }
    }

    #[test]
    fn a_peer_id_is_printed_without_harm() {
        assert_eq!(PeerId::ours(*b"abcdef\x1b[2J\"\0").to_string(), r#"-LN0100-abcdef\x1b[2J\"\x00"#);
    }
}
