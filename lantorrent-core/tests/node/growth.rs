//! Peers of next year at every place of a chain: this version ignores what it does not know, and nothing else changes.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lantorrent_core::wire::Code;
use lantorrent_core::{Limit, NodeConfig, Transfer};
use serde_json::json;

use crate::later::FEATURE;
use crate::support::later::{Hold, Later, Seen, node, value};
use crate::support::{Gate, TestNode, codes, content, keys, patient, reports, transfer, wait_until};

const NODES: usize = 3;

/// The source, and each node.
fn peers() -> impl Iterator<Item = Option<usize>> {
    [None].into_iter().chain((0..NODES).map(Some))
}

/// Who is of next year: the source, each node alone, and all of them.
fn everywhere() -> impl Iterator<Item = Arc<Later>> {
    let alone = peers().map(|peer| [peer].into());
    alone.chain([peers().collect()]).map(|places| Arc::new(Later { places, uses: None }))
}

struct Chain {
    nodes: Vec<TestNode>,
    seen: Vec<Arc<Seen>>,
}

impl Chain {
    /// With a first node that is held up.
    fn new(later: &Arc<Later>, hold: &Hold) -> Self {
        Self::of(later, hold, |change| TestNode::with(change))
    }

    fn of(later: &Arc<Later>, hold: &Hold, make: impl Fn(&dyn Fn(&mut NodeConfig)) -> TestNode) -> Self {
        let hold = |place| hold.clone().filter(|_| place == 0);
        let (nodes, seen) = (0..NODES).map(|place| node(later, place, hold(place), &make)).unzip();
        Self { nodes, seen }
    }

    fn to(&self, transfer: Transfer) -> Transfer {
        self.nodes.iter().fold(transfer, |transfer, node| transfer.to(node.target("a")))
    }

    fn written(&self, least: u64) -> bool {
        self.nodes
            .iter()
            .all(|node| fs::metadata(node.path("a.lantorrent")).is_ok_and(|found| found.len() > least))
    }

    fn count(&self, place: usize, which: impl Fn(&Seen) -> &AtomicUsize) -> usize {
        which(&self.seen[place]).load(Ordering::Relaxed)
    }

    /// What of the frames of that peer has come to the nodes behind it.
    fn assert_forwarded(&self, later: &Later) {
        for peer in &later.places {
            let child = peer.map_or(0, |place| place + 1);
            let own = if child < NODES { self.count(child, |seen| &seen.own) } else { continue };
            assert!(own > 0, "{later:?}");
            for behind in child + 1..NODES {
                let came = self.count(behind, |seen| &seen.forwarded);
                assert!(came > 0, "{own} frames of {peer:?}, and none came to {behind}: {later:?}");
                assert!(came <= own || later.places.len() > 1, "{came} of {own} frames: {later:?}");
            }
        }
        for place in 0..NODES {
            assert_eq!(self.count(place, |seen| &seen.hop_local), 0, "no node sends them on");
        }
    }

    fn assert_have(&self, content: &[u8]) {
        for node in &self.nodes {
            node.assert_has("a", content);
            assert_eq!(node.names(), ["a"]);
        }
    }
}

/// So slow that there is still something to send when the last node is ready: what comes before is not forwarded to it.
fn slow(content: &[u8]) -> Transfer {
    transfer(content).limit(Limit::new(Some(8 << 20)))
}

#[test]
fn a_peer_of_next_year_changes_nothing_at_any_place() {
    let content = content((6 << 20) + 5);
    for later in everywhere() {
        let chain = Chain::new(&later, &None);
        let outcome = chain.to(slow(&content)).send().unwrap();
        assert!(outcome.all_succeeded() && outcome.bypassed().is_empty(), "{later:?}: {outcome:?}");
        chain.assert_have(&content);
        chain.assert_forwarded(&later);
        for place in 0..NODES {
            // For the check and for the payload: nothing was repaired, or tried again.
            assert_eq!(chain.count(place, |seen| &seen.connections), 2, "{later:?}");
        }
    }
}

#[test]
fn a_node_for_each_connection_lives_with_peers_of_next_year() {
    let content = content((6 << 20) + 5);
    let later = Arc::new(Later { places: peers().collect(), uses: None });
    let chain = Chain::of(&later, &None, |change| TestNode::apart(change));
    let outcome = chain.to(slow(&content)).send().unwrap();
    assert!(outcome.all_succeeded(), "{outcome:?}");
    chain.assert_have(&content);
    chain.assert_forwarded(&later);
}

#[test]
fn a_chain_with_a_peer_of_next_year_is_repaired() {
    const SIZE: usize = 24 << 20;
    let content = content(SIZE);
    for later in everywhere() {
        let gate = Arc::new(Gate::default());
        let mut chain = Chain::new(&later, &Some((SIZE / 2, Arc::clone(&gate))));
        let transfer = chain.to(transfer(&content));
        let sending = std::thread::spawn(|| transfer.send().unwrap());
        wait_until("all have begun", || chain.written(1 << 20));
        chain.nodes[1].stop();
        gate.open();
        let outcome = sending.join().unwrap();
        let lost = reports(&outcome)[1].code.0;
        assert_ne!(lost, 0, "{later:?}: {outcome:?}");
        assert_eq!(codes(&outcome), [0, lost, 0], "{later:?}: {outcome:?}");
        for place in [0, 2] {
            chain.nodes[place].assert_has("a", &content);
        }
        assert_eq!(chain.count(2, |seen| &seen.hop_local), 0);
    }
}

#[test]
fn a_chain_with_a_peer_of_next_year_is_resumed() {
    const SIZE: usize = 24 << 20;
    let content = content(SIZE);
    let source = tempfile::NamedTempFile::new().unwrap();
    fs::write(source.path(), &content).unwrap();
    for later in everywhere() {
        let gate = Arc::new(Gate::default());
        let chain = Chain::new(&later, &Some((SIZE / 2, Arc::clone(&gate))));
        let begin = || chain.to(Transfer::from_file(source.path(), keys()).unwrap().timing(patient()));
        let transfer = begin();
        let handle = transfer.handle();
        let sending = std::thread::spawn(|| transfer.send().unwrap());
        wait_until("half of it is there", || chain.written(SIZE as u64 / 3));
        handle.suspend();
        assert_eq!(codes(&sending.join().unwrap()), [Code::STOPPED.0; NODES]);
        assert!(chain.nodes.iter().all(|node| node.names() == ["a.lantorrent"]), "{later:?}");
        gate.open();
        let outcome = begin().send().unwrap();
        assert!(outcome.all_succeeded(), "{later:?}: {outcome:?}");
        chain.assert_have(&content);
    }
}

#[test]
fn a_node_that_lacks_a_feature_of_the_transfer_is_left_out() {
    let content = content(200_000);
    for lacks in 0..NODES {
        let places = peers().filter(|&peer| peer != Some(lacks)).collect();
        let later = Arc::new(Later { places, uses: Some(FEATURE) });
        let chain = Chain::new(&later, &None);
        let outcome = chain.to(transfer(&content)).send().unwrap();
        let mut expected = [0; NODES];
        expected[lacks] = Code::UNSUPPORTED.0;
        assert_eq!(codes(&outcome), expected, "{outcome:?}");
        assert!(reports(&outcome)[lacks].message.contains(FEATURE), "{outcome:?}");
        for (place, node) in (0..).zip(&chain.nodes) {
            assert_eq!(node.names().len(), usize::from(place != lacks), "{place}");
        }
        // The source adds it on its way; each node copies it.
        for place in 1..NODES {
            let headers = chain.seen[place].headers.lock().unwrap();
            let of_nodes = headers.iter().filter(|header| value(header, "from").is_some());
            for header in of_nodes {
                assert_eq!(value(header, "use"), Some(json!([FEATURE])));
                assert_eq!(value(header, "features"), Some(json!([FEATURE])), "its sender's own");
            }
        }
    }
}
