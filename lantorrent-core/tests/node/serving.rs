//! Nodes that are stopped, nodes of one connection, nodes with many of them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use lantorrent_core::wire::{Code, Wire};
use lantorrent_core::{Node, NodeConfig};

use crate::support::{
    BOTH, Peer, TestNode, codes, content, header, header_for, keys, payload, reports, send, short, transfer,
    wait_until,
};

#[test]
fn a_node_that_is_stopped_gives_up_its_transfers() {
    let content = content(50_000);
    for wire in BOTH {
        let (mut node, mut next) = (TestNode::new(), TestNode::new());
        let header = header_for(wire, &[&node, &next], &["a"], Some(50_000));
        let peer = Peer::ready(header, node.address);
        peer.write(&payload(&peer.header, &content)[..30_000]);
        wait_until("both have begun", || [&node, &next].iter().all(|node| node.names() == ["a.lantorrent"]));
        node.handle().stop(Duration::ZERO);
        let reports = peer.reports();
        assert_eq!(reports[0].code, Code::STOPPED, "{reports:?}");
        if wire == Wire::Two {
            // Who is behind may be taken up by somebody else, and answers for itself.
            assert_eq!(reports.len(), 1, "{reports:?}");
        } else {
            assert!(!reports[1].code.is_success(), "{reports:?}");
        }
        node.stop();
        next.stop();
        // Nobody said which version of which file it is, so that nobody could go on with it.
        assert_eq!((node.names(), next.names()), (vec![], vec![]));
    }
}

#[test]
fn a_transfer_may_end_within_the_grace_time() {
    let content = content(50_000);
    for wire in BOTH {
        let mut node = TestNode::new();
        let peer = Peer::ready(header(wire, &node, "a", 50_000), node.address);
        let bytes = payload(&peer.header, &content);
        peer.write(&bytes[..30_000]);
        wait_until("it has begun", || node.names() == ["a.lantorrent"]);
        node.handle().stop(Duration::from_secs(600));
        assert!(send_is_refused(&node), "nobody else is let in");
        peer.write(&bytes[30_000..]);
        assert_eq!(peer.codes(), [0]);
        node.stop();
        node.assert_has("a", &content);
    }
}

fn send_is_refused(node: &TestNode) -> bool {
    let outcome = send(Wire::Two, b"x", [node.target("late")]);
    !outcome.all_succeeded() && !node.path("late").exists()
}

#[test]
fn a_second_stop_shortens_the_grace_time() {
    let mut node = TestNode::new();
    let peer = Peer::ready(header(Wire::Two, &node, "a", 50_000), node.address);
    node.handle().stop(Duration::from_secs(600));
    node.handle().stop(Duration::ZERO);
    assert_eq!(peer.codes(), [Code::STOPPED.0]);
    node.stop();
}

#[test]
fn stopping_does_not_wait_for_strangers() {
    let mut node = TestNode::with(|config| config.timing.greeting = Duration::from_secs(3600));
    let strangers: Vec<_> = (0..5).map(|_| Peer::silent(node.address)).collect();
    let greeted = Peer::greet(header(Wire::Two, &node, "a", 5), node.address);
    node.stop();
    drop((strangers, greeted));
    assert_eq!(node.names(), [""; 0]);
}

#[test]
fn a_node_for_one_connection_serves_it_and_ends() {
    for wire in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let path = folder.path().join("a");
        let to = crate::support::target(address, path.to_str().unwrap());
        let next = TestNode::new();
        let content = content(50_000);
        let outcome = thread::scope(|scope| {
            let serving = scope.spawn(|| {
                let (socket, _) = listener.accept().unwrap();
                let config = NodeConfig::new(keys(), vec![folder.path().to_owned()]).unwrap();
                let node = Node::for_connection(socket, config).unwrap();
                assert_eq!(node.local_addr(), None);
                node.run().unwrap();
            });
            // A question would be another connection.
            let begin = transfer(&content).wire(wire).no_check();
            let outcome = begin.to(to).to(next.target("a")).send().unwrap();
            serving.join().unwrap();
            outcome
        });
        assert!(outcome.all_succeeded(), "{outcome:?}");
        assert!(std::fs::read(path).unwrap() == content);
        next.assert_has("a", &content);
    }
}

#[test]
fn one_connection_can_be_stopped_too() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let stranger = Peer::silent(listener.local_addr().unwrap());
    let (socket, _) = listener.accept().unwrap();
    let node = Node::for_connection(socket, NodeConfig::new(keys(), vec![folder.path().to_owned()]).unwrap())
        .unwrap();
    let handle = node.handle().unwrap();
    let serving = thread::spawn(|| node.run());
    thread::sleep(Duration::from_millis(50));
    handle.stop(Duration::ZERO);
    serving.join().unwrap().unwrap();
    drop(stranger);
}

fn is_closed(mut socket: &TcpStream) -> bool {
    // Closed with or without a reset, and without a word.
    !socket.read(&mut [0; 100]).is_ok_and(|count| count > 0)
}

#[test]
fn more_transfers_than_allowed_are_closed_at_once() {
    let node = TestNode::with(|config| config.connections = 2);
    let peers = ["a", "b"].map(|name| Peer::ready(header(Wire::Two, &node, name, 5), node.address));
    assert!(is_closed(&Peer::silent(node.address)));
    let outcome = send(Wire::Two, b"x", [node.target("c")]);
    assert_eq!(reports(&outcome)[0].code, Code::CONNECTION_LOST, "{outcome:?}");
    for peer in peers {
        peer.write(&payload(&peer.header, b"fives"));
        assert_eq!(peer.codes(), [0]);
    }
    // And then there is room again, as soon as the node has noticed.
    wait_until("there is room", || send(Wire::Two, b"x", [node.target("c")]).all_succeeded());
}

#[test]
fn strangers_take_no_room_from_who_has_the_password() {
    let node = TestNode::with(|config| {
        config.connections = 4;
        config.timing.greeting = Duration::from_secs(3600);
    });
    let strangers: Vec<_> = (0..20).map(|_| Peer::silent(node.address)).collect();
    let content = content(50_000);
    let outcome = send(Wire::Two, &content, [node.target("a")]);
    assert!(outcome.all_succeeded(), "{outcome:?}");
    drop(strangers);
}

#[test]
fn many_idle_connections_hold_up_nobody() {
    let node = TestNode::new();
    let strangers: Vec<_> = (0..200).map(|_| Peer::silent(node.address)).collect();
    for (number, stranger) in strangers.iter().enumerate().filter(|(number, _)| number % 2 == 0) {
        // Those that have been there for longest may have had to make room.
        let _ = write!(&*stranger, "{{\"number\": {number},");
    }
    let content = content(50_000);
    for wire in BOTH {
        let outcome = send(wire, &content, [node.target("a")]);
        assert!(outcome.all_succeeded(), "{outcome:?}");
    }
    drop(strangers);
}

#[test]
fn who_says_nothing_is_not_waited_for() {
    let node = TestNode::with(|config| config.timing = short(300));
    let silent = Peer::silent(node.address);
    assert!(is_closed(&silent));
    // A complete header, and then no proof.
    let mut unproven = Peer::greet(header(Wire::Two, &node, "a", 5), node.address);
    assert!(matches!(unproven.said(), Some(lantorrent_core::wire::FromNode::Line(_))), "the challenge");
    assert_eq!(unproven.said(), None);
    assert_eq!(node.names(), [""; 0]);
}

#[test]
fn who_says_a_byte_now_and_then_is_not_waited_for() {
    let node = TestNode::with(|config| config.timing = short(300));
    let slow = Peer::silent(node.address);
    let header = header(Wire::Two, &node, "a", 5).sign(&keys()).unwrap();
    // As much of the header as it takes: a node that waits would get to its end, and ask for proof.
    for byte in header {
        if (&slow).write_all(&[byte]).is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    assert!(is_closed(&slow));
}

#[test]
fn a_sender_that_falls_silent_has_failed() {
    for wire in BOTH {
        let mut node = TestNode::with(|config| config.timing = short(300));
        for sent in [0, 9000] {
            let peer = Peer::ready(header(wire, &node, "a", 50_000), node.address);
            peer.write(&payload(&peer.header, &content(50_000))[..sent]);
            if wire == Wire::One {
                assert_eq!(peer.codes(), [Code::TIMED_OUT.0]);
            } else {
                // Without a word: nobody is there to hear it. Somebody else may come for the node, and for a while it
                // waits for that.
                wait_until("nobody is waited for", || node.names().is_empty());
                drop(peer);
            }
        }
        node.stop();
        assert_eq!(node.names(), [""; 0]);
    }
}

#[test]
fn a_sender_that_dies_leaves_nothing_that_nobody_could_go_on_with() {
    let content = content(50_000);
    for wire in BOTH {
        for reset in [false, true] {
            let node = || TestNode::with(|config| config.timing.orphan = Duration::from_millis(300));
            let (mut node, mut next) = (node(), node());
            let header = header_for(wire, &[&node, &next], &["a", "b"], Some(50_000));
            let peer = Peer::ready(header, node.address);
            peer.write(&payload(&peer.header, &content)[..30_000]);
            let begun = ["a.lantorrent", "b.lantorrent"];
            wait_until("both have begun", || [&node, &next].iter().all(|node| node.names() == begun));
            if reset {
                socket2::SockRef::from(&peer.socket).set_linger(Some(Duration::ZERO)).unwrap();
            }
            drop(peer);
            wait_until("all of it is gone", || [&node, &next].iter().all(|node| node.names().is_empty()));
            node.stop();
            next.stop();
            assert_eq!((node.names(), next.names()), (vec![], vec![]));
        }
    }
}

#[test]
fn a_sender_that_leaves_before_the_end_hears_of_it() {
    for wire in BOTH {
        let (node, next) = (TestNode::new(), TestNode::new());
        let peer = Peer::ready(header_for(wire, &[&node, &next], &["a", "b"], Some(50_000)), node.address);
        peer.write(&payload(&peer.header, &content(50_000))[..30_000]);
        peer.socket.shutdown(Shutdown::Write).unwrap();
        let codes = peer.codes();
        if wire == Wire::Two {
            // It may come back, so nothing is decided yet; but not over this connection.
            assert_eq!(codes, [0; 0]);
            continue;
        }
        assert_eq!(codes[..2], [Code::CONNECTION_LOST.0; 2]);
        assert_eq!(codes.len(), 4);
        assert!(!codes.contains(&0), "{codes:?}");
    }
}

#[test]
fn a_node_is_not_stopped_by_a_peer_that_does_not_listen() {
    // A thousand requests fail with long messages, and nobody reads the answers.
    let mut node = TestNode::new();
    let names: Vec<String> = (0..1000).map(|number| format!("missing/{number}{}", "x".repeat(200))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let deaf = Peer::greet(header_for(Wire::One, &[&node], &names, Some(5)), node.address);
    deaf.write(b"fives");
    let outcome = send(Wire::Two, b"x", [node.target("a")]);
    assert_eq!(codes(&outcome), [0]);
    node.stop();
    drop(deaf);
}
