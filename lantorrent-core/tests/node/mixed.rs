//! Chains in which nodes of ours and of version 0.2 stand side by side.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lantorrent_core::wire::{Code, Keyring, Password, Wire};
use lantorrent_core::{Limit, Target, Transfer};

use crate::support::{
    DeadPort, Nimbus, Proxy, TestNode, Way, codes, content, in_parallel, reports, send, target, transfer,
};

enum Node {
    Ours(TestNode),
    Old(Nimbus),
}

impl Node {
    /// Ours in every second place, from that one on.
    fn chain(length: usize, first: usize, ours: impl Fn() -> TestNode) -> Vec<Self> {
        let node = |place| match (place + first) % 2 {
            0 => Self::Ours(ours()),
            _ => Self::Old(Nimbus::new()),
        };
        (0..length).map(node).collect()
    }

    fn target(&self, name: &str) -> Target {
        match self {
            Self::Ours(node) => node.target(name),
            Self::Old(node) => node.target(name),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        match self {
            Self::Ours(node) => node.path(name),
            Self::Old(node) => node.path(name),
        }
    }
}

#[track_caller]
fn assert_reached(nodes: &[Node], name: &str, content: &[u8], begin: Transfer) {
    let outcome = nodes.iter().map(|node| node.target(name)).fold(begin, Transfer::to).send().unwrap();
    assert!(outcome.all_succeeded(), "{outcome:?}");
    for node in nodes {
        assert!(fs::read(node.path(name)).unwrap() == content, "{outcome:?}");
    }
}

#[test]
fn a_file_goes_down_chains_that_alternate() {
    for ours in [TestNode::new, || TestNode::apart(|_| ())] {
        for (length, first) in [(1, 1), (3, 0), (3, 1), (6, 0), (6, 1)] {
            let nodes = Node::chain(length, first, ours);
            for size in [0, 1, 16 << 10, 300_001] {
                let content = content(size);
                assert_reached(&nodes, &size.to_string(), &content, transfer(&content).wire(Wire::One));
            }
        }
    }
}

#[test]
fn a_file_goes_down_a_tree_whose_leaves_are_of_0_2() {
    let content = content(300_001);
    let ours = || Node::Ours(TestNode::new());
    let old = || Node::Old(Nimbus::new());
    let nodes = [ours(), old(), old(), ours(), old(), old()];
    assert_reached(&nodes, "a", &content, transfer(&content).wire(Wire::One).degree(2));
}

#[test]
fn a_rate_limit_does_not_keep_the_end_from_a_child() {
    let content = content(300_001);
    let limit = || Limit::new(Some(1 << 20));
    let ours = || {
        TestNode::with(|config| {
            config.receive_limit = limit();
            config.send_limit = limit();
        })
    };
    let nodes = Node::chain(4, 0, ours);
    assert_reached(&nodes, "a", &content, transfer(&content).wire(Wire::One).limit(limit()));
}

#[test]
fn who_cannot_be_reached_is_passed_over_on_either_side() {
    let content = content(100_001);
    let (first, last) = (TestNode::new(), TestNode::new());
    let (old, older) = (Nimbus::new(), Nimbus::new());
    let dead = [DeadPort::new(), DeadPort::new()];
    let [behind_ours, behind_old] = dead.each_ref().map(|port| target(port.address, "/a"));
    let list =
        [first.target("a"), behind_ours, old.target("a"), behind_old, last.target("a"), older.target("a")];
    let outcome = send(Wire::One, &content, list);
    let dead = Code::CANNOT_CONNECT.0;
    assert_eq!(codes(&outcome), [0, dead, 0, dead, 0, 0], "{outcome:?}");
    for path in [first.path("a"), old.path("a"), last.path("a"), older.path("a")] {
        assert!(fs::read(path).unwrap() == content);
    }
}

#[test]
fn a_node_of_0_2_is_not_taken_for_the_one_behind_it_that_refuses() {
    let content = content(300_001);
    let others = Keyring::new(Password::new("2").unwrap()).with_wire_1(Password::new("1").unwrap()).unwrap();
    let (first, old, last) = (TestNode::new(), Nimbus::new(), TestNode::new());
    let stranger = TestNode::with(|config| config.keys = others);
    for before in [None, Some(&first)] {
        let list = [old.target("a"), stranger.target("a"), last.target("a")];
        let list = before.map(|node| node.target("a")).into_iter().chain(list);
        let outcome = send(Wire::One, &content, list);
        let lost = Code::CONNECTION_LOST.0;
        let expected = [0, 0, lost, lost];
        assert_eq!(codes(&outcome), expected[usize::from(before.is_none())..], "{outcome:?}");
        assert!(reports(&outcome).last().unwrap().message.contains("Access denied"), "{outcome:?}");
        assert!(fs::read(old.path("a")).unwrap() == content);
        fs::remove_file(old.path("a")).unwrap();
    }
}

/// How many bytes a child is sent for a file of that content, under a name of four signs.
fn bytes_to_child(content: &[u8]) -> usize {
    let (old, proxy, count) = (Nimbus::new(), Proxy::new(), Arc::new(AtomicUsize::new(0)));
    let (address, passed) = (proxy.address, Arc::clone(&count));
    let tap = move |_, way, _, bytes: &mut [u8]| {
        if way == Way::Down {
            passed.fetch_add(bytes.len(), Ordering::Relaxed);
        }
    };
    proxy.run(old.address, Arc::new(tap));
    let path = old.path("0000");
    let outcome = send(Wire::One, content, [target(address, path.to_str().unwrap())]);
    assert!(outcome.all_succeeded(), "{outcome:?}");
    count.load(Ordering::Relaxed)
}

/// Lets so many bytes through to a node, and hangs up on both sides. Returns its address.
fn cut_before(node: SocketAddr, upto: usize) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let upstream = listener.accept().unwrap().0;
        let mut onward = TcpStream::connect(node).unwrap();
        let mut bytes = vec![0; upto];
        (&upstream).read_exact(&mut bytes).unwrap();
        onward.write_all(&bytes).unwrap();
    });
    address
}

#[test]
fn a_child_of_0_2_that_is_cut_off_at_any_byte_has_no_file() {
    let content = content(300);
    let whole = bytes_to_child(&content);
    for through_node in [false, true] {
        let (node, old) = (TestNode::new(), Nimbus::new());
        let parent = through_node.then_some(&node);
        in_parallel(whole, 8, |upto| {
            let name = format!("{upto:04}");
            let child = target(cut_before(old.address, upto), old.path(&name).to_str().unwrap());
            let list = parent.map(|node| node.target(&name)).into_iter().chain([child]);
            let outcome = send(Wire::One, &content, list);
            let reports = reports(&outcome);
            let (last, before) = reports.split_last().unwrap();
            assert!(!last.code.is_success(), "cut at {upto}: {outcome:?}");
            assert!(before.iter().all(|report| report.code.is_success()), "cut at {upto}: {outcome:?}");
        });
        assert!(old.names().is_empty(), "{:?}", old.names());
    }
}
