//! `lantorrent serve --inetd`: nodes whose every connection has a process of its own, and what becomes of a transfer when
//! such processes are lost.

use std::path::Path;
use std::process::{Child, Stdio};

use crate::common::{Finished, Inetd, Lab, content, names, wait_until};

const MIB: u64 = 1 << 20;
const SIZE: u64 = 64 * MIB;
/// The journal of a process that is killed is behind by as much as goes to the disk at once, and by what is under way.
const ON_RECORD: u64 = 8 * MIB;

fn three(lab: &Lab) -> [Inetd; 3] {
    ["one", "two", "three"].map(|name| Inetd::start(lab, name))
}

fn send(lab: &Lab, nodes: &[Inetd]) -> Child {
    let mut command = lab.command(["send", "--json"]);
    command.arg(lab.path().join("source")).args(nodes.iter().map(|node| node.destination("a")));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn len(file: &Path) -> u64 {
    file.metadata().map_or(0, |found| found.len())
}

/// Every node has about half of the file, and a good part of that is on record.
fn wait_for_half(nodes: &[Inetd]) {
    for node in nodes {
        wait_until("it has half of the file", || len(&node.file("a.lantorrent")) >= SIZE / 2);
        // 32 bytes for each block, which are 128 KiB here.
        let journal = node.file("a.lantorrent-journal");
        wait_until("it has a journal of it", || len(&journal) >= ON_RECORD / (128 << 10) * 32);
    }
}

/// Sends to three nodes, and does something to them when they have half of it.
fn strike(what: impl FnOnce(&[Inetd; 3])) -> (Lab, [Inetd; 3], Finished) {
    let lab = Lab::new();
    let nodes = three(&lab);
    lab.source(SIZE as usize);
    let sender = send(&lab, &nodes);
    wait_for_half(&nodes);
    what(&nodes);
    let finished = Finished::of(sender);
    (lab, nodes, finished)
}

#[track_caller]
fn assert_whole(node: &Inetd) {
    assert!(std::fs::read(node.file("a")).unwrap() == content(SIZE as usize), "{}", node.root().display());
    assert_eq!(names(node.root()), ["a"]);
}

/// It was sent what it lacked, and not everything once more.
#[track_caller]
fn assert_went_on(node: &Inetd) {
    let most = SIZE + SIZE / 2 - ON_RECORD / 2;
    assert!(node.received() < most, "{}: {} MiB", node.root().display(), node.received() / MIB);
    assert!(node.processes() > 2, "one was asked before the start, one began, and one went on");
}

#[test]
fn a_chain_of_processes() {
    let lab = Lab::new();
    let nodes = three(&lab);
    lab.source(SIZE as usize);
    assert_eq!(Finished::of(send(&lab, &nodes)).expect(0).codes(), [0, 0, 0]);
    for node in &nodes {
        assert_whole(node);
        assert_eq!(node.processes(), 2, "one was asked before the start");
        let kept = names(&node.home().join("state"));
        assert_eq!(kept.iter().filter(|name| name.ends_with(".results")).count(), 1, "{kept:?}");
        wait_until("its processes have ended", || node.running() == 0);
    }
}

#[test]
fn a_process_is_killed_and_another_goes_on() {
    let (_lab, nodes, finished) = strike(|nodes| nodes[1].kill());
    assert_eq!(finished.expect(0).codes(), [0, 0, 0]);
    nodes.iter().for_each(assert_whole);
    nodes[1..].iter().for_each(assert_went_on);
}

#[test]
fn a_node_is_lost_and_the_one_behind_it_is_taken_over_from_its_own_process() {
    let (_lab, nodes, finished) = strike(|nodes| nodes[1].break_down());
    assert_eq!(finished.expect(1).codes(), [0, 509, 0]);
    for node in [&nodes[0], &nodes[2]] {
        assert_whole(node);
    }
    assert_went_on(&nodes[2]);
    assert_eq!(names(nodes[1].root()), ["a.lantorrent", "a.lantorrent-journal"]);
}

#[test]
fn the_first_process_is_killed() {
    let (_lab, nodes, finished) = strike(|nodes| nodes[0].kill());
    assert_eq!(finished.expect(0).codes(), [0, 0, 0]);
    nodes.iter().for_each(assert_whole);
    nodes.iter().for_each(assert_went_on);
}

#[test]
fn the_first_and_the_last_process_are_killed() {
    let (_lab, nodes, finished) = strike(|nodes| {
        nodes[0].kill();
        nodes[2].kill();
    });
    assert_eq!(finished.expect(0).codes(), [0, 0, 0]);
    nodes.iter().for_each(assert_whole);
    nodes.iter().for_each(assert_went_on);
}

#[test]
fn the_first_and_the_last_node_are_lost() {
    let (_lab, nodes, finished) = strike(|nodes| {
        nodes[0].break_down();
        nodes[2].break_down();
    });
    assert_eq!(finished.expect(1).codes(), [509, 0, 509]);
    assert_whole(&nodes[1]);
    assert_went_on(&nodes[1]);
}

#[test]
fn a_process_that_is_stopped_is_bypassed() {
    let (_lab, nodes, finished) = strike(|nodes| nodes[1].signal("STOP"));
    assert_eq!(finished.expect(1).codes(), [0, 509, 0]);
    for node in [&nodes[0], &nodes[2]] {
        assert_whole(node);
    }
    assert_went_on(&nodes[2]);
}

#[test]
fn a_process_that_wakes_up_splits_nothing() {
    let (_lab, nodes, finished) = strike(|nodes| {
        nodes[1].signal("STOP");
        let last = nodes[2].file("a.lantorrent");
        wait_until("the last goes on without it", || len(&last) > SIZE / 2 + 6 * MIB || !last.exists());
        nodes[1].signal("CONT");
    });
    let codes = finished.codes();
    assert!([0, 509].contains(&codes[1]) && codes[0] + codes[2] == 0, "{codes:?}");
    let whole = nodes.iter().zip(codes).filter(|(_, code)| *code == 0);
    whole.for_each(|(node, _)| assert_whole(node));
    assert_went_on(&nodes[2]);
}

#[test]
fn the_sender_is_killed_and_another_goes_on() {
    let lab = Lab::new();
    let nodes = three(&lab);
    lab.source(SIZE as usize);
    let mut sender = send(&lab, &nodes);
    wait_for_half(&nodes);
    sender.kill().unwrap();
    sender.wait().unwrap();
    assert!(nodes.iter().all(|node| node.running() == 1), "they wait for another");
    assert_eq!(Finished::of(send(&lab, &nodes)).expect(0).codes(), [0, 0, 0]);
    nodes.iter().for_each(assert_whole);
    nodes.iter().for_each(assert_went_on);
    for node in &nodes {
        wait_until("its processes have ended", || node.running() == 0);
    }
}
