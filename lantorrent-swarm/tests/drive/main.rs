//! Real swarms over real sockets.

mod fetching;
mod finding;
mod lab;
mod local;
mod support;
mod tracker;
mod trouble;
