//! What the owner of a node hears of its transfers, and decides about their files.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::request::placement;
use crate::session::FileFault;
use crate::store::Placement;
use crate::wire::{Code, Header, Request, TransferId};

/// What happens on a node, for the listener of [`NodeConfig::on_event`](super::NodeConfig::on_event).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeEvent {
    /// A transfer began: its sender has proven the password.
    #[non_exhaustive]
    Began {
        /// Names the transfer; none on wire 1.
        transfer: Option<TransferId>,
        /// The address of the upstream, which is the source or another node.
        upstream: SocketAddr,
        /// The paths that are asked for, as the header has them.
        paths: Vec<String>,
        /// Bytes of the file; none where the source does not know yet.
        size: Option<u64>,
    },
    /// A file is whole, verified, and has its name; with [`Durability::Sync`](crate::store::Durability::Sync) it also
    /// survives a power failure. Once for each path.
    #[non_exhaustive]
    Arrived {
        /// Names the transfer; none on wire 1.
        transfer: Option<TransferId>,
        /// The address of the upstream that the transfer began with.
        upstream: SocketAddr,
        /// Where the file is.
        path: String,
        /// Its bytes.
        bytes: u64,
        /// Since the transfer began.
        elapsed: Duration,
    },
    /// A transfer has ended, and its files are let go.
    #[non_exhaustive]
    Ended {
        /// Names the transfer; none on wire 1.
        transfer: Option<TransferId>,
        /// The address of the upstream that it began with.
        upstream: SocketAddr,
        /// Files that have arrived, of those that were asked for.
        arrived: usize,
        /// Files that were asked for.
        files: usize,
        /// Since it began.
        elapsed: Duration,
    },
}

/// A file that a sender with the password asks a node to write, for the hook of
/// [`NodeConfig::decide`](super::NodeConfig::decide).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offer<'a> {
    /// Names the transfer; none on wire 1. A check has a number of its own.
    pub transfer: Option<TransferId>,
    /// The path that is asked for. It may be anything, and is confined to the roots after the decision.
    pub path: &'a str,
    /// Bytes of the file; none where the source does not know yet.
    pub size: Option<u64>,
    /// How the file is to get there.
    pub placement: Placement,
}

/// What a node does with a file that it is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// Write it where the sender asks for it.
    Accept,
    /// Write it at this absolute path, which has to be within the roots too.
    WriteTo(String),
    /// Do not write it. The sender is told why with code [`Code::NOT_ALLOWED`]; other files of the transfer, and the nodes
    /// behind, go on.
    Refuse(String),
}

type Listener = dyn Fn(&NodeEvent) + Send + Sync;
type Decide = dyn Fn(&Offer<'_>) -> Decision + Send + Sync;

/// The owner's functions.
#[derive(Clone, Default)]
pub(super) struct Hooks {
    pub(super) listener: Option<Arc<Listener>>,
    pub(super) decide: Option<Arc<Decide>>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (listener, decide) = (self.listener.is_some(), self.decide.is_some());
        f.debug_struct("Hooks").field("listener", &listener).field("decide", &decide).finish()
    }
}

impl Hooks {
    fn tell(&self, event: impl FnOnce() -> NodeEvent) {
        if let Some(listener) = &self.listener {
            listener(&event());
        }
    }

    /// Where the file of a request goes.
    pub(super) fn path<'a>(&self, header: &Header, request: &'a Request) -> Result<Cow<'a, str>, FileFault> {
        let path = request.filename.as_str();
        let Some(decide) = &self.decide else { return Ok(path.into()) };
        let (transfer, size) = (header.transfer(), header.length);
        match decide(&Offer { transfer, path, size, placement: placement(request) }) {
            Decision::Accept => Ok(path.into()),
            Decision::WriteTo(other) => Ok(other.into()),
            Decision::Refuse(why) => {
                let message = format!("{path:?} is refused by this node: {why}");
                Err(FileFault { code: Code::NOT_ALLOWED, message })
            }
        }
    }
}

/// One transfer, as its events tell it. It has ended when this is dropped.
#[derive(Debug)]
pub(super) struct Account {
    hooks: Hooks,
    transfer: Option<TransferId>,
    upstream: SocketAddr,
    files: usize,
    arrived: AtomicUsize,
    began: Instant,
}

impl Account {
    pub(super) fn begin(hooks: Hooks, header: &Header, upstream: SocketAddr) -> Arc<Self> {
        let requests = &header.node.requests;
        let account = Self {
            hooks,
            transfer: header.transfer(),
            upstream,
            files: requests.len(),
            arrived: AtomicUsize::new(0),
            began: Instant::now(),
        };
        account.hooks.tell(|| NodeEvent::Began {
            transfer: account.transfer,
            upstream,
            paths: requests.iter().map(|request| request.filename.clone()).collect(),
            size: header.length,
        });
        Arc::new(account)
    }

    pub(super) fn arrived(&self, path: &str, bytes: u64) {
        self.arrived.fetch_add(1, Ordering::Relaxed);
        self.hooks.tell(|| NodeEvent::Arrived {
            transfer: self.transfer,
            upstream: self.upstream,
            path: path.to_owned(),
            bytes,
            elapsed: self.began.elapsed(),
        });
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.hooks.tell(|| NodeEvent::Ended {
            transfer: self.transfer,
            upstream: self.upstream,
            arrived: *self.arrived.get_mut(),
            files: self.files,
            elapsed: self.began.elapsed(),
        });
    }
}
