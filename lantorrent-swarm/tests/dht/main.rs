//! Nodes of the DHT among each other, on simulated networks.

mod crowd;
mod hostile;
mod pair;
mod world;
