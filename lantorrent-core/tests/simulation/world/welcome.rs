//! A sender was let in: what its connection becomes.

use lantorrent_core::session::{
    Entrance, FileFault, NodeInput, NodeSession, Proven, Recall, SUPERSEDED, Seed, UpstreamId, answer_check,
    retell,
};
use lantorrent_core::wire::{Code, SealedReport, TransferId, Verb};

use super::disk::Version;
use super::driver::{Driver, NodeSide};
use super::greeter::Greeter;
use super::machine::{Machine, Session};
use super::net::ActorId;
use super::storage::Storage;
use super::upstream::Upstreams;
use super::{Role, World};

pub(super) struct Welcome {
    pub(super) id: ActorId,
    pub(super) at: usize,
    pub(super) greeter: Box<Greeter>,
    pub(super) proven: Box<Proven>,
    pub(super) rest: Vec<u8>,
}

impl Welcome {
    pub(super) fn decide(mut self, world: &mut World) -> Role {
        let host = &mut world.hosts[self.at];
        if let Some(script) = self.greeter.script {
            self.greeter.out.extend(script(&mut self.proven, &host.keys));
            self.greeter.pump(&mut world.net);
            return Role::Greeter(self.greeter);
        }
        let envelope = self.proven.header.envelope.as_ref();
        host.proven.extend(envelope.map(|envelope| (envelope.nonce, envelope.from)));
        match envelope.map(|envelope| envelope.verb) {
            Some(Verb::Check) => return self.check(world),
            Some(Verb::Cancel) => return self.cancel(world),
            _ => {}
        }
        if host.solo {
            return self.decide_solo(world);
        }
        let now = world.net.now().instant;
        match host.roster.enter(now, &self.proven.header) {
            Entrance::New { .. } if host.stopping.is_some() => self.turn_away(world),
            Entrance::New { supersedes, unwanted } => {
                self.supersede(world, &supersedes);
                self.begin(world, unwanted)
            }
            Entrance::Claim => self.hand_over(world, NodeInput::Claimed),
            Entrance::Outdated => self.refuse(world, Code::SUPERSEDED, SUPERSEDED),
            Entrance::Taken(place) => self.refuse_second(world, place),
            Entrance::Finished(results) => self.retell(world, &results),
        }
    }

    fn supersede(&self, world: &mut World, transfers: &[TransferId]) {
        let host = &world.hosts[self.at];
        let older: Vec<ActorId> = transfers.iter().filter_map(|transfer| host.session(transfer)).collect();
        for session in older {
            world.drive(session, |driver, _, _| driver.tell(NodeInput::Superseded));
        }
    }

    fn cancel(self, world: &mut World) -> Role {
        let now = world.net.now().instant;
        let host = &mut world.hosts[self.at];
        let stopping = host.stopping.is_some();
        match host.roster.cancel(now, &self.proven.header) {
            Recall::Live => self.hand_over(world, NodeInput::Cancelled),
            Recall::Gone { .. } if stopping => self.hang_up(world),
            Recall::Gone { told, supersedes } => {
                self.supersede(world, &supersedes);
                self.session(world, |world, at, upstream, proven| {
                    let (keys, timing) = (world.hosts[at].keys.clone(), world.hosts[at].timing.clone());
                    NodeSession::cancel(world.net.now(), upstream, proven, keys, timing, &told)
                })
            }
        }
    }

    fn check(mut self, world: &mut World) -> Role {
        let host = &world.hosts[self.at];
        let found: Vec<Result<(), FileFault>> = self
            .proven
            .header
            .node
            .requests
            .iter()
            .map(|request| host.disk.probe(&request.filename))
            .collect();
        let answer = answer_check(*self.proven, &host.keys, &found);
        self.greeter.say_last(&mut world.net, answer);
        Role::Greeter(self.greeter)
    }

    pub(super) fn retell(mut self, world: &mut World, results: &[SealedReport]) -> Role {
        let told = retell(*self.proven, &world.hosts[self.at].keys, results);
        self.greeter.say_last(&mut world.net, told);
        Role::Greeter(self.greeter)
    }

    /// The process is being stopped, and begins nothing new.
    pub(super) fn turn_away(self, world: &mut World) -> Role {
        let host = &mut world.hosts[self.at];
        if let Some(envelope) = &self.proven.header.envelope {
            host.roster.leave(world.net.now().instant, &envelope.transfer, None);
        }
        self.refuse(world, Code::STOPPED, "it is being stopped")
    }

    /// The list names this node twice, or leads back to it.
    pub(super) fn refuse_second(self, world: &mut World, place: u32) -> Role {
        let why = format!("it is number {place} of the transfer already");
        self.refuse(world, Code::TAKING_PART, &why)
    }

    pub(super) fn refuse(self, world: &mut World, code: Code, why: &str) -> Role {
        self.session(world, |world, at, upstream, proven| {
            let (keys, timing) = (world.hosts[at].keys.clone(), world.hosts[at].timing.clone());
            NodeSession::refuse(world.net.now(), upstream, proven, keys, timing, code, why)
        })
    }

    pub(super) fn begin(self, world: &mut World, unwanted: Vec<String>) -> Role {
        let host = &mut world.hosts[self.at];
        let header = &self.proven.header;
        host.begun.extend(header.node.requests.iter().map(|request| request.id.clone()));
        host.sessions.extend(header.envelope.as_ref().map(|envelope| (envelope.transfer, self.id)));
        self.session(world, |world, at, upstream, proven| {
            let (keys, timing) = (world.hosts[at].keys.clone(), world.hosts[at].timing.clone());
            let seed = Seed(world.net.random.bytes());
            let mut session = NodeSession::new(world.net.now(), upstream, proven, keys, timing, seed);
            session.handle(world.net.now(), NodeInput::Unwanted(unwanted));
            session
        })
    }

    fn session(
        self,
        world: &mut World,
        make: impl FnOnce(&mut World, usize, UpstreamId, Proven) -> NodeSession,
    ) -> Role {
        let Self { id, at, greeter, proven, rest } = self;
        let header = proven.header.clone();
        let keys = world.hosts[at].keys.clone();
        let mut upstreams = Upstreams::new(&header, &keys, &world.truth);
        let upstream = upstreams.add(greeter.conn, greeter.out, rest);
        let session = make(world, at, upstream, *proven);
        // Whoever is only told no takes no part, and is not on the roster under this session.
        let transfer = header.envelope.as_ref().map(|envelope| envelope.transfer);
        let transfer = transfer.filter(|transfer| world.hosts[at].session(transfer) == Some(id));
        let machine = Machine::new(Session::Node(Box::new(session))).with_upstream(upstream);
        let mut driver = Driver::new(&mut world.net, id, at, machine, &header, &keys);
        let version = header
            .envelope
            .as_ref()
            .and_then(|envelope| envelope.source.clone())
            .map(|source| Version { source, length: header.length, block_size: header.block_size });
        let storage = Storage::new(&header.node.requests, version, header.block_size, world.net.micros());
        driver.node = Some(NodeSide { upstreams, storage, transfer, begun: false });
        driver.begin(&mut world.net, &mut world.hosts[at]);
        Role::Driver(Box::new(driver))
    }

    /// It has something to say to a session that is live here.
    fn hand_over(self, world: &mut World, input: fn(UpstreamId, Box<Proven>) -> NodeInput<'static>) -> Role {
        let Self { id: _, at, greeter, proven, rest } = self;
        let transfer = proven.header.envelope.as_ref().map(|envelope| envelope.transfer);
        let live = transfer.and_then(|transfer| world.hosts[at].session(&transfer));
        let live = live.expect("a session that is live is known");
        world.net.conns[greeter.conn.0].owners[super::link::Side::Acceptor as usize] = Some(live);
        world.drive(live, |driver, _, _| {
            let node = driver.node.as_mut().expect("a session of a node");
            let upstream = node.upstreams.add(greeter.conn, greeter.out, rest);
            driver.tell(input(upstream, proven));
        });
        Role::Gone
    }
}
