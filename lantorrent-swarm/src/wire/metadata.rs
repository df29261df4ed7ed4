//! Parts of the info dictionary, for who has only its hash (BEP 9).

use crate::bencode::{Item, Value, dict};

/// Bytes of every part of the metadata but the last.
pub const METADATA_PIECE: usize = 16 << 10;

/// What peers say about the metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataMessage {
    /// Send me that part.
    Request(u32),
    /// That part.
    Data {
        /// Which one, from 0.
        piece: u32,
        /// Bytes of all the metadata.
        total: u32,
        /// Its bytes.
        data: Vec<u8>,
    },
    /// I don't have it, or will not send it.
    Reject(u32),
}

impl MetadataMessage {
    /// Reads the payload of such a message. None if it is of no known kind: that is to be passed over.
    pub fn read(payload: &[u8]) -> Option<Self> {
        let (value, data) = Value::read(payload).ok()?;
        let fields = value.dict()?;
        let number = |key| u32::try_from(fields.get(key)?.integer()?).ok();
        let piece = number("piece")?;
        match number("msg_type")? {
            0 => Some(Self::Request(piece)),
            1 => Some(Self::Data { piece, total: number("total_size")?, data: data.to_vec() }),
            2 => Some(Self::Reject(piece)),
            _ => None,
        }
    }

    /// The payload of such a message.
    pub fn encode(&self) -> Vec<u8> {
        let fields = |kind: i64, piece: u32, total: Option<u32>| {
            let total = total.map(|total| ("total_size", Item::from(i64::from(total))));
            let fields = [("msg_type", kind.into()), ("piece", i64::from(piece).into())];
            dict(fields.into_iter().chain(total)).encode()
        };
        match self {
            Self::Request(piece) => fields(0, *piece, None),
            Self::Data { piece, total, data } => [fields(1, *piece, Some(*total)), data.clone()].concat(),
            Self::Reject(piece) => fields(2, *piece, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_specification_writes_it() {
        let table: [(MetadataMessage, &[u8]); 3] = [
            (MetadataMessage::Request(0), b"d8:msg_typei0e5:piecei0ee"),
            (
                MetadataMessage::Data { piece: 0, total: 34256, data: b"xxx".to_vec() },
                b"d8:msg_typei1e5:piecei0e10:total_sizei34256eexxx",
            ),
            (MetadataMessage::Reject(7), b"d8:msg_typei2e5:piecei7ee"),
        ];
        for (message, bytes) in table {
            assert_eq!(message.encode(), bytes);
            assert_eq!(MetadataMessage::read(bytes), Some(message));
        }
    }

    #[test]
    fn anything_else_is_passed_over() {
        for bytes in [&b""[..], b"i1e", b"d8:msg_typei3e5:piecei0ee", b"d8:msg_typei0e5:piecei-1ee", b"de"] {
            assert_eq!(MetadataMessage::read(bytes), None);
        }
    }
}
