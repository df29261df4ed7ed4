//! One connection from upstream, from its first byte until it belongs to a session or has its answer.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use super::super::memory::{self, Promise};
use super::super::preflight::Preflight;
use super::control::{self, now};
use super::doorbell::{Arrival, Doorbell};
use super::hands::NodeHands;
use super::handshake::greet;
use super::listeners::Listeners;
use super::live::Guest;
use super::node::Shared;
use super::rendezvous::{self, Met};
use super::upstreams::say_last;
use super::{HAPPENINGS, random};
use crate::flow::admission::{Attempt, FinalReply, Start, Verdict, answer_check};
use crate::runtime::workers::{RETRY, Then};
use crate::session::{NodeInput, Seed, UpstreamId};
use crate::wire::{Code, Nonce, SealedReport, TransferId};

/// Serves a connection that was just made.
pub(super) fn serve(shared: &Arc<Shared>, guest: Arc<Guest>) -> std::io::Result<()> {
    super::socket::prepare(&guest.socket);
    let challenge = Nonce(random()?);
    let Some((proven, first)) = greet(&guest.socket, &shared.site.gate, challenge) else {
        return Ok(());
    };
    guest.prove();
    let arrival = Arrival { guest, proven: Box::new(proven), first };
    let (mut attempt, mut channel) = (Attempt::new(Instant::now(), &shared.site.gate), Channel::new());
    let arrival = match &shared.siblings {
        Some(siblings) => {
            let met = rendezvous::meet(shared, siblings, arrival, challenge, &mut attempt, &mut channel);
            let Met::Known(arrival) = met else { return Ok(()) };
            arrival
        }
        None => arrival,
    };
    attend(shared, arrival, attempt, channel)
}

/// Serves a connection of whose transfer this process knows more than any other.
pub(super) fn serve_proven(shared: &Arc<Shared>, arrival: Arrival) {
    let shared = Arc::clone(shared);
    let name = format!("connection {}", arrival.guest.number);
    let serve = move || {
        let attempt = Attempt::new(Instant::now(), &shared.site.gate);
        if let Err(error) = attend(&shared, arrival, attempt, Channel::new()) {
            log::error!("could not serve a connection: {error}");
        }
    };
    if let Err(error) = thread::Builder::new().name(name).spawn(serve) {
        log::error!("no thread for a connection: {error}");
    }
}

/// Gives an arrival what it asks for.
fn attend(
    shared: &Arc<Shared>,
    mut arrival: Arrival,
    mut attempt: Attempt,
    channel: Channel,
) -> std::io::Result<()> {
    loop {
        let admitted = shared.transfers.admit(arrival, &mut attempt, &channel.doorbell);
        // The session of its transfer has it.
        let Some((back, verdict)) = admitted else { return Ok(()) };
        arrival = back;
        match verdict {
            Verdict::Look => attempt.looked(shared.site.look(&arrival.proven.header)),
            // Where the node is being stopped, the next verdict is the last.
            Verdict::Wait(until) => drop(shared.live.stops_by(until)),
            Verdict::Start(start) => return run_session(shared, arrival, start, channel),
            Verdict::Probe { may_supersede } => {
                probe(shared, arrival, may_supersede);
                return Ok(());
            }
            Verdict::Close(words) => {
                // What other processes ask for is not here, however long the sender takes to hear that.
                drop(channel);
                close(shared, arrival, words);
                return Ok(());
            }
            Verdict::Join(_) => return Ok(()),
        }
    }
}

/// Both ends of what a session hears, and where other processes of the node ask for it.
pub(super) struct Channel {
    happenings: control::ToNode,
    heard: mpsc::Receiver<control::Happening<NodeInput<'static>>>,
    pub(super) doorbell: Arc<Doorbell>,
    pub(super) listeners: Listeners,
}

impl Channel {
    fn new() -> Self {
        let (happenings, heard) = mpsc::sync_channel(HAPPENINGS);
        let doorbell = Doorbell::new(happenings.clone());
        Self { happenings, heard, doorbell, listeners: Listeners::default() }
    }
}

fn run_session(
    shared: &Arc<Shared>,
    arrival: Arrival,
    start: Start,
    channel: Channel,
) -> std::io::Result<()> {
    let Channel { happenings, heard, doorbell, listeners } = channel;
    let header = &arrival.proven.header;
    let Start { task, patience, .. } = start;
    // Leaves, and sees to what came too late, whichever way this ends.
    let (number, transfer) = (arrival.guest.number, task.transfer(header));
    let mut place = Place { shared, number, transfer, results: None };
    let _presence = shared.live.begin_session();
    let _memory = match Promise::of(memory::TRANSFER) {
        Ok(promise) => promise,
        Err(error) => {
            drop(place);
            close(shared, arrival, FinalReply::Refusal(Code::UNKNOWN, error.to_string()));
            return Ok(());
        }
    };
    arrival.guest.join_session();
    let gate = &shared.site.gate;
    let seed = Seed(random()?);
    let account = shared.site.account(&task, header, arrival.guest.from);
    let files = shared.site.files(account, patience);
    let traffic = shared.site.traffic.clone();
    let Some(mut hands) = NodeHands::new(header, &gate.keys, files, traffic, doorbell, &happenings)? else {
        return Ok(());
    };
    let (id, proven) = hands.add(arrival);
    let mut session = task.session(now(), id, *proven, gate, seed);
    control::run(&mut session, &mut hands, &heard);
    // A thread that still waits to tell something need not.
    drop(heard);
    // First the files are let go: what comes next for this transfer, or for its files, shall find them free.
    let askers = hands.finish();
    place.results = session.results();
    if let (Some(siblings), Some(transfer), Some(results)) = (&shared.siblings, &transfer, &place.results) {
        let files = shared.site.placed.of(transfer);
        siblings.archive.keep(transfer, session.header().node.index, results, files);
    }
    drop(listeners);
    drop(askers);
    Ok(())
}

/// A session's place among the transfers of the node.
struct Place<'a> {
    shared: &'a Arc<Shared>,
    number: u64,
    transfer: Option<TransferId>,
    results: Option<Vec<SealedReport>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let late = self.shared.transfers.leave(self.number, self.transfer.as_ref(), self.results.take());
        for arrival in late {
            serve_proven(self.shared, arrival);
        }
    }
}

/// Says the last words to a connection that gets no session.
pub(super) fn close(shared: &Shared, arrival: Arrival, words: FinalReply) {
    let Arrival { guest, proven, .. } = arrival;
    let words = words.encode(now(), UpstreamId(guest.number), *proven, &shared.site.gate);
    if !words.is_empty() {
        say_last(&guest, &words);
    }
}

/// Says of each request whether it could be granted now.
fn probe(shared: &Shared, arrival: Arrival, may_supersede: bool) {
    let Arrival { guest, proven, .. } = arrival;
    let mut preflight = Preflight::new(&proven.header, may_supersede);
    while !shared.live.is_stopping() && preflight.go_on(&shared.site) == Then::Again {
        thread::sleep(RETRY);
    }
    say_last(&guest, &answer_check(*proven, &shared.site.gate.keys, &preflight.into_findings()));
}
