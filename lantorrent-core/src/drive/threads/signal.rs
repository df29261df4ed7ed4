//! Wakes threads that wait for a change of something shared. To wake none costs a call of the kernel too, and every block
//! changes the state of its transfer several times: so those that wait are counted.

use std::sync::PoisonError;
use std::time::Duration;

use super::waiting::atomic::{AtomicUsize, Ordering};
use super::waiting::{Condvar, MutexGuard};

/// What threads wait for while the lock of the state is open.
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

    pub(super) fn wait_for<'a, T>(&self, state: MutexGuard<'a, T>, time: Duration) -> MutexGuard<'a, T> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let waited = self.condvar.wait_timeout(state, time);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        state
    }

    /// Wakes every thread that waits. Called when the state has changed.
    pub(super) fn notify(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.condvar.notify_all();
        }
    }
}
