//! What the user of a transfer wants of it while it runs.

use std::collections::VecDeque;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::control::Happening;
use crate::session::Input;

/// Something that somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Stop,
    Suspend,
}

/// What is wanted, and how to wake who has to look at that.
#[derive(Debug, Default)]
pub(super) struct Wishes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What nobody has taken yet, each once.
    untold: VecDeque<Wish>,
    /// Whether there is an end to it: nothing new is to begin.
    ending: bool,
    wake: Option<SyncSender<Happening>>,
}

impl Wishes {
    // A thread that panicked left the bookkeeping whole: no call below can panic half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wish(&self, wish: Wish) {
        let mut state = self.lock();
        state.ending |= matches!(wish, Wish::Stop | Wish::Suspend);
        if !state.untold.contains(&wish) {
            state.untold.push_back(wish);
        }
        if let Some(happenings) = &state.wake {
            // Where there is no room the session is awake; and this may be its own thread, in the listener, which must
            // not be made to wait for itself.
            let _ = happenings.try_send(Input::Tick.into());
        }
    }

    /// From now on who reads these happenings is woken.
    pub(super) fn wakes(&self, happenings: SyncSender<Happening>) {
        self.lock().wake = Some(happenings);
    }

    /// What is wanted next.
    pub(super) fn take(&self) -> Option<Wish> {
        self.lock().untold.pop_front()
    }

    /// Whether the end is wanted. Who asks leaves it to others to bring it about.
    pub(super) fn is_ending(&self) -> bool {
        self.lock().ending
    }
}

/// Says from elsewhere what is to become of a transfer. It may be cloned and sent to other threads.
#[derive(Debug, Clone)]
pub struct TransferHandle(pub(super) Arc<Wishes>);

impl TransferHandle {
    /// Aborts the transfer: no node keeps a part of the file, and [`Transfer::send`](super::Transfer::send) returns
    /// within seconds.
    pub fn stop(&self) {
        self.0.wish(Wish::Stop);
    }

    /// Ends the transfer for now, in about a second at most. The nodes keep what they have, and a later transfer of the
    /// same file goes on with it. What is not known by then is reported as [`Code::STOPPED`](crate::wire::Code::STOPPED).
    pub fn suspend(&self) {
        self.0.wish(Wish::Suspend);
    }
}
