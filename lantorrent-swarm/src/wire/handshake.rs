//! The first bytes of a connection (BEP 3).

use thiserror::Error;

use crate::{InfoHash, PeerId};

const PROTOCOL: &[u8; 20] = b"\x13BitTorrent protocol";

/// What a client can do besides BEP 3, as the reserved bits of its handshake say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Features {
    /// The extension protocol (BEP 10).
    pub extensions: bool,
    /// The fast extension (BEP 6).
    pub fast: bool,
    /// It is a node of the DHT (BEP 5).
    pub dht: bool,
}

impl Features {
    /// BEP 3 and nothing else.
    pub const NONE: Self = Self { extensions: false, fast: false, dht: false };

    /// The same with the extension protocol (BEP 10).
    pub const fn with_extensions(self) -> Self {
        Self { extensions: true, ..self }
    }

    /// The same with the fast extension (BEP 6).
    pub const fn with_fast(self) -> Self {
        Self { fast: true, ..self }
    }

    /// The same as a node of the DHT (BEP 5).
    pub const fn with_dht(self) -> Self {
        Self { dht: true, ..self }
    }
}

/// How each side introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "its 68 bytes are closed by BEP 3")]
pub struct Handshake {
    /// The torrent that this connection is about.
    pub info_hash: InfoHash,
    /// Who speaks.
    pub peer_id: PeerId,
    /// What it can do.
    pub features: Features,
}

/// Bytes that are no handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Another protocol. It may also be an encrypted handshake: clients that try that first come back in plain when the
    /// connection is closed.
    #[error("the connection does not begin as BitTorrent does; it may be encrypted")]
    NotBitTorrent,
}

impl Handshake {
    /// Bytes in every handshake.
    pub const SIZE: usize = 68;

    /// The handshake that these bytes begin with. None if they may still become one, with more of them.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, HandshakeError> {
        if bytes.iter().zip(PROTOCOL).any(|(found, expected)| found != expected) {
            return Err(HandshakeError::NotBitTorrent);
        }
        let Some(fields) = bytes.get(PROTOCOL.len()..Self::SIZE) else { return Ok(None) };
        let twenty = |at: usize| std::array::from_fn(|index| fields[at + index]);
        Ok(Some(Self {
            info_hash: InfoHash(twenty(8)),
            peer_id: PeerId(twenty(28)),
            features: Features {
                extensions: fields[5] & 0x10 != 0,
                fast: fields[7] & 0x04 != 0,
                dht: fields[7] & 0x01 != 0,
            },
        }))
    }

    /// The bytes to send.
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..20].copy_from_slice(PROTOCOL);
        let Features { extensions, fast, dht } = self.features;
        bytes[25] = if extensions { 0x10 } else { 0 };
        bytes[27] = if fast { 0x04 } else { 0 } | u8::from(dht);
        bytes[28..48].copy_from_slice(&self.info_hash.0);
        bytes[48..].copy_from_slice(&self.peer_id.0);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(features: Features) -> Handshake {
        Handshake { info_hash: InfoHash([7; 20]), peer_id: PeerId(*b"-LT0100-abcdefghijkl"), features }
    }

    #[test]
    fn there_and_back() {
        for bits in 0..8 {
            let features = Features { extensions: bits & 1 != 0, fast: bits & 2 != 0, dht: bits & 4 != 0 };
            let bytes = handshake(features).encode();
            for cut in 0..Handshake::SIZE {
                assert_eq!(Handshake::read(&bytes[..cut]), Ok(None));
            }
            let more = [&bytes[..], b"more"].concat();
            assert_eq!(Handshake::read(&more), Ok(Some(handshake(features))));
        }
    }

    #[test]
    fn the_bits_are_where_others_look_for_them() {
        let bytes = handshake(Features { extensions: true, fast: true, dht: true }).encode();
        assert_eq!(bytes[20..28], [0, 0, 0, 0, 0, 0x10, 0, 0x05]);
    }

    #[test]
    fn anything_else_is_refused_at_its_first_byte() {
        let refused = Err(HandshakeError::NotBitTorrent);
        assert_eq!(Handshake::read(b"\x14"), refused);
        assert_eq!(Handshake::read(b"GET / HTTP/1.1"), refused);
        assert_eq!(Handshake::read(b"\x13BitTorrent protocoL"), refused);
    }
}
