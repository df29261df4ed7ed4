//! The state machines without a network: whole transfers in a simulated world, each run made from one seed.
//!
//! `LANTORRENT_SEED=<seed>` runs that seed alone, in every test that goes through many.

#![expect(clippy::struct_excessive_bools, reason = "what a socket or a driver remembers is yes or no")]

mod chain;
mod chance;
mod disk;
mod driver;
mod faults;
mod host;
mod hostile;
mod link;
mod machine;
mod net;
mod peer;
mod plane;
#[path = "../common/random.rs"]
mod random;
mod scenario;
mod seeds;
mod stall;
mod storage;
mod supply;
mod upstream;
mod world;
