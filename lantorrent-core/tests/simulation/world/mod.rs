//! The world: hosts and what runs on them, moved by one event after the other until nothing is left to happen.

pub(crate) mod backing;
mod child;
pub(crate) mod content;
pub(crate) mod disk;
pub(crate) mod driver;
pub(crate) mod fault;
mod files;
mod greeter;
pub(crate) mod host;
pub(crate) mod link;
pub(crate) mod machine;
pub(crate) mod net;
pub(crate) mod route;
mod socket;
mod solo;
mod strike;
mod upstreams;
mod welcome;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use driver::Driver;
use fault::Mishap;
use greeter::{Greeter, Next};
use host::{Host, Manner};
use lantorrent_core::session::Proven;
use link::{ConnId, Side};
use net::{ActorId, Event, Net};
use solo::Waiter;

enum Role {
    Greeter(Box<Greeter>),
    Driver(Box<Driver>),
    Waiter(Box<Waiter>),
    Gone,
}

struct Actor {
    role: Role,
    at: usize,
    /// Whether it is a process of its own, and stands still.
    asleep: bool,
}

/// Makes the driver of a source that is told what is cancelled by then.
pub(crate) type Launch = Box<dyn Fn(ActorId, &mut Net, &mut [Host], BTreeSet<String>) -> Driver>;

pub(crate) struct World {
    pub(crate) net: Net,
    pub(crate) hosts: Vec<Host>,
    actors: Vec<Actor>,
    truth: Rc<Vec<u8>>,
    launch: Launch,
    /// Where the source is.
    home: usize,
    /// The sources' actors, in the order in which they came.
    sources: Vec<ActorId>,
    /// Whether the last source was suspended, and no other has come since.
    suspended: bool,
    /// What is not wanted any more, by the ids of its requests.
    cancelled: BTreeSet<String>,
    mishaps: Vec<Mishap>,
    /// When each of them has happened.
    pub(crate) struck: Vec<Option<Duration>>,
    /// A byte that is damaged on its way: to the host, or from the host towards the source.
    pub(crate) flip: Option<(usize, Side, u64, u8)>,
    pub(crate) flip_once: bool,
}

fn address(host: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host as u8 + 1], 2893))
}

/// The host with that address.
fn host_at(address: SocketAddr) -> usize {
    let IpAddr::V4(address) = address.ip() else { panic!("{address} is no address of a host") };
    usize::from(address.octets()[3]) - 1
}

impl World {
    pub(crate) fn new(
        net: Net,
        hosts: Vec<Host>,
        home: usize,
        truth: Rc<Vec<u8>>,
        mishaps: Vec<Mishap>,
        launch: Launch,
    ) -> Self {
        let struck = vec![None; mishaps.len()];
        let mut world = Self {
            net,
            hosts,
            actors: Vec::new(),
            truth,
            launch,
            home,
            sources: Vec::new(),
            suspended: false,
            cancelled: BTreeSet::new(),
            mishaps,
            struck,
            flip: None,
            flip_once: false,
        };
        world.net.damage = vec![0; world.hosts.len()];
        world
    }

    /// Starts the source, and runs until nothing is left to happen. Returns when the last source was done, unless it
    /// stands still or is gone.
    pub(crate) fn run(&mut self, limit: Duration) -> Option<Duration> {
        self.start_source();
        self.schedule_mishaps();
        let mut done = None;
        while let Some(event) = self.net.next() {
            assert!(self.net.elapsed() < limit, "it does not come to an end");
            self.happen(event);
            self.strike_when_due();
            let newest = self.sources.last().copied();
            if done.is_none_or(|(source, _)| source != newest)
                && self.source().is_some_and(|source| source.machine.done)
            {
                done = Some((newest, self.net.elapsed()));
            }
        }
        let unfinished: Vec<usize> = self.unfinished().collect();
        assert!(unfinished.is_empty(), "nothing happens any more, and sessions wait on {unfinished:?}");
        done.filter(|&(source, _)| source == self.sources.last().copied()).map(|(_, at)| at)
    }

    fn start_source(&mut self) {
        let id = ActorId(self.actors.len());
        self.sources.push(id);
        let mut driver = (self.launch)(id, &mut self.net, &mut self.hosts, self.cancelled.clone());
        driver.begin(&mut self.net, &mut self.hosts[self.home]);
        self.actors.push(Actor { role: Role::Driver(Box::new(driver)), at: self.home, asleep: false });
    }

    /// Whether a process of that host stands still, with what it holds.
    pub(crate) fn is_asleep(&self, at: usize) -> bool {
        self.hosts[at].frozen || self.actors.iter().any(|actor| actor.at == at && actor.asleep)
    }

    /// Hosts with sessions that are not over, although they are awake.
    fn unfinished(&self) -> impl Iterator<Item = usize> {
        let drivers = self
            .actors
            .iter()
            .filter(|actor| matches!(&actor.role, Role::Driver(driver) if !driver.machine.done));
        drivers.filter(|actor| !actor.asleep && !self.hosts[actor.at].frozen).map(|actor| actor.at)
    }

    /// The last source; none if its process is gone.
    pub(crate) fn source(&self) -> Option<&Driver> {
        self.sources.last().and_then(|&id| self.driver(id))
    }

    /// All sources that there were, but for those whose process is gone.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &Driver> {
        self.sources.iter().filter_map(|&id| self.driver(id))
    }

    fn driver(&self, id: ActorId) -> Option<&Driver> {
        match &self.actors[id.0].role {
            Role::Driver(driver) => Some(driver),
            _ => None,
        }
    }

    /// Whom an event is for: the process of a host, or one of them.
    fn whose(&self, event: Event) -> (Option<usize>, Option<ActorId>) {
        let end = |conn: ConnId, side: Side| {
            let conn = &self.net.conns[conn.0];
            (conn.hosts[side as usize], conn.owners[side as usize])
        };
        match event {
            Event::Connected(conn) => end(conn, Side::Dialer),
            Event::Accepted(conn) => end(conn, Side::Acceptor),
            Event::Readable(conn, side) | Event::Writable(conn, side) => end(conn, side),
            Event::Timer(id)
            | Event::Disk(id)
            | Event::ReadBack(id, _)
            | Event::Supply(id)
            | Event::Nudge(id)
            | Event::Halted(id) => (Some(self.actors[id.0].at), Some(id)),
            Event::Dialed(_) | Event::GivenUp(..) | Event::Fault(_) | Event::FaultEnds(_) => (None, None),
        }
    }

    fn happen(&mut self, event: Event) {
        if let Event::Readable(conn, side) = event {
            self.net.arrive(conn, side);
        }
        let (at, id) = self.whose(event);
        if let Some(host) = at.and_then(|at| self.hosts.get_mut(at)) {
            let stalled = host.disk.stalled && matches!(event, Event::Disk(_) | Event::ReadBack(..));
            let asleep = id.is_some_and(|id| self.actors[id.0].asleep);
            if host.frozen || asleep || stalled {
                return host.missed.push(event);
            }
        }
        match event {
            Event::Dialed(conn) => self.dialed(conn),
            Event::Connected(conn) => {
                let this = &self.net.conns[conn.0];
                if let (Some(id), Some(result)) = (this.owners[Side::Dialer as usize], this.dialed) {
                    self.drive(id, |driver, net, _| driver.connected(net, conn, result));
                }
            }
            Event::Accepted(conn) => self.accepted(conn),
            Event::Readable(conn, side) => {
                self.net.conns[conn.0].pipes[side.other() as usize].announced = false;
                if let Some(id) = self.net.conns[conn.0].owners[side as usize] {
                    self.readable(id, conn);
                }
            }
            Event::Writable(conn, side) => {
                if let Some(id) = self.net.conns[conn.0].owners[side as usize] {
                    self.writable(id, conn);
                }
            }
            Event::GivenUp(conn, side) => self.net.give_up(conn, side),
            Event::Timer(id) => self.timer(id),
            Event::Disk(id) => self.drive(id, Driver::disk),
            Event::ReadBack(id, link) => self.drive(id, |driver, _, host| driver.read_back(link, host)),
            Event::Supply(id) => self.drive(id, |driver, net, _| driver.supply(net)),
            Event::Nudge(id) => {
                self.look(id);
                self.drive(id, |driver, net, _| driver.nudge(net));
            }
            Event::Halted(id) => self.drive(id, |driver, _, _| driver.halted()),
            Event::Fault(mishap) => self.strike(mishap),
            Event::FaultEnds(mishap) => self.relieve(mishap),
        }
    }

    fn drive(&mut self, id: ActorId, act: impl FnOnce(&mut Driver, &mut Net, &mut Host)) {
        let Actor { role, at, .. } = &mut self.actors[id.0];
        if let Role::Driver(driver) = role {
            act(driver, &mut self.net, &mut self.hosts[*at]);
            driver.step(&mut self.net, &mut self.hosts[*at]);
        }
    }

    fn readable(&mut self, id: ActorId, conn: ConnId) {
        let Actor { role, at, .. } = &mut self.actors[id.0];
        match role {
            Role::Driver(_) => self.drive(id, |driver, net, _| driver.readable(net, conn)),
            Role::Greeter(greeter) => {
                if let Next::Proven(proven, rest) = greeter.readable(&mut self.net) {
                    let at = *at;
                    if let Role::Greeter(greeter) = std::mem::replace(role, Role::Gone) {
                        self.welcome(id, at, greeter, proven, rest);
                    }
                }
            }
            Role::Waiter(waiter) => waiter.readable(&mut self.net),
            Role::Gone => {}
        }
    }

    fn writable(&mut self, id: ActorId, conn: ConnId) {
        match &mut self.actors[id.0].role {
            Role::Driver(_) => self.drive(id, |driver, _, _| driver.writable(conn)),
            Role::Greeter(greeter) => greeter.pump(&mut self.net),
            Role::Waiter(waiter) => waiter.pump(&mut self.net),
            Role::Gone => {}
        }
    }

    fn timer(&mut self, id: ActorId) {
        match &mut self.actors[id.0].role {
            Role::Driver(_) => self.drive(id, |driver, net, _| driver.timer(net)),
            Role::Greeter(greeter) => greeter.timer(&mut self.net, id),
            Role::Waiter(_) | Role::Gone => {}
        }
    }

    /// A host asks another one's kernel for a connection.
    fn dialed(&mut self, conn: ConnId) {
        let this = &self.net.conns[conn.0];
        if this.owners[Side::Dialer as usize].is_none() {
            return;
        }
        let at = this.hosts[Side::Acceptor as usize].filter(|&to| to < self.hosts.len());
        let manner = at.map_or(Manner::Refuses, |at| self.hosts[at].manner.clone());
        let reached = Side::BOTH.iter().all(|&side| self.net.reaches(conn, side));
        let result = match (at, manner) {
            _ if !reached => return self.dial_again(conn),
            (_, Manner::BlackHole) => return self.dial_again(conn),
            (_, Manner::Refuses) | (None, _) => Err("connection refused"),
            (Some(at), _) => {
                self.flip(conn, at);
                self.net.soon(Event::Accepted(conn));
                Ok(address(at))
            }
        };
        self.net.conns[conn.0].dialed = Some(result);
        self.net.answer_dial(conn);
    }

    /// There was no answer: a kernel tries again after a second, and its process gives up after three.
    fn dial_again(&mut self, conn: ConnId) {
        let since = self.net.micros() - self.net.conns[conn.0].dialed_at;
        if since >= 2_900_000 {
            self.net.conns[conn.0].dialed = Some(Err("no connection within three seconds"));
            self.net.answer_dial(conn);
        } else {
            self.net.after(Duration::from_secs(1), Event::Dialed(conn));
        }
    }

    fn flip(&mut self, conn: ConnId, at: usize) {
        if let Some((host, to, place, damage)) = self.flip
            && host == at
        {
            self.net.conns[conn.0].pipes[to.other() as usize].flips.push((place, damage));
            self.flip = self.flip.filter(|_| !self.flip_once);
        }
    }

    /// A process takes a connection that its kernel has accepted.
    fn accepted(&mut self, conn: ConnId) {
        let this = &self.net.conns[conn.0];
        let Some(at) = this.hosts[Side::Acceptor as usize].filter(|_| !this.is_closed(Side::Acceptor)) else {
            return;
        };
        if matches!(self.hosts[at].manner, Manner::Refuses) {
            // It has died since.
            return self.net.close(conn, Side::Acceptor, true);
        }
        let id = ActorId(self.actors.len());
        self.net.conns[conn.0].owners[Side::Acceptor as usize] = Some(id);
        let mut greeter = Greeter::accept(&mut self.net, &self.hosts[at], id, conn, address(at));
        greeter.pump(&mut self.net);
        self.actors.push(Actor { role: Role::Greeter(Box::new(greeter)), at, asleep: false });
        self.net.announce(conn, Side::Acceptor);
    }

    fn welcome(&mut self, id: ActorId, at: usize, greeter: Box<Greeter>, proven: Box<Proven>, rest: Vec<u8>) {
        let role = welcome::Welcome::new(id, at, greeter, proven, rest, self).decide(self);
        self.actors[id.0].role = role;
    }
}
