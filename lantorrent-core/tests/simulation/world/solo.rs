//! A node whose connections have a process each, as under inetd: they share the disk, can ask each other, and keep
//! what has ended in a file.

use std::time::{Duration, Instant};

use lantorrent_core::flow::admission::{Errand, Follower, Holder, Join, Name, Step};
use lantorrent_core::session::{Answer, Ask, NodeInput};
use lantorrent_core::wire::{Keyring, SealedReport, TransferId, Verb};

use super::greeter::Greeter;
use super::net::{ActorId, Event, Net};
use super::welcome::Welcome;
use super::{Role, World};

/// What comes of asking the other processes.
pub(super) enum Met {
    /// Its process knows what they know.
    Known(Welcome),
    Served(Role),
}

/// A connection that waits.
pub(super) enum Waiter {
    /// Until it is admitted again, at that time.
    Parked(Welcome, Instant),
    /// For another process to end, to say what it has found.
    Follower(Box<Following>),
}

pub(super) struct Following {
    greeter: Box<Greeter>,
    follower: Option<Follower>,
    /// Whom it waits for.
    session: ActorId,
    transfer: TransferId,
}

const ALIVE: Duration = Duration::from_millis(500);

impl Waiter {
    pub(super) fn pump(&mut self, net: &mut Net) {
        if let Self::Follower(following) = self {
            following.greeter.pump(net);
        }
    }

    /// What comes matters no more, or is heard later.
    pub(super) fn readable(&mut self, net: &mut Net) {
        if let Self::Follower(following) = self {
            let _ = following.greeter.readable(net);
        }
    }
}

impl Following {
    /// It is time to look again.
    fn look(&mut self, net: &mut Net, id: ActorId, keys: &Keyring, results: Option<Vec<SealedReport>>) {
        let Some(mut follower) = self.follower.take() else { return };
        let Some(results) = results else {
            self.greeter.out.extend(follower.alive());
            self.greeter.pump(net);
            self.follower = Some(follower);
            return net.after(ALIVE, Event::Nudge(id));
        };
        let requests = follower.header().node.requests.iter();
        let files = requests.map(|request| (request.id.clone(), Ok(()))).collect();
        self.greeter.say_last(net, follower.results(keys, results, &files));
    }
}

impl Welcome {
    /// Asks the other processes of the node what they know.
    pub(super) fn meet(mut self, world: &mut World) -> Met {
        let (mut finishing, now) = (None, world.net.now().instant);
        loop {
            let Some(solo) = &mut self.solo else { return Met::Known(self) };
            let (rendezvous, admission) = &mut **solo;
            let (holder, session) = match rendezvous.step(now) {
                Step::Take(name, ask) => {
                    let met = world.ask_holder(self.at, &name, &ask);
                    if met.0 == Holder::Gone {
                        world.hosts[self.at].take_name(name, self.id);
                    }
                    met
                }
                Step::GiveWay(name, ask) => world.ask_holder(self.at, &name, &ask),
                Step::HandOver(name) => match world.hosts[self.at].holder(&name) {
                    None => (Holder::Gone, None),
                    Some(session) if world.is_awake(session) => {
                        let verb = self.proven.header.envelope.as_ref().map(|envelope| envelope.verb);
                        let errand = if verb == Some(Verb::Query) { Errand::Query } else { Errand::Cancel };
                        let join = Join { displaced: Vec::new(), errand };
                        return Met::Served(self.hand_over(world, session, &join));
                    }
                    Some(session) => (Holder::Silent, Some(session)),
                },
                Step::Meet(name) => match world.hosts[self.at].holder(&name) {
                    None => (Holder::Gone, None),
                    session => (Holder::Refuses, session),
                },
                Step::Record => {
                    world.hosts[self.at].record_cancel(&self.proven.header);
                    rendezvous.recorded();
                    continue;
                }
                Step::Erase => {
                    world.hosts[self.at].erase_cancel(&self.proven.header);
                    rendezvous.erased();
                    continue;
                }
                Step::Recall => {
                    let kept = world.hosts[self.at].recall(&self.proven.header);
                    rendezvous.recalled(now, kept, admission);
                    continue;
                }
                Step::Wait(until) => return Met::Served(self.park(world, until)),
                Step::Admit => return Met::Known(self),
                Step::Leave => unreachable!("it is served by then"),
                Step::Follow => return Met::Served(self.follow(world, finishing)),
                Step::Close(words) => return Met::Served(self.close(world, words)),
            };
            finishing = session;
            rendezvous.met(now, holder, &mut self.attempt);
        }
    }

    fn follow(self, world: &mut World, session: Option<ActorId>) -> Role {
        let Self { id, mut greeter, proven, .. } = self;
        let transfer = proven.header.envelope.as_ref().map(|envelope| envelope.transfer);
        let (Some(session), Some(transfer)) = (session, transfer) else { unreachable!("it was met") };
        let (follower, accepted) = Follower::new(*proven).expect("a connection of wire 2");
        greeter.out.extend(accepted);
        greeter.pump(&mut world.net);
        world.net.after(ALIVE, Event::Nudge(id));
        let following = Following { greeter, follower: Some(follower), session, transfer };
        Role::Waiter(Box::new(Waiter::Follower(Box::new(following))))
    }
}

impl World {
    fn is_awake(&self, id: ActorId) -> bool {
        !self.actors[id.0].asleep && self.driver(id).is_some_and(|driver| !driver.machine.done)
    }

    /// Asks the process that has a name to give way.
    fn ask_holder(&mut self, at: usize, name: &Name, ask: &Ask) -> (Holder, Option<ActorId>) {
        let Some(session) = self.hosts[at].holder(name) else { return (Holder::Gone, None) };
        let holder =
            self.ask(session, ask).map_or(Holder::Silent, |answer| Holder::that_says(answer, || true));
        (holder, Some(session))
    }

    fn ask(&mut self, session: ActorId, ask: &Ask) -> Option<Answer> {
        if self.actors[session.0].asleep {
            return None;
        }
        let mut answer = None;
        self.drive(session, |driver, net, host| {
            driver.tell(NodeInput::Asked(ask.clone()));
            driver.step(net, host);
            answer = driver.answers.pop();
        });
        answer
    }

    /// A connection that waits looks whether its time has come.
    pub(super) fn look(&mut self, id: ActorId) {
        let now = self.net.now().instant;
        let role = &mut self.actors[id.0].role;
        match role {
            Role::Waiter(waiter) => match &**waiter {
                Waiter::Parked(_, until) if *until > now => return,
                Waiter::Parked(..) | Waiter::Follower(_) => {}
            },
            _ => return,
        }
        let Role::Waiter(waiter) = std::mem::replace(role, Role::Gone) else { return };
        let role = match *waiter {
            Waiter::Parked(welcome, _) => welcome.go_on(self),
            Waiter::Follower(mut following) => {
                let host = &self.hosts[self.actors[id.0].at];
                let over = self.driver(following.session).is_none_or(|driver| driver.machine.done);
                let results = over.then(|| host.kept_results(&following.transfer).unwrap_or_default());
                following.look(&mut self.net, id, &host.keys, results);
                Role::Waiter(Box::new(Waiter::Follower(following)))
            }
        };
        self.actors[id.0].role = role;
    }
}
