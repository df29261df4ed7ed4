//! The transfers of a node and the way to their sessions, so that a connection for one that is running finds it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::doorbell::{Arrival, Doorbell, Knock};
use crate::flow::admission::{Admission, Attempt, Join, Kept, Rendezvous, Start, Verdict};
use crate::session::Standing;
use crate::wire::{SealedReport, TransferId};

#[derive(Debug)]
pub(super) struct Transfers(Mutex<State>);

/// Under one lock: a connection that finds its transfer running must reach the session before that is over.
#[derive(Debug)]
struct State {
    admission: Admission,
    /// Of the sessions that take part in a transfer.
    doorbells: HashMap<TransferId, Arc<Doorbell>>,
    /// Of all sessions, by the number of the connection that began each.
    sessions: HashMap<u64, Arc<Doorbell>>,
}

impl State {
    fn begin(&mut self, arrival: &Arrival, start: &Start, doorbell: &Arc<Doorbell>) {
        let older = start.supersedes.iter().filter_map(|transfer| self.doorbells.get(transfer));
        older.for_each(|doorbell| doorbell.ring(Knock::Superseded));
        let transfer = start.task.transfer(&arrival.proven.header);
        self.doorbells.extend(transfer.map(|transfer| (transfer, Arc::clone(doorbell))));
        self.sessions.insert(arrival.guest.number, Arc::clone(doorbell));
    }

    fn hand_over(&self, arrival: Arrival, join: Join) {
        let envelope = arrival.proven.header.envelope.as_ref();
        // Both are changed together. If they were not, closing the connection would do no harm.
        let Some(doorbell) = envelope.and_then(|envelope| self.doorbells.get(&envelope.transfer)) else {
            return log::error!("a transfer that is under way has no session");
        };
        arrival.guest.join_session();
        for (id, fault) in &join.displaced {
            doorbell.ring(Knock::Displaced(id.clone(), fault.clone()));
        }
        doorbell.ring(Knock::Join(join, arrival));
    }
}

impl Transfers {
    /// None yet.
    pub(super) fn new(admission: Admission) -> Self {
        Self(Mutex::new(State { admission, doorbells: HashMap::new(), sessions: HashMap::new() }))
    }

    // A thread that panicked left the bookkeeping whole: no call below can panic half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives an arrival its verdict. None if the session of its transfer has it by now. `doorbell` is that of its own
    /// session, if it is to have one.
    pub(super) fn admit(
        &self,
        mut arrival: Arrival,
        attempt: &mut Attempt,
        doorbell: &Arc<Doorbell>,
    ) -> Option<(Arrival, Verdict)> {
        let mut state = self.lock();
        let State { admission, doorbells, .. } = &mut *state;
        let standing = |transfer: &TransferId| {
            doorbells.get(transfer).map_or(Standing::Served, |doorbell| doorbell.standing())
        };
        admission.acquaint(&mut arrival.proven);
        match admission.admit(Instant::now(), &arrival.proven.header, attempt, standing) {
            Verdict::Join(join) => {
                state.hand_over(arrival, join);
                None
            }
            Verdict::Start(start) => {
                state.begin(&arrival, &start, doorbell);
                Some((arrival, Verdict::Start(start)))
            }
            verdict => Some((arrival, verdict)),
        }
    }

    /// What other processes of the node have kept of a transfer.
    pub(super) fn recalled(&self, rendezvous: &mut Rendezvous, kept: Kept) {
        rendezvous.recalled(Instant::now(), kept, &mut self.lock().admission);
    }

    /// The session that connection began is over, that of a transfer if it took part in one. Returns the arrivals that came
    /// too late for it, and have to find another way.
    pub(super) fn leave(
        &self,
        number: u64,
        transfer: Option<&TransferId>,
        results: Option<Vec<SealedReport>>,
    ) -> Vec<Arrival> {
        let mut state = self.lock();
        state.admission.leave(Instant::now(), transfer, results);
        state.sessions.remove(&number);
        let doorbell = transfer.and_then(|transfer| state.doorbells.remove(transfer));
        doorbell.map(|doorbell| doorbell.unanswered()).unwrap_or_default()
    }

    /// Starts no session any more, and gives those that run so long to end.
    pub(super) fn stop(&self, grace: Duration) {
        let mut state = self.lock();
        state.admission.stop();
        state.sessions.values().for_each(|doorbell| doorbell.ring(Knock::Stop(grace)));
    }
}
