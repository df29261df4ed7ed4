//! A relay that knows the password and changes what passes, byte for byte where it was: other content in frames whose tags
//! are right, and an end that fits it as far as the relay can make one.

use lantorrent_core::wire::{
    Frame, FrameWriter, HEAD_BYTES, HeaderReader, Keyring, RootHasher, SignedRoot, Sum, TAG_BYTES,
    TransferKey, digest,
};

/// What a relay does that lies about the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Another first byte in each block, and the end as the source made it.
    OtherContent,
    /// The same from a block that is not the first on, so that what comes before is true.
    OtherContentLater,
    /// The same, and the root of that content with the source's signature.
    OtherRoot,
    /// The same, signed by a key that the relay has.
    OwnSignature,
    /// The true content, and a signature that is wrong.
    NoSignature,
}

impl Lie {
    pub(crate) const ALL: [Self; 5] =
        [Self::OtherContent, Self::OtherContentLater, Self::OtherRoot, Self::OwnSignature, Self::NoSignature];

    /// What becomes of the first byte of a block at that offset.
    fn change(self, offset: u64) -> u8 {
        match self {
            Self::NoSignature => 0,
            Self::OtherContentLater if offset == 0 => 0,
            Self::OtherContent | Self::OtherContentLater | Self::OtherRoot | Self::OwnSignature => 0x55,
        }
    }

    fn end(self, size: u64, block_size: u32, root: &RootHasher, true_end: SignedRoot) -> SignedRoot {
        match self {
            Self::OtherContent | Self::OtherContentLater => true_end,
            Self::OtherRoot => SignedRoot { root: root.root(), ..true_end },
            Self::OwnSignature => TransferKey::new(&[0x66; 32]).sign(size, block_size, root.root()),
            Self::NoSignature => SignedRoot { signature: [0x77; 64], ..true_end },
        }
    }
}

/// What passes over one connection, away from the source.
#[derive(Debug, Clone)]
pub(crate) struct Forger {
    lie: Lie,
    keys: Keyring,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    /// Header and proof.
    Text(Vec<u8>),
    Frames(Box<Frames>),
}

#[derive(Debug, Clone)]
struct Frames {
    writer: FrameWriter,
    root: RootHasher,
    head: Vec<u8>,
    /// Whether a node has made the header: where the source has, nothing is changed.
    is_relayed: bool,
    /// As it goes on, without the head.
    data: Vec<u8>,
    /// In place of the true one, where the frame is another.
    tag: Option<[u8; TAG_BYTES]>,
    tag_passed: usize,
    /// The true data of an END.
    true_end: Vec<u8>,
}

const PROOF: usize = 53;

impl Forger {
    pub(crate) fn new(lie: Lie, keys: Keyring) -> Self {
        Self { lie, keys, state: State::Text(Vec::new()) }
    }

    /// Changes the next bytes.
    pub(crate) fn pass(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            match &mut self.state {
                State::Text(text) => {
                    text.push(*byte);
                    let proven =
                        text.len().checked_sub(PROOF).is_some_and(|at| text[at..].starts_with(b"PROOF : "));
                    if proven {
                        self.state = State::Frames(Box::new(Frames::new(text, &self.keys)));
                    }
                }
                State::Frames(frames) if frames.is_relayed => *byte = frames.byte(self.lie, *byte),
                State::Frames(_) => {}
            }
        }
    }
}

impl Frames {
    fn new(text: &[u8], keys: &Keyring) -> Self {
        let (_, header) = HeaderReader::default().push(text).expect("a header");
        let header = header.expect("all of it").verify(keys).expect("the relay knows the password");
        let envelope = header.envelope.expect("wire 2");
        Self {
            writer: FrameWriter::new(keys.frame_key(&envelope.transfer).expect("wire 2 has a password")),
            root: RootHasher::new(header.block_size),
            head: Vec::new(),
            is_relayed: envelope.from.is_some(),
            data: Vec::new(),
            tag: None,
            tag_passed: 0,
            true_end: Vec::new(),
        }
    }

    fn word(&self, at: usize) -> u64 {
        u64::from_be_bytes(self.head[at..at + 8].try_into().expect("8 bytes"))
    }

    fn len(&self) -> usize {
        u32::from_be_bytes(self.head[4..8].try_into().expect("4 bytes")) as usize
    }

    fn byte(&mut self, lie: Lie, byte: u8) -> u8 {
        if self.head.len() < HEAD_BYTES {
            self.head.push(byte);
            return byte;
        }
        if self.data.len() < self.len() {
            let byte = self.changed(lie, byte);
            self.data.push(byte);
            return byte;
        }
        if self.tag_passed == 0 {
            self.tag = self.own_tag();
        }
        let byte = self.tag.map_or(byte, |tag| tag[self.tag_passed]);
        self.tag_passed += 1;
        if self.tag_passed == TAG_BYTES {
            self.head.clear();
            self.data.clear();
            self.true_end.clear();
            self.tag_passed = 0;
        }
        byte
    }

    fn changed(&mut self, lie: Lie, byte: u8) -> u8 {
        match self.head[0] {
            1 if self.data.is_empty() => byte ^ lie.change(self.word(8)),
            5 => {
                // The root passes before the signature is known, and neither needs the other.
                self.true_end.push(byte);
                let mut padded = self.true_end.clone();
                padded.resize(96, 0);
                let (root, signature) = padded.split_at(32);
                let true_end = SignedRoot {
                    root: root.try_into().expect("32 bytes"),
                    signature: signature.try_into().expect("64 bytes"),
                };
                let end = lie.end(self.word(8), self.root.block_size(), &self.root, true_end);
                [&end.root[..], &end.signature].concat()[self.true_end.len() - 1]
            }
            _ => byte,
        }
    }

    /// The tag of a frame that may be another by now. None for one that is not.
    fn own_tag(&mut self) -> Option<[u8; TAG_BYTES]> {
        let (offset, span) = (self.word(8), self.word(16));
        let frame = match self.head[0] {
            1 => {
                let digest = digest(&self.data);
                self.root.block(&digest);
                Frame::Data { offset, len: self.data.len() as u32, digest: Some(digest) }
            }
            2 => {
                self.root.hole(span);
                return None;
            }
            5 => {
                let (root, signature) = self.data.split_at(32);
                let signed = SignedRoot {
                    root: root.try_into().expect("32 bytes"),
                    signature: signature.try_into().expect("64 bytes"),
                };
                Frame::End { size: offset, sum: Sum::Root(signed) }
            }
            _ => return None,
        };
        Some(self.writer.encode(&frame).expect("a frame of wire 2").1)
    }
}
