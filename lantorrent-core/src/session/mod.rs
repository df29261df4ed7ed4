//! The state machines: one transfer as a node sees it and as its source sees it. They own every decision and touch
//! no socket, file, clock or randomness: time and a seed are arguments, everything else is [`Input`] and [`Output`].
//!
//! The loop of a driver, for a [`NodeSession`] as for a [`SourceSession`]:
//!
//! 1. `handle(now, input)` for each thing that happened;
//! 2. after each, `poll()` until it returns None, and do what each [`Output`] says;
//! 3. wait for the next thing, at most until `deadline()`; then hand in [`Input::Tick`].
//!
//! The session sees no payload. A driver has the data plane ([`flow`](crate::flow)) move it, which tells the session how
//! far it came. A connection from upstream first goes through [`Incoming`], which lets nobody in without the password.

mod answer;
mod ask;
mod child;
mod connection;
mod context;
mod downstream;
mod entropy;
mod files;
mod incoming;
mod inquiry;
mod io;
mod links;
mod node;
mod outgoing;
mod pace;
mod plan;
mod preflight;
mod probe;
mod results;
mod run;
mod share;
mod source;
mod timers;
mod timing;
mod upstream;

pub(crate) use answer::{about, foreign};
pub use ask::{Answer, Ask};
pub use entropy::Seed;
pub use incoming::{Gate, Greeting, Incoming, Proven};
pub use io::{Control, FileFault, Input, LinkId, Now, Opened, Output, ReadBack, UpstreamId};
pub use node::{NodeSession, SUPERSEDED};
pub use plan::Plan;
pub use preflight::PreflightSession;
pub use share::share;
pub use source::SourceSession;
pub use timing::Timing;

pub use crate::race::{ADDRESSES, Race};
