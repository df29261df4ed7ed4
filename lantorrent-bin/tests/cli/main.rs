//! The program as its users have it: real processes, sockets and files.

mod agent;
mod chain;
mod client;
mod common;
mod demo;
mod inetd;
mod init;
mod legacy;
mod links;
mod password;
mod serve;
mod torrent;
mod tracker;
mod trouble;
mod usage;
