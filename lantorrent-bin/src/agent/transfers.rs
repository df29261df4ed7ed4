//! Transfers as they can be looked at: those that run, and the latest that have ended.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lantorrent_core::ListedNode;
use lantorrent_core::wire::{NodeState, Progress, TransferId};

use crate::api;
use crate::time::Timestamp;

/// Transfers that have ended and are still shown, and the nodes of their chains in all.
const ENDED: usize = 1000;
const ENDED_NODES: usize = 100_000;

/// Shared by who sends and who asks.
#[derive(Default)]
pub(crate) struct Transfers(Mutex<Shelf>);

#[derive(Default)]
struct Shelf {
    /// By batch.
    running: HashMap<u64, Running>,
    /// Latest last.
    ended: VecDeque<api::Transfer>,
    ended_nodes: usize,
}

/// A transfer that runs.
struct Running {
    shown: api::Transfer,
    chain: Vec<Link>,
    /// Where in `chain` a node is that progress names by its index.
    by_index: HashMap<u32, usize>,
    /// Where in `chain` the node is that has the target which was given in that place.
    by_place: HashMap<usize, usize>,
    /// Where in `chain` the node of a request is.
    by_request: HashMap<String, usize>,
    /// Bytes that those who receive have at least, and at most.
    least: u64,
    greatest: u64,
}

/// A node of a chain that runs.
struct Link {
    shown: api::Node,
    /// Targets that there is no report on.
    awaited: usize,
    all_good: bool,
}

/// What is known of a transfer when it begins.
pub(crate) struct Beginning<'a> {
    pub(crate) batch: u64,
    pub(crate) transfer: TransferId,
    pub(crate) source: &'a str,
    /// Bytes of the file.
    pub(crate) size: u64,
    pub(crate) nodes: &'a [ListedNode],
    /// The requests that each target serves.
    pub(crate) requests: &'a [Vec<String>],
}

impl Transfers {
    pub(super) fn begun(&self, beginning: &Beginning<'_>) {
        self.shelf().running.insert(beginning.batch, Running::new(beginning));
    }

    pub(super) fn progressed(&self, batch: u64, sent: u64, size: Option<u64>, nodes: &Progress) {
        if let Some(running) = self.shelf().running.get_mut(&batch) {
            running.shown.sent = sent;
            running.shown.size = size.unwrap_or(running.shown.size);
            running.progressed(nodes);
        }
    }

    /// What became of a target.
    pub(super) fn reported(&self, batch: u64, place: usize, is_good: bool) {
        if let Some(running) = self.shelf().running.get_mut(&batch) {
            running.reported(place, is_good);
        }
    }

    pub(super) fn ended(&self, batch: u64, sent: u64) {
        let mut shelf = self.shelf();
        let Some(mut running) = shelf.running.remove(&batch) else { return };
        running.shown.ended = Some(Timestamp::now());
        running.shown.sent = running.shown.sent.max(sent);
        shelf.keep(running.with_chain());
    }

    /// How many run.
    pub(crate) fn running(&self) -> usize {
        self.shelf().running.len()
    }

    /// Latest first, without their chains.
    pub(crate) fn list(&self) -> Vec<api::Transfer> {
        let shelf = self.shelf();
        let mut running: Vec<_> = shelf.running.values().map(|running| running.shown.clone()).collect();
        running.sort_by_key(|transfer| std::cmp::Reverse(transfer.started));
        let plain = |ended: &api::Transfer| api::Transfer { chain: None, ..ended.clone() };
        running.into_iter().chain(shelf.ended.iter().rev().map(plain)).collect()
    }

    pub(crate) fn find(&self, id: &str) -> Option<api::Transfer> {
        let shelf = self.shelf();
        let running = shelf.running.values().find(|running| running.shown.id == id);
        let ended = || shelf.ended.iter().find(|ended| ended.id == id).cloned();
        running.map(Running::with_chain).or_else(ended)
    }

    /// How far a request is that is being sent.
    pub(crate) fn progress(&self, request: &str) -> Option<api::Progress> {
        let shelf = self.shelf();
        let (running, at) = shelf
            .running
            .values()
            .find_map(|running| running.by_request.get(request).map(|&at| (running, at)))?;
        Some(api::Progress {
            transfer: running.shown.id.clone(),
            offset: running.offset(&running.chain[at].shown),
            size: running.shown.size,
        })
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn keep(&mut self, ended: api::Transfer) {
        let nodes = |transfer: &api::Transfer| transfer.chain.as_ref().map_or(0, Vec::len);
        self.ended_nodes += nodes(&ended);
        self.ended.push_back(ended);
        while self.ended.len() > ENDED || (self.ended_nodes > ENDED_NODES && self.ended.len() > 1) {
            self.ended_nodes -= self.ended.pop_front().as_ref().map_or(0, nodes);
        }
    }
}

impl Running {
    fn new(beginning: &Beginning<'_>) -> Self {
        let mut running = Self {
            shown: api::Transfer {
                id: beginning.transfer.to_string(),
                source: beginning.source.to_owned(),
                size: beginning.size,
                started: Timestamp::now(),
                ended: None,
                sent: 0,
                requests: 0,
                chain: None,
            },
            chain: Vec::with_capacity(beginning.nodes.len()),
            by_index: HashMap::new(),
            by_place: HashMap::new(),
            by_request: HashMap::new(),
            least: 0,
            greatest: 0,
        };
        for node in beginning.nodes {
            running.add(node, beginning.requests);
        }
        running.shown.requests = running.by_request.len();
        running
    }

    fn add(&mut self, node: &ListedNode, requests: &[Vec<String>]) {
        let at = self.chain.len();
        self.by_index.insert(node.index, at);
        self.by_place.extend(node.places.iter().map(|&place| (place, at)));
        let requests: Vec<String> =
            node.places.iter().filter_map(|&place| requests.get(place)).flatten().cloned().collect();
        self.by_request.extend(requests.iter().map(|request| (request.clone(), at)));
        let shown = api::Node {
            host: node.host.clone(),
            port: node.port,
            state: NodeState::Waiting,
            offset: 0,
            requests,
        };
        self.chain.push(Link { shown, awaited: node.places.len(), all_good: true });
    }

    fn progressed(&mut self, nodes: &Progress) {
        (self.least, self.greatest) = (nodes.least, nodes.greatest);
        for change in &nodes.changed {
            let Some(link) = self.by_index.get(&change.index).map(|&at| &mut self.chain[at]) else {
                continue;
            };
            // Once everything is reported the reports say it better.
            if link.awaited > 0 {
                (link.shown.state, link.shown.offset) = (change.state, change.offset);
            }
        }
    }

    fn reported(&mut self, place: usize, is_good: bool) {
        let Some(link) = self.by_place.get(&place).map(|&at| &mut self.chain[at]) else { return };
        link.all_good &= is_good;
        link.awaited = link.awaited.saturating_sub(1);
        if link.awaited == 0 {
            link.shown.state = if link.all_good { NodeState::Done } else { NodeState::Failed };
        }
    }

    /// A node says how far it is when its state changes; between that it is somewhere among those that receive.
    fn offset(&self, node: &api::Node) -> u64 {
        match node.state {
            NodeState::Waiting | NodeState::Failed => node.offset,
            NodeState::Receiving => node.offset.max(self.least).min(self.greatest.max(node.offset)),
            NodeState::Finishing | NodeState::Done => self.shown.size,
        }
    }

    fn with_chain(&self) -> api::Transfer {
        let shown = |link: &Link| api::Node { offset: self.offset(&link.shown), ..link.shown.clone() };
        let chain = self.chain.iter().map(shown).collect();
        api::Transfer { chain: Some(chain), ..self.shown.clone() }
    }
}

#[cfg(test)]
mod tests {
    use lantorrent_core::wire::Change;

    use super::*;

    fn node(index: u32, places: &[usize]) -> ListedNode {
        ListedNode::new(index, format!("node{index}"), 2893, places.to_vec())
    }

    /// Three targets on two nodes; the second target serves two requests.
    fn begin(transfers: &Transfers, batch: u64) -> String {
        let id = TransferId([u8::try_from(batch % 251).unwrap(); 16]);
        transfers.begun(&Beginning {
            batch,
            transfer: id,
            source: "/srv/a.img",
            size: 1000,
            nodes: &[node(3, &[0, 2]), node(7, &[1])],
            requests: &[vec!["a".into()], vec!["b".into(), "c".into()], vec!["d".into()]],
        });
        id.to_string()
    }

    fn progress(least: u64, greatest: u64, changed: &[Change]) -> Progress {
        let mut progress = Progress::of_node(NodeState::Receiving, least);
        progress.greatest = greatest;
        progress.changed = changed.to_vec();
        progress
    }

    #[test]
    fn a_request_is_where_its_node_is() {
        let transfers = Transfers::default();
        let id = begin(&transfers, 1);
        let receiving = Change::new(7, NodeState::Receiving, 100);
        transfers.progressed(1, 400, None, &progress(50, 300, &[receiving]));
        assert_eq!(
            transfers.progress("c").map(|progress| (progress.offset, progress.size)),
            Some((100, 1000))
        );
        // Nothing new of it but that all have more.
        transfers.progressed(1, 600, Some(1000), &progress(200, 500, &[]));
        assert_eq!(transfers.progress("b").unwrap().offset, 200);
        assert_eq!(transfers.progress("a").unwrap().offset, 0, "its node has not begun");
        assert_eq!(transfers.progress("x"), None);

        transfers.reported(1, 0, true);
        transfers.reported(1, 2, false);
        transfers.reported(1, 1, true);
        let shown = transfers.find(&id).unwrap();
        assert_eq!((shown.sent, shown.requests, shown.ended), (600, 4, None));
        let states: Vec<_> =
            shown.chain.unwrap().iter().map(|node| (node.state, node.requests.len())).collect();
        assert_eq!(states, [(NodeState::Failed, 2), (NodeState::Done, 2)]);

        transfers.ended(1, 1000);
        assert_eq!((transfers.running(), transfers.progress("a")), (0, None));
        let shown = transfers.find(&id).unwrap();
        assert!(shown.ended.is_some() && shown.chain.is_some());
        assert!(transfers.list()[0].chain.is_none());
    }

    #[test]
    fn the_latest_are_kept_and_shown_first() {
        let transfers = Transfers::default();
        let ids: Vec<String> = (0..ENDED as u64 + 5)
            .map(|batch| {
                let id = begin(&transfers, batch);
                transfers.ended(batch, 1000);
                id
            })
            .collect();
        let last = begin(&transfers, 9999);
        let list = transfers.list();
        assert_eq!(list.len(), ENDED + 1);
        assert_eq!(list[0].id, last);
        assert_eq!(list[1].id, ids[ids.len() - 1]);
    }
}
