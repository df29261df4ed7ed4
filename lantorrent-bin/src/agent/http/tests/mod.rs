//! The server as its clients see it, over real sockets, with a real queue.

mod access;
mod api;
mod client;
mod house;
mod limits;
mod stop;
mod wire;
mod yaml;
