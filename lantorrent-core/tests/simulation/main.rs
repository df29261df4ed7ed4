//! The state machines without a network: whole transfers in a simulated world, each run made from one seed.
//!
//! `LANTORRENT_SEED=<seed>` runs that seed alone, in every test that goes through many; with `LANTORRENT_TRACE=1` it
//! tells what happens. `LANTORRENT_SEEDS=<count>` or `LANTORRENT_SEEDS=<first>..<end>` names the seeds of the run with any
//! faults; CI goes through the usual ones and, in a second run, through a window that is another one each day.

#![expect(clippy::struct_excessive_bools, reason = "what a socket or a driver remembers is yes or no")]

mod addresses;
mod any;
mod asked;
mod cancel;
mod chain;
mod chance;
mod cost;
mod faults;
#[path = "../common/forger.rs"]
mod forger;
mod forgers;
mod growth;
mod hostile;
#[path = "../common/later.rs"]
mod later;
#[path = "../common/many.rs"]
mod many;
mod plan;
mod preflight;
#[path = "../common/random.rs"]
mod random;
mod ring;
mod scenario;
mod seeds;
mod stall;
mod suspend;
mod trace;
mod verdict;
#[path = "../common/with.rs"]
mod with;
mod world;
