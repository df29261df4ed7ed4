//! Data plane between a session and its driver: which blocks are in memory, which consumer is served from where, what
//! waits for what, and what the disk does next.
//!
//! Needed by a driver of your own that moves payload; a program that only sends or receives files does without.
//!
//! Nothing here touches a socket, a file or a clock. `now` is an argument; sockets are any [`Read`](std::io::Read) and
//! [`Write`](std::io::Write) that may answer [`WouldBlock`](std::io::ErrorKind::WouldBlock); files are what a driver makes
//! of [`Content`] and [`Files`]. Both drivers, the simulation and the fuzz targets step this very code.
//!
//! - [`Ring`] keeps the latest blocks of a transfer and knows how far each consumer is. It is entered through [`Shared`],
//!   for bookkeeping alone: nothing is read, written, hashed or called back under its lock.
//! - [`Receiver`] turns the bytes of an upstream into verified blocks of the ring, [`Sender`] blocks of the ring into the
//!   bytes of a child, [`Disk`] blocks of the ring into files, and [`Supply`] the source's file into blocks of the ring.
//!   Each has a `step`, which does one thing and says what it waits for if there is nothing to do.
//! - [`admission`] decides what becomes of connections, before and after they have proven the password.
//!
//! Every change of the ring returns a [`Wake`] that names the machines that may go on because of it. A machine that has to
//! wait is told the ring's [`Epoch`], and a driver compares that under the lock before it sleeps: no wake-up is lost.

#![expect(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    reason = "a driver has to do all that a step says: what is new here must not compile unseen"
)]

pub mod admission;
mod block;
mod budget;
mod copies;
mod disk;
mod gap;
mod outgoing;
mod receive;
mod ring;
mod send;
mod stock;
mod supply;
#[cfg(test)]
mod testing;
mod wake;

use std::time::Duration;

pub use block::{Block, Buffer, Pool};
pub use disk::{Disk, DiskStep, Files, Made, Note, RETRY, Refused};
pub use receive::{Behind, Needed, ReceiveStep, Receiver};
pub use ring::{Backing, DiskOrder, DiskWork, Full, Item, LinkOrder, LinkWork, NoRoom, Ring};
pub use send::{SendStep, Sender};
pub use stock::Stock;
pub use supply::{Content, Supply, SupplyStep, Zeros};
pub use wake::{Epoch, Local, Shared, Wake};

pub use crate::rate::RateLimiter;

/// How often a session hears how far the payload is: received, written, or sent to a child.
pub const TELL: Duration = Duration::from_millis(100);

/// What happened, for the session: the part of its input that a machine has to tell. Never called under the lock of a ring.
pub type Tell<'a, I> = dyn FnMut(I) + 'a;

/// Items in a ring of blocks of that size: some MiB, so that short stalls of the disk or a child do not show.
pub fn ring_capacity(block_size: u32) -> usize {
    const BYTES: usize = 4 << 20;
    (BYTES / block_size as usize).clamp(4, 256)
}
