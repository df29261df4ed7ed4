//! Requests that are not wanted any more: what a node does, over connections made by hand.

use std::fs;

use lantorrent_core::wire::{Code, Header, Line, Verb, Wire};
use tempfile::TempDir;

use crate::support::{
    Peer, TestNode, anew, content, first_blocks, header, header_for, of_version, payload, wait_until,
    without_blocks,
};

const BLOCK: usize = 4096;
const SIZE: usize = 20 * BLOCK + 5;
const CANCELLED: u16 = Code::CANCELLED.0;

/// Of one process, and with a process for each connection.
fn nodes() -> [TestNode; 2] {
    [TestNode::new(), TestNode::apart(|_| ())]
}

fn asked(node: &TestNode, files: &[&str]) -> Header {
    of_version(header_for(Wire::Two, &[node], files, Some(SIZE as u64)), "the file")
}

/// The header that cancels those files of another one's transfer.
fn cancelling(header: &Header, files: &[&str]) -> Header {
    let mut cancel = header.clone();
    cancel.envelope.as_mut().unwrap().verb = Verb::Cancel;
    cancel.envelope.as_mut().unwrap().nonce.0[0] ^= 0xff;
    let of = |name: &&str| header.node.requests.iter().find(|request| request.filename.ends_with(*name));
    cancel.node.requests = files.iter().filter_map(of).cloned().collect();
    cancel.destinations.clear();
    cancel
}

/// Cancels, and returns what the node says.
fn cancel(header: &Header, files: &[&str], node: &TestNode) -> Vec<u16> {
    let mut peer = Peer::greet(cancelling(header, files), node.address);
    peer.prove();
    let reports = peer.reports();
    let index = Some(header.node.index);
    assert!(reports.iter().all(|report| (report.index, report.by) == (index, index)), "{reports:?}");
    reports.iter().map(|report| report.code.0).collect()
}

fn wait_for(node: &TestNode, name: &str, blocks: usize) {
    wait_until("it is written", || {
        fs::metadata(node.path(name)).is_ok_and(|found| found.len() == (blocks * BLOCK) as u64)
    });
}

/// A sender that has sent the first blocks, and the node has written them.
fn half_way(header: Header, node: &TestNode, name: &str) -> Peer {
    let peer = Peer::ready(header, node.address);
    peer.write(&first_blocks(&peer.header, &content(SIZE), 7));
    wait_for(node, &format!("{name}.lantorrent"), 7);
    peer
}

#[test]
fn the_only_request_of_a_transfer_ends_it_here() {
    for node in nodes() {
        let peer = half_way(asked(&node, &["a"]), &node, "a");
        let header = peer.header.clone();
        assert_eq!(cancel(&header, &["a"], &node), [CANCELLED]);
        assert_eq!(
            fs::read_dir(node.path("")).unwrap().count(),
            0,
            "neither the file nor its journal is left"
        );
        // It says so to its upstream too, and hangs up.
        assert_eq!(peer.codes(), [CANCELLED]);
        // And to whoever comes later.
        assert_eq!(cancel(&header, &["a"], &node), [CANCELLED]);
        let mut again = Peer::greet(header, node.address);
        again.prove();
        assert_eq!(again.codes(), [CANCELLED]);
        assert_eq!(fs::read_dir(node.path("")).unwrap().count(), 0);
    }
}

#[test]
fn the_other_requests_of_a_node_go_on() {
    let content = content(SIZE);
    // The first is the one that late children would be served from.
    for (node, (gone, stays)) in
        nodes().into_iter().chain(nodes()).zip([("a", "b"), ("b", "a"), ("b", "a"), ("a", "b")])
    {
        let peer = half_way(asked(&node, &["a", "b"]), &node, "b");
        assert_eq!(cancel(&peer.header, &[gone], &node), [CANCELLED]);
        assert_eq!(node.names(), [format!("{stays}.lantorrent")]);
        peer.write(&without_blocks(&peer.header, &content, 7));
        let codes = peer.codes();
        assert_eq!(codes, if gone == "a" { [CANCELLED, 0] } else { [0, CANCELLED] });
        node.assert_has(stays, &content);
        assert_eq!(node.names(), [stays]);
    }
}

#[test]
fn what_was_cancelled_before_is_not_even_opened() {
    let content = content(SIZE);
    for node in nodes() {
        let header = asked(&node, &["a", "b"]);
        assert_eq!(cancel(&header, &["a"], &node), [CANCELLED]);
        let mut peer = Peer::greet(header.clone(), node.address);
        peer.prove();
        assert!(matches!(peer.line(), Some(Line::Result(_))), "at once");
        assert_eq!(peer.line(), Some(Line::Ready { offset: 0 }));
        assert_eq!(node.names(), ["b.lantorrent"]);
        peer.write(&payload(&peer.header, &content));
        assert_eq!(peer.codes(), [0]);
        assert_eq!(node.names(), ["b"]);
        // All of them.
        let header = anew(header);
        assert_eq!(cancel(&header, &["a"], &node), [CANCELLED]);
        assert_eq!(cancel(&header, &["b"], &node), [CANCELLED]);
        let mut peer = Peer::greet(header, node.address);
        peer.prove();
        assert_eq!(peer.codes(), [CANCELLED; 2]);
        assert_eq!(node.names(), ["b"]);
    }
}

#[test]
fn a_file_that_is_in_place_stays() {
    let content = content(SIZE);
    for node in nodes() {
        let peer = Peer::ready(asked(&node, &["a"]), node.address);
        let header = peer.header.clone();
        peer.write(&payload(&header, &content));
        assert_eq!(peer.codes(), [0]);
        assert_eq!(cancel(&header, &["a"], &node), [0]);
        node.assert_has("a", &content);
        // As a transfer of its own, which knows nothing of that one.
        assert_eq!(cancel(&anew(header), &["a"], &node), [CANCELLED]);
        node.assert_has("a", &content);
    }
}

#[test]
fn what_an_earlier_transfer_has_left_goes_too() {
    let restarts: [fn(TempDir) -> TestNode; 2] = [
        |folder| TestNode::at(([127, 0, 0, 1], 0).into(), folder, |_| ()),
        |folder| TestNode::apart_at(folder, |_| ()),
    ];
    for (node, restart) in nodes().into_iter().zip(restarts) {
        an_earlier_transfer_has_left_it(node, restart);
    }
}

fn an_earlier_transfer_has_left_it(node: TestNode, restart: fn(TempDir) -> TestNode) {
    let header = half_way(asked(&node, &["a"]), &node, "a").header;
    let node = restart(node.into_folder());
    // The folder is the same, the address another one.
    let header = |version| {
        let mut header = of_version(anew(header.clone()), version);
        header.envelope.as_mut().unwrap().to = node.address;
        header
    };
    assert_eq!(cancel(&header("another file"), &["a"], &node), [CANCELLED]);
    assert_eq!(node.names(), ["a.lantorrent"], "nobody else's");
    let mut in_place = header("the file");
    in_place.node.requests[0].rename = false;
    assert_eq!(cancel(&in_place, &["a"], &node), [CANCELLED]);
    assert_eq!(node.names(), ["a.lantorrent"]);
    assert_eq!(cancel(&header("the file"), &["a"], &node), [CANCELLED]);
    assert_eq!(fs::read_dir(node.path("")).unwrap().count(), 0);
}

#[test]
fn who_waits_for_a_sender_that_is_gone_gives_way() {
    for node in nodes() {
        let mut older = asked(&node, &["a", "b"]);
        older.envelope.as_mut().unwrap().begun = Some(7);
        let older = half_way(older, &node, "b");
        let mut newer = anew(older.header.clone());
        newer.envelope.as_mut().unwrap().begun = Some(6);
        assert_eq!(cancel(&newer, &["a"], &node), [Code::IN_USE.0], "it is no newer one");
        drop(older);
        wait_until("the node has noticed", || cancel(&newer, &["a"], &node) == [CANCELLED]);
        // Of the others there is what the next transfer can go on with.
        assert_eq!(node.names(), ["b.lantorrent"]);
    }
}

#[test]
fn what_another_source_writes_is_left_alone() {
    let content = content(SIZE);
    for node in nodes() {
        let peer = half_way(of_version(asked(&node, &["a"]), "of somebody else"), &node, "a");
        assert_eq!(cancel(&asked(&node, &["a"]), &["a"], &node), [CANCELLED]);
        peer.write(&without_blocks(&peer.header, &content, 7));
        assert_eq!(peer.codes(), [0]);
        node.assert_has("a", &content);
    }
}

#[test]
fn requests_that_a_transfer_does_not_have_are_removed_beside_it() {
    let content = content(SIZE);
    for node in nodes() {
        drop(half_way(asked(&node, &["left"]), &node, "left"));
        let both = asked(&node, &["a", "left"]);
        let mut without = both.clone();
        without.node.requests.pop();
        let peer = half_way(without, &node, "a");
        // The one that has it waits for its sender, and was there first: nobody knows which is newer.
        let mut asking = Peer::greet(cancelling(&both, &["left"]), node.address);
        asking.prove();
        let codes = asking.codes();
        assert!([vec![CANCELLED], vec![Code::IN_USE.0]].contains(&codes), "{codes:?}");
        peer.write(&without_blocks(&peer.header, &content, 7));
        assert_eq!(peer.codes(), [0]);
        node.assert_has("a", &content);
    }
}

#[test]
fn nothing_is_removed_before_the_proof() {
    for node in nodes() {
        let peer = half_way(asked(&node, &["a"]), &node, "a");
        let mut stranger = Peer::greet(cancelling(&peer.header, &["a"]), node.address);
        let Some(Line::Challenge { mut challenge }) = stranger.line() else { panic!("no challenge") };
        challenge.0[3] ^= 1;
        stranger.answer(&challenge);
        let bytes = crate::support::exchange(node.address, b"");
        assert!(!bytes.is_empty());
        assert_eq!(node.names(), ["a.lantorrent"]);
        peer.write(&without_blocks(&peer.header, &content(SIZE), 7));
        assert_eq!(peer.codes(), [0]);
    }
}

#[test]
fn a_process_that_comes_later_knows_what_was_cancelled() {
    let node = TestNode::apart(|_| ());
    let header = asked(&node, &["a", "b"]);
    assert_eq!(cancel(&header, &["a"], &node), [CANCELLED]);
    // Of another process each.
    assert_eq!(cancel(&header, &["b"], &node), [CANCELLED]);
    assert_eq!(node.kept().len(), 2);
    let mut peer = Peer::greet(header, node.address);
    peer.prove();
    assert_eq!(peer.codes(), [CANCELLED; 2]);
    assert_eq!(fs::read_dir(node.path("")).unwrap().count(), 0);
}

#[test]
fn where_the_process_cannot_take_over_nothing_is_cancelled() {
    // Each process has room for the connection that it was started for.
    let node = TestNode::apart(|config| config.connections = 1);
    let peer = half_way(asked(&node, &["a"]), &node, "a");
    let mut asking = Peer::greet(cancelling(&peer.header, &["a"]), node.address);
    let Some(Line::Challenge { challenge }) = asking.line() else { panic!("no challenge") };
    asking.answer(&challenge);
    assert_eq!(asking.line(), None, "not even that it is let in");
    assert_eq!(node.kept().len(), 0, "a process that comes later does not take it for cancelled");
    peer.write(&without_blocks(&peer.header, &content(SIZE), 7));
    assert_eq!(peer.codes(), [0]);
    node.assert_has("a", &content(SIZE));
}

#[test]
fn a_cancel_costs_others_nothing_whoever_it_comes_from() {
    // More than one sender cancels, again and again, and hangs up without listening.
    let content = content(SIZE);
    for node in nodes() {
        let peer = half_way(asked(&node, &["a", "b"]), &node, "b");
        for _ in 0..30 {
            let mut hasty = Peer::greet(cancelling(&peer.header, &["a"]), node.address);
            hasty.prove();
            drop(hasty);
            drop(Peer::greet(cancelling(&peer.header, &["a", "b"]), node.address));
        }
        assert_eq!(cancel(&peer.header, &["a"], &node), [CANCELLED]);
        peer.write(&without_blocks(&peer.header, &content, 7));
        assert_eq!(peer.codes(), [CANCELLED, 0]);
        node.assert_has("b", &content);
        let header = header(Wire::Two, &node, "c", SIZE as u64);
        let other = Peer::ready(header, node.address);
        other.write(&payload(&other.header, &content));
        assert_eq!(other.codes(), [0]);
    }
}
