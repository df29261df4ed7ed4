//! What other threads have to say to the loop.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use mio::{Token, Waker};

use super::super::ring::Item;
use super::stranger::Arrival;
use crate::session::{FileFault, LinkId, NodeInput};
use crate::wire::{RootHasher, SealedReport};

#[derive(Debug)]
pub(super) enum Message {
    /// The node is to end, and transfers under way have so long for it.
    Stop(Duration),
    /// To a session.
    News(u64, News),
    /// What to say to a connection that no session has.
    Answer(Token, Vec<u8>),
    /// A connection may try again to take part, until that time.
    Contests(Box<Arrival>, Instant),
    /// A connection may claim its transfer, of which these files are not where they were placed any more.
    Claims(Box<Arrival>, Vec<(String, FileFault)>),
    /// A connection that cancels requests can have its session, with how their transfer has ended.
    Recalled(Box<(Arrival, Vec<SealedReport>)>, Duration),
}

/// What a session hears from its workers.
#[derive(Debug)]
pub(super) enum News {
    Happened(NodeInput<'static>),
    /// The disk has taken something, so there may be room.
    Written,
    /// All files are let go.
    FilesLeft,
    /// What sums up all that is there before that offset, if it can be had.
    Summed(u64, Option<Box<RootHasher>>),
    /// What was to be read from a file for a child, or why it cannot be sent.
    ReadBack(LinkId, Result<Item, String>),
}

#[derive(Debug)]
pub(super) struct Mailbox {
    messages: Mutex<Vec<Message>>,
    waker: Waker,
}

impl Mailbox {
    pub(super) fn new(waker: Waker) -> Self {
        Self { messages: Mutex::default(), waker }
    }

    /// Never waits for the loop.
    pub(super) fn send(&self, message: Message) {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.push(message);
        // Where others wait to be read already, the loop is awake.
        if messages.len() == 1
            && let Err(error) = self.waker.wake()
        {
            log::error!("cannot wake the event loop: {error}");
        }
    }

    pub(super) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
