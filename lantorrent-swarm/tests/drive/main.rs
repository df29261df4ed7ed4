//! Real swarms over real sockets.

mod fetching;
#[allow(dead_code)] // Some of it is for the tests of the command.
mod http_server;
mod support;
mod web;
