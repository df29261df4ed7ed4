//! The network and the clock: connections, and what happens when. Nothing here knows of sessions.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use lantorrent_core::session::Now;

use crate::link::{Chunking, Conn, ConnId, Pipe, Read, Side};
use crate::random::Random;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ActorId(pub(crate) usize);

/// Something that is going to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// The host at the other end takes the connection, or refuses it.
    Dialed(ConnId),
    Readable(ConnId, Side),
    Writable(ConnId, Side),
    Timer(ActorId),
    /// A disk has done its next piece of work.
    Disk(ActorId),
    /// The source has read the next piece of its file.
    Supply(ActorId),
    /// An actor wanted to be asked again.
    Nudge(ActorId),
    /// The fault with that number strikes.
    Fault(usize),
}

pub(crate) struct Net {
    pub(crate) random: Random,
    pub(crate) conns: Vec<Conn>,
    chunking: Chunking,
    start: Instant,
    micros: u64,
    // The random number in the middle shuffles what happens at the same time.
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
}

impl Net {
    pub(crate) fn new(mut random: Random, payload: usize) -> Self {
        let chunking = Chunking::any(&mut random, payload);
        let queue = BinaryHeap::new();
        Self { random, conns: Vec::new(), chunking, start: Instant::now(), micros: 0, queue }
    }

    pub(crate) fn now(&self) -> Now {
        let start = Now { instant: self.start, unix: 1_700_000_000 };
        start + self.elapsed()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_micros(self.micros)
    }

    pub(crate) fn after(&mut self, delay: Duration, event: Event) {
        let at = self.micros + delay.as_micros() as u64;
        let tie = self.random.next();
        self.queue.push(Reverse((at, tie, event)));
    }

    pub(crate) fn at(&mut self, instant: Instant, event: Event) {
        // Rounded up, or the event would come just before its time.
        let delay = instant.saturating_duration_since(self.now().instant) + Duration::from_nanos(999);
        self.after(delay, event);
    }

    pub(crate) fn soon(&mut self, event: Event) {
        let delay = self.random.below(300) as u64;
        self.after(Duration::from_micros(delay), event);
    }

    /// The next thing that happens; the clock jumps there.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let Reverse((at, _, event)) = self.queue.pop()?;
        self.micros = at;
        Some(event)
    }

    pub(crate) fn dial(&mut self, owner: ActorId, to: Option<usize>) -> ConnId {
        let conn = ConnId(self.conns.len());
        let pipe = |random: &mut Random| Pipe::with_capacity(random.pick(&[300, 5_000, 30_000, 70_000]));
        let pipes = [pipe(&mut self.random), pipe(&mut self.random)];
        self.conns.push(Conn { owners: [Some(owner), None], pipes, to });
        self.soon(Event::Dialed(conn));
        conn
    }

    pub(crate) fn write(&mut self, conn: ConnId, side: Side, bytes: &[u8]) -> usize {
        let chunking = self.chunking;
        let count = self.conns[conn.0].pipes[side as usize].write(&mut self.random, chunking, bytes);
        self.announce(conn, side.other());
        count
    }

    pub(crate) fn read(&mut self, conn: ConnId, side: Side) -> Read {
        let pipe = &mut self.conns[conn.0].pipes[side.other() as usize];
        let read = pipe.read(&mut self.random, self.chunking);
        if let Read::Bytes(_) = read {
            if std::mem::take(&mut pipe.blocked) {
                self.soon(Event::Writable(conn, side.other()));
            }
            self.announce(conn, side);
        }
        read
    }

    /// Tells the reader at that side to look, if there is something to see.
    pub(crate) fn announce(&mut self, conn: ConnId, side: Side) {
        let pipe = &mut self.conns[conn.0].pipes[side.other() as usize];
        if pipe.has_news() && !std::mem::replace(&mut pipe.announced, true) {
            self.soon(Event::Readable(conn, side));
        }
    }

    /// Whether the other end is gone in a way that shows without reading.
    pub(crate) fn is_reset(&self, conn: ConnId, side: Side) -> bool {
        self.conns[conn.0].pipes[side.other() as usize].reset
    }

    /// The side has said its last word, and still listens.
    pub(crate) fn shut_down(&mut self, conn: ConnId, side: Side) {
        self.conns[conn.0].pipes[side as usize].finished = true;
        self.announce(conn, side.other());
    }

    /// The side is gone.
    pub(crate) fn close(&mut self, conn: ConnId, side: Side, lose: bool) {
        let this = &mut self.conns[conn.0];
        this.owners[side as usize] = None;
        this.pipes[side as usize].hang_up(lose);
        this.pipes[side.other() as usize].deafen();
        self.announce(conn, side.other());
    }
}
