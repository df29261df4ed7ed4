//! Swarms without a network: many real torrents that talk by the real wire, in a simulated world, each run made from one
//! seed.
//!
//! `LANTORRENT_SEED=<seed>` runs that seed alone, in every test that goes through many; `LANTORRENT_SEEDS=<count>` makes
//! those longer or shorter.

mod any;
mod driver;
mod figure;
mod liar;
mod package;
mod pipe;
#[path = "../../src/random.rs"]
mod random;
mod scenario;
mod seeds;
mod web;
mod world;
