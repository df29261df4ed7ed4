//! Who is here: every connection of a node until its socket is closed, and every session until it is over.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::site::{Capacity, Entry};
use super::doorbell::{Doorbell, Knock};

#[derive(Debug)]
pub(super) struct Live {
    capacity: Capacity,
    state: Mutex<State>,
    /// Somebody has left.
    changed: Condvar,
    /// The node is being stopped. Apart from the other, which would wake who waits for this at every connection.
    stopped: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stopping: bool,
    next: u64,
    connections: HashMap<u64, Stage>,
    sessions: HashMap<u64, Arc<Doorbell>>,
}

/// How far a connection has come. Until it belongs to a session, shutting down its socket stops it.
#[derive(Debug)]
enum Stage {
    Greeting(TcpStream),
    Admitted(TcpStream),
    /// The session closes it.
    InSession,
}

/// Why no session shall begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unwanted {
    Stopping,
    TooMany,
}

impl State {
    fn greetings(&self) -> impl Iterator<Item = (&u64, &TcpStream)> {
        self.connections.iter().filter_map(|(number, stage)| match stage {
            Stage::Greeting(socket) => Some((number, socket)),
            Stage::Admitted(_) | Stage::InSession => None,
        })
    }

    /// Closes the connection that has been introducing itself for longest.
    fn crowd_out(&self) {
        if let Some((_, socket)) = self.greetings().min_by_key(|(number, _)| **number) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Live {
    /// Nobody yet, and never more than that.
    pub(super) fn new(capacity: Capacity) -> Arc<Self> {
        let (changed, stopped) = (Condvar::new(), Condvar::new());
        Arc::new(Self { capacity, state: Mutex::default(), changed, stopped })
    }

    // A thread that panicked left the bookkeeping whole: no call below can panic half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a connection in to introduce itself. None if there are too many, or the node is being stopped.
    pub(super) fn enter(self: &Arc<Self>, socket: TcpStream) -> Option<Arc<Guest>> {
        let mut state = self.lock();
        if state.stopping {
            return None;
        }
        match self.capacity.entry(state.connections.len(), state.greetings().count()) {
            Entry::Free => {}
            Entry::InPlaceOfAStranger => state.crowd_out(),
            Entry::Full => {
                self.capacity.warn_of_full_house();
                return None;
            }
        }
        let handle = socket.try_clone().ok()?;
        state.next += 1;
        let number = state.next;
        state.connections.insert(number, Stage::Greeting(handle));
        Some(Arc::new(Guest { live: Arc::clone(self), number, socket }))
    }

    /// Takes note that a session begins, which can be stopped through its doorbell.
    pub(super) fn begin_session(
        self: &Arc<Self>,
        number: u64,
        doorbell: &Arc<Doorbell>,
    ) -> Result<Presence, Unwanted> {
        let mut state = self.lock();
        if state.stopping {
            return Err(Unwanted::Stopping);
        }
        // Those that wait for a new upstream have no connection that would be counted.
        if state.sessions.len() >= self.capacity.connections {
            return Err(Unwanted::TooMany);
        }
        state.sessions.insert(number, Arc::clone(doorbell));
        Ok(Presence { live: Arc::clone(self), number })
    }

    /// Lets nobody in any more, and stops who is here.
    pub(super) fn stop(&self, grace: Duration) {
        let mut state = self.lock();
        state.stopping = true;
        for stage in state.connections.values() {
            match stage {
                Stage::Greeting(socket) | Stage::Admitted(socket) => drop(socket.shutdown(Shutdown::Both)),
                Stage::InSession => {}
            }
        }
        state.sessions.values().for_each(|doorbell| doorbell.ring(Knock::Stop(grace)));
        drop(state);
        self.stopped.notify_all();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Waits for `time`, or until the node is being stopped, and returns whether it is.
    pub(super) fn stops_within(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut state = self.lock();
        while !state.stopping {
            let patience = until.saturating_duration_since(Instant::now());
            if patience.is_zero() {
                return false;
            }
            (state, _) = self.stopped.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// Waits until nobody is here.
    pub(super) fn wait_for_all(&self) {
        let mut state = self.lock();
        while !(state.connections.is_empty() && state.sessions.is_empty()) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

/// A connection. It is here until the last one who holds this lets go, and so closes the socket.
#[derive(Debug)]
pub(super) struct Guest {
    live: Arc<Live>,
    pub(super) number: u64,
    pub(super) socket: TcpStream,
}

impl Guest {
    /// It has the password.
    pub(super) fn admit(&self) {
        self.live.change(|state| {
            if let Some(stage) = state.connections.get_mut(&self.number)
                && let Stage::Greeting(socket) = std::mem::replace(stage, Stage::InSession)
            {
                *stage = Stage::Admitted(socket);
            }
        });
    }

    /// It belongs to a session.
    pub(super) fn join_session(&self) {
        self.live.change(|state| drop(state.connections.insert(self.number, Stage::InSession)));
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.live.change(|state| drop(state.connections.remove(&self.number)));
    }
}

/// A session. It is here until this is dropped.
#[derive(Debug)]
pub(super) struct Presence {
    live: Arc<Live>,
    number: u64,
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.live.change(|state| drop(state.sessions.remove(&self.number)));
    }
}
