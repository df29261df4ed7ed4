//! Wakes who waits for a change of something shared. To wake nobody costs a call of the kernel too, and every block changes
//! the state of its transfer several times: so those who wait are counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::Duration;

/// What somebody waits for while the lock of the state is open.
#[derive(Debug, Default)]
pub(super) struct Signal {
    condvar: Condvar,
    // Changed under the lock of the state, which orders it.
    waiting: AtomicUsize,
}

impl Signal {
    pub(super) fn wait<'a, T>(&self, state: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let state = self.condvar.wait(state).unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        state
    }

    /// Returns also whether the time has passed.
    pub(super) fn wait_for<'a, T>(
        &self,
        state: MutexGuard<'a, T>,
        time: Duration,
    ) -> (MutexGuard<'a, T>, bool) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let waited = self.condvar.wait_timeout(state, time);
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        (state, timeout.timed_out())
    }

    /// Wakes all who wait. Called when the state has changed.
    pub(super) fn ring(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.condvar.notify_all();
        }
    }
}
