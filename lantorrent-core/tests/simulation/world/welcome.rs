//! A sender has proven the password: what its connection becomes, by the admission of a node.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use lantorrent_core::flow::admission::{
    Admission, Attempt, FinalReply, Join, Rendezvous, Start, Verdict, answer_check,
};
use lantorrent_core::session::{FileFault, NodeInput, Proven, Seed, Standing, UpstreamId};
use lantorrent_core::wire::{TransferId, Verb};

use crate::later::Lines;
use crate::scenario::PASSWORD;

use super::driver::{Driver, NodeSide};
use super::greeter::Greeter;
use super::host::Host;
use super::link::Side;
use super::machine::{Machine, Session};
use super::net::{ActorId, Event};
use super::solo::{Met, Waiter};
use super::{Role, World};

pub(super) struct Welcome {
    pub(super) id: ActorId,
    pub(super) at: usize,
    pub(super) greeter: Box<Greeter>,
    pub(super) proven: Box<Proven>,
    pub(super) rest: Vec<u8>,
    pub(super) attempt: Attempt,
    /// Where it is in a process of its own: what that process finds out from the others.
    pub(super) solo: Option<Box<(Rendezvous, Admission)>>,
}

impl Welcome {
    pub(super) fn new(
        id: ActorId,
        at: usize,
        greeter: Box<Greeter>,
        proven: Box<Proven>,
        rest: Vec<u8>,
        world: &World,
    ) -> Self {
        let (now, host) = (world.net.now().instant, &world.hosts[at]);
        let rendezvous = host.solo.then(|| Rendezvous::new(now, &proven.header)).flatten();
        let solo = rendezvous.map(|rendezvous| Box::new((rendezvous, host.new_admission())));
        Self { id, at, greeter, proven, rest, attempt: Attempt::new(now, &host.gate()), solo }
    }

    pub(super) fn decide(mut self, world: &mut World) -> Role {
        let host = &mut world.hosts[self.at];
        if let Some(script) = self.greeter.script {
            host.admission.acquaint(&mut self.proven);
            self.greeter.out.extend(script(&mut self.proven, &host.keys));
            self.greeter.pump(&mut world.net);
            return Role::Greeter(self.greeter);
        }
        let envelope = self.proven.header.envelope.as_ref();
        host.proven.extend(envelope.map(|envelope| (envelope.nonce, envelope.from)));
        host.keep_key(&self.proven);
        self.go_on(world)
    }

    /// Goes on until it is known what the connection becomes, or has to wait for that.
    pub(super) fn go_on(mut self, world: &mut World) -> Role {
        if self.solo.is_some() {
            match self.meet(world) {
                Met::Known(this) => self = this,
                Met::Served(role) => return role,
            }
        }
        loop {
            match self.admit(world) {
                Verdict::Look => self.attempt.looked(self.placed_files()),
                Verdict::Wait(until) => return self.park(world, until),
                Verdict::Probe { .. } => return self.check(world),
                Verdict::Close(words) => return self.close(world, words),
                Verdict::Start(start) => return self.begin(world, start),
                Verdict::Join(join) => {
                    let transfer = self.proven.header.envelope.as_ref().map(|envelope| envelope.transfer);
                    let live = transfer.and_then(|transfer| world.hosts[self.at].session(&transfer));
                    let live = live.expect("a session that is running is known");
                    return self.hand_over(world, live, &join);
                }
            }
        }
    }

    fn admit(&mut self, world: &mut World) -> Verdict {
        let now = world.net.now();
        let sessions = world.hosts[self.at].sessions.iter();
        let standings: BTreeMap<TransferId, Standing> = sessions
            .filter_map(|&(transfer, id)| Some((transfer, world.driver(id)?.machine.standing(now))))
            .collect();
        let host = &mut world.hosts[self.at];
        let stopping = host.stopping.is_some();
        let mut own = host.new_admission();
        let admission = match &mut self.solo {
            Some(solo) => &mut solo.1,
            None if host.solo => &mut own,
            None => &mut host.admission,
        };
        if stopping {
            admission.stop();
        }
        let standing = |transfer: &TransferId| standings.get(transfer).copied().unwrap_or(Standing::Served);
        admission.acquaint(&mut self.proven);
        admission.admit(now.instant, &self.proven.header, &mut self.attempt, standing)
    }

    /// No file is moved away once it has its name.
    pub(super) fn placed_files(&self) -> lantorrent_core::flow::admission::PlacedFiles {
        self.proven.header.node.requests.iter().map(|request| (request.id.clone(), Ok(()))).collect()
    }

    /// Comes again at that time.
    pub(super) fn park(self, world: &mut World, until: Instant) -> Role {
        world.net.at(until, Event::Nudge(self.id));
        Role::Waiter(Box::new(Waiter::Parked(self, until)))
    }

    fn check(mut self, world: &mut World) -> Role {
        let host = &world.hosts[self.at];
        let requests = self.proven.header.node.requests.iter();
        let found: Vec<Result<(), FileFault>> =
            requests.map(|request| host.disk.probe(&request.filename)).collect();
        let answer = answer_check(*self.proven, &host.keys, &found);
        self.greeter.say_last(&mut world.net, answer);
        Role::Greeter(self.greeter)
    }

    pub(super) fn close(mut self, world: &mut World, words: FinalReply) -> Role {
        let gate = world.hosts[self.at].gate();
        let words = words.encode(world.net.now(), UpstreamId(0), *self.proven, &gate);
        world.hosts[self.at].give_up_names(self.id);
        self.greeter.say_last(&mut world.net, words);
        Role::Greeter(self.greeter)
    }

    fn begin(self, world: &mut World, start: Start) -> Role {
        let Self { id, at, greeter, proven, rest, .. } = self;
        let Start { supersedes, task, .. } = start;
        let host = &mut world.hosts[at];
        let older: Vec<ActorId> = supersedes.iter().filter_map(|transfer| host.session(transfer)).collect();
        for session in older {
            world.drive(session, |driver, _, _| driver.tell(NodeInput::Superseded));
        }
        let (host, header) = (&mut world.hosts[at], proven.header.clone());
        let takes_part = header.envelope.as_ref().is_none_or(|envelope| envelope.verb != Verb::Cancel);
        if takes_part {
            host.begun.extend(header.node.requests.iter().map(|request| request.id.clone()));
        }
        let transfer = task.transfer(&header);
        host.sessions.extend(transfer.map(|transfer| (transfer, id)));
        host.places.extend(transfer.map(|transfer| (transfer, header.node.index)));
        let (keys, gate) = (host.keys.clone(), host.gate());
        // A relay that knows the password can have anything written, as long as it gets no name.
        let is_true = header.envelope.is_some() && world.hosts.iter().all(|host| host.lie.is_none());
        let truth = is_true.then(|| Rc::clone(&world.truth));
        let mut node = NodeSide::new(&world.net, &header, &keys, truth, transfer);
        let conn = greeter.conn;
        let lines = later_lines(&world.hosts[at], &greeter, &proven);
        let upstream = node.upstreams.add(conn, greeter.out, rest, lines);
        let session = task.session(world.net.now(), upstream, *proven, &gate, Seed(world.net.random.bytes()));
        let machine = Machine::new(Session::Node(Box::new(session))).with_upstream(upstream);
        let mut driver = Driver::of_node(&mut world.net, id, at, machine, (&header, &keys), node);
        driver.begin(&mut world.net, &mut world.hosts[at]);
        // It may have said something while it waited.
        world.net.announce(conn, Side::Acceptor);
        Role::Driver(Box::new(driver))
    }

    /// It has something to say to a session that is running here.
    pub(super) fn hand_over(self, world: &mut World, live: ActorId, join: &Join) -> Role {
        let Self { at, greeter, proven, rest, .. } = self;
        let lines = later_lines(&world.hosts[at], &greeter, &proven);
        world.net.conns[greeter.conn.0].owners[Side::Acceptor as usize] = Some(live);
        let conn = greeter.conn;
        world.drive(live, |driver, _, _| {
            let node = driver.node.as_mut().expect("a session of a node");
            let upstream = node.upstreams.add(conn, greeter.out, rest, lines);
            driver.tell(join.input(upstream, proven));
        });
        world.net.announce(conn, Side::Acceptor);
        Role::Gone
    }
}

/// What a host of a later version says behind its challenge.
fn later_lines(host: &Host, greeter: &Greeter, proven: &Proven) -> Option<Lines> {
    let envelope = proven.header.envelope.as_ref().filter(|_| host.is_later)?;
    Some(Lines::new(PASSWORD, envelope.nonce, greeter.challenge))
}
