//! Reading messages from a connection, whatever the pieces are in which its bytes arrive.

use thiserror::Error;

use super::message::{Message, id, word};
use crate::{BLOCK, Span};

/// The longest message of a kind that we do not know and skip.
const LONGEST_UNKNOWN: u32 = 1 << 20;

/// The longest message of the extension protocol: a part of the metadata is 16 KiB, a list of peers far less.
const LONGEST_EXTENDED: u32 = 256 << 10;

/// How long a message may be. What is longer is refused when its length is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes in a bitfield.
    pub bitfield: u32,
    /// Bytes of data in a block: as many as are ever asked for.
    pub block: u32,
}

impl Default for Limits {
    /// For a torrent whose number of pieces is not known yet: up to a million.
    fn default() -> Self {
        Self { bitfield: 128 << 10, block: BLOCK }
    }
}

impl Limits {
    /// For a torrent of so many pieces.
    pub fn for_pieces(pieces: u32) -> Self {
        Self { bitfield: pieces.div_ceil(8), ..Self::default() }
    }
}

/// What has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a driver has to take messages and blocks")]
pub enum Incoming {
    /// A whole message.
    Message(Message),
    /// A block begins: the next `length` bytes are its data.
    Block(Span),
}

/// Bytes that no client may send. The connection cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// A message has a length that no message of its kind has.
    #[error("message {id} of {length} bytes, which cannot be")]
    BadLength {
        /// Which kind.
        id: u8,
        /// Its bytes, with the one that says its kind.
        length: u32,
    },
    /// A message is longer than we take.
    #[error("message {id} of {length} bytes, which is more than the limit")]
    TooLong {
        /// Which kind.
        id: u8,
        /// Its bytes, with the one that says its kind.
        length: u32,
    },
}

/// Reads what comes behind the handshake.
///
/// Call [`read`](Self::read) until it has nothing more. After [`Incoming::Block`] the data has to be taken, by
/// [`take_data`](Self::take_data) from bytes that have been read already, and by reading from the socket straight to where
/// it belongs, which [`data_taken`](Self::data_taken) tells; only then does it read on.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    /// The message that has begun, with its length.
    held: Vec<u8>,
    /// Bytes of a block that are still to come.
    data: u32,
    /// Bytes of an unknown message that are still to come.
    skip: u32,
}

/// How many bytes from its beginning a message needs, to be known or to be complete.
enum Needs {
    More(usize),
    Complete(usize),
}

impl Reader {
    /// A reader that stands behind the handshake.
    pub fn new(limits: Limits) -> Self {
        Self { limits, held: Vec::new(), data: 0, skip: 0 }
    }

    /// From now on these are the limits.
    pub fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// The next message, or the beginning of a block, taken from the front of `input`. None if that takes more bytes, or if
    /// data has to be taken first. An error stays.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Incoming>, WireError> {
        loop {
            if self.data > 0 || !self.skipped(input) {
                return Ok(None);
            }
            let needs = self.needs()?;
            let (Needs::More(target) | Needs::Complete(target)) = needs;
            let (front, rest) = input.split_at(input.len().min(target - self.held.len()));
            self.held.extend_from_slice(front);
            *input = rest;
            if self.held.len() < target {
                return Ok(None);
            }
            if let Needs::Complete(_) = needs
                && let Some(found) = self.finish()
            {
                return Ok(Some(found));
            }
        }
    }

    /// Bytes of the block that are still to come.
    pub fn data_left(&self) -> usize {
        self.data as usize
    }

    /// Takes what belongs to the block from the front of `input`.
    pub fn take_data<'a>(&mut self, input: &mut &'a [u8]) -> &'a [u8] {
        let (front, rest) = input.split_at(input.len().min(self.data_left()));
        self.data -= front.len() as u32;
        *input = rest;
        front
    }

    /// So many bytes of the block were read elsewhere; at most as many as were left.
    pub fn data_taken(&mut self, count: usize) {
        debug_assert!(count <= self.data_left(), "more than the block has");
        self.data = self.data.saturating_sub(u32::try_from(count).unwrap_or(u32::MAX));
    }

    fn skipped(&mut self, input: &mut &[u8]) -> bool {
        let count = input.len().min(self.skip as usize);
        *input = &input[count..];
        self.skip -= count as u32;
        self.skip == 0
    }

    fn needs(&self) -> Result<Needs, WireError> {
        let Some(length) = word(&self.held, 0) else { return Ok(Needs::More(4)) };
        if length == 0 {
            return Ok(Needs::Complete(4));
        }
        let Some(&id) = self.held.get(4) else { return Ok(Needs::More(5)) };
        self.check(id, length)?;
        Ok(Needs::Complete(match id {
            id::PIECE => 13,
            _ if is_known(id) => 4 + length as usize,
            _ => 5,
        }))
    }

    fn check(&self, id: u8, length: u32) -> Result<(), WireError> {
        let (least, most) = match id {
            id::CHOKE..=id::NOT_INTERESTED | id::HAVE_ALL | id::HAVE_NONE => (1, 1),
            id::HAVE | id::SUGGEST | id::ALLOWED_FAST => (5, 5),
            id::REQUEST | id::CANCEL | id::REJECT => (13, 13),
            id::PORT => (3, 3),
            id::BITFIELD => (1, 1 + self.limits.bitfield),
            id::PIECE => (10, 9 + self.limits.block),
            id::EXTENDED => (2, LONGEST_EXTENDED),
            _ => (1, LONGEST_UNKNOWN),
        };
        match length {
            _ if length < least || (length > most && least == most) => {
                Err(WireError::BadLength { id, length })
            }
            _ if length > most => Err(WireError::TooLong { id, length }),
            _ => Ok(()),
        }
    }

    /// What is held is complete. None if it is nothing for us.
    fn finish(&mut self) -> Option<Incoming> {
        let length = word(&self.held, 0)?;
        let found = match self.held.get(4) {
            None => Some(Incoming::Message(Message::KeepAlive)),
            Some(&id::PIECE) => {
                self.data = length - 9;
                let (piece, begin) = (word(&self.held, 5)?, word(&self.held, 9)?);
                Some(Incoming::Block(Span { piece, begin, length: self.data }))
            }
            Some(&id) if is_known(id) => Message::decode(id, &self.held[5..]).map(Incoming::Message),
            Some(_) => {
                self.skip = length - 1;
                None
            }
        };
        self.held.clear();
        // What a long message has needed is not kept for the life of the connection.
        self.held.shrink_to(1024);
        found
    }
}

fn is_known(id: u8) -> bool {
    matches!(id, id::CHOKE..=id::PORT | id::SUGGEST..=id::ALLOWED_FAST | id::EXTENDED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::wire::piece_header;

    const SPAN: Span = Span { piece: 1, begin: 0x0203_0405, length: 6 };

    /// Every message, and its bytes.
    fn table() -> Vec<(Message, &'static [u8])> {
        vec![
            (Message::KeepAlive, b"\0\0\0\0"),
            (Message::Choke, b"\0\0\0\x01\0"),
            (Message::Unchoke, b"\0\0\0\x01\x01"),
            (Message::Interested, b"\0\0\0\x01\x02"),
            (Message::NotInterested, b"\0\0\0\x01\x03"),
            (Message::Have(0x0102_0304), b"\0\0\0\x05\x04\x01\x02\x03\x04"),
            (Message::Bitfield(vec![0xa0]), b"\0\0\0\x02\x05\xa0"),
            (Message::Bitfield(Vec::new()), b"\0\0\0\x01\x05"),
            (Message::Request(SPAN), b"\0\0\0\x0d\x06\0\0\0\x01\x02\x03\x04\x05\0\0\0\x06"),
            (Message::Cancel(SPAN), b"\0\0\0\x0d\x08\0\0\0\x01\x02\x03\x04\x05\0\0\0\x06"),
            (Message::Port(6881), b"\0\0\0\x03\x09\x1a\xe1"),
            (Message::Suggest(9), b"\0\0\0\x05\x0d\0\0\0\x09"),
            (Message::HaveAll, b"\0\0\0\x01\x0e"),
            (Message::HaveNone, b"\0\0\0\x01\x0f"),
            (Message::Reject(SPAN), b"\0\0\0\x0d\x10\0\0\0\x01\x02\x03\x04\x05\0\0\0\x06"),
            (Message::AllowedFast(9), b"\0\0\0\x05\x11\0\0\0\x09"),
            (Message::Extended { id: 3, payload: b"de".to_vec() }, b"\0\0\0\x04\x14\x03de"),
        ]
    }

    #[derive(Debug, PartialEq)]
    enum Heard {
        Said(Message),
        Block(Span, Vec<u8>),
    }

    /// Everything in these bytes, which arrive in chunks of these sizes, over and over.
    fn read_all(bytes: &[u8], sizes: &[usize]) -> (Vec<Heard>, Option<WireError>) {
        let mut reader = Reader::new(Limits::default());
        let (mut heard, mut rest, mut sizes) = (Vec::new(), bytes, sizes.iter().cycle());
        while !rest.is_empty() {
            let (mut chunk, behind) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            rest = behind;
            loop {
                if reader.data_left() > 0 {
                    let Some(Heard::Block(_, data)) = heard.last_mut() else { panic!("no block has begun") };
                    data.extend_from_slice(reader.take_data(&mut chunk));
                }
                match reader.read(&mut chunk) {
                    Ok(Some(Incoming::Message(message))) => heard.push(Heard::Said(message)),
                    Ok(Some(Incoming::Block(span))) => heard.push(Heard::Block(span, Vec::new())),
                    Ok(None) => break,
                    Err(error) => {
                        assert_eq!(reader.read(&mut chunk), Err(error), "an error stays");
                        return (heard, Some(error));
                    }
                }
            }
            assert!(chunk.is_empty(), "all that arrives is taken");
        }
        (heard, None)
    }

    #[test]
    fn every_message_there_and_back() {
        for (message, bytes) in table() {
            let mut out = Vec::new();
            message.encode(&mut out);
            assert_eq!(out, bytes, "{message:?}");
            assert_eq!(read_all(bytes, &[usize::MAX]), (vec![Heard::Said(message)], None));
        }
    }

    #[test]
    fn a_block_is_a_header_and_its_data() {
        let span = Span { piece: 1, begin: 0x4000, length: 3 };
        assert_eq!(piece_header(span), *b"\0\0\0\x0c\x07\0\0\0\x01\0\0\x40\0");
        let bytes = [&piece_header(span)[..], b"abc", b"\0\0\0\x01\0"].concat();
        let expected = vec![Heard::Block(span, b"abc".to_vec()), Heard::Said(Message::Choke)];
        assert_eq!(read_all(&bytes, &[usize::MAX]), (expected, None));
    }

    #[test]
    fn data_may_be_read_elsewhere() {
        let mut reader = Reader::new(Limits::default());
        let bytes = piece_header(Span { piece: 0, begin: 0, length: 100 });
        assert!(matches!(reader.read(&mut &bytes[..]), Ok(Some(Incoming::Block(_)))));
        assert_eq!(reader.take_data(&mut &[0; 30][..]).len(), 30);
        reader.data_taken(69);
        assert_eq!((reader.data_left(), reader.read(&mut &b"\0\0\0\0"[..])), (1, Ok(None)));
        reader.data_taken(1);
        assert_eq!(reader.read(&mut &b"\0\0\0\0"[..]), Ok(Some(Incoming::Message(Message::KeepAlive))));
    }

    #[test]
    fn unknown_messages_are_skipped() {
        let bytes = b"\0\0\0\x05\x0ahash\0\0\0\x01\x15\0\0\0\x05\x04\0\0\0\x09";
        for size in 1..bytes.len() {
            assert_eq!(read_all(bytes, &[size]), (vec![Heard::Said(Message::Have(9))], None));
        }
    }

    #[test]
    fn lengths_are_checked_where_they_are_declared() {
        let bad = |id, length| Some(WireError::BadLength { id, length });
        let long = |id, length| Some(WireError::TooLong { id, length });
        for (id, length, error) in [
            (0, 2, bad(0, 2)),
            (4, 4, bad(4, 4)),
            (6, 14, bad(6, 14)),
            (7, 9, bad(7, 9)),
            (7, 9 + BLOCK, None),
            (7, 10 + BLOCK, long(7, 10 + BLOCK)),
            (5, (128 << 10) + 2, long(5, (128 << 10) + 2)),
            (9, 2, bad(9, 2)),
            (20, 1, bad(20, 1)),
            (20, u32::MAX, long(20, u32::MAX)),
            (99, 1 << 20, None),
            (99, (1 << 20) + 1, long(99, (1 << 20) + 1)),
        ] {
            let bytes = [&u32::to_be_bytes(length)[..], &[id]].concat();
            assert_eq!(read_all(&bytes, &[usize::MAX]).1, error, "{id} {length}");
        }
        let mut reader = Reader::new(Limits::for_pieces(17));
        assert!(reader.read(&mut &b"\0\0\0\x05\x05"[..]).is_err(), "17 pieces are 3 bytes");
    }

    #[test]
    fn any_chunking_gives_the_same() {
        let mut random = Random::new(1);
        for _ in 0..300 {
            let mut bytes = Vec::new();
            for _ in 0..random.below(20) {
                match random.below(3) {
                    0 => table()[random.below(17)].0.encode(&mut bytes),
                    1 => {
                        let length = 1 + random.below(2000) as u32;
                        bytes.extend(piece_header(Span { piece: 3, begin: 0, length }));
                        bytes.extend(vec![random.next() as u8; length as usize]);
                    }
                    _ => bytes.extend([0, 0, 0, 3, 50 + random.below(9) as u8, 1, 2]),
                }
            }
            // Sometimes something in it is wrong.
            if random.below(2) == 0 && !bytes.is_empty() {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
            let whole = read_all(&bytes, &[usize::MAX]);
            let sizes: Vec<usize> = (0..9).map(|_| 1 + random.below(40)).collect();
            assert_eq!(read_all(&bytes, &sizes), whole);
            assert_eq!(read_all(&bytes, &[1]), whole);
        }
    }
}
