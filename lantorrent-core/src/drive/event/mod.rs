//! The driver on an event loop: all sockets of a node on one thread, its files on a few others.
//!
//! # What runs where
//!
//! **The loop** ([`server`]) is one thread with an edge-triggered poll. It accepts connections, hears their handshakes
//! ([`pending`]), runs every session ([`transfer`]), moves the payload ([`payload`]), writes to children and hears them
//! ([`child`]). It never touches a file and never waits for anything but the poll, so that signs of life go out
//! while a disk hangs.
//!
//! **The workers** ([`Workers`](crate::runtime::Workers)) carry out whatever may wait for a disk: the files of a session
//! ([`files`], one job at a time and in order, as the [`Disk`](crate::flow::Disk) wants it), reading back for children that are behind the ring,
//! checks, old partial files. A file that is in use is tried again later, and holds up no worker meanwhile. Host names are
//! looked up by workers of their own, since a name server may take longer than a disk may wait.
//!
//! # Who wakes whom
//!
//! The loop leaves orders and payload in the session's [`Ring`](crate::flow::Ring), as the threads do, which names the
//! machines that may go on because of that: children, the disk, whose job is put on the workers' list if it is not on it.
//! Workers put what they have to say into the [`mailbox`], which wakes the loop. The ring's lock is held for a moment
//! only, on either side.
//!
//! The poll says once that a socket can be read or written. Who was told so remembers it until the socket says that it
//! cannot; in between a session takes turns with the others, each for a bounded number of bytes.
//!
//! # What is bounded
//!
//! - Connections, and pending ones among them, by [`Slots`](crate::flow::admission::Slots), as on threads.
//! - Blocks of payload, over all sessions, by the [`Stock`](crate::flow::Stock). When it is used up, a session gives back what nobody needs
//!   any more, and takes one block at a time. One it may always have, so no session waits for another.
//! - What a session has not written or sent, by its ring; while that is full, its upstream is not read, and TCP holds it
//!   back.
//! - Workers; those that have nothing to do for a while end. What they have to do is bounded by the rings, by one block
//!   to read for each child, and by one check for each connection.
//! - What is left to say to an upstream that does not listen, by the [`Outbox`](super::outbox::Outbox).
//! - Every wait, by a deadline of the session or of the connection, in one place ([`Timers`](crate::runtime::Timers)).

mod acceptor;
mod child;
mod files;
mod mailbox;
mod payload;
mod pending;
mod ring;
mod server;
mod transfer;
mod transfers;
mod upstreams;
mod world;

pub(super) use server::{Server, Stopper};
