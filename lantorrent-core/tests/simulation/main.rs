//! The state machines without a network: whole transfers in a simulated world, each run made from one seed.
//!
//! `LANTORRENT_SEED=<seed>` runs that seed alone, in every test that goes through many; with `LANTORRENT_TRACE=1` it
//! tells what happens. `LANTORRENT_SEEDS=<count>` makes the run with any faults longer or shorter.

#![expect(clippy::struct_excessive_bools, reason = "what a socket or a driver remembers is yes or no")]

mod any;
mod cancel;
mod chain;
mod chance;
mod cost;
mod faults;
mod hostile;
#[path = "../common/many.rs"]
mod many;
mod plan;
#[path = "../common/random.rs"]
mod random;
mod scenario;
mod seeds;
mod stall;
mod suspend;
mod trace;
mod verdict;
mod world;
