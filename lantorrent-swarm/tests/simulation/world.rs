//! Time, links, and who is at their ends.
//!
//! Each host has a link of its own to one switch, with a rate up and a rate down. What it sends leaves chunk by chunk, one
//! connection after another; what arrives for it is taken in order. A connection has no more on its way than a window.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lantorrent_swarm::Span;
use lantorrent_swarm::swarm::{Direction, PeerKey};

use crate::driver::Driver;
use crate::liar::Liar;
use crate::pipe::{Chunk, Pipe};
use crate::random::Random;

/// A host, by its place in the list.
pub(crate) type HostId = usize;

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct End {
    pub(crate) connection: usize,
    /// 0 is who has begun it.
    pub(crate) side: usize,
}

impl End {
    pub(crate) fn key(self) -> PeerKey {
        PeerKey((self.connection * 2 + self.side) as u64)
    }

    pub(crate) fn of(key: PeerKey) -> Self {
        Self { connection: key.0 as usize / 2, side: key.0 as usize % 2 }
    }

    fn other(self) -> Self {
        Self { side: 1 - self.side, ..self }
    }

    pub(crate) fn direction(self) -> Direction {
        if self.side == 0 { Direction::Outgoing } else { Direction::Incoming }
    }
}

#[derive(Debug)]
struct Connection {
    hosts: [HostId; 2],
    pipes: [Pipe; 2],
    open: bool,
}

/// What runs on a host.
#[derive(Debug)]
pub(crate) enum Program {
    Driver(Box<Driver>),
    Liar(Liar),
    /// It is switched off.
    Off,
}

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    pub(crate) program: Program,
    /// Bytes in a second.
    pub(crate) up: u64,
    pub(crate) down: u64,
    pub(crate) sent: u64,
    ends: Vec<End>,
    turn: usize,
    sending: bool,
    down_free: u64,
}

impl Host {
    pub(crate) fn new(address: SocketAddr, program: Program, up: u64, down: u64) -> Self {
        Self { address, program, up, down, sent: 0, ends: Vec::new(), turn: 0, sending: false, down_free: 0 }
    }
}

/// What happens at some time.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A host begins to connect.
    Dial(HostId, SocketAddr),
    Refused(HostId, SocketAddr),
    /// A chunk has left its host.
    Left(End, Chunk),
    Arrived(End, Chunk),
    Delivered(End, Chunk),
    Sent(End, Span),
    Closed(End),
    /// A host has asked to be woken.
    Wake(HostId),
    /// Something that only the host's program understands.
    Own(HostId, Own),
    /// The scenario has something to do.
    Scenario(usize),
}

/// What drivers ask to be told of later.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Own {
    Verified(u32),
    /// These come from a web server, for the task of that number.
    Web(u64, Span),
    WebDone(u64),
    WebFails(u64),
    Content,
    /// The time is up in which a connection has to be introduced.
    Late(End),
}

struct Entry(u64, u64, Happening);

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// What a step was.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    /// Nothing happens any more.
    Nothing,
    Done,
    /// The scenario has to do that.
    Scenario(usize),
}

/// Everything but the programs themselves: what they can do something with.
pub(crate) struct Net {
    start: Instant,
    pub(crate) micros: u64,
    queue: BinaryHeap<Reverse<Entry>>,
    count: u64,
    connections: Vec<Connection>,
    latency: u64,
    pub(crate) random: Random,
    addresses: BTreeMap<SocketAddr, HostId>,
}

pub(crate) struct World {
    pub(crate) net: Net,
    pub(crate) hosts: Vec<Host>,
}

impl Net {
    pub(crate) fn now(&self) -> Instant {
        self.start + Duration::from_micros(self.micros)
    }

    pub(crate) fn at(&mut self, micros: u64, what: Happening) {
        self.count += 1;
        self.queue.push(Reverse(Entry(micros.max(self.micros), self.count, what)));
    }

    pub(crate) fn after(&mut self, micros: u64, what: Happening) {
        self.at(self.micros + micros, what);
    }

    pub(crate) fn at_instant(&mut self, at: Instant, what: Happening) {
        let micros = at.saturating_duration_since(self.start).as_nanos().div_ceil(1000);
        self.at(micros as u64, what);
    }

    /// The time on the way, with a little chance in it.
    fn latency(&mut self) -> u64 {
        self.latency + self.random.below(self.latency as usize / 2 + 1) as u64
    }

    pub(crate) fn is_open(&self, end: End) -> bool {
        self.connections[end.connection].open
    }

    pub(crate) fn pipe(&mut self, end: End) -> &mut Pipe {
        &mut self.connections[end.connection].pipes[end.side]
    }

    pub(crate) fn close(&mut self, end: End) {
        if std::mem::replace(&mut self.connections[end.connection].open, false) {
            let latency = self.latency();
            self.after(latency, Happening::Closed(end.other()));
        }
    }
}

impl World {
    pub(crate) fn new(seed: u64, latency: u64, hosts: Vec<Host>) -> Self {
        let addresses = hosts.iter().enumerate().map(|(id, host)| (host.address, id)).collect();
        let net = Net {
            start: Instant::now(),
            micros: 0,
            queue: BinaryHeap::new(),
            count: 0,
            connections: Vec::new(),
            latency,
            random: Random::new(seed),
            addresses,
        };
        Self { net, hosts }
    }

    /// Lets happen what is next.
    pub(crate) fn step(&mut self) -> Step {
        let Some(Reverse(Entry(micros, _, what))) = self.net.queue.pop() else { return Step::Nothing };
        self.net.micros = micros;
        match what {
            Happening::Dial(host, address) => self.dial(host, address),
            Happening::Refused(host, address) => {
                self.driver(host, |driver, net| driver.refused(net, address));
            }
            Happening::Left(end, chunk) => self.left(end, chunk),
            Happening::Arrived(end, chunk) => self.arrived(end, chunk),
            Happening::Delivered(end, chunk) => self.delivered(end, chunk),
            Happening::Sent(end, span) if self.net.is_open(end) => {
                self.driver(self.net.connections[end.connection].hosts[end.side], |driver, net| {
                    driver.sent(net, end, span);
                });
            }
            Happening::Sent(..) => {}
            Happening::Closed(end) => {
                let host = self.net.connections[end.connection].hosts[end.side];
                self.forget(end.connection);
                self.driver(host, |driver, net| driver.closed(net, end));
            }
            Happening::Wake(host) => {
                self.driver(host, Driver::wake);
                if let Program::Liar(liar) = &mut self.hosts[host].program {
                    liar.wake(&mut self.net, host);
                    let ends = self.hosts[host].ends.clone();
                    for end in ends {
                        self.push(end);
                    }
                }
            }
            Happening::Own(host, own) => self.driver(host, |driver, net| driver.own(net, own)),
            Happening::Scenario(what) => return Step::Scenario(what),
        }
        Step::Done
    }

    /// Lets a driver do something, and its links what follows from it.
    pub(crate) fn driver(&mut self, host: HostId, act: impl FnOnce(&mut Driver, &mut Net)) {
        if let Program::Driver(driver) = &mut self.hosts[host].program {
            act(driver, &mut self.net);
            let (touched, closed) = driver.take_touched();
            for end in closed {
                self.net.close(end);
                self.forget(end.connection);
            }
            for end in touched {
                self.push(end);
            }
        }
    }

    fn forget(&mut self, connection: usize) {
        for host in self.net.connections[connection].hosts {
            self.hosts[host].ends.retain(|end| end.connection != connection);
        }
    }

    fn dial(&mut self, host: HostId, address: SocketAddr) {
        let target = self.net.addresses.get(&address).copied();
        let target = target.filter(|target| !matches!(self.hosts[*target].program, Program::Off));
        let Some(target) = target else {
            let latency = self.net.latency();
            return self.net.after(latency, Happening::Refused(host, address));
        };
        let connection = self.net.connections.len();
        let pipes = [Pipe::default(), Pipe::default()];
        self.net.connections.push(Connection { hosts: [host, target], pipes, open: true });
        let caller = SocketAddr::new(self.hosts[host].address.ip(), 40_000);
        for (side, (host, other)) in [(host, address), (target, caller)].into_iter().enumerate() {
            let end = End { connection, side };
            self.hosts[host].ends.push(end);
            self.driver(host, |driver, net| driver.opened(net, end, other));
            if let Program::Liar(liar) = &mut self.hosts[host].program {
                liar.opened(&mut self.net, end);
                self.push(end);
            }
        }
    }

    /// There may be more to send at that end.
    fn push(&mut self, end: End) {
        if !self.net.is_open(end) {
            return;
        }
        for span in self.net.pipe(end).fill() {
            self.net.after(0, Happening::Sent(end, span));
        }
        self.send(self.net.connections[end.connection].hosts[end.side]);
    }

    /// If the link up of that host is free, the next chunk leaves.
    fn send(&mut self, host: HostId) {
        let ends = self.hosts[host].ends.len();
        if self.hosts[host].sending {
            return;
        }
        for step in 0..ends {
            let turn = (self.hosts[host].turn + step) % ends;
            let end = self.hosts[host].ends[turn];
            let Some(chunk) = self.net.pipe(end).leave() else { continue };
            let host = &mut self.hosts[host];
            host.turn = turn + 1;
            host.sending = true;
            host.sent += chunk.length() as u64;
            let time = chunk.length() as u64 * 1_000_000 / host.up;
            return self.net.after(time, Happening::Left(end, chunk));
        }
    }

    fn left(&mut self, end: End, chunk: Chunk) {
        let arrival = self.net.micros + self.net.latency();
        let pipe = self.net.pipe(end);
        pipe.arrival = pipe.arrival.max(arrival);
        let arrival = pipe.arrival;
        self.net.at(arrival, Happening::Arrived(end, chunk));
        let host = self.net.connections[end.connection].hosts[end.side];
        self.hosts[host].sending = false;
        self.push(end);
        self.send(host);
    }

    fn arrived(&mut self, end: End, chunk: Chunk) {
        let host = &mut self.hosts[self.net.connections[end.connection].hosts[1 - end.side]];
        let time = chunk.length() as u64 * 1_000_000 / host.down;
        host.down_free = host.down_free.max(self.net.micros) + time;
        let at = host.down_free;
        self.net.at(at, Happening::Delivered(end, chunk));
    }

    fn delivered(&mut self, from: End, chunk: Chunk) {
        if !self.net.is_open(from) {
            return;
        }
        self.net.pipe(from).on_the_way -= chunk.length();
        self.push(from);
        let host = self.net.connections[from.connection].hosts[1 - from.side];
        self.driver(host, |driver, net| driver.delivered(net, from.other(), chunk));
    }

    /// A host goes off, and all its connections with it.
    pub(crate) fn switch_off(&mut self, host: HostId) -> Program {
        for end in std::mem::take(&mut self.hosts[host].ends) {
            self.net.close(end);
            self.forget(end.connection);
        }
        std::mem::replace(&mut self.hosts[host].program, Program::Off)
    }

    pub(crate) fn switch_on(&mut self, host: HostId, program: Program) {
        self.hosts[host].program = program;
        self.net.after(0, Happening::Wake(host));
    }
}
