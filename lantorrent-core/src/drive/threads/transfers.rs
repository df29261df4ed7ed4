//! The transfers of a node and the way to their sessions, so that a connection for one that is live finds it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::doorbell::{Arrival, Doorbell, Knock};
use crate::session::{Entrance, Roster};
use crate::wire::{Header, SealedReport, TransferId};

#[derive(Debug)]
pub(super) struct Transfers(Mutex<State>);

/// Under one lock: a connection that finds its transfer live must reach the session before that is over.
#[derive(Debug)]
struct State {
    roster: Roster,
    doorbells: HashMap<TransferId, Arc<Doorbell>>,
}

/// Where an arrival goes.
#[derive(Debug)]
pub(super) enum Way {
    /// Into a session of its own. Others may have been asked to let go of their files for it.
    Begin { arrival: Arrival, superseding: bool },
    /// Into the session of its transfer, which has it by now.
    HandedOver,
    /// Away: a newer transfer of the same file is under way.
    Outdated(Arrival),
    /// Away: the node has another place in the transfer, this one.
    Taken(Arrival, u32),
    /// Away, with the results of its transfer.
    Finished(Arrival, Vec<SealedReport>),
}

impl Transfers {
    /// None yet. Those that are finished are remembered for `retain`.
    pub(super) fn new(retain: Duration) -> Self {
        Self(Mutex::new(State { roster: Roster::new(retain), doorbells: HashMap::new() }))
    }

    // A thread that panicked left the bookkeeping whole: no call below can panic half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the way of an arrival. `doorbell` is its session's, if it is to have one.
    pub(super) fn enter(&self, arrival: Arrival, doorbell: &Arc<Doorbell>) -> Way {
        let mut state = self.lock();
        let header = &arrival.proven.header;
        let transfer = header.envelope.as_ref().map(|envelope| envelope.transfer);
        match state.roster.enter(Instant::now(), header) {
            Entrance::New { supersedes } => {
                if let Some(transfer) = transfer {
                    state.doorbells.insert(transfer, Arc::clone(doorbell));
                }
                let older = supersedes.iter().filter_map(|transfer| state.doorbells.get(transfer));
                older.for_each(|doorbell| doorbell.ring(Knock::Superseded));
                Way::Begin { arrival, superseding: !supersedes.is_empty() }
            }
            Entrance::Claim => {
                arrival.guest.join_session();
                match transfer.and_then(|transfer| state.doorbells.get(&transfer)) {
                    Some(doorbell) => doorbell.ring(Knock::Claim(arrival)),
                    // Both are changed together. If they were not, closing the connection would do no harm.
                    None => log::error!("a transfer that is under way has no session"),
                }
                Way::HandedOver
            }
            Entrance::Outdated => Way::Outdated(arrival),
            Entrance::Taken(place) => Way::Taken(arrival, place),
            Entrance::Finished(results) => Way::Finished(arrival, results),
        }
    }

    /// The session of a transfer is over. Returns who came too late for it, and has to find another way.
    pub(super) fn leave(&self, transfer: &TransferId, results: Option<Vec<SealedReport>>) -> Vec<Arrival> {
        let mut state = self.lock();
        state.roster.leave(Instant::now(), transfer, results);
        state.doorbells.remove(transfer).map(|doorbell| doorbell.unanswered()).unwrap_or_default()
    }

    /// Whether a live transfer would let go of its files for this one.
    pub(super) fn would_supersede(&self, header: &Header) -> bool {
        self.lock().roster.would_supersede(header)
    }
}
