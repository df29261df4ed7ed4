//! A ring of one thread, and what it has woken.

use std::cell::RefCell;

use crate::flow::{Ring, Shared, Wake};

pub(super) struct SharedRing<F> {
    ring: RefCell<Ring<F>>,
    woken: RefCell<Wake>,
}

impl<F> SharedRing<F> {
    pub(super) fn new(ring: Ring<F>) -> Self {
        Self { ring: RefCell::new(ring), woken: RefCell::default() }
    }

    pub(super) fn take_woken(&self) -> Wake {
        self.woken.take()
    }
}

impl<F> Shared<Ring<F>> for SharedRing<F> {
    fn with<R>(&self, change: impl FnOnce(&mut Ring<F>) -> (R, Wake)) -> R {
        // A call back under the lock finds it taken, and panics.
        let (result, wake) = change(&mut self.ring.borrow_mut());
        self.woken.borrow_mut().merge(wake);
        result
    }
}
