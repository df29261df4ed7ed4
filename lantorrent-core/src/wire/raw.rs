//! The payload of wire 1: the bare bytes of the file, and a footer with their MD5. PROTOCOL.md, "Payload of wire 1".

use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use super::error::PayloadError;
use super::frame::Frame;
use super::json::{self, Scanner, Step};
use super::limits;
use super::sum::{Md5Sum, Sum};

/// What follows the payload: `{"md5sum": "<32 hex digits>"}`, without a line end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Footer {
    md5sum: String,
}

impl Footer {
    /// The footer for a file with that sum.
    pub fn new(sum: Md5Sum) -> Self {
        Self { md5sum: sum.to_hex() }
    }

    /// The footer's bytes.
    pub fn encode(&self) -> Vec<u8> {
        // Quoting hex digits needs no escapes.
        format!("{{\"md5sum\": \"{}\"}}", self.md5sum).into_bytes()
    }

    /// Reads a footer, whatever else it says.
    ///
    /// # Errors
    /// [`PayloadError::NoFooter`].
    pub fn parse(text: &[u8]) -> Result<Md5Sum, PayloadError> {
        let footer: Self = json::parse(text).map_err(|_| PayloadError::NoFooter)?;
        Md5Sum::from_hex(&footer.md5sum).ok_or(PayloadError::NoFooter)
    }
}

/// Reads `length` bytes in blocks, then the footer. Used like [`FrameReader`](super::FrameReader).
#[derive(Debug)]
pub struct RawReader {
    block_size: u32,
    length: u64,
    next: u64,
    in_block: usize,
    md5: Md5,
    footer: Vec<u8>,
    footer_filled: usize,
    scanner: Scanner,
    ended: bool,
    // The first error, said again to every later call.
    fault: Option<PayloadError>,
}

impl RawReader {
    /// Reads a payload of `length` bytes in pieces of `block_size`.
    pub fn new(block_size: u32, length: u64) -> Self {
        Self {
            block_size,
            length,
            next: 0,
            in_block: 0,
            md5: Md5::new(),
            footer: Vec::new(),
            footer_filled: 0,
            scanner: Scanner::default(),
            ended: false,
            fault: None,
        }
    }

    /// Bytes of the file that came in whole pieces.
    pub fn offset(&self) -> u64 {
        self.next
    }

    /// Whether the footer came and was right.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// See [`FrameReader::fault`](super::FrameReader::fault).
    pub fn fault(&self) -> Option<&PayloadError> {
        self.fault.as_ref()
    }

    fn piece(&self) -> usize {
        (self.length - self.next).min(self.block_size.into()) as usize
    }

    /// See [`FrameReader::slots`](super::FrameReader::slots).
    pub fn slots<'a>(&'a mut self, block: &'a mut [u8]) -> [&'a mut [u8]; 2] {
        let piece = self.piece();
        if piece > 0 {
            return [&mut block[self.in_block..piece], &mut []];
        }
        self.footer.resize(limits::FOOTER_BYTES, 0);
        if self.fault.is_some() {
            self.footer_filled = 0;
        }
        [&mut self.footer[self.footer_filled..], &mut []]
    }

    /// See [`FrameReader::filled`](super::FrameReader::filled).
    ///
    /// # Errors
    /// [`PayloadError::NoFooter`] and [`PayloadError::WrongSum`], when everything has come.
    pub fn filled(&mut self, count: usize, block: &[u8]) -> Result<Option<Frame>, PayloadError> {
        let piece = self.piece();
        if piece == 0 {
            if let Some(fault) = &self.fault {
                return Err(fault.clone());
            }
            let result = self.footer_filled(count);
            self.fault = result.as_ref().err().cloned();
            return result;
        }
        self.in_block += count;
        if self.in_block < piece {
            return Ok(None);
        }
        self.md5.update(&block[..piece]);
        let offset = self.next;
        self.next += piece as u64;
        self.in_block = 0;
        Ok(Some(Frame::Data { offset, len: piece as u32, digest: None }))
    }

    fn footer_filled(&mut self, count: usize) -> Result<Option<Frame>, PayloadError> {
        if self.ended {
            return Ok(None);
        }
        for _ in 0..count {
            let byte = self.footer[self.footer_filled];
            self.footer_filled += 1;
            match self.scanner.step(byte) {
                Step::Inside => {}
                Step::Broken => return Err(PayloadError::NoFooter),
                Step::Closed => return self.finish().map(Some),
            }
        }
        if self.footer_filled == limits::FOOTER_BYTES { Err(PayloadError::NoFooter) } else { Ok(None) }
    }

    fn finish(&mut self) -> Result<Frame, PayloadError> {
        let stated = Footer::parse(&self.footer[..self.footer_filled])?;
        let found = Md5Sum(self.md5.clone().finalize().into());
        if stated != found {
            return Err(PayloadError::WrongSum);
        }
        self.ended = true;
        self.footer_filled = 0;
        Ok(Frame::End { size: self.length, sum: Sum::Md5(found) })
    }
}

/// Sums up what is sent on wire 1, so that a source can write the footer.
#[derive(Debug, Clone, Default)]
pub struct RawWriter {
    md5: Md5,
}

impl RawWriter {
    /// The next bytes of the file.
    pub fn update(&mut self, data: &[u8]) {
        self.md5.update(data);
    }

    /// The MD5 of everything so far.
    pub fn sum(&self) -> Md5Sum {
        Md5Sum(self.md5.clone().finalize().into())
    }
}
