//! Nodes of a distributed hash table that have no torrent of their own, on host 0: libtorrent's, so that neither end of
//! a cell with us has nobody but us to talk to.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::Command;

use crate::harness::network::Lab;
use crate::process::Process;
use crate::programs::{PYTHON, script};

/// Transmission announces nothing before it knows of nine.
const NODES: u8 = 12;
const PORT: u16 = 6881;

pub(crate) fn nodes() -> impl Iterator<Item = SocketAddrV4> {
    (1..=NODES).map(|last| SocketAddrV4::new(Ipv4Addr::new(10, 77, 1, last), PORT))
}

/// Starts them, each with an address of its own: a table takes but one node from each.
pub(crate) fn start(lab: &Lab, home: &Path) -> Process {
    for node in nodes() {
        let address = format!("{}/16", node.ip());
        let mut command = Command::new("ip");
        let status = lab.spawn(0, command.args(["address", "add", &address, "dev", "eth0"])).wait();
        assert!(status.expect("ip").success(), "adding {address}");
    }
    let mut command = Command::new(PYTHON);
    command.arg(script("crowd.py")).args(nodes().map(|node| node.to_string()));
    Process::start(lab, 0, "the crowd", home, command)
}

/// Whether one of them has been told that somebody at `address` has the torrent.
pub(crate) fn knows(crowd: &Process, address: Ipv4Addr) -> bool {
    crowd.output().lines().any(|line| line.strip_prefix("announced by ") == Some(&address.to_string()))
}
