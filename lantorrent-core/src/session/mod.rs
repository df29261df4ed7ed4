//! The state machines: one transfer as a node sees it ([`NodeSession`]) and as its source sees it ([`SourceSession`]), and
//! the question that goes before it ([`PreflightSession`]). They own every decision and touch no socket, file, clock or
//! randomness: time and a seed are arguments, everything else is what goes in and comes out. Each has enums of its own for
//! that, with parts that are the same for all: [`LinkInput`] and [`LinkOutput`] of the connections to nodes, [`FeedInput`]
//! and [`FeedOutput`] of the payload that goes over them.
//!
//! Needed by a driver of your own, on sockets or in a simulation. Of users of a [`Transfer`](crate::Transfer) or a
//! [`Node`](crate::Node) only [`Timing`] is asked.
//!
//! The loop of a driver, for each of them:
//!
//! 1. `handle(now, input)` for each thing that happened;
//! 2. after each, `poll()` until it returns None, and do what each output says;
//! 3. wait for the next thing, at most until `deadline()`; then hand in a `Tick`.
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
mod exchange;
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
pub use ask::{Answer, Ask, Standing};
pub use entropy::Seed;
pub use exchange::DirectExchange;
pub use incoming::{Gate, HandshakeStep, Incoming, Proven};
pub use io::{
    Control, FeedInput, FeedOutput, FileFault, FileInput, FileOutput, LinkId, LinkInput, LinkOutput,
    NodeInput, NodeOutput, Now, Opened, PreflightInput, PreflightOutput, ReadBack, SourceInput, SourceOutput,
    UpstreamId,
};
pub use node::{NodeSession, SUPERSEDED};
pub use plan::Plan;
pub use preflight::PreflightSession;
pub use share::share;
pub use source::SourceSession;
pub use timing::Timing;

pub use crate::race::{ADDRESSES, Race};
