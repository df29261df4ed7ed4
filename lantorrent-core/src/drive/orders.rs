//! What those who move the payload of a transfer are told to do.

use super::ring::Next;
use crate::session::Control;
use crate::wire::Request;

/// What the disk is told to do.
#[derive(Debug)]
pub(super) enum DiskOrder {
    Open(usize),
    /// All files begin there: what they have beyond is not believed.
    Begin(u64),
    Place(usize, u64),
    Discard(usize),
    Keep(usize),
    Remove(Request),
    /// Nothing comes any more.
    Leave,
}

/// What a child's connection is told to do.
#[derive(Debug)]
pub(super) enum ChildOrder {
    Send(Vec<u8>),
    Control(Control),
    /// Nothing more is sent, and the child is to know.
    Finish,
}

/// What is next for one of the threads.
#[derive(Debug)]
pub(super) enum Work<O> {
    Order(O),
    Payload(Next),
    /// The link is closed, or the transfer is over.
    Over,
}
