//! Connections: two byte queues each, cut into random chunks on their way.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::net::ActorId;
use crate::random::Random;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnId(pub(crate) usize);

/// An end of a connection: who dialed, or who accepted. It also names the queue that this end writes into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Dialer,
    Acceptor,
}

impl Side {
    pub(crate) const BOTH: [Self; 2] = [Self::Dialer, Self::Acceptor];

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

    /// Whether a long way makes nothing much slower.
    pub(crate) fn is_coarse(self) -> bool {
        matches!(self, Self::Packets | Self::Whole)
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

/// How a writer has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Eof,
    Reset,
}

/// One direction of a connection: what its writer has sent and its reader has not read.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    bytes: VecDeque<u8>,
    /// How many of them have come to the reader's host.
    arrived: usize,
    capacity: usize,
    /// What was read while no acknowledgement came back, and takes room as if it was not.
    unacknowledged: usize,
    passed: u64,
    /// Bytes that the line damages: their places, and what is changed in them.
    pub(crate) flips: Vec<(u64, u8)>,
    last: Option<Last>,
    last_arrived: bool,
    last_read: bool,
    /// The reader is gone.
    deaf: bool,
    /// Whether the reader was told that there is something to read.
    pub(crate) announced: bool,
    /// Whether the writer waits for room.
    blocked: bool,
}

impl Pipe {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { capacity, ..Self::default() }
    }

    /// Takes a part of `bytes`, as a socket does.
    pub(crate) fn write(&mut self, random: &mut Random, chunking: Chunking, bytes: &[u8]) -> usize {
        let room = self.capacity.saturating_sub(self.bytes.len() + self.unacknowledged).min(bytes.len());
        if room == 0 {
            self.blocked = true;
            return 0;
        }
        let count = if random.chance(50) { room } else { chunking.cut(random, room) };
        let before = self.bytes.len();
        self.bytes.extend(&bytes[..count]);
        for &(place, damage) in &self.flips {
            if let Some(place) = place.checked_sub(self.passed).filter(|&place| place < count as u64) {
                self.bytes[before + place as usize] ^= damage;
            }
        }
        self.passed += count as u64;
        count
    }

    /// One of the bytes that come next will be damaged.
    pub(crate) fn damage(&mut self, random: &mut Random, within: usize) {
        self.flips.push((self.passed + random.below(within) as u64, 1 << random.below(8)));
    }

    /// What is on its way is there.
    pub(crate) fn arrive(&mut self) {
        self.arrived = self.bytes.len();
        self.last_arrived = self.last.is_some();
    }

    /// Takes at most so many bytes.
    pub(crate) fn read(
        &mut self,
        random: &mut Random,
        chunking: Chunking,
        acknowledged: bool,
        most: usize,
    ) -> Read {
        if self.arrived == 0 {
            let last = self.last.filter(|_| self.last_arrived && self.bytes.is_empty());
            self.last_read = last.is_some();
            return match last {
                Some(Last::Reset) => Read::Reset,
                Some(Last::Eof) => Read::Eof,
                None => Read::Nothing,
            };
        }
        let count = chunking.cut(random, self.arrived.min(most));
        // By slices: byte by byte takes long in a debug build.
        let (front, back) = self.bytes.as_slices();
        let in_front = count.min(front.len());
        let bytes = [&front[..in_front], &back[..count - in_front]].concat();
        self.bytes.drain(..count);
        self.arrived -= count;
        if !acknowledged {
            self.unacknowledged += count;
        }
        Read::Bytes(bytes)
    }

    /// Acknowledgements come through again.
    pub(crate) fn acknowledge(&mut self) {
        self.unacknowledged = 0;
    }

    /// Whether a writer waits and may go on. It is told once.
    pub(crate) fn unblock(&mut self) -> bool {
        let room = self.bytes.len() + self.unacknowledged < self.capacity;
        room && std::mem::take(&mut self.blocked)
    }

    /// Whether there is something that the reader has not seen, be it still on its way.
    pub(crate) fn has_news(&self) -> bool {
        !self.bytes.is_empty() || self.last.is_some() && !self.last_read
    }

    /// Whether some of that is still on its way.
    pub(crate) fn is_under_way(&self) -> bool {
        self.bytes.len() > self.arrived || self.last.is_some() && !self.last_arrived
    }

    /// Whether there is something to read that is not on its way any more.
    pub(crate) fn has_arrived(&self) -> bool {
        self.arrived > 0 || self.last_arrived && self.bytes.is_empty() && !self.last_read
    }

    /// Whether the reader can see without reading that the writer is gone.
    pub(crate) fn is_reset(&self) -> bool {
        self.last == Some(Last::Reset) && self.last_arrived
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.last.is_some()
    }

    /// The writer has said its last word.
    pub(crate) fn finish(&mut self) {
        self.last.get_or_insert(Last::Eof);
    }

    /// The writer is gone without a farewell: what it wrote last is lost.
    pub(crate) fn reset(&mut self) {
        self.bytes.clear();
        self.arrived = 0;
        self.last = Some(Last::Reset);
        self.last_arrived = false;
        self.last_read = false;
    }

    /// What has not come to the reader's host never will.
    pub(crate) fn lose_what_is_under_way(&mut self) {
        self.bytes.truncate(self.arrived);
    }

    /// The reader is gone.
    pub(crate) fn deafen(&mut self) {
        self.deaf = true;
    }

    pub(crate) fn is_deaf(&self) -> bool {
        self.deaf
    }

    /// The reader's host does not want what was sent.
    pub(crate) fn refuse(&mut self) {
        self.bytes.clear();
        self.arrived = 0;
    }
}

#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) owners: [Option<ActorId>; 2],
    /// Indexed by who writes.
    pub(crate) pipes: [Pipe; 2],
    /// The places of the hosts at both ends; none where there is no such host.
    pub(crate) hosts: [Option<usize>; 2],
    pub(crate) dialed_at: u64,
    /// What became of the attempt, once that is known.
    pub(crate) dialed: Option<Result<SocketAddr, &'static str>>,
}

impl Conn {
    /// Whether that end listens no more.
    pub(crate) fn is_closed(&self, side: Side) -> bool {
        self.pipes[side.other() as usize].deaf
    }
}
