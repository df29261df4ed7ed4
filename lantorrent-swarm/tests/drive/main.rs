//! Real swarms over real sockets.

mod fetching;
mod finding;
#[allow(dead_code)] // Some of it is for the tests of the command.
mod http_server;
mod lab;
mod local;
mod support;
mod tracker;
mod trouble;
mod web;
