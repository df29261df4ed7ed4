//! One file on its way through chains and trees of nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lantorrent_core::wire::{Code, Wire};
use lantorrent_core::{Outcome, Target, Transfer};

use crate::support::{BOTH, DeadPort, TestNode, Way, codes, content, reports, send, target, transfer};

fn nodes(count: usize) -> Vec<TestNode> {
    (0..count).map(|_| TestNode::new()).collect()
}

fn targets(nodes: &[TestNode], name: &str) -> Vec<Target> {
    nodes.iter().map(|node| node.target(name)).collect()
}

fn assert_all_have(nodes: &[TestNode], name: &str, content: &[u8], outcome: &Outcome) {
    assert!(outcome.all_succeeded(), "{outcome:?}");
    assert_eq!(outcome.sent(), content.len() as u64);
    for node in nodes {
        node.assert_has(name, content);
    }
}

#[test]
fn files_of_all_sizes_go_down_a_chain_of_four() {
    for wire in BOTH {
        let nodes = nodes(4);
        // Of the smallest block size: less than a block, a whole number of blocks, one byte more and less.
        let sizes = [0, 1, 333, 16 << 10, (16 << 10) + 1, 5 * (16 << 10), 5 * (16 << 10) - 1, 100_001];
        for size in sizes {
            let (name, content) = (size.to_string(), content(size));
            let outcome = send(wire, &content, targets(&nodes, &name));
            assert_all_have(&nodes, &name, &content, &outcome);
            let ids: Vec<_> = outcome.reports().map(|report| report.id.as_deref().unwrap()).collect();
            assert_eq!(ids, ["0", "1", "2", "3"]);
        }
        for node in &nodes {
            assert_eq!(node.names().len(), sizes.len(), "nothing else is left: {:?}", node.names());
        }
    }
}

#[test]
fn a_file_that_no_buffer_holds_goes_down_a_chain_of_four() {
    let content = content((20 << 20) + 5);
    for wire in BOTH {
        let nodes = nodes(4);
        let outcome = send(wire, &content, targets(&nodes, "a"));
        assert_all_have(&nodes, "a", &content, &outcome);
    }
}

#[test]
fn what_was_there_is_replaced() {
    for wire in BOTH {
        let nodes = nodes(2);
        for node in &nodes {
            std::fs::write(node.path("a"), "something longer than what comes").unwrap();
            std::fs::write(node.path("a.lantorrent"), "what a killed node left, longer than what comes")
                .unwrap();
        }
        let outcome = send(wire, b"new", targets(&nodes, "a"));
        assert_all_have(&nodes, "a", b"new", &outcome);
        for node in &nodes {
            assert_eq!(node.names(), ["a"]);
        }
    }
}

#[test]
fn trees_reach_every_node() {
    let content = content(100_001);
    for wire in BOTH {
        for degree in [2, 3] {
            let nodes = nodes(8);
            let begin = transfer(&content).wire(wire).degree(degree);
            let outcome = targets(&nodes, "a").into_iter().fold(begin, Transfer::to).send().unwrap();
            assert_all_have(&nodes, "a", &content, &outcome);
        }
    }
}

#[test]
fn a_tree_loses_no_more_than_its_dead_node() {
    let content = content(100_001);
    for wire in BOTH {
        // Of three runs of three, each place once.
        for dead in [0, 1, 5, 8] {
            let nodes = nodes(9);
            let port = DeadPort::new();
            let mut list = targets(&nodes, "a");
            list[dead] = target(port.address, "/a");
            let begin = transfer(&content).wire(wire).degree(3);
            let outcome = list.into_iter().fold(begin, Transfer::to).send().unwrap();
            let mut expected = [0; 9];
            expected[dead] = Code::CANNOT_CONNECT.0;
            assert_eq!(codes(&outcome), expected);
        }
    }
}

#[test]
fn three_files_on_one_node_come_from_one_reception() {
    let content = content(1 << 20);
    for wire in BOTH {
        let received = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&received);
        let tap = move |_, way, _, bytes: &mut [u8]| {
            if way == Way::Down {
                count.fetch_add(bytes.len(), Ordering::Relaxed);
            }
        };
        let first = TestNode::behind(Arc::new(tap), |_| ());
        let last = TestNode::new();
        // Although another node stands between them in the list.
        let list = [first.target("a"), last.target("a"), first.target("b"), first.target("c")];
        let outcome = send(wire, &content, list);
        assert!(outcome.all_succeeded(), "{outcome:?}");
        for name in ["a", "b", "c"] {
            first.assert_has(name, &content);
        }
        last.assert_has("a", &content);
        let received = received.load(Ordering::Relaxed);
        assert!((content.len()..content.len() * 11 / 10).contains(&received), "{received}");
    }
}

#[test]
fn a_dead_node_is_skipped_wherever_it_stands() {
    let content = content(50_000);
    for wire in BOTH {
        for dead in 0..4 {
            let nodes = nodes(3);
            let port = DeadPort::new();
            let mut list = targets(&nodes, "a");
            list.insert(dead, target(port.address, "/a"));
            let outcome = send(wire, &content, list);
            let mut expected = [0; 4];
            expected[dead] = Code::CANNOT_CONNECT.0;
            assert_eq!(codes(&outcome), expected, "dead at {dead}");
            for node in &nodes {
                node.assert_has("a", &content);
            }
        }
    }
}

#[test]
fn only_dead_nodes_are_an_answer_too() {
    for wire in BOTH {
        let ports = [DeadPort::new(), DeadPort::new(), DeadPort::new()];
        let outcome = send(wire, &content(50_000), ports.iter().map(|port| target(port.address, "/a")));
        assert_eq!(codes(&outcome), [Code::CANNOT_CONNECT.0; 3]);
    }
}

#[test]
fn a_node_with_another_password_is_skipped() {
    use lantorrent_core::wire::{Keyring, Password};
    let other = || {
        Keyring::new(Password::new("another").unwrap())
            .with_wire_1(Password::new("a third").unwrap())
            .unwrap()
    };
    let content = content(50_000);
    for wire in BOTH {
        for place in 0..3 {
            let nodes: Vec<_> = (0..3)
                .map(|at| {
                    TestNode::with(|config| {
                        if at == place {
                            config.keys = other();
                        }
                    })
                })
                .collect();
            let outcome = send(wire, &content, targets(&nodes, "a"));
            let code = reports(&outcome)[place].code;
            assert_eq!(code, Code::ACCESS_DENIED, "{outcome:?}");
            assert_eq!(nodes[place].names(), [""; 0]);
            // On wire 1 a sender learns too late that its child has refused: what is behind is lost with it.
            let behind = if wire == Wire::One { place } else { 3 };
            for (at, node) in nodes.iter().enumerate().filter(|&(at, _)| at != place && at < behind) {
                assert!(reports(&outcome)[at].code.is_success());
                node.assert_has("a", &content);
            }
        }
    }
}

#[test]
fn the_block_size_can_be_asked_for() {
    let content = content(300_000);
    for bytes in [4096, 1 << 20] {
        let nodes = nodes(2);
        let begin = transfer(&content).block_size(bytes);
        let outcome = targets(&nodes, "a").into_iter().fold(begin, Transfer::to).send().unwrap();
        assert_all_have(&nodes, "a", &content, &outcome);
    }
}

#[test]
fn several_transfers_to_the_same_nodes_at_once() {
    let nodes = nodes(2);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let nodes = &nodes;
            scope.spawn(move || {
                let (name, content) = (format!("file {number}"), content(200_000 + number));
                let outcome = send(BOTH[number % 2], &content, targets(nodes, &name));
                assert_all_have(nodes, &name, &content, &outcome);
            });
        }
    });
    for node in &nodes {
        assert_eq!(node.names().len(), 8);
    }
}

#[test]
fn addresses_of_both_kinds_are_known() {
    let at = |listen: &str| {
        let listen = listen.parse().unwrap();
        // Not every machine has IPv6.
        std::net::TcpListener::bind(listen).ok()?;
        Some(TestNode::at(listen, tempfile::tempdir().unwrap(), |_| ()))
    };
    let content = content(50_000);
    for (listen, host) in
        [("0.0.0.0:0", "127.0.0.1"), ("[::1]:0", "::1"), ("[::]:0", "::1"), ("[::]:0", "127.0.0.1")]
    {
        let (Some(first), Some(last)) = (at(listen), at(listen)) else {
            println!("skipped: cannot listen on {listen}");
            continue;
        };
        for wire in BOTH {
            let to = |node: &TestNode| Target { host: host.into(), ..node.target("a") };
            let outcome = send(wire, &content, [to(&first), to(&last)]);
            assert!(outcome.all_succeeded(), "{outcome:?}");
            first.assert_has("a", &content);
            last.assert_has("a", &content);
        }
    }
}
