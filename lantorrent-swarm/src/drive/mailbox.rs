//! What other threads have to say to the loop.

use std::sync::{Mutex, PoisonError};

use mio::Waker;

#[derive(Debug)]
pub(super) struct Mailbox<M> {
    messages: Mutex<Vec<M>>,
    waker: Waker,
}

impl<M> Mailbox<M> {
    pub(super) fn new(waker: Waker) -> Self {
        Self { messages: Mutex::default(), waker }
    }

    /// Never waits for the loop.
    pub(super) fn send(&self, message: M) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.push(message);
        // Where others wait to be read already, the loop is awake.
        if messages.len() == 1
            && let Err(error) = self.waker.wake()
        {
            log::error!("cannot wake the event loop: {error}");
        }
    }

    pub(super) fn take(&self) -> Vec<M> {
        std::mem::take(&mut self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
