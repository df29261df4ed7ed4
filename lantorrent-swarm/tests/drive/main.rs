//! Real swarms over real sockets.

mod adjusting;
mod answers;
mod fetching;
mod finding;
#[allow(dead_code)] // Some of it is for the tests of the command.
mod http_server;
mod lab;
mod local;
mod quota;
mod recheck;
mod shortage;
mod support;
#[path = "../common/system.rs"]
#[allow(dead_code)] // The tests of the store make other disks, too.
mod system;
mod tracker;
mod trouble;
mod web;
