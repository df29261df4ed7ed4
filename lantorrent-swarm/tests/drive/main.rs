//! Real swarms over real sockets.

mod fetching;
mod support;
