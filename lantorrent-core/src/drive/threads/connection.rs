//! One connection from upstream, from its first byte until it belongs to a session or has its answer.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::super::disk::{CONTEST, PATIENCE, PATIENCE_WITH_SUPERSEDED, RETRY, Then};
use super::super::memory::{self, Promise};
use super::super::probing::Probing;
use super::super::refusal;
use super::control::{self, now};
use super::counter::Counter;
use super::doorbell::{Arrival, Doorbell};
use super::greeting::greet;
use super::hands::NodeHands;
use super::live::{Guest, Unwanted};
use super::node::Shared;
use super::solo;
use super::transfers::{Way, WayOut};
use super::upstreams::say_last;
use super::{HAPPENINGS, random};
use crate::session::{self, NodeInput, NodeSession, Seed, UpstreamId};
use crate::wire::{Code, Nonce, SealedReport, TransferId, Verb};

/// Serves a connection that was just made.
pub(super) fn serve(shared: &Arc<Shared>, guest: Arc<Guest>) -> std::io::Result<()> {
    super::socket::prepare(&guest.socket);
    let Some((proven, first)) = greet(&guest.socket, &shared.site.gate, Nonce(random()?)) else {
        return Ok(());
    };
    guest.admit();
    attend_to(shared, Arrival { guest, proven: Box::new(proven), first })
}

/// Gives an arrival what it asks for.
fn attend_to(shared: &Arc<Shared>, arrival: Arrival) -> std::io::Result<()> {
    match arrival.proven.header.envelope.as_ref().map(|envelope| envelope.verb) {
        Some(Verb::Check) => {
            answer_check(shared, arrival);
            Ok(())
        }
        Some(Verb::Cancel) => cancel(shared, arrival),
        _ => take_part(shared, arrival),
    }
}

/// Removes what is not wanted any more.
fn cancel(shared: &Arc<Shared>, arrival: Arrival) -> std::io::Result<()> {
    match shared.transfers.cancel(arrival) {
        WayOut::Begin { arrival, superseding, told } => {
            let told = shared.site.confirm(&arrival.proven.header, told);
            let (happenings, heard) = mpsc::sync_channel(HAPPENINGS);
            let doorbell = Doorbell::new(happenings.clone());
            let channel = Channel { happenings, heard, doorbell, counter: Counter::default() };
            run_session(shared, arrival, channel, patience(superseding), Task::Cancel { told })
        }
        WayOut::HandedOver => Ok(()),
    }
}

fn patience(superseding: bool) -> Duration {
    if superseding { PATIENCE_WITH_SUPERSEDED } else { PATIENCE }
}

fn take_part(shared: &Arc<Shared>, arrival: Arrival) -> std::io::Result<()> {
    let (happenings, heard) = mpsc::sync_channel(HAPPENINGS);
    let doorbell = Doorbell::new(happenings.clone());
    let (arrival, counter) = match &shared.siblings {
        Some(siblings) => match solo::admit(shared, siblings, arrival, &doorbell) {
            Some(admitted) => admitted,
            None => return Ok(()),
        },
        None => (arrival, Counter::default()),
    };
    match enter(shared, arrival, &doorbell) {
        Way::Begin { arrival, superseding, unwanted } => {
            let channel = Channel { happenings, heard, doorbell, counter };
            run_session(shared, arrival, channel, patience(superseding), Task::TakePart { unwanted })
        }
        Way::HandedOver => Ok(()),
        Way::Outdated(arrival) => {
            refuse(shared, arrival, Code::SUPERSEDED, session::SUPERSEDED);
            Ok(())
        }
        Way::Taken(arrival, place) => {
            refuse_second(shared, arrival, place);
            Ok(())
        }
        Way::Finished(arrival, results) => {
            let Arrival { guest, proven, .. } = arrival;
            let results = shared.site.confirm(&proven.header, results);
            say_last(&guest, &session::retell(*proven, &shared.site.gate.keys, &results));
            Ok(())
        }
    }
}

/// Finds the way of an arrival. A newer transfer of the same file may be about to lose its upstream, which is waited for.
fn enter(shared: &Shared, mut arrival: Arrival, doorbell: &Arc<Doorbell>) -> Way {
    let until = Instant::now() + shared.site.gate.timing.contest;
    loop {
        let displaced = shared.site.displaced(&arrival.proven.header);
        match shared.transfers.enter(arrival, doorbell, displaced) {
            Way::Outdated(back) if Instant::now() < until && !shared.live.stops_within(CONTEST) => {
                arrival = back;
            }
            way => return way,
        }
    }
}

/// Both ends of what a session hears.
struct Channel {
    happenings: control::ToNode,
    heard: mpsc::Receiver<control::Happening<NodeInput<'static>>>,
    doorbell: Arc<Doorbell>,
    counter: Counter,
}

/// What a session is for.
enum Task {
    TakePart {
        /// Requests that were cancelled before.
        unwanted: Vec<String>,
    },
    Cancel {
        /// How the transfer has ended.
        told: Vec<SealedReport>,
    },
}

fn run_session(
    shared: &Arc<Shared>,
    arrival: Arrival,
    channel: Channel,
    patience: Duration,
    task: Task,
) -> std::io::Result<()> {
    let Channel { happenings, heard, doorbell, counter } = channel;
    let header = &arrival.proven.header;
    let transfer = header.envelope.as_ref().map(|envelope| envelope.transfer);
    // Who only cancels is not on the roster.
    let transfer = transfer.filter(|_| matches!(task, Task::TakePart { .. }));
    // Leaves, and sees to who came too late, whichever way this ends.
    let mut place = Place { shared, transfer, results: None };
    let _presence = match shared.live.begin_session(arrival.guest.number, &doorbell) {
        Ok(presence) => presence,
        // What it would say might not be true: nothing was looked at.
        Err(Unwanted::Stopping) if matches!(task, Task::Cancel { .. }) => return Ok(()),
        Err(Unwanted::Stopping) => {
            drop(place);
            refuse(shared, arrival, Code::STOPPED, "the node is being stopped");
            return Ok(());
        }
        Err(Unwanted::TooMany) => {
            log::warn!("took no part in a transfer: there are as many already as are allowed");
            return Ok(());
        }
    };
    let _memory = match Promise::of(memory::TRANSFER) {
        Ok(promise) => promise,
        Err(error) => {
            drop(place);
            refuse(shared, arrival, Code::UNKNOWN, &error.to_string());
            return Ok(());
        }
    };
    arrival.guest.join_session();
    let (keys, timing) = (shared.site.gate.keys.clone(), shared.site.gate.timing.clone());
    let seed = Seed(random()?);
    let files = shared.site.files(patience);
    let traffic = shared.site.traffic.clone();
    let Some(mut hands) = NodeHands::new(header, &keys, files, traffic, doorbell, &happenings)? else {
        return Ok(());
    };
    let (id, proven) = hands.add(arrival);
    let mut session = match task {
        Task::TakePart { unwanted } => {
            let mut session = NodeSession::new(now(), id, *proven, keys, timing, seed);
            session.handle(now(), NodeInput::Unwanted(unwanted));
            session
        }
        Task::Cancel { told } => NodeSession::cancel(now(), id, *proven, keys, timing, &told),
    };
    control::run(&mut session, &mut hands, &heard);
    // Whoever still waits to tell something need not.
    drop(heard);
    // First the files are let go: who comes next for this transfer, or for its files, shall find them free.
    let askers = hands.finish();
    place.results = session.results();
    if let (Some(siblings), Some(transfer), Some(results)) = (&shared.siblings, &transfer, &place.results) {
        let files = shared.site.placed.of(transfer);
        siblings.archive.keep(transfer, session.header().node.index, results, files);
    }
    drop(counter);
    drop(askers);
    Ok(())
}

/// A session's place on the roster.
struct Place<'a> {
    shared: &'a Arc<Shared>,
    transfer: Option<TransferId>,
    results: Option<Vec<SealedReport>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some(transfer) = &self.transfer else { return };
        for arrival in self.shared.transfers.leave(transfer, self.results.take()) {
            let shared = Arc::clone(self.shared);
            let name = format!("connection {}", arrival.guest.number);
            let attend = move || {
                if let Err(error) = attend_to(&shared, arrival) {
                    log::error!("could not serve a connection: {error}");
                }
            };
            if let Err(error) = thread::Builder::new().name(name).spawn(attend) {
                log::error!("no thread for a connection: {error}");
            }
        }
    }
}

/// Says no because the node has that place in the transfer, and not another.
pub(super) fn refuse_second(shared: &Shared, arrival: Arrival, place: u32) {
    refuse(shared, arrival, Code::TAKING_PART, &refusal::has_place(place));
}

/// Says no to every request.
pub(super) fn refuse(shared: &Shared, arrival: Arrival, code: Code, why: &str) {
    let Arrival { guest, proven, .. } = arrival;
    let words = refusal::refuse(&shared.site, UpstreamId(guest.number), *proven, code, why);
    say_last(&guest, &words);
}

/// Says of each request whether it could be granted now.
fn answer_check(shared: &Shared, arrival: Arrival) {
    let Arrival { guest, proven, .. } = arrival;
    let header = &proven.header;
    let may_supersede = shared.transfers.would_supersede(header)
        || shared.siblings.as_ref().is_some_and(|siblings| siblings.would_make_room(header));
    let mut probing = Probing::new(header, may_supersede);
    while !shared.live.is_stopping() && probing.go_on(&shared.site) == Then::Again {
        thread::sleep(RETRY);
    }
    say_last(&guest, &session::answer_check(*proven, &shared.site.gate.keys, &probing.into_findings()));
}
