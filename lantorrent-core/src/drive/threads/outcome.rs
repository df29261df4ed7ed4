//! What a source's user hears of a transfer.

use std::time::Duration;

use crate::wire::{Destination, Progress, Report, TransferId};

/// What happens while a transfer runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The chain is being built. First of all, but for reports of those that were left out before.
    Begun {
        /// Names the transfer; on wire 2 it does so in every header.
        transfer: TransferId,
        /// Everybody on the list that is sent, in order.
        nodes: Vec<ListedNode>,
    },
    /// About once a second.
    Progress {
        /// Bytes of the file, where known.
        size: Option<u64>,
        /// Bytes sent to the first node.
        sent: u64,
        /// How far the nodes are.
        nodes: Progress,
    },
    /// A node was bypassed: those behind it are served by somebody else. What becomes of its own requests is still to
    /// be reported, and may be a success.
    Bypassed(Report),
    /// What became of a request, once for each.
    Report(Report),
}

/// A node on the list of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedNode {
    /// Its place on the list, by which [`Progress::changed`] names it.
    pub index: u32,
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Its targets: their places in the order in which they were given.
    pub places: Vec<usize>,
}

impl From<&Destination> for ListedNode {
    fn from(node: &Destination) -> Self {
        let places = node.requests.iter().filter_map(|request| place(&request.id)).collect();
        Self { index: node.index, host: node.host.clone(), port: node.port, places }
    }
}

/// The place that a target was given in, from the id of its request.
fn place(id: &str) -> Option<usize> {
    id.parse().ok()
}

/// How a transfer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Exactly one for each target, in the order in which they were given; `id` is the place in that order.
    pub reports: Vec<Report>,
    /// Nodes that were bypassed on the way, in the order in which that happened. What became of them is in `reports`.
    pub bypassed: Vec<Report>,
    /// Bytes of the file that were sent to the first node.
    pub size: u64,
    /// How long it took, results included.
    pub elapsed: Duration,
}

impl Outcome {
    /// Whether every target has the file, whole and in place.
    pub fn all_succeeded(&self) -> bool {
        self.reports.iter().all(|report| report.code.is_success())
    }
}

/// Puts reports into the order in which their targets were given.
pub(super) fn sort(reports: &mut [Report]) {
    reports.sort_by_key(|report| report.id.as_deref().and_then(place));
}
