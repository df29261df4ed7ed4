//! The messages behind the handshake.

use crate::Span;

/// What peers tell each other, but for the blocks themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// Nothing, so that the connection is not taken for dead (BEP 3).
    KeepAlive,
    /// Requests are not answered from now on (BEP 3).
    Choke,
    /// Requests are answered from now on (BEP 3).
    Unchoke,
    /// You have pieces that I lack (BEP 3).
    Interested,
    /// You have none (BEP 3).
    NotInterested,
    /// I have this piece now (BEP 3).
    Have(u32),
    /// The pieces that I have, one bit each, the first in the highest bit (BEP 3). Sent first or not at all.
    Bitfield(Vec<u8>),
    /// Send me this (BEP 3).
    Request(Span),
    /// Don't send me this any more (BEP 3).
    Cancel(Span),
    /// The UDP port of my DHT node (BEP 5).
    Port(u16),
    /// You might ask me for this piece next (BEP 6).
    Suggest(u32),
    /// I have all pieces; instead of a bitfield (BEP 6).
    HaveAll,
    /// I have no piece; instead of a bitfield (BEP 6).
    HaveNone,
    /// You will not get this from me (BEP 6).
    Reject(Span),
    /// You may ask for this piece also while you are choked (BEP 6).
    AllowedFast(u32),
    /// A message of the extension protocol (BEP 10).
    Extended {
        /// 0 for its handshake, otherwise the number that the receiver has given to the kind of message.
        id: u8,
        /// What it says.
        payload: Vec<u8>,
    },
}

/// The numbers of the messages.
pub(super) mod id {
    pub(crate) const CHOKE: u8 = 0;
    pub(crate) const UNCHOKE: u8 = 1;
    pub(crate) const INTERESTED: u8 = 2;
    pub(crate) const NOT_INTERESTED: u8 = 3;
    pub(crate) const HAVE: u8 = 4;
    pub(crate) const BITFIELD: u8 = 5;
    pub(crate) const REQUEST: u8 = 6;
    pub(crate) const PIECE: u8 = 7;
    pub(crate) const CANCEL: u8 = 8;
    pub(crate) const PORT: u8 = 9;
    pub(crate) const SUGGEST: u8 = 13;
    pub(crate) const HAVE_ALL: u8 = 14;
    pub(crate) const HAVE_NONE: u8 = 15;
    pub(crate) const REJECT: u8 = 16;
    pub(crate) const ALLOWED_FAST: u8 = 17;
    pub(crate) const EXTENDED: u8 = 20;
}

/// What goes before the data of a block: a `piece` message (BEP 3) without the data.
pub fn piece_header(block: Span) -> [u8; 13] {
    let mut header = [0; 13];
    header[..4].copy_from_slice(&(9 + block.length).to_be_bytes());
    header[4] = id::PIECE;
    header[5..9].copy_from_slice(&block.piece.to_be_bytes());
    header[9..].copy_from_slice(&block.begin.to_be_bytes());
    header
}

impl Message {
    /// Appends the message, with its length before it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::KeepAlive => out.extend_from_slice(&0_u32.to_be_bytes()),
            Self::Choke => frame(out, id::CHOKE, &[]),
            Self::Unchoke => frame(out, id::UNCHOKE, &[]),
            Self::Interested => frame(out, id::INTERESTED, &[]),
            Self::NotInterested => frame(out, id::NOT_INTERESTED, &[]),
            Self::Have(piece) => frame(out, id::HAVE, &[&piece.to_be_bytes()]),
            Self::Bitfield(bits) => frame(out, id::BITFIELD, &[bits]),
            Self::Request(span) => frame_span(out, id::REQUEST, span),
            Self::Cancel(span) => frame_span(out, id::CANCEL, span),
            Self::Port(port) => frame(out, id::PORT, &[&port.to_be_bytes()]),
            Self::Suggest(piece) => frame(out, id::SUGGEST, &[&piece.to_be_bytes()]),
            Self::HaveAll => frame(out, id::HAVE_ALL, &[]),
            Self::HaveNone => frame(out, id::HAVE_NONE, &[]),
            Self::Reject(span) => frame_span(out, id::REJECT, span),
            Self::AllowedFast(piece) => frame(out, id::ALLOWED_FAST, &[&piece.to_be_bytes()]),
            Self::Extended { id, payload } => frame(out, id::EXTENDED, &[&[*id], payload]),
        }
    }

    /// The message of that number with this body, whose length is right for it.
    pub(super) fn decode(number: u8, body: &[u8]) -> Option<Self> {
        Some(match number {
            id::CHOKE => Self::Choke,
            id::UNCHOKE => Self::Unchoke,
            id::INTERESTED => Self::Interested,
            id::NOT_INTERESTED => Self::NotInterested,
            id::HAVE => Self::Have(word(body, 0)?),
            id::BITFIELD => Self::Bitfield(body.to_vec()),
            id::REQUEST => Self::Request(span(body)?),
            id::CANCEL => Self::Cancel(span(body)?),
            id::PORT => Self::Port(u16::from_be_bytes(body.try_into().ok()?)),
            id::SUGGEST => Self::Suggest(word(body, 0)?),
            id::HAVE_ALL => Self::HaveAll,
            id::HAVE_NONE => Self::HaveNone,
            id::REJECT => Self::Reject(span(body)?),
            id::ALLOWED_FAST => Self::AllowedFast(word(body, 0)?),
            id::EXTENDED => {
                let (&id, payload) = body.split_first()?;
                Self::Extended { id, payload: payload.to_vec() }
            }
            _ => return None,
        })
    }
}

/// The number that stands there.
pub(super) fn word(body: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(body.get(at..at + 4)?.try_into().ok()?))
}

fn span(body: &[u8]) -> Option<Span> {
    Some(Span { piece: word(body, 0)?, begin: word(body, 4)?, length: word(body, 8)? })
}

fn frame(out: &mut Vec<u8>, number: u8, parts: &[&[u8]]) {
    let length = 1 + parts.iter().map(|part| part.len()).sum::<usize>();
    out.extend_from_slice(&(length as u32).to_be_bytes());
    out.push(number);
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn frame_span(out: &mut Vec<u8>, number: u8, span: &Span) {
    let fields = [span.piece, span.begin, span.length].map(u32::to_be_bytes);
    frame(out, number, &[fields.as_flattened()]);
}
