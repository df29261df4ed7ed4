//! The transfers of a node, and the way to them of whoever has the password.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::disk::{CONTEST, PATIENCE, PATIENCE_WITH_SUPERSEDED, Then};
use super::super::probing::Probing;
use super::super::refusal;
use super::mailbox::{Message, News};
use super::stranger::{Arrival, Stranger};
use super::timers::Who;
use super::transfer::{Task, Transfer, Turn};
use super::upstreams;
use super::world::{Ready, World};
use crate::session::{self, Entrance, FileFault, FileInput, NodeInput, Recall, Roster};
use crate::wire::{Code, SealedReport, TransferId, Verb};

pub(super) struct Transfers {
    roster: Roster,
    /// Every session until it is over, by number.
    sessions: HashMap<u64, Transfer>,
    /// The numbers of those that are on the roster.
    numbers: HashMap<TransferId, u64>,
    stopping: bool,
}

impl Transfers {
    /// None yet. Those that are finished are remembered for `retain`.
    pub(super) fn new(retain: Duration) -> Self {
        Self {
            roster: Roster::new(retain),
            sessions: HashMap::new(),
            numbers: HashMap::new(),
            stopping: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Begins no more transfers, and gives those that run so long to end.
    pub(super) fn stop(&mut self, grace: Duration, world: &mut World) {
        self.stopping = true;
        for (number, transfer) in &mut self.sessions {
            transfer.tell(NodeInput::Stop(grace));
            queue(*number, transfer, world);
        }
    }

    /// Gives an arrival what it asks for.
    pub(super) fn attend_to(&mut self, arrival: Arrival, world: &mut World) {
        match arrival.proven.header.envelope.as_ref().map(|envelope| envelope.verb) {
            Some(Verb::Check) => self.check(arrival, world),
            Some(Verb::Cancel) => self.cancel(arrival, world),
            _ => {
                let until = Instant::now() + world.site.gate.timing.contest;
                self.take_part(arrival, until, world);
            }
        }
    }

    /// Has a worker find out whether each request could be granted now.
    fn check(&mut self, arrival: Arrival, world: &mut World) {
        let (site, mailbox) = (Arc::clone(&world.site), Arc::clone(&world.mailbox));
        let (stranger, proven) = Stranger::asking(arrival, site.gate.timing.opening);
        let token = stranger.token;
        world.add_stranger(stranger);
        let probing = Probing::new(&proven.header, self.roster.would_supersede(&proven.header));
        let mut question = Some((probing, proven));
        world.disks.put(Box::new(move || {
            if let Some((probing, _)) = &mut question
                && probing.go_on(&site) == Then::Again
            {
                return Then::Again;
            }
            if let Some((probing, proven)) = question.take() {
                let words = session::answer_check(*proven, &site.gate.keys, &probing.into_findings());
                mailbox.send(Message::Answer(token, words));
            }
            Then::Over
        }));
    }

    /// Removes what is not wanted any more.
    fn cancel(&mut self, arrival: Arrival, world: &mut World) {
        self.see_orphans();
        match self.roster.cancel(Instant::now(), &arrival.proven.header) {
            Recall::Live => self.hand_over(arrival, NodeInput::Cancelled, world),
            Recall::Gone { told, supersedes } => {
                self.supersede(&supersedes, world);
                let patience = patience(&supersedes);
                if told.is_empty() {
                    return self.begin_cancel(arrival, told, patience, world);
                }
                let (site, mailbox) = (Arc::clone(&world.site), Arc::clone(&world.mailbox));
                let mut question = Some((arrival, told));
                world.disks.put(Box::new(move || {
                    if let Some((arrival, told)) = question.take() {
                        let told = site.confirm(&arrival.proven.header, told);
                        mailbox.send(Message::Recalled(Box::new((arrival, told)), patience));
                    }
                    Then::Over
                }));
            }
        }
    }

    /// Begins what removes cancelled requests, and says how their transfer has ended.
    pub(super) fn begin_cancel(
        &mut self,
        arrival: Arrival,
        told: Vec<SealedReport>,
        patience: Duration,
        world: &mut World,
    ) {
        self.begin(arrival, patience, Task::Cancel { told }, world);
    }

    /// Says once more how a transfer has ended, when a worker has seen to it that it is still true.
    fn retell(arrival: Arrival, results: Vec<SealedReport>, world: &mut World) {
        let (site, mailbox) = (Arc::clone(&world.site), Arc::clone(&world.mailbox));
        let (stranger, proven) = Stranger::asking(arrival, site.gate.timing.opening);
        let token = stranger.token;
        world.add_stranger(stranger);
        let mut question = Some((proven, results));
        world.disks.put(Box::new(move || {
            if let Some((proven, results)) = question.take() {
                let results = site.confirm(&proven.header, results);
                mailbox.send(Message::Answer(token, session::retell(*proven, &site.gate.keys, &results)));
            }
            Then::Over
        }));
    }

    /// Finds the way of an arrival. Where a newer transfer of the same file is under way, which may be about to lose its
    /// upstream, that is waited for until then.
    pub(super) fn take_part(&mut self, arrival: Arrival, until: Instant, world: &mut World) {
        self.see_orphans();
        match self.roster.enter(Instant::now(), &arrival.proven.header) {
            Entrance::New { supersedes, unwanted } => {
                self.supersede(&supersedes, world);
                self.begin(arrival, patience(&supersedes), Task::TakePart { unwanted }, world);
            }
            Entrance::Claim if world.site.has_placed(&arrival.proven.header) => look_again(arrival, world),
            Entrance::Claim => self.hand_over(arrival, NodeInput::Claimed, world),
            Entrance::Outdated if Instant::now() < until && !self.stopping => {
                contest(arrival, until, world);
            }
            Entrance::Outdated => refuse(arrival, Code::SUPERSEDED, session::SUPERSEDED, world),
            Entrance::Taken(place) => refuse(arrival, Code::TAKING_PART, &refusal::has_place(place), world),
            Entrance::Finished(results) => Self::retell(arrival, results, world),
        }
    }

    /// Hands an arrival to the session of its transfer, if that is still live, with what has become of its files.
    pub(super) fn claim(&mut self, arrival: Arrival, displaced: Vec<(String, FileFault)>, world: &mut World) {
        let number = transfer_of(&arrival).and_then(|transfer| self.numbers.get(&transfer));
        match number.and_then(|number| self.sessions.get_mut(number)) {
            Some(transfer) => {
                for (id, fault) in displaced {
                    transfer.tell(FileInput::Displaced(id, fault));
                }
                self.hand_over(arrival, NodeInput::Claimed, world);
            }
            None => self.attend_to(arrival, world),
        }
    }

    /// Has the roster know whose senders are gone.
    fn see_orphans(&mut self) {
        for (id, number) in &self.numbers {
            let orphan = self.sessions.get(number).is_some_and(Transfer::is_orphan);
            self.roster.set_orphan(id, orphan);
        }
    }

    /// Asks those sessions to let go of their files.
    fn supersede(&mut self, older: &[TransferId], world: &mut World) {
        for number in older.iter().filter_map(|transfer| self.numbers.get(transfer)) {
            if let Some(transfer) = self.sessions.get_mut(number) {
                transfer.tell(NodeInput::Superseded);
                queue(*number, transfer, world);
            }
        }
    }

    /// Hands an arrival to the session of its transfer, which is live.
    fn hand_over(
        &mut self,
        arrival: Arrival,
        how: fn(session::UpstreamId, Box<session::Proven>) -> NodeInput<'static>,
        world: &mut World,
    ) {
        let number = transfer_of(&arrival).and_then(|transfer| self.numbers.get(&transfer)).copied();
        match number.and_then(|number| Some((number, self.sessions.get_mut(&number)?))) {
            Some((number, transfer)) => {
                transfer.join(arrival, how, world);
                queue(number, transfer, world);
            }
            // Both are changed together. If they were not, closing the connection would do no harm.
            None => {
                log::error!("a transfer that is under way has no session");
                world.forget(arrival.token);
            }
        }
    }

    fn begin(&mut self, arrival: Arrival, patience: Duration, task: Task, world: &mut World) {
        let (token, takes_part) = (arrival.token, matches!(task, Task::TakePart { .. }));
        let id = transfer_of(&arrival).filter(|_| takes_part);
        let begun = if self.stopping {
            if takes_part {
                refuse(arrival, Code::STOPPED, "the node is being stopped", world);
            } else {
                // What it would say might not be true: nothing was looked at.
                world.forget(token);
            }
            None
        } else if self.sessions.len() >= world.site.capacity.connections {
            // Those that wait for a new upstream have no connection that would be counted.
            log::warn!("took no part in a transfer: there are as many already as are allowed");
            world.forget(token);
            None
        } else {
            Transfer::begin(arrival, task, patience, world).unwrap_or_else(|error| {
                log::error!("could not serve a connection: {error}");
                world.forget(token);
                None
            })
        };
        match (begun, id) {
            (Some(mut transfer), id) => {
                let number = transfer.number;
                queue(number, &mut transfer, world);
                self.numbers.extend(id.map(|id| (id, number)));
                self.sessions.insert(number, transfer);
            }
            (None, Some(id)) => self.roster.leave(Instant::now(), &id, None),
            (None, None) => {}
        }
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
        world.timers.reset(transfer.alarm, deadline, Who::Session(number));
        transfer.alarm = deadline;
    }

    /// The timer of a session has gone off.
    pub(super) fn on_time(&mut self, number: u64, world: &mut World) {
        if let Some(transfer) = self.sessions.get_mut(&number) {
            transfer.alarm = None;
            self.turn(number, world);
        }
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

    /// Nothing is left of a session but its results. Who came too late for it has to find another way.
    fn leave(&mut self, number: u64, world: &mut World) {
        let Some(transfer) = self.sessions.remove(&number) else { return };
        world.timers.reset(transfer.alarm, None, Who::Session(number));
        if let Some(id) = &transfer.id {
            self.numbers.remove(id);
            self.roster.leave(Instant::now(), id, transfer.results());
        }
        for arrival in transfer.late {
            self.attend_to(arrival, world);
        }
    }
}

/// Has a worker see whether the files of a transfer are where they were placed, before it is claimed.
fn look_again(arrival: Arrival, world: &World) {
    let (site, mailbox) = (Arc::clone(&world.site), Arc::clone(&world.mailbox));
    let mut claiming = Some(arrival);
    world.disks.put(Box::new(move || {
        if let Some(arrival) = claiming.take() {
            let displaced = site.displaced(&arrival.proven.header);
            mailbox.send(Message::Claims(Box::new(arrival), displaced));
        }
        Then::Over
    }));
}

/// Has an arrival come again after a while.
fn contest(arrival: Arrival, until: Instant, world: &World) {
    let (mailbox, again) = (Arc::clone(&world.mailbox), Instant::now() + CONTEST);
    let mut waiting = Some(arrival);
    world.disks.put(Box::new(move || {
        if Instant::now() < again {
            return Then::Again;
        }
        if let Some(arrival) = waiting.take() {
            mailbox.send(Message::Contests(Box::new(arrival), until));
        }
        Then::Over
    }));
}

fn transfer_of(arrival: &Arrival) -> Option<TransferId> {
    arrival.proven.header.envelope.as_ref().map(|envelope| envelope.transfer)
}

/// How long to wait for files that are in use.
fn patience(superseded: &[TransferId]) -> Duration {
    if superseded.is_empty() { PATIENCE } else { PATIENCE_WITH_SUPERSEDED }
}

fn queue(number: u64, transfer: &mut Transfer, world: &mut World) {
    if !std::mem::replace(&mut transfer.queued, true) {
        world.ready.push_back(Ready::Session(number));
    }
}

/// Says no to every request.
fn refuse(arrival: Arrival, code: Code, why: &str, world: &mut World) {
    let (id, site) = (upstreams::id(arrival.token), Arc::clone(&world.site));
    say_last(arrival, |proven| refusal::refuse(&site, id, proven, code, why), world);
}

/// Says the last word to a connection that no session has.
fn say_last(arrival: Arrival, words: impl FnOnce(session::Proven) -> Vec<u8>, world: &mut World) {
    let (mut stranger, proven) = Stranger::asking(arrival, Duration::ZERO);
    stranger.answer(&words(*proven));
    world.add_stranger(stranger);
}
