//! The wire, attacked: recorded and computed vectors, every chunking, truncation, damage and forgery.

mod chunking;
mod frames;
mod headers;
mod lines;
mod nimbus;
mod protocol;
mod raw;
mod reports;
mod support;
mod vectors;
