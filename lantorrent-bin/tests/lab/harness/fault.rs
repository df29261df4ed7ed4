//! What befalls nodes in the middle of a transfer.

use std::fs::File;
use std::io::{self, Write};
use std::time::Duration;

use rustix::process::Signal;

use super::network::Lab;
use super::node::Node;

pub(crate) enum Fault {
    /// The processes are killed.
    Kill(&'static [usize]),
    /// The process is killed, and another one started in its place at once.
    Restart(usize),
    /// The processes are stopped, and go on after a while or never.
    Stop { nodes: &'static [usize], back: Option<Duration> },
    /// The links are cut, and mended after a while or never.
    Cut { nodes: &'static [usize], back: Option<Duration> },
    /// Something else takes what is left of the node's disk.
    FillDisk(usize),
    /// The sender is killed, and started again with the same command at once.
    RestartSender,
}

/// What is to become of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// It has the file and says so.
    Whole,
    /// It says that it does not have the file, and has cleaned up.
    Failed,
    /// It can say nothing, and whatever is known must not be success.
    Lost,
    /// It was away and may be too late: its own word counts, and must be true.
    Either,
}

impl Fault {
    /// The nodes that it strikes.
    pub(crate) fn nodes(&self) -> &[usize] {
        match self {
            Self::Kill(nodes) | Self::Stop { nodes, .. } | Self::Cut { nodes, .. } => nodes,
            Self::Restart(node) | Self::FillDisk(node) => std::slice::from_ref(node),
            Self::RestartSender => &[],
        }
    }

    pub(super) fn expected(&self, node: usize) -> Option<Expected> {
        self.nodes().contains(&node).then_some(match self {
            Self::Kill(_) | Self::Stop { back: None, .. } | Self::Cut { back: None, .. } => Expected::Lost,
            Self::Stop { .. } | Self::Cut { .. } => Expected::Either,
            Self::FillDisk(_) => Expected::Failed,
            Self::Restart(_) | Self::RestartSender => Expected::Whole,
        })
    }

    /// Strikes the nodes. The sender is its owner's to restart.
    pub(super) fn strike(&self, lab: &Lab, nodes: &mut [Node]) {
        for node in self.struck(nodes) {
            match self {
                Self::Kill(_) => node.signal(Signal::KILL),
                Self::Restart(_) => node.restart(lab),
                Self::Stop { .. } => node.signal(Signal::STOP),
                Self::Cut { .. } => lab.cut(node.host),
                Self::FillDisk(_) => fill(node),
                Self::RestartSender => {}
            }
        }
    }

    /// When it is over, counted from the stroke.
    pub(super) fn back(&self) -> Option<Duration> {
        match self {
            Self::Stop { back, .. } | Self::Cut { back, .. } => *back,
            _ => None,
        }
    }

    /// Ends it.
    pub(super) fn end(&self, lab: &Lab, nodes: &mut [Node]) {
        for node in self.struck(nodes) {
            match self {
                Self::Stop { .. } => node.signal(Signal::CONT),
                Self::Cut { .. } => lab.mend(node.host),
                _ => {}
            }
        }
    }

    fn struck<'a>(&self, nodes: &'a mut [Node]) -> impl Iterator<Item = &'a mut Node> {
        nodes.iter_mut().filter(|node| self.nodes().contains(&node.host))
    }
}

/// Until there is no room.
fn fill(node: &Node) {
    let block = vec![1; 1 << 20];
    let mut file = File::create(node.root().join("something-else")).expect("another file on a small disk");
    let error = loop {
        if let Err(error) = file.write_all(&block) {
            break error;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::StorageFull, "filling a disk: {error}");
}
