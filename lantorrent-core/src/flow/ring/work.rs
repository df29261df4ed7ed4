//! What goes into a ring, and what its consumers are told to do.

use std::sync::Arc;
use std::time::Instant;

use crate::flow::block::Block;
use crate::flow::wake::Epoch;
use crate::session::{Control, FileOutput};
use crate::wire::{Extension, Sum};

/// What the ring holds, in order and without a gap.
#[derive(Debug, Clone)]
pub enum Item {
    /// One block.
    Data(Arc<Block>),
    /// Zeros that nothing was sent for.
    Hole {
        /// Where it begins.
        offset: u64,
        /// Its bytes.
        span: u64,
    },
}

impl Item {
    /// Where it begins and ends.
    pub fn range(&self) -> (u64, u64) {
        match self {
            Self::Data(block) => (block.offset, block.offset + u64::from(block.len)),
            Self::Hole { offset, span } => (*offset, offset + span),
        }
    }
}

/// The file from which a child is served that has fallen behind the ring. `F` is the driver's handle of it.
#[derive(Debug, Clone)]
pub enum Backing<F> {
    /// The node's own file, which has what the disk has taken.
    Written(F),
    /// A file that is written no more: it has what the disk had taken by then, and nothing that came later.
    Former(F),
    /// The source's file, or what a stream was spooled to: everything that came.
    Whole(F),
}

impl<F> Backing<F> {
    /// The driver's handle.
    pub fn file(&self) -> &F {
        match self {
            Self::Written(file) | Self::Former(file) | Self::Whole(file) => file,
        }
    }
}

/// What the disk is told to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskOrder {
    /// What the session wants done about a file.
    File(FileOutput),
    /// All files begin at this offset: what they have beyond is not believed.
    Begin(u64),
    /// Let go of everything: nothing comes any more.
    Leave,
}

/// What the disk does next.
#[derive(Debug)]
pub enum DiskWork {
    /// An order, which goes before the payload.
    Order(DiskOrder),
    /// The next item of the payload.
    Write(Item),
    /// All of the payload is written: so many bytes.
    End(u64),
}

/// What a child's connection is told to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkOrder {
    /// Send bytes that are no payload.
    Send(Vec<u8>),
    /// Send a frame between those of the payload.
    Control(Control),
    /// Nothing more is sent, and the child is to know.
    Finish,
}

/// What is next for a child's connection.
#[derive(Debug)]
pub enum LinkWork<F> {
    /// An order, which goes before the payload.
    Order(LinkOrder),
    /// An item of the payload, or the rest of a hole.
    Item(Item),
    /// At most `len` bytes of the backing file from `offset` on.
    File {
        /// Which file.
        backing: Backing<F>,
        /// Where the child is.
        offset: u64,
        /// Up to where the ring begins.
        len: u64,
    },
    /// Nothing but that item of the file, which is being read.
    AwaitsFile(Epoch),
    /// A frame that is no part of the payload and may be dropped.
    Extension(Extension),
    /// The end of the payload.
    End {
        /// Bytes of the file.
        size: u64,
        /// What it sums up to.
        sum: Sum,
    },
    /// What comes next is neither in memory nor in a file that can be read, and why.
    Gone(String),
    /// The link is closed, or is to be sent nothing more.
    Over,
}

/// Why an item was not taken.
#[derive(Debug)]
pub enum Full {
    /// There is no room yet.
    NoRoom(NoRoom),
    /// The transfer is over: there is no use in bringing more.
    Closed,
}

/// What waits for room.
#[derive(Debug)]
pub struct NoRoom {
    /// The item.
    pub item: Item,
    /// As of when there was no room.
    pub epoch: Epoch,
    /// When to try again although nothing has changed.
    pub until: Instant,
}
