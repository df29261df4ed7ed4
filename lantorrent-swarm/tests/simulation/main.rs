//! Swarms without a network: many real torrents that talk by the real wire, in a simulated world, each run made from one
//! seed.
//!
//! `LANTORRENT_SEED=<seed>` runs that seed alone, in every test that goes through many; `LANTORRENT_SEEDS=<count>` or
//! `LANTORRENT_SEEDS=<first>..<end>` names the seeds of those. CI goes through the usual ones and, in a second run, through
//! a window that is another one each day.

mod any;
mod driver;
mod figure;
mod liar;
#[path = "../common/many.rs"]
mod many;
mod package;
mod pipe;
#[path = "../../src/random.rs"]
mod random;
mod scenario;
mod web;
mod world;
