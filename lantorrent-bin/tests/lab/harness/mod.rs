//! A lab of real processes: hosts of their own on one switch, a node on each, and what can befall them. Shared by the
//! tests, which ask whether the outcome is right, and the benchmark, which asks how long it took.
//!
//! Needs root and iproute2, and reaches nothing but its own network namespaces.

mod commands;
mod damage;
mod direct;
pub(crate) mod fate;
mod fault;
pub(crate) mod folder;
pub(crate) mod leftovers;
pub(crate) mod network;
pub(crate) mod node;
pub(crate) mod program;
#[allow(dead_code)] // The tests of the library use it on loopback.
#[path = "../../../../lantorrent-core/tests/node/support/proxy.rs"]
mod proxy;
pub(crate) mod run;
pub(crate) mod scenario;
pub(crate) mod sender;
pub(crate) mod stage;
#[allow(dead_code)] // The tests of the library have more kinds of small disks.
#[path = "../../../../lantorrent-core/tests/common/system.rs"]
pub(crate) mod system;
pub(crate) mod turn;

pub(crate) use direct::direct_copy;

use std::time::Duration;

/// How large a lab is, and the file that is sent in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    /// How many nodes stand in the chain. Host 0 is the source, hosts 1 to this one are the nodes.
    pub(crate) nodes: usize,
    /// Of every link, in both directions, as `tc` has it.
    pub(crate) rate: &'static str,
    /// Of the file, in bytes.
    pub(crate) size: u64,
}

/// Of all scenarios.
pub(crate) const SCALE: Scale = Scale { nodes: NODES, rate: "200mbit", size: SIZE };
const NODES: usize = 16;
const SIZE: u64 = 128 << 20;
/// Between two looks at something that has to change.
const POLL: Duration = Duration::from_millis(5);
