//! A node whose connections have a process each, as under inetd: they share the disk, can ask each other, and keep
//! what has ended in a file.

use std::time::Duration;

use lantorrent_core::session::{Answer, Ask, NodeInput, SUPERSEDED};
use lantorrent_core::wire::{Code, Line, LineWriter, SealedReport, TransferId};

use super::greeter::Greeter;
use super::net::{ActorId, Event, Net};
use super::welcome::Welcome;
use super::{Role, World};

/// What becomes of a new connection.
enum Turn {
    /// The files are free, as far as anybody knows.
    Free,
    /// The transfer is over here.
    Over(Vec<SealedReport>),
    /// Another process has a better right to the transfer.
    Taken,
    /// That process has the file, and will soon have its results.
    Finishing(ActorId),
    /// The node has another place in the transfer.
    Elsewhere(u32),
    /// A newer transfer has the files.
    Outdated,
    /// Another process has the transfer, and does not answer. Nothing that is known now would be true if it wakes up.
    Silent,
}

/// Waits for another process to end, to say what it has found.
pub(super) struct Waiter {
    greeter: Box<Greeter>,
    lines: LineWriter,
    /// Whom it waits for.
    session: ActorId,
    transfer: TransferId,
    over: bool,
}

const ALIVE: Duration = Duration::from_millis(500);

impl Waiter {
    pub(super) fn pump(&mut self, net: &mut Net) {
        self.greeter.pump(net);
    }

    /// What comes matters no more.
    pub(super) fn readable(&mut self, net: &mut Net) {
        let _ = self.greeter.readable(net);
    }

    /// It is time to look again.
    fn look(&mut self, net: &mut Net, id: ActorId, results: Option<Vec<SealedReport>>) {
        if self.over {
            return;
        }
        let Some(results) = results else {
            self.greeter.out.extend(self.lines.encode(&Line::Alive));
            self.greeter.pump(net);
            return net.after(ALIVE, Event::Nudge(id));
        };
        self.over = true;
        let results = results.into_iter().map(Line::Result);
        let said: Vec<u8> = results.flat_map(|line| self.lines.encode(&line)).collect();
        self.greeter.say_last(net, said);
    }
}

impl Welcome {
    /// Sees to it that no other process holds what this one wants, and goes on from there.
    pub(super) fn decide_solo(self, world: &mut World) -> Role {
        let Some(ask) = Ask::for_header(&self.proven.header) else { return self.begin(world, Vec::new()) };
        match world.make_room(self.at, &ask) {
            // Only where nobody has the transfer, and nothing is known of it, is it true that nothing came of it.
            Turn::Free if world.hosts[self.at].stopping.is_some() => self.turn_away(world),
            Turn::Free => self.begin(world, Vec::new()),
            Turn::Over(results) => self.retell(world, &results),
            Turn::Taken => self.say_left(world),
            Turn::Finishing(session) => self.wait(world, session, ask.transfer),
            Turn::Elsewhere(place) => self.refuse_second(world, place),
            Turn::Outdated => self.refuse(world, Code::SUPERSEDED, SUPERSEDED),
            Turn::Silent => self.hang_up(world),
        }
    }

    pub(super) fn hang_up(mut self, world: &mut World) -> Role {
        self.greeter.say_last(&mut world.net, Vec::new());
        Role::Greeter(self.greeter)
    }

    fn say_left(mut self, world: &mut World) -> Role {
        let lines = self.proven.lines.as_mut();
        let left = lines.map(|lines| lines.encode(&Line::Left)).unwrap_or_default();
        self.greeter.say_last(&mut world.net, left);
        Role::Greeter(self.greeter)
    }

    fn wait(self, world: &mut World, session: ActorId, transfer: TransferId) -> Role {
        let Self { id, mut greeter, proven, .. } = self;
        let mut lines = proven.lines.expect("a connection of wire 2");
        greeter.out.extend(lines.encode(&Line::Accepted));
        greeter.pump(&mut world.net);
        world.net.after(ALIVE, Event::Nudge(id));
        Role::Waiter(Box::new(Waiter { greeter, lines, session, transfer, over: false }))
    }
}

impl World {
    /// Asks whoever has to do with the same transfer, or the same files, to make room.
    fn make_room(&mut self, at: usize, ask: &Ask) -> Turn {
        if let Some(session) = self.hosts[at].session(&ask.transfer) {
            match self.ask(session, ask) {
                Some(Answer::Yes) => {}
                Some(Answer::Finishing) => return Turn::Finishing(session),
                Some(Answer::No | Answer::Outdated) => return Turn::Taken,
                Some(Answer::Elsewhere(place)) => return Turn::Elsewhere(place),
                None => return Turn::Silent,
            }
        }
        // Who had the transfer before has left word by now.
        if let Some(results) = self.hosts[at].kept_results(&ask.transfer) {
            return Turn::Over(results);
        }
        let others: Vec<ActorId> = self.hosts[at].sessions.iter().map(|&(_, id)| id).collect();
        for session in others {
            // Who does not make room is found by the lock on its file.
            if self.ask(session, ask) == Some(Answer::Outdated) {
                return Turn::Outdated;
            }
        }
        Turn::Free
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

    /// A waiter looks whether the process that it waits for has ended.
    pub(super) fn look(&mut self, id: ActorId) {
        let at = self.actors[id.0].at;
        let Role::Waiter(waiter) = &self.actors[id.0].role else { return };
        let (session, transfer) = (waiter.session, waiter.transfer);
        let over = self.driver(session).is_none_or(|driver| driver.machine.done);
        let results = over.then(|| self.hosts[at].kept_results(&transfer).unwrap_or_default());
        if let Role::Waiter(waiter) = &mut self.actors[id.0].role {
            waiter.look(&mut self.net, id, results);
        }
    }
}
