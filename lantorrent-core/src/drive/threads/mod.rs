//! The blocking driver. A node spends on each transfer one thread that runs the session, one that receives, one for the
//! disk, and two for each child: one that sends and one that hears what the child says. Another connection for the same
//! transfer is handed to its session. Whoever waits for a socket is woken by shutting it down. Who only asks many nodes
//! something does so on one thread.

mod archive;
mod bell;
mod brake;
mod calls;
mod cancel;
mod check;
mod children;
mod connection;
mod control;
mod counter;
mod disk;
mod doorbell;
mod greeting;
mod hands;
mod live;
mod node;
mod origin;
mod outbox;
mod outcome;
mod receiver;
mod request;
mod siblings;
mod socket;
mod solo;
mod source;
mod supply;
mod survey;
mod transfer;
mod transfers;
mod upstreams;
mod wishes;

use std::time::Duration;

pub use cancel::Cancel;
pub use check::Check;
pub use node::{Node, NodeHandle};
pub use outcome::{Event, ListedNode, Outcome};
pub use transfer::Transfer;
pub use wishes::TransferHandle;

/// Things that happened and that a session has not dealt with yet; whoever brings more waits.
const HAPPENINGS: usize = 256;

/// How often a session hears how far the payload is: received, written, or sent to a child.
const TELL: Duration = Duration::from_millis(100);

/// Items in a ring of blocks of that size: some MiB, so that short stalls of the disk or a child do not show.
fn ring_capacity(block_size: u32) -> usize {
    const BYTES: usize = 4 << 20;
    (BYTES / block_size as usize).clamp(4, 256)
}

/// From the operating system's random source.
fn random<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes)
}
