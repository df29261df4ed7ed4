//! What the user of a transfer wants of it while it runs.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::error::Error;

/// Something that somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Stop,
    Suspend,
    /// The target in that place is not wanted any more.
    Cancel(usize),
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
    wake: Option<Wake>,
    /// Targets that the transfer has.
    targets: usize,
}

/// Wakes who has to look at what is wanted. Never waits for him: this may be his own thread, in the listener.
struct Wake(Box<dyn Fn() + Send>);

impl fmt::Debug for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wake")
    }
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
        if let Some(Wake(wake)) = &state.wake {
            wake();
        }
    }

    /// The transfer has so many targets.
    pub(super) fn expect(&self, targets: usize) {
        self.lock().targets = targets;
    }

    /// From now on `wake` is called for whatever is wanted. It must not wait.
    pub(super) fn wakes(&self, wake: impl Fn() + Send + 'static) {
        self.lock().wake = Some(Wake(Box::new(wake)));
    }

    /// What is wanted next.
    pub(super) fn take(&self) -> Option<Wish> {
        self.lock().untold.pop_front()
    }

    /// The ids of all requests that were cancelled and that nobody has taken yet.
    pub(super) fn take_cancelled(&self) -> BTreeSet<String> {
        let untold = &mut self.lock().untold;
        let id = |wish: &Wish| if let Wish::Cancel(place) = wish { Some(place.to_string()) } else { None };
        let taken = untold.iter().filter_map(id).collect();
        untold.retain(|wish| !matches!(wish, Wish::Cancel(_)));
        taken
    }

    /// Whether the end is wanted. Who asks leaves it to others to bring it about.
    pub(super) fn is_ending(&self) -> bool {
        self.lock().ending
    }
}

/// Says from elsewhere what is to become of a transfer. It may be cloned and sent to other threads.
#[must_use = "dropping it stops nothing"]
#[derive(Debug, Clone)]
pub struct TransferHandle(pub(super) Arc<Wishes>);

impl TransferHandle {
    /// Aborts the transfer: no node keeps a part of the file, and [`Transfer::send`](super::Transfer::send) returns
    /// within seconds.
    pub fn stop(&self) {
        self.0.wish(Wish::Stop);
    }

    /// The target in that place, in the order in which they were given, is not wanted any more, whatever has become of it by
    /// now. Its node is told, removes what it has of the file, and does without it from then on; the result is
    /// [`Code::CANCELLED`](crate::wire::Code::CANCELLED). A file that is in place already stays, and is a success. Where the
    /// node cannot be told, or knows wire 1 alone, nothing changes. The others go on.
    ///
    /// # Errors
    /// [`Error::NoSuchTarget`] where the transfer has fewer targets.
    pub fn cancel(&self, place: usize) -> Result<(), Error> {
        let targets = self.0.lock().targets;
        if place >= targets {
            return Err(Error::NoSuchTarget { place, targets });
        }
        self.0.wish(Wish::Cancel(place));
        Ok(())
    }

    /// Ends the transfer for now, in about a second at most. The nodes keep what they have, and a later transfer of the
    /// same file goes on with it. What is not known by then is reported as [`Code::STOPPED`](crate::wire::Code::STOPPED),
    /// or where the end of the file was sent as [`Code::NEVER_REPORTED`](crate::wire::Code::NEVER_REPORTED).
    pub fn suspend(&self) {
        self.0.wish(Wish::Suspend);
    }
}
