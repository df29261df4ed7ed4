//! Messages of other threads to an event loop.

use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};

/// A queue that wakes the loop when something is put into it.
pub struct Mailbox<M> {
    messages: Mutex<Vec<M>>,
    wake: Box<dyn Fn() -> io::Result<()> + Send + Sync>,
}

impl<M> Mailbox<M> {
    /// `wake` has the loop look into it.
    pub fn new(wake: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { messages: Mutex::default(), wake: Box::new(wake) }
    }

    /// Never waits for the loop.
    pub fn send(&self, message: M) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.push(message);
        // Where others wait to be read already, the loop is awake.
        if messages.len() == 1
            && let Err(error) = (self.wake)()
        {
            log::error!("cannot wake the event loop: {error}");
        }
    }

    /// All messages that were sent since the last call, in that order.
    pub fn take(&self) -> Vec<M> {
        std::mem::take(&mut self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<M> fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn wakes_the_loop_once_for_all_that_it_has_not_taken() {
        let woken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&woken);
        let mailbox = Mailbox::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
            Err(io::Error::other("asleep for ever"))
        });
        assert_eq!(mailbox.take(), [0; 0]);
        for round in 1..=2 {
            (0..3).for_each(|message| mailbox.send(message));
            assert_eq!((mailbox.take(), woken.load(Ordering::Relaxed)), (vec![0, 1, 2], round));
        }
    }
}
