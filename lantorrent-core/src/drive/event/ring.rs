//! The ring of a session, which its workers enter too, and what it has woken since the session's last turn.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::backing::BackingFile;
use crate::flow::{Ring, Shared, Wake};

#[derive(Debug)]
pub(super) struct SessionRing {
    ring: Mutex<Ring<BackingFile>>,
    woken: Mutex<Wake>,
}

// No call under either lock can panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SessionRing {
    pub(super) fn new(ring: Ring<BackingFile>) -> Self {
        Self { ring: Mutex::new(ring), woken: Mutex::default() }
    }

    /// The machines that may go on, and were not named before.
    pub(super) fn take_woken(&self) -> Wake {
        std::mem::take(&mut lock(&self.woken))
    }
}

impl Shared<Ring<BackingFile>> for SessionRing {
    fn with<R>(&self, change: impl FnOnce(&mut Ring<BackingFile>) -> (R, Wake)) -> R {
        let (result, wake) = change(&mut lock(&self.ring));
        if !wake.is_none() {
            lock(&self.woken).merge(wake);
        }
        result
    }
}
