//! What a node is configured with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::dscp::Dscp;
use super::error::Error;
use super::hooks::{Decision, Hooks, NodeEvent, Offer};
use super::limit::Limit;
use super::names::Resolver;
use crate::session::Timing;
use crate::store::Durability;
use crate::wire::{Features, Keyring, Wire};

/// What serves a node's connections. What it does is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Driver {
    /// A few threads for each transfer, which wait for its sockets and files.
    #[default]
    Threads,
    /// One thread for all sockets, and a few for files: for very many connections at the same time. A node for a single
    /// connection does without.
    #[cfg(feature = "event")]
    EventLoop,
}

/// How a node behaves. [`new`](Self::new) gives sensible values; change the fields that you know better.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NodeConfig {
    /// The passwords. A wire without one is off.
    pub keys: Keyring,
    /// Folders, files and devices that may be written; nothing else is. Requests below one that is missing fail until it
    /// exists, so that it may be mounted later.
    pub roots: Vec<PathBuf>,
    /// Addresses besides the socket's own under which senders know this node.
    pub also: Vec<SocketAddr>,
    /// Whether a success is reported only when it would survive a power failure.
    pub durability: Durability,
    /// What it is served by.
    pub driver: Driver,
    /// Connections served at the same time; more are closed at once.
    pub connections: usize,
    /// Of them, those whose sender has not proven yet to have the password. One more takes the place of the oldest of them
    /// from the address that has most of them.
    pub greetings: usize,
    /// How long a file that did not become whole is kept, so that a transfer of the same source can go on with it.
    pub keep_partial: Duration,
    /// Where a node that has a process for each connection keeps for some minutes how transfers have ended, and what of them
    /// was cancelled; made when it is needed. None: a source that asks again is sent to for nothing, and what was cancelled
    /// before its header came is written. Other nodes keep that in memory.
    pub state: Option<PathBuf>,
    /// What this node says that it can do. A transfer that uses more is refused.
    pub features: Features,
    /// How fast the payload may come in, over all transfers.
    pub receive_limit: Limit,
    /// How fast it may go out to those behind, over all transfers.
    pub send_limit: Limit,
    /// How packets are marked that this node sends, to those behind and back.
    pub dscp: Option<Dscp>,
    /// Where the addresses of those behind come from.
    pub resolver: Resolver,
    /// All deadlines.
    pub timing: Timing,
    pub(super) hooks: Hooks,
}

/// How a node treats the network, for all of its transfers.
#[derive(Debug, Clone)]
pub(super) struct Traffic {
    pub(super) receive_limit: Limit,
    pub(super) send_limit: Limit,
    pub(super) dscp: Option<Dscp>,
    pub(super) resolver: Resolver,
}

impl NodeConfig {
    /// A node with these passwords that may write below these roots.
    ///
    /// # Errors
    /// [`Error::NoPassword`] where there is none for either wire, [`Error::NoRoots`] where nothing could be written.
    pub fn new(keys: Keyring, roots: impl IntoIterator<Item = impl Into<PathBuf>>) -> Result<Self, Error> {
        let roots: Vec<PathBuf> = roots.into_iter().map(Into::into).collect();
        let config = Self {
            keys,
            roots,
            also: Vec::new(),
            durability: Durability::Sync,
            driver: Driver::default(),
            connections: 256,
            greetings: 32,
            keep_partial: Duration::from_secs(24 * 3600),
            state: None,
            features: Features::SUPPORTED,
            receive_limit: Limit::default(),
            send_limit: Limit::default(),
            dscp: None,
            resolver: Resolver::default(),
            timing: Timing::default(),
            hooks: Hooks::default(),
        };
        config.check()?;
        Ok(config)
    }

    /// Whether a node could do anything with it.
    pub(super) fn check(&self) -> Result<(), Error> {
        if !self.keys.has_wire_1() && !self.keys.has_wire_2() {
            return Err(Error::no_password(Wire::Two));
        }
        if self.roots.is_empty() { Err(Error::NoRoots) } else { Ok(()) }
    }

    /// Calls `listener` with what happens, on whichever thread it happens, and on several at the same time. A listener
    /// that waits holds up transfers: what takes longer is for a thread of its own, through a channel.
    #[must_use]
    pub fn on_event(mut self, listener: impl Fn(&NodeEvent) + Send + Sync + 'static) -> Self {
        self.hooks.listener = Some(Arc::new(listener));
        self
    }

    /// Has `decide` say of each file that is offered whether it is wanted, and where it goes. It is called for checks,
    /// transfers, repairs and cancellations alike, on threads that also wait for the disk, and has to decide the same for
    /// the same path each time. Without this every file is written where the sender asks for it. The roots hold for both.
    #[must_use]
    pub fn decide(mut self, decide: impl Fn(&Offer<'_>) -> Decision + Send + Sync + 'static) -> Self {
        self.hooks.decide = Some(Arc::new(decide));
        self
    }
}
