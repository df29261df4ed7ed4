//! The world: hosts and what runs on them, moved by one event after the other until nothing is left to happen.

use std::net::SocketAddr;
use std::time::Duration;

use lantorrent_core::session::{Input, NodeSession, Output, Proven, Seed};
use lantorrent_core::wire::Code;

use crate::driver::{Driver, NodeSide};
use crate::host::{Host, Manner};
use crate::link::{ConnId, Side};
use crate::machine::{Machine, Session};
use crate::net::{ActorId, Event, Net};
use crate::peer::{Next, Peer};
use crate::storage::Storage;
use crate::upstream::Upstream;

/// Something that goes wrong. Hosts are named by their place in the world.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The host is gone: its kernel says so to whoever talks to it.
    Kill(usize),
    /// The host stands still, and says nothing more.
    Freeze(usize),
    /// Its owner stops what runs there, and gives it that long.
    Stop(usize, Duration),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum When {
    After(Duration),
    /// That host has so much of the payload.
    Has(usize, u64),
}

enum Actor {
    Peer(Box<Peer>),
    Driver(Box<Driver>),
    Gone,
}

pub(crate) struct World {
    pub(crate) net: Net,
    pub(crate) hosts: Vec<Host>,
    actors: Vec<(Actor, usize)>,
    truth: Vec<u8>,
    faults: Vec<(When, Fault)>,
    struck: Vec<bool>,
    /// A byte that is damaged on its way: to the host, or from the host towards the source.
    pub(crate) flip: Option<(usize, Side, u64, u8)>,
}

fn address(host: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host as u8 + 1], 2893))
}

impl World {
    pub(crate) fn new(net: Net, hosts: Vec<Host>, truth: Vec<u8>, faults: Vec<(When, Fault)>) -> Self {
        let struck = vec![false; faults.len()];
        Self { net, hosts, actors: Vec::new(), truth, faults, struck, flip: None }
    }

    /// Starts the source on its host, and runs to the end. Returns when the source was done, unless it stands still.
    pub(crate) fn run(
        &mut self,
        start: impl FnOnce(ActorId, &mut Net) -> Driver,
        at: usize,
    ) -> Option<Duration> {
        let mut driver = start(ActorId(0), &mut self.net);
        driver.begin(&mut self.net, &mut self.hosts[at]);
        self.actors.push((Actor::Driver(Box::new(driver)), at));
        for (fault, (when, _)) in self.faults.iter().enumerate() {
            if let When::After(delay) = *when {
                self.net.after(delay, Event::Fault(fault));
            }
        }
        let mut done = None;
        while let Some(event) = self.net.next() {
            // No run here needs more, whatever goes wrong: the longest wait is for a result, half an hour.
            assert!(self.net.elapsed() < Duration::from_secs(4000), "it does not come to an end");
            self.happen(event);
            self.strike();
            if done.is_none() && self.source().machine.done {
                done = Some(self.net.elapsed());
            }
        }
        let unfinished: Vec<usize> = self
            .actors
            .iter()
            .filter(|(actor, host)| {
                matches!(actor, Actor::Driver(driver) if !driver.machine.done) && !self.hosts[*host].frozen
            })
            .map(|&(_, host)| host)
            .collect();
        assert!(unfinished.is_empty(), "nothing happens any more, and sessions wait on {unfinished:?}");
        done
    }

    pub(crate) fn source(&self) -> &Driver {
        match &self.actors[0].0 {
            Actor::Driver(driver) => driver,
            _ => unreachable!("the source is there from the start"),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Dialed(conn) => self.dialed(conn),
            Event::Readable(conn, side) => {
                let this = &mut self.net.conns[conn.0];
                this.pipes[side.other() as usize].announced = false;
                let Some(actor) = this.owners[side as usize] else { return };
                self.with(actor, |actor, net, host| match actor {
                    Actor::Driver(driver) => {
                        driver.readable(net, host, conn);
                        driver.step(net, host);
                        None
                    }
                    Actor::Peer(peer) => match peer.readable(net) {
                        Next::Stay => None,
                        Next::Proven(proven, rest) => Some((proven, rest)),
                    },
                    Actor::Gone => None,
                });
            }
            Event::Writable(conn, side) => {
                let Some(actor) = self.net.conns[conn.0].owners[side as usize] else { return };
                self.with(actor, |actor, net, host| {
                    match actor {
                        Actor::Driver(driver) => driver.step(net, host),
                        Actor::Peer(peer) => peer.pump(net),
                        Actor::Gone => {}
                    }
                    None
                });
            }
            Event::Timer(id) => self.with(id, |actor, net, host| {
                match actor {
                    Actor::Driver(driver) => {
                        driver.timer(net);
                        driver.step(net, host);
                    }
                    Actor::Peer(peer) => peer.timer(net, id),
                    Actor::Gone => {}
                }
                None
            }),
            Event::Disk(id) => self.drive(id, Driver::disk),
            Event::Supply(id) => self.drive(id, |driver, net, _| driver.supply(net)),
            Event::Nudge(id) => self.drive(id, |driver, _, host| driver.nudge(host)),
            Event::Fault(fault) => self.fault(fault),
        }
    }

    fn drive(&mut self, id: ActorId, act: impl FnOnce(&mut Driver, &mut Net, &mut Host)) {
        self.with(id, |actor, net, host| {
            if let Actor::Driver(driver) = actor {
                act(driver, net, host);
                driver.step(net, host);
            }
            None
        });
    }

    /// Lets an actor act, unless its host stands still.
    fn with(
        &mut self,
        id: ActorId,
        act: impl FnOnce(&mut Actor, &mut Net, &mut Host) -> Option<(Box<Proven>, Vec<u8>)>,
    ) {
        let (actor, at) = &mut self.actors[id.0];
        let host = &mut self.hosts[*at];
        if host.frozen {
            return;
        }
        if let Some((proven, rest)) = act(actor, &mut self.net, host) {
            let Actor::Peer(peer) = std::mem::replace(actor, Actor::Gone) else { return };
            *actor = enter(&mut self.net, host, &self.truth, id, peer, *proven, rest);
        }
    }

    fn dialed(&mut self, conn: ConnId) {
        let this = &self.net.conns[conn.0];
        let Some(dialer) = this.owners[Side::Dialer as usize] else { return };
        let at = this.to.filter(|&to| to < self.hosts.len());
        let manner = at.map_or(Manner::Refuses, |at| self.hosts[at].manner.clone());
        let result = match (at, manner) {
            (_, Manner::Refuses) | (None, _) => Err("connection refused"),
            (_, Manner::BlackHole) => return,
            (Some(at), _) => {
                if let Some((host, to, place, damage)) = self.flip
                    && host == at
                {
                    self.net.conns[conn.0].pipes[to.other() as usize].flip = Some((place, damage));
                }
                let id = ActorId(self.actors.len());
                self.net.conns[conn.0].owners[Side::Acceptor as usize] = Some(id);
                let mut peer = Peer::accept(&mut self.net, &self.hosts[at], id, conn, address(at));
                peer.pump(&mut self.net);
                self.actors.push((Actor::Peer(Box::new(peer)), at));
                Ok(address(at))
            }
        };
        self.drive(dialer, |driver, _, _| driver.dialed(conn, result));
    }

    /// Faults that wait for the payload to come so far.
    fn strike(&mut self) {
        for fault in 0..self.faults.len() {
            if let (When::Has(host, bytes), _) = self.faults[fault]
                && !self.struck[fault]
                && self.hosts[host].received >= bytes
            {
                self.fault(fault);
            }
        }
    }

    fn fault(&mut self, fault: usize) {
        self.struck[fault] = true;
        match self.faults[fault].1 {
            Fault::Freeze(at) => self.hosts[at].frozen = true,
            Fault::Stop(at, grace) => {
                self.hosts[at].stopping = Some(grace);
                for id in 0..self.actors.len() {
                    if self.actors[id].1 == at {
                        self.drive(ActorId(id), |driver, _, _| driver.tell(Input::Stop(grace)));
                    }
                }
            }
            Fault::Kill(at) => {
                self.hosts[at].manner = Manner::Refuses;
                for (actor, _) in self.actors.iter_mut().filter(|(_, host)| *host == at) {
                    *actor = Actor::Gone;
                }
                let gone = |owner: &Option<ActorId>| owner.is_some_and(|id| self.actors[id.0].1 == at);
                let mut lost = Vec::new();
                for (number, conn) in self.net.conns.iter().enumerate() {
                    let sides = [Side::Dialer, Side::Acceptor];
                    let ours = sides.into_iter().filter(|&side| gone(&conn.owners[side as usize]));
                    lost.extend(ours.map(|side| (ConnId(number), side)));
                }
                for (conn, side) in lost {
                    self.net.close(conn, side, true);
                }
            }
        }
    }
}

/// A sender was let in: what its connection becomes.
fn enter(
    net: &mut Net,
    host: &mut Host,
    truth: &[u8],
    id: ActorId,
    mut peer: Box<Peer>,
    mut proven: Proven,
    rest: Vec<u8>,
) -> Actor {
    if let Some(script) = peer.script {
        peer.out.extend(script(&mut proven, &host.keys));
        peer.pump(net);
        return Actor::Peer(peer);
    }
    let header = proven.header.clone();
    host.nonces.extend(header.envelope.as_ref().map(|envelope| envelope.nonce));
    let transfer = header.envelope.as_ref().map(|envelope| envelope.transfer);
    let taken = transfer.and_then(|transfer| host.roster.enter(transfer, header.node.index).err());
    let (keys, timing) = (host.keys.clone(), host.timing.clone());
    let no = match (taken, host.stopping) {
        (Some(place), _) => {
            Some((Code::TAKING_PART, format!("it is number {place} of the transfer already")))
        }
        (None, Some(_)) => Some((Code::STOPPED, "it is being stopped".to_owned())),
        (None, None) => None,
    };
    if let Some((code, why)) = no {
        let mut machine = Machine::new(Session::Node(Box::new(NodeSession::refuse(
            net.now(),
            proven,
            keys,
            timing,
            code,
            &why,
        ))));
        for output in machine.begin() {
            match output {
                Output::Reply(bytes) => peer.out.extend(bytes),
                Output::CloseUpstream => peer.close(),
                Output::Done => {}
                other => panic!("who takes no part does nothing: {other:?}"),
            }
        }
        if taken.is_none()
            && let Some(transfer) = &transfer
        {
            host.roster.leave(transfer);
        }
        peer.pump(net);
        return Actor::Peer(peer);
    }
    host.begun.extend(header.node.requests.iter().map(|request| request.id.clone()));
    let session = NodeSession::new(net.now(), proven, keys, timing, Seed(net.random.bytes()));
    let mut driver = Driver::new(id, Machine::new(Session::Node(Box::new(session))), &header, &host.keys);
    driver.node = Some(NodeSide {
        upstream: Upstream::new(peer.conn, &header, &host.keys, peer.out, rest, truth),
        storage: Storage::new(&header.node.requests),
        transfer,
        only_once: false,
    });
    driver.begin(net, host);
    Actor::Driver(Box::new(driver))
}
