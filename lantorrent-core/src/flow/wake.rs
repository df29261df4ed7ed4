//! Who may go on after a change of the ring, and how a driver hears of it.

use std::cell::RefCell;

use crate::session::LinkId;

/// Counts the changes of a ring that some machine may have waited for. A machine that found nothing to do at an epoch
/// need not look again before there is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Epoch(pub(super) u64);

/// The machines that may go on after a change of the ring.
#[must_use = "a machine that is not woken waits for ever"]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wake {
    /// The receiver, or the supply of a source: there may be room.
    pub producer: bool,
    /// The disk has an order, or something to write.
    pub disk: bool,
    /// These children have an order, something to be sent, or an end.
    pub links: Vec<LinkId>,
}

impl Wake {
    /// No machine.
    pub const NONE: Self = Self { producer: false, disk: false, links: Vec::new() };

    /// The producer alone, if `woken`.
    pub fn producer_if(woken: bool) -> Self {
        Self { producer: woken, ..Self::NONE }
    }

    /// The disk alone.
    pub fn disk() -> Self {
        Self { disk: true, ..Self::NONE }
    }

    /// One child alone.
    pub fn link(link: LinkId) -> Self {
        Self { links: vec![link], ..Self::NONE }
    }

    /// Whether no machine is named.
    pub fn is_none(&self) -> bool {
        !self.producer && !self.disk && self.links.is_empty()
    }

    /// Adds the machines of another wake.
    pub fn merge(&mut self, other: Self) {
        self.producer |= other.producer;
        self.disk |= other.disk;
        self.links.extend(other.links);
    }
}

/// A value behind a lock: a mutex where threads share it, a cell where one thread has it.
///
/// `change` must do bookkeeping alone. The implementation delivers the [`Wake`] once the lock is open again.
pub trait Shared<T> {
    /// Enters the lock, makes a change, leaves the lock, and wakes the machines that the change named.
    fn with<R>(&self, change: impl FnOnce(&mut T) -> (R, Wake)) -> R;

    /// Enters the lock for a look that changes nothing.
    fn look<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        self.with(|value| (look(value), Wake::NONE))
    }

    /// Enters the lock for a change that no machine waits for.
    fn quietly<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        self.with(|value| (change(value), Wake::NONE))
    }

    /// Enters the lock for a change that returns only a wake.
    fn change(&self, change: impl FnOnce(&mut T) -> Wake) {
        self.with(|value| ((), change(value)));
    }
}

/// A value that one thread has, and the machines that its changes have named since that was last asked for.
#[derive(Debug, Default)]
pub struct Local<T> {
    value: RefCell<T>,
    woken: RefCell<Wake>,
}

impl<T> Local<T> {
    /// Of that value; no machine is named yet.
    pub fn new(value: T) -> Self {
        Self { value: RefCell::new(value), woken: RefCell::default() }
    }

    /// The machines that may go on, and were not named before.
    pub fn take_woken(&self) -> Wake {
        self.woken.take()
    }
}

impl<T> Shared<T> for Local<T> {
    fn with<R>(&self, change: impl FnOnce(&mut T) -> (R, Wake)) -> R {
        // A call back under the lock finds it taken, and panics.
        let (result, wake) = change(&mut self.value.borrow_mut());
        self.woken.borrow_mut().merge(wake);
        result
    }
}
