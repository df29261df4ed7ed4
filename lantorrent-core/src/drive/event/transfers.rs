//! The transfers of a node, and the way to them of connections that have proven the password.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::clock::now;
use super::super::preflight::Preflight;
use super::mailbox::{Message, News};
use super::pending::{Arrival, Pending};
use super::transfer::{Transfer, Turn};
use super::upstreams;
use super::world::{Ready, Who, World};
use crate::flow::admission::{
    Admission, Attempt, FinalReply, Join, PlacedFiles, Start, Verdict, answer_check,
};
use crate::runtime::workers::Then;
use crate::session::{NodeInput, Standing};
use crate::wire::{Header, TransferId};

pub(super) struct Transfers {
    admission: Admission,
    /// Every session until it is over, by number.
    sessions: HashMap<u64, Transfer>,
    /// The numbers of those that take part in a transfer.
    numbers: HashMap<TransferId, u64>,
}

impl Transfers {
    /// None yet.
    pub(super) fn new(admission: Admission) -> Self {
        Self { admission, sessions: HashMap::new(), numbers: HashMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Starts no session any more, and gives those that run so long to end.
    pub(super) fn stop(&mut self, grace: Duration, world: &mut World) {
        self.admission.stop();
        for (number, transfer) in &mut self.sessions {
            transfer.tell(NodeInput::Stop(grace));
            queue(*number, transfer, world);
        }
    }

    /// Gives an arrival what it asks for.
    pub(super) fn attend_to(&mut self, mut arrival: Arrival, world: &mut World) {
        self.admission.acquaint(&mut arrival.proven);
        loop {
            let (header, sessions, numbers) = (&arrival.proven.header, &self.sessions, &self.numbers);
            let session = |transfer: &TransferId| sessions.get(numbers.get(transfer)?);
            let standing =
                |transfer: &TransferId| session(transfer).map_or(Standing::Served, Transfer::standing);
            match self.admission.admit(Instant::now(), header, &mut arrival.attempt, standing) {
                Verdict::Look if !world.site.has_placed(header) => arrival.attempt.looked(PlacedFiles::new()),
                Verdict::Look => return look(arrival, world),
                Verdict::Wait(until) => return world.add_pending(Pending::contesting(arrival, until)),
                Verdict::Probe { may_supersede } => return probe(arrival, may_supersede, world),
                Verdict::Close(words) => return close(arrival, words, world),
                Verdict::Start(start) => return self.begin(arrival, start, world),
                Verdict::Join(join) => return self.join(arrival, join, world),
            }
        }
    }

    /// Hands an arrival to the session of its transfer, which is running.
    fn join(&mut self, arrival: Arrival, join: Join, world: &mut World) {
        let number = transfer_of(&arrival).and_then(|transfer| self.numbers.get(&transfer)).copied();
        match number.and_then(|number| Some((number, self.sessions.get_mut(&number)?))) {
            Some((number, transfer)) => {
                transfer.join(arrival, join, world);
                queue(number, transfer, world);
            }
            // Both are changed together. If they were not, closing the connection would do no harm.
            None => {
                log::error!("a transfer that is under way has no session");
                world.forget(arrival.token);
            }
        }
    }

    fn begin(&mut self, arrival: Arrival, start: Start, world: &mut World) {
        let Start { supersedes, patience, task } = start;
        for number in supersedes.iter().filter_map(|transfer| self.numbers.get(transfer)) {
            if let Some(transfer) = self.sessions.get_mut(number) {
                transfer.tell(NodeInput::Superseded);
                queue(*number, transfer, world);
            }
        }
        let (token, id) = (arrival.token, task.transfer(&arrival.proven.header));
        match Transfer::begin(arrival, task, patience, world) {
            Ok(Some(mut transfer)) => {
                let number = transfer.number;
                queue(number, &mut transfer, world);
                self.numbers.extend(id.map(|id| (id, number)));
                self.sessions.insert(number, transfer);
                return;
            }
            Ok(None) => {}
            Err(error) => log::error!("could not serve a connection: {error}"),
        }
        world.forget(token);
        self.admission.leave(Instant::now(), id.as_ref(), None);
    }

    /// A session may have something to do.
    pub(super) fn turn(&mut self, number: u64, world: &mut World) {
        let Some(transfer) = self.sessions.get_mut(&number) else { return };
        transfer.queued = false;
        match transfer.turn(world) {
            Turn::Over => return self.leave(number, world),
            Turn::More => queue(number, transfer, world),
            Turn::Done => {}
        }
        let deadline = transfer.deadline();
        world.timers.set(Who::Session(number), deadline);
    }

    /// The timer of a session has gone off.
    pub(super) fn on_time(&mut self, number: u64, world: &mut World) {
        self.turn(number, world);
    }

    /// A session is to have a turn, and is told something before.
    pub(super) fn wake(
        &mut self,
        number: u64,
        world: &mut World,
        tell: impl FnOnce(&mut Transfer, &mut World),
    ) {
        if let Some(transfer) = self.sessions.get_mut(&number) {
            tell(transfer, world);
            queue(number, transfer, world);
        }
    }

    pub(super) fn news(&mut self, number: u64, news: News, world: &mut World) {
        self.wake(number, world, |transfer, _| transfer.news(news));
    }

    /// Nothing is left of a session but its results. What came too late for it has to find another way.
    fn leave(&mut self, number: u64, world: &mut World) {
        let Some(transfer) = self.sessions.remove(&number) else { return };
        world.timers.set(Who::Session(number), None);
        if let Some(id) = &transfer.id {
            self.numbers.remove(id);
        }
        self.admission.leave(Instant::now(), transfer.id.as_ref(), transfer.results());
        for arrival in transfer.late {
            let attempt = Attempt::new(Instant::now(), &world.site.gate);
            self.attend_to(Arrival { attempt, ..arrival }, world);
        }
    }
}

/// Has a worker see whether the files of a transfer are where they were placed.
fn look(arrival: Arrival, world: &mut World) {
    let (site, mailbox) = (Arc::clone(&world.site), Arc::clone(&world.mailbox));
    // The list behind this node may be long, and is not needed.
    let header = Header { destinations: Vec::new(), ..arrival.proven.header.clone() };
    let token = arrival.token;
    world.add_pending(Pending::looking(arrival, site.gate.timing.opening));
    world.disks.spawn(move || mailbox.send(Message::Looked(token, site.look(&header))));
}

/// Has a worker find out whether each request could be granted now.
fn probe(arrival: Arrival, may_supersede: bool, world: &mut World) {
    let (site, mailbox) = (Arc::clone(&world.site), Arc::clone(&world.mailbox));
    let (pending, proven) = Pending::asking(arrival, site.gate.timing.opening);
    let token = pending.token;
    world.add_pending(pending);
    let mut question = Some((Preflight::new(&proven.header, may_supersede), proven));
    world.disks.put(move || {
        if let Some((preflight, _)) = &mut question
            && preflight.go_on(&site) == Then::Again
        {
            return Then::Again;
        }
        if let Some((preflight, proven)) = question.take() {
            let words = answer_check(*proven, &site.gate.keys, &preflight.into_findings());
            mailbox.send(Message::Answer(token, words));
        }
        Then::Over
    });
}

/// Says the last words to a connection that gets no session.
fn close(arrival: Arrival, words: FinalReply, world: &mut World) {
    let id = upstreams::id(arrival.token);
    let (mut pending, proven) = Pending::asking(arrival, Duration::ZERO);
    let words = words.encode(now(), id, *proven, &world.site.gate);
    if words.is_empty() {
        return world.forget(pending.token);
    }
    pending.answer(&words);
    world.add_pending(pending);
}

fn transfer_of(arrival: &Arrival) -> Option<TransferId> {
    arrival.proven.header.transfer()
}

fn queue(number: u64, transfer: &mut Transfer, world: &mut World) {
    if !std::mem::replace(&mut transfer.queued, true) {
        world.ready.push_back(Ready::Session(number));
    }
}
