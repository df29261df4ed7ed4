//! Senders whose clock was put back: a repeated transfer goes on although it seems to be the older one.

use std::net::Shutdown;
use std::time::Duration;

use lantorrent_core::wire::{Code, Header, Wire};

use crate::support::{
    Peer, TestNode, anew, content, first_blocks, header, of_version, wait_until, without_blocks,
};

const BLOCK: usize = 4096;
const SIZE: usize = 20 * BLOCK + 5;

/// A transfer of the file that began at that second.
fn begun_at(node: &TestNode, second: u64) -> Header {
    let mut header = anew(of_version(header(Wire::Two, node, "a", SIZE as u64), "the file"));
    header.envelope.as_mut().unwrap().begun = Some(second * 1000);
    header
}

/// Sends some blocks of a transfer that began at second 1000.
fn first(node: &TestNode, content: &[u8]) -> Peer {
    let peer = Peer::ready(begun_at(node, 1000), node.address);
    peer.write(&first_blocks(&peer.header, content, 3));
    wait_until("some of it is there", || {
        std::fs::metadata(node.path("a.lantorrent")).is_ok_and(|found| found.len() == 3 * BLOCK as u64)
    });
    peer
}

fn goes_on_where_the_sender_is_gone(node: &TestNode) {
    let content = content(SIZE);
    let first = first(node, &content);
    first.socket.shutdown(Shutdown::Both).unwrap();
    // The node need not have noticed: it waits for that.
    let repeated = Peer::ready_at(begun_at(node, 800), node.address, 3 * BLOCK as u64);
    repeated.write(&without_blocks(&repeated.header, &content, 3));
    assert_eq!(repeated.codes(), [0]);
    node.assert_has("a", &content);
    assert_eq!(node.names(), ["a"]);
}

/// Loses, however long it takes until it is refused.
fn is_refused_where_the_sender_lives(node: &TestNode) {
    let content = content(SIZE);
    let first = first(node, &content);
    let mut late = Peer::greet(begun_at(node, 800), node.address);
    late.prove();
    assert_eq!(late.codes(), [Code::SUPERSEDED.0]);
    first.write(&without_blocks(&first.header, &content, 3));
    assert_eq!(first.codes(), [0]);
    node.assert_has("a", &content);
}

fn patient(contest: u64) -> impl FnOnce(&mut lantorrent_core::NodeConfig) {
    move |config| {
        config.timing.contest = Duration::from_secs(contest);
        config.timing.dead_after = Duration::from_secs(600);
    }
}

#[test]
fn a_repeated_transfer_goes_on_where_the_sender_is_gone() {
    goes_on_where_the_sender_is_gone(&TestNode::with(patient(60)));
}

#[test]
fn a_repeated_transfer_goes_on_where_the_sender_is_gone_over_processes() {
    goes_on_where_the_sender_is_gone(&TestNode::apart(patient(60)));
}

#[test]
fn an_older_transfer_is_refused_while_the_sender_of_the_newer_one_lives() {
    is_refused_where_the_sender_lives(&TestNode::with(patient(0)));
}

#[test]
fn an_older_transfer_is_refused_over_processes() {
    is_refused_where_the_sender_lives(&TestNode::apart(patient(0)));
}
