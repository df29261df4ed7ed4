//! A torrent's state machine, step by step: what it answers to what.

mod connections;
mod extensions;
mod fetching;
mod hand;
mod hostile;
mod serving;
mod webs;
