//! The program as its users have it: real processes, sockets and files.

mod agent;
mod chain;
mod client;
mod common;
mod demo;
mod get;
#[path = "../../../lantorrent-swarm/tests/drive/http_server.rs"]
#[allow(dead_code)] // Some of it is for the tests of the library.
mod http_server;
mod https;
mod inetd;
mod init;
mod inputs;
mod legacy;
mod limits;
mod links;
mod password;
mod seed;
mod serve;
mod signals;
mod socks;
mod swarms;
mod torrent;
mod tracker;
mod trouble;
mod usage;
mod variables;
