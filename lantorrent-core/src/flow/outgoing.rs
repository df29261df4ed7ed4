//! A frame on its way to a child, in as many writes as it takes.

use std::io::{self, ErrorKind, IoSlice, Write};
use std::sync::Arc;

use super::block::Block;
use super::ring::Item;
use crate::wire::{Frame, PayloadWriter};

/// What to say when all of it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Words,
    /// The payload up to there.
    Payload(u64),
    /// A frame between those of the payload, which stands there.
    Control(u64),
    /// A frame that is no part of the payload, nor of what the session says.
    Extension,
    End,
}

#[derive(Debug)]
pub(super) struct Outgoing {
    before: Vec<u8>,
    /// Its data.
    body: Option<Arc<Block>>,
    after: Vec<u8>,
    sent: usize,
    pub(super) meaning: Meaning,
}

impl Outgoing {
    pub(super) fn words(bytes: Vec<u8>) -> Self {
        Self { before: bytes, body: None, after: Vec::new(), sent: 0, meaning: Meaning::Words }
    }

    /// A frame without data.
    pub(super) fn frame(writer: &PayloadWriter, frame: &Frame, meaning: Meaning) -> io::Result<Self> {
        Self::wrap(writer, frame, None, meaning)
    }

    /// What the ring, or a file, has for a child.
    pub(super) fn item(writer: &PayloadWriter, item: Item) -> io::Result<Self> {
        match item {
            Item::Data(block) => {
                let frame = Frame::Data { offset: block.offset, len: block.len, digest: block.digest };
                let meaning = Meaning::Payload(block.offset + u64::from(block.len));
                Self::wrap(writer, &frame, Some(block), meaning)
            }
            Item::Hole { offset, span } => {
                Self::frame(writer, &Frame::Hole { offset, span }, Meaning::Payload(offset + span))
            }
        }
    }

    fn wrap(
        writer: &PayloadWriter,
        frame: &Frame,
        body: Option<Arc<Block>>,
        meaning: Meaning,
    ) -> io::Result<Self> {
        let wrapping = writer.encode(frame).map_err(io::Error::other)?;
        Ok(Self { before: wrapping.before, body, after: wrapping.after, sent: 0, meaning })
    }

    /// Whether it waits where there is a limit: the file's data does, and what may be as large and is for nothing else.
    pub(super) fn is_limited(&self) -> bool {
        self.body.is_some() || self.meaning == Meaning::Extension
    }

    /// Bytes that are not written yet.
    pub(super) fn left(&self) -> usize {
        let body = self.body.as_deref().map_or(0, |block| block.data().len());
        self.before.len() + body + self.after.len() - self.sent
    }

    /// Writes once, and no more than so many bytes. Returns how many those were.
    pub(super) fn write(&mut self, to: &mut impl Write, most: usize) -> io::Result<usize> {
        let body = self.body.as_deref().map_or(&[][..], Block::data);
        let mut parts = [&self.before[..], body, &self.after];
        split_off_start(&mut parts, self.sent);
        let slices = split_off_start(&mut parts, most).map(IoSlice::new);
        // Empty slices in front would make a write of nothing look like the end.
        let empty = slices.iter().take_while(|slice| slice.is_empty()).count();
        match to.write_vectored(&slices[empty..]) {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Ok(count) => {
                self.sent += count;
                Ok(count)
            }
            Err(error) => Err(error),
        }
    }
}

/// Takes so many bytes from the beginning of what the parts make up together.
fn split_off_start<'a>(parts: &mut [&'a [u8]; 3], mut count: usize) -> [&'a [u8]; 3] {
    parts.each_mut().map(|part| {
        let (start, rest) = part.split_at(count.min(part.len()));
        count -= start.len();
        *part = rest;
        start
    })
}

#[cfg(test)]
mod tests {
    use super::super::block::Pool;
    use super::*;
    use crate::wire::{FrameWriter, Keyring, Password, TransferId};

    /// Takes so many bytes at a time, and nothing every other time.
    struct Narrow {
        taken: Vec<u8>,
        width: usize,
        full: bool,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.full = !self.full;
            if self.full {
                return Err(ErrorKind::WouldBlock.into());
            }
            let count = bytes.len().min(self.width);
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_frame_is_the_same_in_whatever_pieces() {
        let keys = Keyring::new(Password::new("p").unwrap());
        let key = keys.frame_key(&TransferId([1; 16])).unwrap();
        let writer = PayloadWriter::Frames(FrameWriter::new(key));
        let mut buffer = Pool::new(4096, 1).take();
        buffer.fill(7);
        let (len, digest) = (3000, Some(crate::wire::digest(&[7; 3000])));
        let block = Arc::new(Block { buffer, offset: 8192, len, digest });
        let frame = Frame::Data { offset: 8192, len, digest };
        let wrapping = writer.encode(&frame).unwrap();
        let whole = [&wrapping.before[..], block.data(), &wrapping.after].concat();
        for (width, most) in [(1, 7), (24, 24), (100, 33), (2999, 1 << 20), (4096, 1)] {
            let mut outgoing = Outgoing::item(&writer, Item::Data(Arc::clone(&block))).unwrap();
            assert_eq!(outgoing.meaning, Meaning::Payload(11192));
            let mut narrow = Narrow { taken: Vec::new(), width, full: false };
            while outgoing.left() > 0 {
                let before = outgoing.left();
                match outgoing.write(&mut narrow, most) {
                    Ok(count) => assert!(count <= most && before - outgoing.left() == count),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
            assert!(narrow.taken == whole, "{width} bytes at a time");
        }
    }

    #[test]
    fn what_is_split_off_in_pieces_is_all_of_it() {
        for size in 1..12 {
            let mut rest: [&[u8]; 3] = [b"abc", b"", b"defgh"];
            let mut all = Vec::new();
            while rest.iter().any(|part| !part.is_empty()) {
                let piece = split_off_start(&mut rest, size).concat();
                assert!(piece.len() == size || rest.concat().is_empty());
                all.extend(piece);
            }
            assert_eq!(all, b"abcdefgh", "{size}");
        }
    }
}
