//! What is alive: every connection of a node until its socket is closed, and every session until it is over.

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::flow::admission::{Slot, Slots};

#[derive(Debug)]
pub(super) struct Live {
    state: Mutex<State>,
    /// A connection or a session is over.
    changed: Condvar,
    /// The node is being stopped. Apart from the other, which would wake its waiters at every connection.
    stopped: Condvar,
}

#[derive(Debug)]
struct State {
    stopping: bool,
    last: u64,
    slots: Slots,
    connections: HashMap<u64, Stage>,
    sessions: usize,
}

/// How far a connection has come. Until it belongs to a session, shutting down its socket stops it.
#[derive(Debug)]
enum Stage {
    Alone(TcpStream),
    /// The session closes it.
    InSession,
}

impl State {
    fn close(&self, number: u64) {
        if let Some(Stage::Alone(socket)) = self.connections.get(&number) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn is_empty(&self) -> bool {
        self.connections.is_empty() && self.sessions == 0
    }
}

impl Live {
    /// No connection yet.
    pub(super) fn new(slots: Slots) -> Arc<Self> {
        let state = State { stopping: false, last: 0, slots, connections: HashMap::new(), sessions: 0 };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new(), stopped: Condvar::new() })
    }

    // A thread that panicked left the bookkeeping whole: no call below can panic half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a connection that was accepted. None if there are too many, or the node is being stopped.
    pub(super) fn enter(self: &Arc<Self>, socket: TcpStream) -> Option<Arc<Guest>> {
        let (handle, from) = (socket.try_clone().ok()?, socket.peer_addr().ok()?);
        let mut state = self.lock();
        if state.stopping {
            return None;
        }
        let number = state.last + 1;
        match state.slots.enter(number, from.ip()) {
            Slot::Granted => {}
            Slot::InPlaceOf(other) => state.close(other),
            Slot::Full => return None,
        }
        state.last = number;
        state.connections.insert(number, Stage::Alone(handle));
        Some(Arc::new(Guest { live: Arc::clone(self), number, socket, from }))
    }

    /// Takes note that a session runs, until that is dropped.
    pub(super) fn begin_session(self: &Arc<Self>) -> Presence {
        self.lock().sessions += 1;
        Presence(Arc::clone(self))
    }

    /// Takes in no connection any more, and closes those that belong to no session.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        state.connections.keys().for_each(|&number| state.close(number));
        drop(state);
        self.stopped.notify_all();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Waits for `time`, or until the node is being stopped, and returns whether it is.
    pub(super) fn stops_within(&self, time: Duration) -> bool {
        self.stops_by(Instant::now() + time)
    }

    /// The same until that time.
    pub(super) fn stops_by(&self, until: Instant) -> bool {
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

    /// Waits until no connection and no session is left. None is taken in after that.
    pub(super) fn wait_for_all(&self) {
        let mut state = self.lock();
        while !state.is_empty() {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.stopping = true;
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }
}

/// A connection. Its socket is closed when the last handle of it is dropped.
#[derive(Debug)]
pub(super) struct Guest {
    live: Arc<Live>,
    pub(super) number: u64,
    pub(super) socket: TcpStream,
    /// Its peer.
    pub(super) from: SocketAddr,
}

impl Guest {
    /// Its sender has proven the password.
    pub(super) fn prove(&self) {
        self.live.change(|state| state.slots.prove(self.number));
    }

    /// It belongs to a session.
    pub(super) fn join_session(&self) {
        self.live.change(|state| drop(state.connections.insert(self.number, Stage::InSession)));
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.live.change(|state| {
            state.slots.leave(self.number);
            state.connections.remove(&self.number);
        });
    }
}

/// A session. It runs until this is dropped.
#[derive(Debug)]
pub(super) struct Presence(Arc<Live>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.change(|state| state.sessions -= 1);
    }
}
