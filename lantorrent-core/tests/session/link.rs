//! Connections: two byte queues each, cut into random chunks on their way. A fault of the network is a change here.

use std::collections::VecDeque;

use crate::net::ActorId;
use crate::random::Random;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnId(pub(crate) usize);

/// An end of a connection: who dialed, or who accepted. It also names the queue that this end writes into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Dialer,
    Acceptor,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Dialer => Self::Acceptor,
            Self::Acceptor => Self::Dialer,
        }
    }
}

/// How the bytes of a connection are cut up.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Chunking {
    Bytes,
    Few,
    Packets,
    Whole,
    Mixed,
}

impl Chunking {
    pub(crate) fn any(random: &mut Random, payload: usize) -> Self {
        // Byte by byte all takes long, and a large payload for ever.
        match payload {
            0..5_000 if random.chance(8) => Self::Bytes,
            0..70_000 => random.pick(&[Self::Few, Self::Packets, Self::Whole, Self::Mixed]),
            _ => random.pick(&[Self::Packets, Self::Whole, Self::Mixed]),
        }
    }

    /// How many of `available` bytes go through at once: from 1 to all of them.
    fn cut(self, random: &mut Random, available: usize) -> usize {
        let most = match self {
            Self::Bytes => 1,
            Self::Few => random.within(1, 100),
            Self::Packets => random.within(1, 9_000),
            Self::Whole => available,
            Self::Mixed => match random.below(4) {
                0 => 1,
                1 => random.within(1, 60),
                2 => random.within(1, 9_000),
                _ => available,
            },
        };
        most.clamp(1, available)
    }
}

/// What a reader finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Bytes(Vec<u8>),
    Nothing,
    Eof,
    Reset,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    bytes: VecDeque<u8>,
    pub(crate) capacity: usize,
    passed: u64,
    /// A byte that the line damages: its place, and what is changed in it.
    pub(crate) flip: Option<(u64, u8)>,
    pub(crate) finished: bool,
    end_read: bool,
    /// The writer is gone without a farewell.
    pub(crate) reset: bool,
    /// The reader is gone.
    pub(crate) deaf: bool,
    /// Whether the reader was told that there is something to read.
    pub(crate) announced: bool,
    /// Whether the writer waits for room.
    pub(crate) blocked: bool,
}

impl Pipe {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { capacity, ..Self::default() }
    }

    /// Takes a part of `bytes`, as a socket does.
    pub(crate) fn write(&mut self, random: &mut Random, chunking: Chunking, bytes: &[u8]) -> usize {
        if self.deaf {
            // The writer finds out when it reads.
            return bytes.len();
        }
        let room = self.capacity.saturating_sub(self.bytes.len()).min(bytes.len());
        if room == 0 {
            self.blocked = true;
            return 0;
        }
        let count = if random.chance(50) { room } else { chunking.cut(random, room) };
        let before = self.bytes.len();
        self.bytes.extend(&bytes[..count]);
        if let Some((place, damage)) = self.flip
            && let Some(place) = place.checked_sub(self.passed).filter(|&place| place < count as u64)
        {
            self.bytes[before + place as usize] ^= damage;
        }
        self.passed += count as u64;
        count
    }

    pub(crate) fn read(&mut self, random: &mut Random, chunking: Chunking) -> Read {
        if self.bytes.is_empty() {
            self.end_read = self.finished;
            return match (self.reset, self.finished) {
                (true, _) => Read::Reset,
                (_, true) => Read::Eof,
                _ => Read::Nothing,
            };
        }
        let count = chunking.cut(random, self.bytes.len());
        // By slices: byte by byte takes long in a debug build.
        let (front, back) = self.bytes.as_slices();
        let in_front = count.min(front.len());
        let bytes = [&front[..in_front], &back[..count - in_front]].concat();
        self.bytes.drain(..count);
        Read::Bytes(bytes)
    }

    pub(crate) fn has_news(&self) -> bool {
        !self.bytes.is_empty() || self.finished && !self.end_read
    }

    /// The writer is gone, with or without what it wrote last.
    pub(crate) fn hang_up(&mut self, lose: bool) {
        if lose {
            self.bytes.clear();
        }
        if !self.finished || lose {
            self.reset = lose;
            self.finished = true;
            self.end_read = false;
        }
    }

    /// The reader is gone.
    pub(crate) fn deafen(&mut self) {
        self.deaf = true;
        self.bytes.clear();
    }
}

#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) owners: [Option<ActorId>; 2],
    pub(crate) pipes: [Pipe; 2],
    /// The place of the host that was dialed; none if there is no such host.
    pub(crate) to: Option<usize>,
}
