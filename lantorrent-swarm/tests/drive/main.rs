//! Real swarms over real sockets.

mod fetching;
mod http_server;
mod support;
mod web;
