//! The transfers of a node and the way to their sessions, so that a connection for one that is live finds it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::doorbell::{Arrival, Doorbell, Knock};
use crate::flow::admission::{Entrance, Recall, Registry};
use crate::session::FileFault;
use crate::wire::{Header, SealedReport, TransferId};

#[derive(Debug)]
pub(super) struct Transfers(Mutex<State>);

/// Under one lock: a connection that finds its transfer live must reach the session before that is over.
#[derive(Debug)]
struct State {
    registry: Registry,
    doorbells: HashMap<TransferId, Arc<Doorbell>>,
}

/// Where an arrival goes that takes part, or wants to.
#[derive(Debug)]
pub(super) enum Way {
    /// Into a session of its own. Others may have been asked to let go of their files for it.
    Begin { arrival: Arrival, superseding: bool, unwanted: Vec<String> },
    /// Into the session of its transfer, which has it by now.
    HandedOver,
    /// Away, if that is so for long: a newer transfer of the same file is under way.
    Outdated(Arrival),
    /// Away: the node has another place in the transfer, this one.
    Taken(Arrival, u32),
    /// Away, with the results of its transfer.
    Finished(Arrival, Vec<SealedReport>),
}

/// Where an arrival goes that cancels requests.
#[derive(Debug)]
pub(super) enum WayOut {
    /// Into a session of its own. Others may have been asked to let go of their files for it.
    Begin { arrival: Arrival, superseding: bool, told: Vec<SealedReport> },
    /// Into the session of its transfer, which has it by now.
    HandedOver,
}

impl State {
    /// Has the registry know whose senders are gone.
    fn see_orphans(&mut self) {
        for (transfer, doorbell) in &self.doorbells {
            self.registry.set_orphan(transfer, doorbell.is_orphan());
        }
    }

    /// Asks those sessions to let go of their files.
    fn supersede(&self, transfers: &[TransferId]) {
        let older = transfers.iter().filter_map(|transfer| self.doorbells.get(transfer));
        older.for_each(|doorbell| doorbell.ring(Knock::Superseded));
    }

    /// Hands an arrival to the session of its transfer, which is live.
    fn hand_over(&self, arrival: Arrival, knock: fn(Arrival) -> Knock) {
        arrival.guest.join_session();
        let envelope = arrival.proven.header.envelope.as_ref();
        match envelope.and_then(|envelope| self.doorbells.get(&envelope.transfer)) {
            Some(doorbell) => doorbell.ring(knock(arrival)),
            // Both are changed together. If they were not, closing the connection would do no harm.
            None => log::error!("a transfer that is under way has no session"),
        }
    }
}

impl Transfers {
    /// None yet. Those that are finished are remembered for `retain`.
    pub(super) fn new(retain: Duration) -> Self {
        Self(Mutex::new(State { registry: Registry::new(retain), doorbells: HashMap::new() }))
    }

    // A thread that panicked left the bookkeeping whole: no call below can panic half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the way of an arrival. `doorbell` is its session's, if it is to have one.
    /// `displaced` are files of its transfer that were in place and are not any more.
    pub(super) fn enter(
        &self,
        arrival: Arrival,
        doorbell: &Arc<Doorbell>,
        displaced: Vec<(String, FileFault)>,
    ) -> Way {
        let mut state = self.lock();
        state.see_orphans();
        let header = &arrival.proven.header;
        let transfer = header.envelope.as_ref().map(|envelope| envelope.transfer);
        match state.registry.enter(Instant::now(), header) {
            Entrance::New { supersedes, unwanted } => {
                if let Some(transfer) = transfer {
                    state.doorbells.insert(transfer, Arc::clone(doorbell));
                }
                state.supersede(&supersedes);
                Way::Begin { arrival, superseding: !supersedes.is_empty(), unwanted }
            }
            Entrance::Claim => {
                let live = transfer.and_then(|transfer| state.doorbells.get(&transfer));
                for (id, fault) in displaced {
                    live.inspect(|doorbell| doorbell.ring(Knock::Displaced(id, fault)));
                }
                state.hand_over(arrival, Knock::Claim);
                Way::HandedOver
            }
            Entrance::Outdated => Way::Outdated(arrival),
            Entrance::Taken(place) => Way::Taken(arrival, place),
            Entrance::Finished(results) => Way::Finished(arrival, results),
        }
    }

    /// Finds the way of an arrival that cancels requests.
    pub(super) fn cancel(&self, arrival: Arrival) -> WayOut {
        let mut state = self.lock();
        state.see_orphans();
        match state.registry.cancel(Instant::now(), &arrival.proven.header) {
            Recall::Live => {
                state.hand_over(arrival, Knock::Cancel);
                WayOut::HandedOver
            }
            Recall::Gone { told, supersedes } => {
                state.supersede(&supersedes);
                WayOut::Begin { arrival, superseding: !supersedes.is_empty(), told }
            }
        }
    }

    /// The session of a transfer is over. Returns who came too late for it, and has to find another way.
    pub(super) fn leave(&self, transfer: &TransferId, results: Option<Vec<SealedReport>>) -> Vec<Arrival> {
        let mut state = self.lock();
        state.registry.leave(Instant::now(), transfer, results);
        state.doorbells.remove(transfer).map(|doorbell| doorbell.unanswered()).unwrap_or_default()
    }

    /// Whether a live transfer would let go of its files for this one.
    pub(super) fn would_supersede(&self, header: &Header) -> bool {
        self.lock().registry.would_supersede(header)
    }
}
