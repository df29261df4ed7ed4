//! Frames: the payload of wire 2. PROTOCOL.md, "Frames".

use std::sync::Arc;

use super::Code;
use super::error::PayloadError;
use super::keys::FrameKey;
use super::limits;
use super::report::cut;
use super::signature::{SignedRoot, Signer};
use super::sum::{RootHasher, Sum};
use crate::digest::Digest;

/// Bytes of a frame's head.
pub const HEAD_BYTES: usize = 24;
/// Bytes of a frame's tag.
pub const TAG_BYTES: usize = 32;

const DATA: u8 = 1;
const HOLE: u8 = 2;
const IDLE: u8 = 3;
const ABORT: u8 = 4;
const END: u8 = 5;
/// From here on a type that is not known is ignored.
const EXTENSION: u8 = 0x80;
/// From here on it is passed on as well.
const FORWARDED: u8 = 0xc0;

/// Why a transfer was given up by somebody upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Abort {
    /// What kind of reason; one that was read is never success.
    pub code: Code,
    /// The reason in words, at most [`limits::MESSAGE_BYTES`].
    pub reason: String,
}

impl Abort {
    /// For that reason.
    pub fn new(code: Code, reason: String) -> Self {
        Self { code, reason }
    }
}

/// A frame of a type that this version does not know and may ignore. PROTOCOL.md, "Growth".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extension {
    head: [u8; HEAD_BYTES],
    data: Arc<[u8]>,
}

impl Extension {
    /// A frame of the type `kind`, whose flags, reserved bytes, offset and span are `fields`. None for a type below
    /// 0x80, or more data than [`limits::EXTENSION_BYTES`].
    pub fn new(kind: u8, fields: ([u8; 3], u64, u64), data: &[u8]) -> Option<Self> {
        if kind < EXTENSION || data.len() > limits::EXTENSION_BYTES {
            return None;
        }
        let (flags, offset, span) = fields;
        let mut head = Head { kind, len: data.len() as u32, offset, span }.encode();
        head[1..4].copy_from_slice(&flags);
        Some(Self { head, data: data.into() })
    }

    /// Its type, from 0x80.
    pub fn kind(&self) -> u8 {
        self.head[0]
    }

    /// Whether a node passes it on to its children, byte for byte.
    pub fn is_forwarded(&self) -> bool {
        self.kind() >= FORWARDED
    }

    /// Its head, as it came.
    pub fn head(&self) -> &[u8; HEAD_BYTES] {
        &self.head
    }

    /// Its data.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Bytes of the whole frame, with its head and tag.
    pub fn size(&self) -> usize {
        HEAD_BYTES + self.data.len() + TAG_BYTES
    }
}

/// What a payload consists of, whatever the wire. The data of a `Data` frame is not in it: that stays in the
/// caller's block.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame {
    /// One block of the file.
    Data {
        /// Where it belongs, in bytes, a multiple of the block size.
        offset: u64,
        /// Its bytes: a whole block, or less at the end of the file.
        len: u32,
        /// h of the data; none in wire 1.
        digest: Option<Digest>,
    },
    /// A run of zero blocks.
    Hole {
        /// Where it begins, in bytes.
        offset: u64,
        /// Its bytes: whole blocks, or less at the end of the file.
        span: u64,
    },
    /// Nothing to send, and the sender lives.
    Idle {
        /// Offset of the next block that will be sent.
        offset: u64,
    },
    /// The transfer ends here, without the file.
    Abort(Abort),
    /// The file is complete.
    End {
        /// Bytes of the file.
        size: u64,
        /// What all of it sums up to.
        sum: Sum,
    },
    /// Something that this version does not know. It is no part of the payload.
    Extension(Extension),
}

struct Head {
    kind: u8,
    len: u32,
    offset: u64,
    span: u64,
}

impl Head {
    fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[0] = self.kind;
        bytes[4..8].copy_from_slice(&self.len.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.offset.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.span.to_be_bytes());
        bytes
    }

    /// None for flags and reserved bytes that this version does not know. Those of an extension are its own.
    fn decode(bytes: &[u8; HEAD_BYTES]) -> Option<Self> {
        let [kind, flags, r0, r1, l0, l1, l2, l3, rest @ ..] = *bytes;
        if kind < EXTENSION && [flags, r0, r1] != [0; 3] {
            return None;
        }
        let word = |at: usize| rest[at..at + 8].try_into().map(u64::from_be_bytes).ok();
        Some(Self { kind, len: u32::from_be_bytes([l0, l1, l2, l3]), offset: word(0)?, span: word(8)? })
    }
}

fn tag(key: &FrameKey, head: &[u8; HEAD_BYTES], digest: &Digest) -> blake3::Hash {
    blake3::Hasher::new_keyed(&key.0).update(head).update(digest).finalize()
}

/// Makes the bytes around the data of each frame. The same frame gives the same bytes on every node, which is why a
/// node forwards a frame unchanged although it writes it anew.
#[derive(Debug, Clone)]
pub struct FrameWriter {
    key: FrameKey,
}

impl FrameWriter {
    /// A writer for the transfer that `key` belongs to.
    pub fn new(key: FrameKey) -> Self {
        Self { key }
    }

    /// What goes before the frame's data and what goes after it. A `Data` frame needs its digest and has its data in
    /// between; of all other frames the first part is everything up to the tag.
    ///
    /// # Errors
    /// [`PayloadError::Malformed`] for a frame that belongs to wire 1: data without a digest, an MD5.
    pub fn encode(&self, frame: &Frame) -> Result<(Vec<u8>, [u8; TAG_BYTES]), PayloadError> {
        let head = |kind, len, offset, span| Head { kind, len, offset, span }.encode();
        let foreign = |offset| PayloadError::Malformed { offset, what: "a frame of wire 1 on wire 2" };
        let (head, data) = match frame {
            Frame::Data { offset, len, digest } => {
                let digest = digest.ok_or_else(|| foreign(*offset))?;
                let head = head(DATA, *len, *offset, (*len).into());
                return Ok((head.to_vec(), *tag(&self.key, &head, &digest).as_bytes()));
            }
            Frame::Hole { offset, span } => (head(HOLE, 0, *offset, *span), Vec::new()),
            Frame::Idle { offset } => (head(IDLE, 0, *offset, 0), Vec::new()),
            Frame::Abort(Abort { code, reason }) => {
                let data = [&code.0.to_be_bytes(), cut(reason, limits::MESSAGE_BYTES).as_bytes()].concat();
                (head(ABORT, data.len() as u32, 0, 0), data)
            }
            Frame::End { size, sum: Sum::Root(signed) } => {
                (head(END, SignedRoot::BYTES as u32, *size, 0), signed.encode())
            }
            Frame::End { size, sum: Sum::Md5(_) } => return Err(foreign(*size)),
            Frame::Extension(extension) => (extension.head, extension.data.to_vec()),
        };
        let tag = *tag(&self.key, &head, &super::digest(&data)).as_bytes();
        Ok(([&head[..], &data].concat(), tag))
    }
}

/// Reads frames, verifying each, in the order and with the gaps (none) that the protocol demands.
///
/// The bytes of a block go straight where the caller wants them. In a loop: offer a block to [`slots`](Self::slots),
/// fill the slices it returns, in order, from the connection, and say to [`filled`](Self::filled) how many bytes came.
#[derive(Debug)]
pub struct FrameReader {
    key: FrameKey,
    signer: Signer,
    root: RootHasher,
    length: Option<u64>,
    next: u64,
    // A short block or hole was seen, so the file is over although its END is still to come.
    at_end: bool,
    ended: bool,
    // What the END says, until its signature is verified.
    unverified: Option<(u64, SignedRoot)>,
    // Head of the frame being read; then, behind the tag of one frame, the head of the next.
    fixed: [u8; TAG_BYTES + HEAD_BYTES],
    control: Vec<u8>,
    state: State,
    // The first error, said again to every later call.
    fault: Option<PayloadError>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Head { filled: usize },
    Body { head: [u8; HEAD_BYTES], filled: usize },
}

impl FrameReader {
    /// Reads a payload of `length` bytes (None: unknown) that begins at offset `from`, where `root` has seen
    /// every block before that. Its end is good if `signer` has signed it.
    pub fn new(key: FrameKey, signer: Signer, root: RootHasher, length: Option<u64>, from: u64) -> Self {
        Self {
            key,
            signer,
            root,
            length,
            next: from,
            at_end: length == Some(from),
            ended: false,
            unverified: None,
            fixed: [0; TAG_BYTES + HEAD_BYTES],
            control: Vec::new(),
            state: State::Head { filled: 0 },
            fault: None,
        }
    }

    /// Bytes of the file that are verified: the offset of the next block.
    pub fn offset(&self) -> u64 {
        self.next
    }

    /// What has seen every block before [`offset`](Self::offset), for the reader of another connection that goes on
    /// there.
    pub fn into_root(self) -> RootHasher {
        self.root
    }

    /// Whether an END has come, its signature verified.
    pub fn ended(&self) -> bool {
        self.ended && self.unverified.is_none() && self.fault != Some(PayloadError::WrongSum)
    }

    /// Verifies the signature of an END that has come, if that was not done yet. The END is to be handed on before, as
    /// this takes longer than everything else about it, and nothing is to be made of it otherwise.
    ///
    /// # Errors
    /// [`PayloadError::WrongSum`], as from then on by every other call.
    pub fn verify_end(&mut self) -> Result<(), PayloadError> {
        if let Some((size, signed)) = self.unverified.take()
            && !self.signer.has_signed(size, self.root.block_size(), &signed)
        {
            self.fault = Some(PayloadError::WrongSum);
        }
        if self.fault == Some(PayloadError::WrongSum) { Err(PayloadError::WrongSum) } else { Ok(()) }
    }

    /// What [`filled`](Self::filled) will say, where bytes that came with the last frame already break the protocol.
    pub fn fault(&self) -> Option<&PayloadError> {
        self.fault.as_ref()
    }

    /// Where the next bytes from the connection go, in this order. `block` must be at least a block long, and the
    /// same from call to call until [`filled`](Self::filled) returns a frame. Never both empty.
    pub fn slots<'a>(&'a mut self, block: &'a mut [u8]) -> [&'a mut [u8]; 2] {
        match self.state {
            _ if self.fault.is_some() => [&mut self.fixed[..], &mut []],
            State::Head { filled } => [&mut self.fixed[filled..HEAD_BYTES], &mut []],
            State::Body { head, filled } => {
                let len = data_len(&head);
                let data = if head[0] == DATA { &mut block[..len] } else { &mut self.control[..len] };
                let in_data = filled.min(len);
                let in_fixed = filled - in_data;
                // Behind the END nothing may be read that is not certain to come: every frame is one of its own.
                [&mut data[in_data..], &mut self.fixed[in_fixed..]]
            }
        }
    }

    /// Takes note of `count` bytes put where [`slots`](Self::slots) said. Returns the frame that they complete, if
    /// they do; a DATA frame's data is then at the start of `block`. The root of an END is verified then, and its
    /// signature by [`verify_end`](Self::verify_end) or the next call.
    ///
    /// # Errors
    /// Whatever is wrong with the frame, before anything of it was believed. The reader is of no use after that, and
    /// says the same to every later call. What is wrong with a head that came together with the end of a frame is
    /// said by the call after the one that returned the frame, which a `count` of 0 makes possible at once.
    pub fn filled(&mut self, count: usize, block: &[u8]) -> Result<Option<Frame>, PayloadError> {
        self.verify_end()?;
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let result = self.take(count, block);
        if let Err(error) = &result {
            self.fault = Some(error.clone());
        }
        result
    }

    fn take(&mut self, count: usize, block: &[u8]) -> Result<Option<Frame>, PayloadError> {
        match self.state {
            State::Head { filled } => {
                self.head_filled(filled + count)?;
                Ok(None)
            }
            State::Body { head, filled } => {
                let filled = filled + count;
                let Some(beyond) = filled.checked_sub(data_len(&head) + TAG_BYTES) else {
                    self.state = State::Body { head, filled };
                    return Ok(None);
                };
                let frame = self.verify(&head, block)?;
                self.fixed.copy_within(TAG_BYTES..TAG_BYTES + beyond, 0);
                // A bad head must not swallow the good frame before it.
                self.fault = self.head_filled(beyond).err();
                Ok(Some(frame))
            }
        }
    }

    fn malformed(&self, what: &'static str) -> PayloadError {
        PayloadError::Malformed { offset: self.next, what }
    }

    fn head_filled(&mut self, filled: usize) -> Result<(), PayloadError> {
        if filled < HEAD_BYTES {
            self.state = State::Head { filled };
            return Ok(());
        }
        let mut head = [0; HEAD_BYTES];
        head.copy_from_slice(&self.fixed[..HEAD_BYTES]);
        self.check(&head)?;
        if head[0] != DATA {
            self.control.clear();
            self.control.resize(data_len(&head), 0);
        }
        self.state = State::Body { head, filled: 0 };
        Ok(())
    }

    /// Checks what a head declares, before any byte of its data is read.
    fn check(&self, bytes: &[u8; HEAD_BYTES]) -> Result<(), PayloadError> {
        let head = Head::decode(bytes).ok_or_else(|| self.malformed("unknown flags"))?;
        let len = u64::from(head.len);
        if self.ended && matches!(head.kind, DATA | HOLE | END) {
            return Err(self.malformed("data after the end"));
        }
        match head.kind {
            DATA if len == 0 || len > self.root.block_size().into() || len != head.span => {
                Err(self.malformed("not one block of data"))
            }
            DATA => self.check_place(head.offset, len),
            HOLE if len != 0 || head.span == 0 => Err(self.malformed("a hole of a wrong size")),
            HOLE if head.span.div_ceil(self.root.block_size().into()) > limits::HOLE_BLOCKS => {
                Err(self.malformed("too large a hole"))
            }
            HOLE => self.check_place(head.offset, head.span),
            IDLE if len != 0 || head.span != 0 || head.offset != self.next => {
                Err(self.malformed("idle at another offset"))
            }
            END if head.len as usize != SignedRoot::BYTES || head.span != 0 => {
                Err(self.malformed("an end of a wrong size"))
            }
            END if head.offset != self.next || self.length.is_some_and(|length| length != self.next) => {
                Err(self.malformed("the end is not where the file ends"))
            }
            ABORT
                if !(2..=limits::CONTROL_BYTES).contains(&(head.len as usize))
                    || (head.offset, head.span) != (0, 0) =>
            {
                Err(self.malformed("an abort of a wrong size"))
            }
            IDLE | ABORT | END => Ok(()),
            EXTENSION.. if len > limits::EXTENSION_BYTES as u64 => {
                Err(self.malformed("an extension of a wrong size"))
            }
            EXTENSION.. => Ok(()),
            0 | 6..EXTENSION => Err(self.malformed("unknown type")),
        }
    }

    /// Whether `span` bytes may come at `offset`: no gap, on a block's boundary, whole blocks but at the file's end.
    fn check_place(&self, offset: u64, span: u64) -> Result<(), PayloadError> {
        if offset != self.next {
            return Err(self.malformed("not the next offset"));
        }
        let end = offset.checked_add(span).filter(|&end| end <= self.length.unwrap_or(limits::FILE_BYTES));
        let Some(end) = end.filter(|_| !self.at_end) else {
            return Err(self.malformed("more data than the file has"));
        };
        let whole = span.is_multiple_of(self.root.block_size().into());
        if !whole && self.length.is_some_and(|length| length != end) {
            return Err(self.malformed("a short block inside the file"));
        }
        Ok(())
    }

    /// Verifies the tag of a complete frame and moves on behind it.
    fn verify(&mut self, bytes: &[u8; HEAD_BYTES], block: &[u8]) -> Result<Frame, PayloadError> {
        let len = data_len(bytes);
        let data = if bytes[0] == DATA { &block[..len] } else { &self.control[..] };
        let digest = super::digest(data);
        let mut found = [0; TAG_BYTES];
        found.copy_from_slice(&self.fixed[..TAG_BYTES]);
        // Comparing as `blake3::Hash` takes constant time.
        if tag(&self.key, bytes, &digest) != blake3::Hash::from_bytes(found) {
            return Err(PayloadError::BadTag { offset: self.next });
        }
        let head = Head::decode(bytes).ok_or_else(|| self.malformed("unknown flags"))?;
        Ok(match head.kind {
            DATA => {
                self.root.block(&digest);
                self.advance(head.span);
                Frame::Data { offset: head.offset, len: head.len, digest: Some(digest) }
            }
            HOLE => {
                self.root.hole(head.span);
                self.advance(head.span);
                Frame::Hole { offset: head.offset, span: head.span }
            }
            END => {
                let signed = SignedRoot::decode(data)
                    .filter(|signed| signed.root == self.root.root())
                    .ok_or(PayloadError::WrongSum)?;
                self.ended = true;
                self.unverified = Some((head.offset, signed));
                Frame::End { size: head.offset, sum: Sum::Root(signed) }
            }
            ABORT => Frame::Abort(Abort {
                code: Some(Code(u16::from_be_bytes([data[0], data[1]])))
                    // Nobody may take the end of a transfer for its success.
                    .filter(|code| !code.is_success())
                    .unwrap_or(Code::UNKNOWN),
                reason: String::from_utf8_lossy(&data[2..]).into_owned(),
            }),
            IDLE => Frame::Idle { offset: head.offset },
            // The buffer goes with it: such a frame is seldom, and larger than all others.
            EXTENSION.. => {
                Frame::Extension(Extension { head: *bytes, data: std::mem::take(&mut self.control).into() })
            }
            0 | 6..EXTENSION => return Err(self.malformed("unknown type")),
        })
    }

    fn advance(&mut self, span: u64) {
        self.next += span;
        self.at_end = !span.is_multiple_of(self.root.block_size().into()) || self.length == Some(self.next);
    }
}

fn data_len(head: &[u8; HEAD_BYTES]) -> usize {
    u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize
}
