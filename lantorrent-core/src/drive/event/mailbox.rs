//! What other threads have to say to the loop.

use std::time::Duration;

use mio::Token;

use crate::flow::Item;
use crate::flow::admission::PlacedFiles;
use crate::session::{LinkId, NodeInput};
use crate::wire::RootHasher;

#[derive(Debug)]
pub(super) enum Message {
    /// The node is to end, and transfers under way have so long for it.
    Stop(Duration),
    /// To a session.
    News(u64, News),
    /// What to say to a connection that no session has.
    Answer(Token, Vec<u8>),
    /// What was found of the files that the transfer of a connection has placed.
    Looked(Token, PlacedFiles),
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

pub(super) type Mailbox = crate::runtime::Mailbox<Message>;
