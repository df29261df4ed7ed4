//! The network and the clock: connections, and what happens when. Nothing here knows of sessions.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Display;
use std::time::{Duration, Instant};

use lantorrent_core::session::{LinkId, Now};

use super::link::{Chunking, Conn, ConnId, Pipe, Read, Side};
use super::route::{Cut, Routes};
use crate::random::Random;
use crate::trace;

/// When it all begins.
const UNIX: u64 = 1_700_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ActorId(pub(crate) usize);

/// Something that is going to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// The host at the other end takes the connection or refuses it, if it is reached.
    Dialed(ConnId),
    /// Who dialed hears what became of it.
    Connected(ConnId),
    /// The process behind a listening socket takes the connection.
    Accepted(ConnId),
    Readable(ConnId, Side),
    Writable(ConnId, Side),
    /// A kernel gives up on what it cannot get through.
    GivenUp(ConnId, Side),
    Timer(ActorId),
    /// A disk has done its next piece of work.
    Disk(ActorId),
    /// A disk has read again what a child is to be sent.
    ReadBack(ActorId, LinkId),
    /// The source has read the next piece of its file.
    Supply(ActorId),
    /// An actor wanted to be asked again.
    Nudge(ActorId),
    /// A reader that was told to stop has done so.
    Halted(ActorId),
    /// The fault with that number strikes, or ends.
    Fault(usize),
    FaultEnds(usize),
}

pub(crate) struct Net {
    pub(crate) random: Random,
    pub(crate) conns: Vec<Conn>,
    pub(crate) routes: Routes,
    /// Hosts whose name has the address of another one too, before their own.
    pub(crate) decoys: Vec<(usize, usize)>,
    /// Whether all connections take equally much that is not read yet. Else one may be much slower than another.
    pub(crate) even_links: bool,
    /// For each host, how many bits are still to be damaged on their way to it.
    pub(crate) damage: Vec<u32>,
    chunking: Chunking,
    /// How long anything takes to get from one host to another, at most, in microseconds.
    latency: usize,
    /// How late a timer goes off at most, where processors are busy.
    lateness: usize,
    start: Instant,
    micros: u64,
    // The random number in the middle shuffles what happens at the same time.
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
}

impl Net {
    pub(crate) fn new(mut random: Random, payload: usize) -> Self {
        let chunking = Chunking::any(&mut random, payload);
        let latency = if chunking.is_coarse() { random.pick(&[300, 300, 3_000, 20_000]) } else { 300 };
        let lateness = random.pick(&[1, 1, 30_000]);
        Self {
            random,
            conns: Vec::new(),
            routes: Routes::default(),
            decoys: Vec::new(),
            even_links: false,
            damage: Vec::new(),
            chunking,
            latency,
            lateness,
            start: Instant::now(),
            micros: 0,
            queue: BinaryHeap::new(),
        }
    }

    pub(crate) fn now(&self) -> Now {
        let start = Now { instant: self.start, unix: UNIX };
        start + self.elapsed()
    }

    pub(crate) fn unix_millis(&self) -> u64 {
        UNIX * 1000 + self.micros / 1000
    }

    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_micros(self.micros)
    }

    /// How long a block may take over one link: a frame goes in a dozen pieces or more, each a way of its own.
    pub(crate) fn block_time(&self) -> Duration {
        Duration::from_micros(self.latency as u64) * 16
    }

    pub(crate) fn micros(&self) -> u64 {
        self.micros
    }

    /// A line of the story of this run, for whoever replays it.
    pub(crate) fn note(&self, host: usize, what: impl FnOnce() -> String) {
        trace::line(self.micros, Some(host), what);
    }

    pub(crate) fn after(&mut self, delay: Duration, event: Event) {
        let at = self.micros + delay.as_micros() as u64;
        let tie = self.random.next();
        self.queue.push(Reverse((at, tie, event)));
    }

    pub(crate) fn at(&mut self, instant: Instant, event: Event) {
        // Rounded up, or the event would come just before its time.
        let delay = instant.saturating_duration_since(self.now().instant) + Duration::from_nanos(999);
        let late = Duration::from_micros(self.random.below(self.lateness) as u64);
        self.after(delay + late, event);
    }

    pub(crate) fn within(&mut self, micros: usize, event: Event) {
        let delay = self.random.below(micros) as u64;
        self.after(Duration::from_micros(delay), event);
    }

    pub(crate) fn soon(&mut self, event: Event) {
        self.within(300, event);
    }

    /// The next thing that happens; the clock jumps there.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let Reverse((at, _, event)) = self.queue.pop()?;
        self.micros = at;
        trace::clock(at);
        Some(event)
    }

    pub(crate) fn dial(&mut self, owner: ActorId, from: usize, to: Option<usize>) -> ConnId {
        let conn = ConnId(self.conns.len());
        let even = self.even_links;
        let pipe = |random: &mut Random| {
            let capacity = random.pick(&[300, 5_000, 30_000, 70_000]);
            Pipe::with_capacity(if even { 70_000 } else { capacity })
        };
        let pipes = [pipe(&mut self.random), pipe(&mut self.random)];
        self.conns.push(Conn {
            owners: [Some(owner), None],
            pipes,
            hosts: [Some(from), to],
            dialed_at: self.micros,
            dialed: None,
        });
        self.within(self.latency, Event::Dialed(conn));
        conn
    }

    /// What became of an attempt to connect is on its way to who made it.
    pub(crate) fn answer_dial(&mut self, conn: ConnId) {
        self.within(self.latency, Event::Connected(conn));
    }

    /// Whether what that end sends gets to the other one.
    pub(crate) fn reaches(&self, conn: ConnId, side: Side) -> bool {
        let hosts = self.conns[conn.0].hosts;
        self.routes.is_open(hosts[side as usize], hosts[side.other() as usize])
    }

    pub(crate) fn write(&mut self, conn: ConnId, side: Side, bytes: &[u8]) -> usize {
        let reached = self.reaches(conn, side);
        let this = &mut self.conns[conn.0];
        if this.pipes[side.other() as usize].is_reset() {
            // The writer finds out when it reads.
            return bytes.len();
        }
        if this.pipes[side as usize].is_deaf() && reached {
            self.refuse(conn, side);
            return bytes.len();
        }
        self.damage(conn, side, bytes.len());
        let pipe = &mut self.conns[conn.0].pipes[side as usize];
        let count = pipe.write(&mut self.random, self.chunking, bytes);
        self.announce(conn, side.other());
        count
    }

    fn damage(&mut self, conn: ConnId, side: Side, within: usize) {
        let this = &mut self.conns[conn.0];
        if let Some(left) = this.hosts[side.other() as usize].and_then(|to| self.damage.get_mut(to))
            && *left > 0
            && within > 0
            && self.random.chance(30)
        {
            *left -= 1;
            this.pipes[side as usize].damage(&mut self.random, within);
        }
    }

    /// Nobody reads what that side wrote. The other host says so, in case it has not yet.
    fn refuse(&mut self, conn: ConnId, side: Side) {
        let this = &mut self.conns[conn.0];
        this.pipes[side as usize].refuse();
        let back = &mut this.pipes[side.other() as usize];
        if !back.is_finished() {
            back.reset();
            self.announce(conn, side);
        }
        self.unblock(conn, side);
    }

    fn unblock(&mut self, conn: ConnId, side: Side) {
        if self.conns[conn.0].pipes[side as usize].unblock() {
            self.within(self.latency, Event::Writable(conn, side));
        }
    }

    /// What is on its way to that side gets there, unless nothing does.
    pub(crate) fn arrive(&mut self, conn: ConnId, side: Side) {
        if self.reaches(conn, side.other()) {
            self.conns[conn.0].pipes[side.other() as usize].arrive();
        }
    }

    /// Reads some of what there is, and has the reader look again if there may be more.
    pub(crate) fn read(&mut self, conn: ConnId, side: Side) -> Read {
        let read = self.take(conn, side, usize::MAX);
        if let Read::Bytes(_) = read {
            self.announce(conn, side);
        }
        read
    }

    /// Reads at most so many bytes, for a reader that goes on until there is nothing.
    pub(crate) fn take(&mut self, conn: ConnId, side: Side, most: usize) -> Read {
        let acknowledged = self.reaches(conn, side);
        let pipe = &mut self.conns[conn.0].pipes[side.other() as usize];
        let read = pipe.read(&mut self.random, self.chunking, acknowledged, most);
        if let Read::Bytes(_) = read {
            self.unblock(conn, side.other());
        }
        read
    }

    /// Tells the reader at that side to look, if there is something to see.
    pub(crate) fn announce(&mut self, conn: ConnId, side: Side) {
        self.announce_within(conn, side, self.latency);
    }

    fn announce_within(&mut self, conn: ConnId, side: Side, micros: usize) {
        let open = self.reaches(conn, side.other());
        let pipe = &mut self.conns[conn.0].pipes[side.other() as usize];
        let visible = pipe.has_arrived() || open && pipe.has_news();
        if visible && !std::mem::replace(&mut pipe.announced, true) {
            self.within(micros, Event::Readable(conn, side));
        }
    }

    /// The side has said its last word, and still listens.
    pub(crate) fn shut_down(&mut self, conn: ConnId, side: Side) {
        self.conns[conn.0].pipes[side as usize].finish();
        self.announce(conn, side.other());
    }

    /// The side is gone, and its kernel says so, with or without getting rid of what it wrote last.
    pub(crate) fn close(&mut self, conn: ConnId, side: Side, lose: bool) {
        let this = &mut self.conns[conn.0];
        this.owners[side as usize] = None;
        if lose {
            this.pipes[side as usize].reset();
        } else {
            this.pipes[side as usize].finish();
        }
        this.pipes[side.other() as usize].deafen();
        self.announce(conn, side.other());
        if self.reaches(conn, side.other()) {
            self.refuse(conn, side.other());
        }
    }

    /// The side is gone together with its host: nobody says anything.
    pub(crate) fn vanish(&mut self, conn: ConnId, side: Side) {
        let this = &mut self.conns[conn.0];
        this.owners[side as usize] = None;
        this.pipes[side as usize].lose_what_is_under_way();
        this.pipes[side.other() as usize].deafen();
    }

    /// The side's kernel has lost the connection: its process finds out, and the other host when it says something.
    pub(crate) fn forget(&mut self, conn: ConnId, side: Side) {
        let this = &mut self.conns[conn.0];
        this.pipes[side as usize].lose_what_is_under_way();
        let incoming = &mut this.pipes[side.other() as usize];
        incoming.reset();
        incoming.arrive();
        incoming.deafen();
        self.announce(conn, side);
        self.unblock(conn, side);
    }

    /// Something between the two kills the connection.
    pub(crate) fn sever(&mut self, conn: ConnId) {
        for side in Side::BOTH {
            self.forget(conn, side);
        }
    }

    /// A kernel gives up, if it still cannot get through.
    pub(crate) fn give_up(&mut self, conn: ConnId, side: Side) {
        let this = &self.conns[conn.0];
        let waits = this.owners[side as usize].is_some() && this.pipes[side as usize].is_under_way();
        if waits && !self.reaches(conn, side) {
            self.forget(conn, side);
        }
    }

    pub(crate) fn cut(&mut self, cut: Cut) {
        self.routes.cut(cut);
        for conn in (0..self.conns.len()).map(ConnId) {
            for side in Side::BOTH {
                // Most systems try for a quarter of an hour, but people set that otherwise.
                if !self.reaches(conn, side) && self.random.chance(20) {
                    let seconds = self.random.within(4, 40) as u64;
                    self.after(Duration::from_secs(seconds), Event::GivenUp(conn, side));
                }
            }
        }
    }

    /// What was held up goes on, but not at once, as kernels try again less and less often.
    pub(crate) fn mend(&mut self, cut: &Cut) {
        self.routes.mend(cut);
        for conn in (0..self.conns.len()).map(ConnId) {
            for side in Side::BOTH {
                self.announce_within(conn, side, 1_500_000);
                let reached = self.reaches(conn, side);
                let pipe = &mut self.conns[conn.0].pipes[side as usize];
                if reached && pipe.is_deaf() && pipe.has_news() {
                    self.refuse(conn, side);
                } else if reached {
                    self.conns[conn.0].pipes[side.other() as usize].acknowledge();
                    self.unblock(conn, side.other());
                }
            }
        }
    }
}

impl Display for ConnId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.0)
    }
}
