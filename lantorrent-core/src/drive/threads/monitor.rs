//! Where the threads of one transfer meet: the ring behind a lock, and those that wait for a change of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::super::backing::BackingFile;
use super::signal::Signal;
use crate::flow::{Epoch, Ring, Shared, Wake};

/// The machines that a thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Producer,
    Disk,
    Link,
}

#[derive(Debug)]
pub(super) struct Monitor {
    ring: Mutex<Ring<BackingFile>>,
    producer: Signal,
    disk: Signal,
    links: Signal,
    /// The thread that reads from upstream is to stop. Beside the ring, because it is asked for with every read; no thread
    /// that is about to wait misses it, as the ring counts it as a change.
    halted: AtomicBool,
}

impl Monitor {
    pub(super) fn new(ring: Ring<BackingFile>) -> Self {
        Self {
            ring: Mutex::new(ring),
            producer: Signal::default(),
            disk: Signal::default(),
            links: Signal::default(),
            halted: AtomicBool::new(false),
        }
    }

    // A thread that panicked left the bookkeeping whole: no call below can panic half-way.
    fn lock(&self) -> MutexGuard<'_, Ring<BackingFile>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, role: Role) -> &Signal {
        match role {
            Role::Producer => &self.producer,
            Role::Disk => &self.disk,
            Role::Link => &self.links,
        }
    }

    /// Changes so far. To be asked before a look at what may have to be waited for.
    pub(super) fn epoch(&self) -> Epoch {
        self.lock().epoch()
    }

    /// Waits for a change behind that epoch, at most until that time.
    pub(super) fn wait(&self, role: Role, epoch: Epoch, until: Option<Instant>) {
        let mut ring = self.lock();
        while ring.epoch() == epoch {
            let Some(until) = until else {
                ring = self.signal(role).wait(ring);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            ring = self.signal(role).wait_for(ring, left);
        }
    }

    /// Makes the thread that reads from upstream stop, also if it waits for room.
    pub(super) fn halt(&self) {
        self.halted.store(true, Ordering::Release);
        self.change(Ring::interrupt);
    }

    /// Another thread is about to read.
    pub(super) fn go_on(&self) {
        self.halted.store(false, Ordering::Release);
    }

    pub(super) fn is_halted(&self) -> bool {
        self.halted.load(Ordering::Acquire)
    }
}

impl Shared<Ring<BackingFile>> for Monitor {
    fn with<R>(&self, change: impl FnOnce(&mut Ring<BackingFile>) -> (R, Wake)) -> R {
        let (result, wake) = change(&mut self.lock());
        let Wake { producer, disk, links } = wake;
        if producer {
            self.producer.notify();
        }
        if disk {
            self.disk.notify();
        }
        if !links.is_empty() {
            self.links.notify();
        }
        result
    }
}
