//! The wire, attacked: recorded and computed vectors, every chunking, truncation, damage and forgery.

mod chunking;
mod frames;
mod growth;
mod headers;
mod lines;
mod nimbus;
mod protocol;
#[path = "../common/random.rs"]
mod random;
mod raw;
#[path = "../common/nimbus.rs"]
mod recorded;
mod reports;
mod security;
mod support;
mod types;
mod vectors;
#[path = "../common/with.rs"]
mod with;
