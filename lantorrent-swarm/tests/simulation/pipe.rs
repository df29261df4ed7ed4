//! One direction of a connection: what a driver has to send, and what a socket holds.

use std::collections::VecDeque;

use lantorrent_swarm::Span;

/// What a socket takes before it is full.
const SOCKET: usize = 64 << 10;
/// What may be on its way, unread.
const WINDOW: usize = 256 << 10;

/// What makes the data of a block: 0 is the truth, everything else is a lie of its own.
pub(crate) type Tint = u8;

/// What goes over the link at once.
#[derive(Debug, Clone)]
pub(crate) enum Chunk {
    /// Messages, or anything.
    Bytes(Vec<u8>),
    /// A block, whose data is not made really.
    Block(Span, Tint),
}

impl Chunk {
    pub(crate) fn length(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Block(span, _) => 13 + span.length as usize,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Pipe {
    messages: VecDeque<u8>,
    blocks: VecDeque<(Span, Tint)>,
    socket: VecDeque<Chunk>,
    held: usize,
    /// Bytes that have left and have not been read.
    pub(crate) on_the_way: usize,
    /// When the last chunk arrives: none overtakes another.
    pub(crate) arrival: u64,
}

impl Pipe {
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.messages.extend(bytes);
    }

    pub(crate) fn upload(&mut self, span: Span, tint: Tint) {
        self.blocks.push_back((span, tint));
    }

    /// Moves to the socket what it takes. Returns the blocks that are gone from the driver's view.
    pub(crate) fn fill(&mut self) -> Vec<Span> {
        let mut sent = Vec::new();
        while self.held < SOCKET {
            let chunk = if !self.messages.is_empty() {
                let taken = self.messages.len().min(SOCKET - self.held);
                Chunk::Bytes(self.messages.drain(..taken).collect())
            } else if let Some((span, tint)) = self.blocks.pop_front() {
                sent.push(span);
                Chunk::Block(span, tint)
            } else {
                break;
            };
            self.held += chunk.length();
            self.socket.push_back(chunk);
        }
        sent
    }

    /// What leaves next, if the other end leaves room for it.
    pub(crate) fn leave(&mut self) -> Option<Chunk> {
        if self.on_the_way >= WINDOW {
            return None;
        }
        let chunk = self.socket.pop_front()?;
        self.held -= chunk.length();
        self.on_the_way += chunk.length();
        Some(chunk)
    }
}
