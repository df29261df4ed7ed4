//! The payload of either wire behind one face, so that a driver need not know which it moves.

use super::error::PayloadError;
use super::frame::{Frame, FrameReader, FrameWriter};
use super::header::{Header, Wire};
use super::keys::Keyring;
use super::raw::{Footer, RawReader};
use super::sum::{RootHasher, Sum};

/// Reads the payload that belongs to a header.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "each wire has its own, and there are two wires")]
#[expect(clippy::large_enum_variant, reason = "one for each connection, and never moved about")]
pub enum PayloadReader {
    /// Wire 1.
    Raw(RawReader),
    /// Wire 2.
    Frames(FrameReader),
}

impl PayloadReader {
    /// A reader for what follows `header`, from its first byte. None where `keys` has no password for its wire, or the
    /// header names no signer on wire 2, as only one that carries no payload can.
    pub fn new(header: &Header, keys: &Keyring) -> Option<Self> {
        Self::resume(header, keys, RootHasher::new(header.block_size), 0)
    }

    /// A reader for what follows `header` where the payload goes on at the offset `from`, and `root` has seen every
    /// block before that. Wire 1 always begins at the beginning. None as for [`new`](Self::new).
    pub fn resume(header: &Header, keys: &Keyring, root: RootHasher, from: u64) -> Option<Self> {
        Some(match &header.envelope {
            // A header of wire 1 always has a length.
            None => Self::Raw(RawReader::new(header.block_size, header.length.unwrap_or(0))),
            Some(envelope) => {
                let (key, signer) = (keys.frame_key(&envelope.transfer)?, envelope.signer?);
                Self::Frames(FrameReader::new(key, signer, root, header.length, from))
            }
        })
    }

    /// See [`FrameReader::into_root`]; none on wire 1.
    pub fn into_root(self) -> Option<RootHasher> {
        match self {
            Self::Raw(_) => None,
            Self::Frames(reader) => Some(reader.into_root()),
        }
    }

    /// See [`FrameReader::slots`].
    pub fn slots<'a>(&'a mut self, block: &'a mut [u8]) -> [&'a mut [u8]; 2] {
        match self {
            Self::Raw(reader) => reader.slots(block),
            Self::Frames(reader) => reader.slots(block),
        }
    }

    /// See [`FrameReader::filled`].
    ///
    /// # Errors
    /// Whatever is wrong with the payload; the reader is of no use after that.
    pub fn filled(&mut self, count: usize, block: &[u8]) -> Result<Option<Frame>, PayloadError> {
        match self {
            Self::Raw(reader) => reader.filled(count, block),
            Self::Frames(reader) => reader.filled(count, block),
        }
    }

    /// Copies from `input` instead of having the caller fill slots. Returns how much was used and the frame that it
    /// completed, if any; call again with the rest.
    ///
    /// # Errors
    /// As [`filled`](Self::filled).
    pub fn push(&mut self, input: &[u8], block: &mut [u8]) -> Result<(usize, Option<Frame>), PayloadError> {
        self.check()?;
        let mut used = 0;
        while used < input.len() {
            let [first, second] = self.slots(block);
            let slot = if first.is_empty() { second } else { first };
            let count = slot.len().min(input.len() - used);
            slot[..count].copy_from_slice(&input[used..used + count]);
            used += count;
            if let Some(frame) = self.filled(count, block)? {
                return Ok((used, Some(frame)));
            }
        }
        Ok((used, None))
    }

    /// See [`FrameReader::verify_end`]. On wire 1 an END is verified as a whole before it is returned.
    ///
    /// # Errors
    /// [`PayloadError::WrongSum`].
    pub fn verify_end(&mut self) -> Result<(), PayloadError> {
        match self {
            Self::Raw(_) => Ok(()),
            Self::Frames(reader) => reader.verify_end(),
        }
    }

    /// Says an error although the last call returned a frame: it is an END that the source has not signed, or what came
    /// behind the frame breaks the protocol. To be asked when the frame is dealt with, as nothing more may come.
    ///
    /// # Errors
    /// As [`filled`](Self::filled).
    pub fn check(&mut self) -> Result<(), PayloadError> {
        self.verify_end()?;
        let fault = match self {
            Self::Raw(reader) => reader.fault(),
            Self::Frames(reader) => reader.fault(),
        };
        fault.map_or(Ok(()), |fault| Err(fault.clone()))
    }

    /// Bytes of the file that have come, whole blocks only.
    pub fn offset(&self) -> u64 {
        match self {
            Self::Raw(reader) => reader.offset(),
            Self::Frames(reader) => reader.offset(),
        }
    }

    /// The connection has ended: was the payload complete?
    ///
    /// # Errors
    /// [`PayloadError::Truncated`] where it was not, or what was wrong with it before that.
    pub fn finish(&mut self) -> Result<(), PayloadError> {
        self.check()?;
        let ended = match self {
            Self::Raw(reader) => reader.ended(),
            Self::Frames(reader) => reader.ended(),
        };
        if ended { Ok(()) } else { Err(PayloadError::Truncated { offset: self.offset() }) }
    }
}

/// The bytes around the data of a frame; either part may be empty.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a frame has its data, and what is on either side")]
pub struct Wrapping {
    /// Goes before the data.
    pub before: Vec<u8>,
    /// Goes after it.
    pub after: Vec<u8>,
}

/// Writes the payload of either wire.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_enums, reason = "each wire has its own, and there are two wires")]
pub enum PayloadWriter {
    /// Wire 1.
    Raw,
    /// Wire 2.
    Frames(FrameWriter),
}

impl PayloadWriter {
    /// A writer for what follows `header`. None where `keys` has no password for its wire.
    pub fn new(header: &Header, keys: &Keyring) -> Option<Self> {
        Some(match &header.envelope {
            None => Self::Raw,
            Some(envelope) => Self::Frames(FrameWriter::new(keys.frame_key(&envelope.transfer)?)),
        })
    }

    /// The wire that it writes.
    pub fn wire(&self) -> Wire {
        match self {
            Self::Raw => Wire::One,
            Self::Frames(_) => Wire::Two,
        }
    }

    /// What to write around the data of `frame`, or all there is to write for one without data.
    ///
    /// # Errors
    /// [`PayloadError::Malformed`] for what the wire cannot say: in wire 1 a hole, an abort, an end without MD5;
    /// in wire 2 data without its digest.
    pub fn encode(&self, frame: &Frame) -> Result<Wrapping, PayloadError> {
        let foreign = |offset| PayloadError::Malformed { offset, what: "a frame of wire 2 on wire 1" };
        let bare = |before| Wrapping { before, after: Vec::new() };
        match self {
            Self::Frames(writer) => {
                let (before, tag) = writer.encode(frame)?;
                Ok(Wrapping { before, after: tag.to_vec() })
            }
            Self::Raw => match frame {
                Frame::Data { .. } | Frame::Idle { .. } => Ok(bare(Vec::new())),
                Frame::End { sum: Sum::Md5(sum), .. } => Ok(bare(Footer::new(*sum).encode())),
                Frame::End { size, .. } => Err(foreign(*size)),
                Frame::Hole { offset, .. } => Err(foreign(*offset)),
                Frame::Abort(_) | Frame::Extension(_) => Err(foreign(0)),
            },
        }
    }
}

/// The block size for a file of `length` bytes (None: a stream) that goes over `hops` links: the largest power of
/// two within 32 to 256 KiB that is at most 2 % of length / hops. Store-and-forward costs one block for each hop, but
/// small blocks cost the processors of every host: where those are scarce, smaller ones take longer.
pub fn block_size(length: Option<u64>, hops: u32) -> u32 {
    const SMALLEST: u64 = 32 << 10;
    const LARGEST: u64 = 256 << 10;
    let Some(length) = length else { return 64 << 10 };
    let most = length / u64::from(hops.max(1)) / 50;
    let power = if most == 0 { 0 } else { 1 << most.ilog2() };
    power.clamp(SMALLEST, LARGEST) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_sizes() {
        assert_eq!(block_size(None, 3), 64 << 10);
        assert_eq!(block_size(Some(0), 1), 32 << 10);
        assert_eq!(block_size(Some(128 << 20), 16), 128 << 10);
        assert_eq!(block_size(Some(64 << 20), 64), 32 << 10);
        assert_eq!(block_size(Some(1 << 30), 3), 256 << 10);
        assert_eq!(block_size(Some(100 << 30), 1000), 256 << 10);
    }
}
