//! Nodes whose every connection is served apart from the others, as by the processes of inetd: what comes later finds
//! what is there, over the files and what is kept beside them.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lantorrent_core::Check;
use lantorrent_core::wire::{Code, Header, Line, Verb, Wire};

use crate::support::{
    FakeNode, Gate, Peer, TestNode, anew, content, first_blocks, from_to, header, header_for, in_parallel,
    keys, of_version, payload, wait_until, without_blocks,
};

const BLOCK: usize = 4096;
const SIZE: usize = 20 * BLOCK + 5;

fn solo() -> TestNode {
    TestNode::apart(|_| ())
}

/// For the third of a list, from its second.
fn asked(node: &TestNode) -> Header {
    from_to(of_version(header(Wire::Two, node, "a", SIZE as u64), "the file"), Some(1), 2)
}

/// Sends that many blocks, and waits until the node has read them.
fn begin(header: Header, node: &TestNode, content: &[u8], blocks: usize) -> Peer {
    let peer = Peer::ready(header, node.address);
    peer.write(&first_blocks(&peer.header, content, blocks));
    wait_until("it is written", || {
        std::fs::metadata(node.path("a.lantorrent")).is_ok_and(|found| found.len() == (blocks * BLOCK) as u64)
    });
    peer
}

fn refused(mut peer: Peer) {
    let Some(Line::Challenge { challenge }) = peer.line() else { panic!("no challenge") };
    peer.answer(&challenge);
    assert_eq!(peer.line(), Some(Line::Left));
    assert_eq!(peer.line(), None);
}

#[test]
fn who_stands_before_the_upstream_takes_over() {
    let (content, node) = (content(SIZE), solo());
    let mut first = begin(asked(&node), &node, &content, 3);
    first.write(&without_blocks(&first.header, &content, 3)[..BLOCK / 2]);
    let next = from_to(first.header.clone(), Some(0), 2);
    let mut second = Peer::ready_at(next, node.address, 3 * BLOCK as u64);
    assert_eq!(first.line(), Some(Line::Left));
    assert_eq!(first.line(), None);
    let two = without_blocks(&second.header, &content, 3);
    second.write(&two[..2 * (two.len() / 18)]);
    let next = from_to(second.header.clone(), None, 2);
    let mut third = Peer::greet(next, node.address);
    third.prove();
    let Some(Line::Ready { offset }) = third.line() else { panic!("not ready") };
    assert_eq!(second.line(), Some(Line::Left));
    let blocks = offset as usize / BLOCK;
    assert!((3..=5).contains(&blocks), "{offset}");
    third.write(&without_blocks(&third.header, &content, blocks));
    assert_eq!(third.codes(), [0]);
    node.assert_has("a", &content);
    assert_eq!(node.names(), ["a"]);
}

#[test]
fn who_stands_behind_the_upstream_is_turned_away_while_that_lives() {
    let (content, node) = (content(SIZE), solo());
    let first = begin(from_to(asked(&node), Some(0), 2), &node, &content, 3);
    for from in [Some(1), Some(2), Some(7)] {
        refused(Peer::greet(from_to(first.header.clone(), from, 2), node.address));
    }
    first.socket.shutdown(std::net::Shutdown::Both).unwrap();
    // Until the node has noticed, its upstream lives.
    thread::sleep(Duration::from_millis(200));
    let next = from_to(first.header.clone(), Some(1), 2);
    let second = Peer::ready_at(next, node.address, 3 * BLOCK as u64);
    second.write(&without_blocks(&second.header, &content, 3));
    assert_eq!(second.codes(), [0]);
    node.assert_has("a", &content);
}

#[test]
fn what_cannot_be_resumed_begins_anew() {
    let (content, node) = (content(SIZE), solo());
    let header = from_to(header(Wire::Two, &node, "a", SIZE as u64), Some(1), 2);
    let first = begin(header, &node, &content, 3);
    let second = Peer::ready(from_to(first.header.clone(), Some(0), 2), node.address);
    second.write(&payload(&second.header, &content));
    assert_eq!(second.codes(), [0]);
    node.assert_has("a", &content);
}

#[test]
fn a_newer_transfer_goes_on_with_the_file() {
    let (content, node) = (content(SIZE), solo());
    let first = begin(asked(&node), &node, &content, 5);
    let second = Peer::ready_at(anew(first.header.clone()), node.address, 5 * BLOCK as u64);
    assert_eq!(first.codes(), [Code::SUPERSEDED.0]);
    second.write(&without_blocks(&second.header, &content, 5));
    assert_eq!(second.codes(), [0]);
    node.assert_has("a", &content);
}

#[test]
fn an_older_transfer_is_refused() {
    let (content, node) = (content(SIZE), solo());
    let mut older = asked(&node);
    older.envelope.as_mut().unwrap().begun = Some(7);
    let mut newer = anew(older.clone());
    newer.envelope.as_mut().unwrap().begun = Some(8);
    let newer = begin(newer, &node, &content, 5);
    let mut late = Peer::greet(older, node.address);
    late.prove();
    assert_eq!(late.codes(), [Code::SUPERSEDED.0]);
    newer.write(&without_blocks(&newer.header, &content, 5));
    assert_eq!(newer.codes(), [0]);
    node.assert_has("a", &content);
}

#[test]
fn another_source_does_not_get_the_file() {
    let (content, node) = (content(SIZE), solo());
    let first = begin(asked(&node), &node, &content, 5);
    let mut other = Peer::greet(anew(of_version(asked(&node), "another file")), node.address);
    other.prove();
    assert_eq!(other.codes(), [Code::IN_USE.0]);
    first.write(&without_blocks(&first.header, &content, 5));
    assert_eq!(first.codes(), [0]);
    node.assert_has("a", &content);
}

#[test]
fn a_node_has_one_place_in_a_transfer() {
    let (content, node) = (content(SIZE), solo());
    let first = begin(asked(&node), &node, &content, 5);
    let mut second = Peer::greet(from_to(first.header.clone(), Some(2), 3), node.address);
    second.prove();
    assert_eq!(second.codes(), [Code::TAKING_PART.0]);
    first.write(&without_blocks(&first.header, &content, 5));
    assert_eq!(first.codes(), [0]);
}

#[test]
fn a_check_disturbs_nobody_and_knows_who_would_make_room() {
    let (content, node) = (content(SIZE), solo());
    let found = |check: Check| check.to(node.target("a")).run().unwrap().targets()[0].report().code;
    let first = begin(asked(&node), &node, &content, 5);
    assert_eq!(found(Check::new(keys())), Code::IN_USE, "for another source");
    let mut same = anew(first.header.clone());
    same.envelope.as_mut().unwrap().verb = Verb::Check;
    let mut same = Peer::greet(same, node.address);
    same.prove();
    assert_eq!(same.codes(), [0]);
    first.write(&without_blocks(&first.header, &content, 5));
    assert_eq!(first.codes(), [0]);
}

#[test]
fn the_end_is_told_again() {
    let (content, node) = (content(SIZE), solo());
    let first = Peer::ready(asked(&node), node.address);
    first.write(&payload(&first.header, &content));
    let again = first.header.clone();
    let reports = first.reports();
    for from in [Some(0), Some(1), None] {
        let mut peer = Peer::greet(from_to(again.clone(), from, 2), node.address);
        peer.prove();
        assert_eq!(peer.reports(), reports);
    }
    assert_eq!(node.kept().len(), 1);
}

#[test]
fn a_finished_transfer_has_one_place_too() {
    let (content, node) = (content(SIZE), solo());
    let first = Peer::ready(asked(&node), node.address);
    first.write(&payload(&first.header, &content));
    let mut again = from_to(first.header.clone(), None, 5);
    assert_eq!(first.codes(), [0]);
    again.node.requests[0].id = "5 a".into();
    let mut again = Peer::greet(again, node.address);
    again.prove();
    assert_eq!(again.codes(), [Code::TAKING_PART.0]);
    node.assert_has("a", &content);
}

#[test]
fn the_end_is_forgotten_after_a_while() {
    let content = content(SIZE);
    let node = TestNode::apart(|config| config.timing.retain = Duration::ZERO);
    let first = Peer::ready(asked(&node), node.address);
    first.write(&payload(&first.header, &content));
    let again = first.header.clone();
    assert_eq!(first.codes(), [0]);
    wait_until("the results are kept", || node.kept().len() == 1);
    // What a process left that was killed in the middle, and what is nobody's business.
    let state = node.kept()[0].parent().unwrap().to_owned();
    for name in ["of-somebody.new", "of-somebody.else"] {
        std::fs::write(state.join(name), "half").unwrap();
    }
    let second = Peer::ready(again, node.address);
    assert_eq!(node.kept(), [state.join("of-somebody.else")]);
    drop(second);
}

#[test]
fn who_asks_while_others_are_waited_for_hears_the_end() {
    let (content, node) = (content(SIZE), solo());
    let (swallowed, gate) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
    let (full, pass) = (Arc::clone(&swallowed), Arc::clone(&gate));
    let fake = FakeNode::new(move |mut child| {
        let sum = child.swallow().unwrap();
        full.open();
        pass.pass();
        let report = child.report(Code::SUCCESS, Some(&sum));
        child.say(&report);
        child.wait();
    });
    let mut header = header_for(Wire::Two, &[&node, &node], &["a"], Some(content.len() as u64));
    header.destinations[0].port = fake.address.port();
    let mut first = Peer::ready(of_version(header, "the file"), node.address);
    first.write(&payload(&first.header, &content));
    assert!(matches!(first.line(), Some(Line::Result(_))), "its own");
    swallowed.pass();
    // The upstream is gone, and others come for what it has not heard.
    drop(first.socket.shutdown(std::net::Shutdown::Both));
    let ask = || {
        let mut peer = Peer::greet(first.header.clone(), node.address);
        peer.prove();
        peer
    };
    let (second, third) = (ask(), ask());
    gate.open();
    assert_eq!(second.codes(), [0, 0]);
    assert_eq!(third.codes(), [0, 0]);
    assert_eq!(ask().codes(), [0, 0]);
    fake.join();
}

#[test]
fn who_asks_does_not_wait_for_those_who_cannot_be_served_any_more() {
    let content = content(SIZE);
    let node = TestNode::apart(|config| config.timing.handshake = Duration::from_millis(300));
    let gate = Arc::new(Gate::default());
    let pass = Arc::clone(&gate);
    // It has not let the node in yet when that loses its upstream.
    let fake = FakeNode::raw(move |_child| pass.pass());
    let mut header = header_for(Wire::Two, &[&node, &node], &["a"], Some(content.len() as u64));
    header.destinations[0].port = fake.address.port();
    let mut first = Peer::ready(of_version(header, "the file"), node.address);
    first.write(&payload(&first.header, &content));
    assert!(matches!(first.line(), Some(Line::Result(_))), "its own");
    drop(first.socket.shutdown(std::net::Shutdown::Both));
    for _ in 0..2 {
        let mut peer = Peer::greet(first.header.clone(), node.address);
        peer.prove();
        assert_eq!(peer.codes(), [0]);
    }
    gate.open();
    fake.join();
}

#[test]
fn of_many_at_once_one_goes_on() {
    let (content, node) = (content(SIZE), solo());
    for round in 0..8 {
        let first = begin(anew(asked(&node)), &node, &content, 3);
        let claim = first.header.clone();
        drop(first);
        // All have the same right to it.
        in_parallel(6, 6, |_| {
            let mut peer = Peer::greet(from_to(claim.clone(), None, 2), node.address);
            let Some(Line::Challenge { challenge }) = peer.line() else { panic!("no challenge") };
            peer.answer(&challenge);
            assert_eq!(peer.line(), Some(Line::ACCEPTED), "{round}");
            match peer.line() {
                Some(Line::Left) => assert_eq!(peer.line(), None),
                None => {}
                Some(Line::Ready { offset }) if offset == 3 * BLOCK as u64 => {
                    // Whoever is last finds nobody who takes it away.
                    thread::sleep(Duration::from_millis(200));
                    let mut rest = &without_blocks(&peer.header, &content, 3)[..];
                    let _ = std::io::copy(&mut rest, &mut &peer.socket);
                }
                other => panic!("{other:?}"),
            }
        });
        // Before that its process would still want to be served.
        wait_until("the file is in place", || node.path("a").exists());
        let mut last = Peer::greet(from_to(claim, None, 2), node.address);
        last.prove();
        assert_eq!(last.codes(), [0], "round {round}");
        node.assert_has("a", &content);
        std::fs::remove_file(node.path("a")).unwrap();
    }
}
