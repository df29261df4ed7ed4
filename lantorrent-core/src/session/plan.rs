//! What a source wants, and the first header that follows from it.

use core::net::{Ipv4Addr, SocketAddr};

use std::collections::BTreeSet;

use super::context::Context;
use super::entropy::{Entropy, Seed};
use super::exchange::DirectExchange;
use super::timing::Timing;
use crate::wire::{
    Destination, Envelope, Features, Header, Keyring, Nonce, Request, SourceHint, TransferKey, Verb, Wire,
};

/// What a source is to send, and to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The wire that the chain speaks.
    pub wire: Wire,
    /// The chain, in order. Each is numbered by its place, unless their indexes grow along the list already.
    pub destinations: Vec<Destination>,
    /// Children of each node, from 1; more than one makes a tree.
    pub degree: u32,
    /// Bytes of a block; see [`block_size`](crate::wire::block_size).
    pub block_size: u32,
    /// Bytes of the file; None for a stream.
    pub length: Option<u64>,
    /// Which version of which file it is.
    pub source: Option<SourceHint>,
    /// Unix time in milliseconds, now: of two transfers of the same source the later one takes the place of the other.
    pub begun: Option<u64>,
    /// Bytes a second below which a node that holds up others is bypassed and served at the end. None: no node is.
    pub min_rate: Option<u64>,
    /// The file has holes, and is to have them on the nodes.
    pub sparse: bool,
    /// What a check of this transfer has brought.
    pub exchange: DirectExchange,
    /// What this source can do.
    pub features: Features,
    /// What the transfer uses of that. Each node has to have it, or refuses to take part.
    pub features_in_use: Features,
    /// The ids of requests that were cancelled before it begins. No chain is sent them; their nodes are told, so that what
    /// earlier transfers have left goes too.
    pub cancelled: BTreeSet<String>,
    /// What signs the end of the payload, and names the transfer. None: a new one, from the seed of the session.
    pub key: Option<TransferKey>,
}

impl Plan {
    /// A chain of a stream to those nodes, of which nothing special is asked. The other fields say more.
    pub fn new(wire: Wire, destinations: Vec<Destination>, block_size: u32) -> Self {
        Self {
            wire,
            destinations,
            degree: 1,
            block_size,
            length: None,
            source: None,
            begun: None,
            min_rate: None,
            sparse: false,
            exchange: DirectExchange::default(),
            features: Features::SUPPORTED,
            features_in_use: Features::default(),
            cancelled: BTreeSet::new(),
            key: None,
        }
    }

    /// Takes the cancelled requests out of the list, and the nodes that have no others. Returns what was taken.
    pub(super) fn take_cancelled(&mut self) -> Vec<Destination> {
        let mut taken = Vec::new();
        for node in &mut self.destinations {
            let cancelled = |request: &mut Request| self.cancelled.contains(&request.id);
            let requests: Vec<Request> = node.requests.extract_if(.., cancelled).collect();
            if !requests.is_empty() {
                taken.push(Destination { requests, ..node.clone() });
            }
        }
        self.destinations.retain(|node| !node.requests.is_empty());
        taken
    }
}

impl<O> Context<O> {
    /// For the source of a transfer of its own, whose key it returns, with a number for each destination.
    pub(super) fn for_plan(
        plan: &mut Plan,
        verb: Verb,
        keys: Keyring,
        timing: Timing,
        seed: Seed,
    ) -> (Self, TransferKey) {
        if !plan.destinations.is_sorted_by(|one, next| one.index < next.index) {
            for (destination, index) in plan.destinations.iter_mut().zip(0..) {
                destination.index = index;
            }
        }
        let mut entropy = Entropy::new(seed);
        let key = plan.key.clone().unwrap_or_else(|| entropy.key());
        // The nonce and what is behind it are another for each child.
        let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let envelope = (plan.wire == Wire::Two).then(|| Envelope {
            verb,
            source: plan.source.clone(),
            begun: plan.begun,
            min_rate: plan.min_rate,
            sparse: plan.sparse,
            features_in_use: plan.features_in_use.clone(),
            ..Envelope::new(key.signer(), Nonce([0; 16]), 0, anywhere)
        });
        // The source itself is no destination, and its own values are never sent.
        let node = Destination {
            host: String::new(),
            port: 0,
            index: 0,
            requests: Vec::new(),
            degree: None,
            block_size: None,
        };
        let header = Header {
            node,
            length: plan.length,
            block_size: plan.block_size,
            degree: plan.degree,
            destinations: Vec::new(),
            envelope,
        };
        let mut ctx = Self::new(header, &plan.destinations, keys, timing, Seed([0; 32]));
        ctx.entropy = entropy;
        ctx.features = plan.features.clone();
        let mut exchange = std::mem::take(&mut plan.exchange);
        exchange.bind();
        ctx.exchange = Some(exchange);
        (ctx, key)
    }
}
