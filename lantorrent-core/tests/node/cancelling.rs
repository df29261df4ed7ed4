//! Targets that a source's user cancels: while nodes are asked, while the chain runs, and without any transfer.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use lantorrent_core::wire::{Code, Keyring, Password, Wire};
use lantorrent_core::{Cancel, Outcome, Transfer, TransferEvent};

use crate::support::{
    DeadPort, Gate, Peer, TestNode, Way, codes, content, first_blocks, gated, header_for, keys, patient,
    short, target, wait_until,
};

const SIZE: usize = 24 << 20;
const CANCELLED: u16 = Code::CANCELLED.0;

/// A file to be sent again and again.
struct Source {
    file: tempfile::NamedTempFile,
    content: Vec<u8>,
}

impl Source {
    fn new(size: usize) -> Self {
        let (file, content) = (tempfile::NamedTempFile::new().unwrap(), content(size));
        fs::write(file.path(), &content).unwrap();
        Self { file, content }
    }

    fn transfer(&self) -> Transfer {
        Transfer::from_file(self.file.path(), keys()).unwrap().timing(patient())
    }

    fn cancel(&self) -> Cancel {
        Cancel::new(keys(), Cancel::source(self.file.path()).unwrap())
    }
}

fn sending(transfer: Transfer) -> thread::JoinHandle<Outcome> {
    thread::spawn(|| transfer.send().unwrap())
}

fn is_empty(node: &TestNode) -> bool {
    fs::read_dir(node.path("")).unwrap().count() == 0
}

#[test]
fn whoever_is_cancelled_is_cut_out_and_the_others_go_on() {
    let source = Source::new(SIZE);
    for cancelled in 0..3 {
        let (first, gate) = gated(SIZE / 2);
        let nodes = [first, TestNode::new(), TestNode::new()];
        let transfer = nodes.iter().fold(source.transfer(), |transfer, node| transfer.to(node.target("a")));
        let handle = transfer.handle();
        let outcome = sending(transfer);
        wait_until("all have some of it", || nodes.iter().all(|node| node.names() == ["a.lantorrent"]));
        // However often that is said.
        wait_until("it is gone", || {
            handle.cancel(cancelled).unwrap();
            is_empty(&nodes[cancelled])
        });
        gate.open();
        let outcome = outcome.join().unwrap();
        let mut expected = [0; 3];
        expected[cancelled] = CANCELLED;
        assert_eq!(codes(&outcome), expected, "{outcome:?}");
        for (place, mut node) in nodes.into_iter().enumerate() {
            if place == cancelled {
                node.stop();
                assert!(is_empty(&node));
            } else {
                node.assert_has("a", &source.content);
            }
        }
    }
}

#[test]
fn all_may_be_cancelled_one_after_the_other() {
    let source = Source::new(SIZE);
    let (first, gate) = gated(SIZE / 2);
    let last = TestNode::new();
    let transfer = source.transfer().to(first.target("a")).to(last.target("a")).to(first.target("b"));
    let handle = transfer.handle();
    let outcome = sending(transfer);
    wait_until("all have some of it", || [&first, &last].iter().all(|node| !node.names().is_empty()));
    // In no order, more than once, and of what there is not.
    for place in [2, 2, 7, 0, 1, usize::MAX] {
        assert_eq!(handle.cancel(place).is_ok(), place < 3);
    }
    wait_until("it is gone", || is_empty(&first) && is_empty(&last));
    let outcome = outcome.join().unwrap();
    gate.open();
    assert_eq!(codes(&outcome), [CANCELLED; 3], "{outcome:?}");
    handle.cancel(0).unwrap();
}

#[test]
fn what_is_cancelled_while_nodes_are_asked_is_never_sent() {
    let source = Source::new(100_000);
    let node = TestNode::new();
    // Something is left of an earlier time, of what is cancelled and of what is not.
    leave_partial(&source, &node, &["a", "b"]);
    let port = DeadPort::new();
    let transfer = source
        .transfer()
        .to(node.target("a"))
        .to(node.target("b"))
        .to(target(port.address, "/dead"))
        .to(node.target("c"));
    let handle = transfer.handle();
    for place in [0, 2] {
        handle.cancel(place).unwrap();
    }
    let outcome = transfer.send().unwrap();
    assert_eq!(codes(&outcome), [CANCELLED, 0, CANCELLED, 0], "{outcome:?}");
    // The node says so itself, where it can be asked.
    let by: Vec<bool> = outcome.reports().map(|report| report.by.is_some()).collect();
    assert_eq!(by, [true, true, false, true], "{outcome:?}");
    assert_eq!(node.names(), ["b", "c"]);
    node.assert_has("b", &source.content);
}

#[test]
fn nothing_is_sent_where_nothing_is_wanted() {
    let source = Source::new(100_000);
    for wire in [Wire::Two, Wire::One] {
        let node = TestNode::new();
        let transfer = source.transfer().wire(wire).to(node.target("a")).to(node.target("b"));
        let handle = transfer.handle();
        for place in [0, 1] {
            handle.cancel(place).unwrap();
        }
        let outcome = transfer.send().unwrap();
        assert_eq!((codes(&outcome), outcome.sent()), (vec![CANCELLED; 2], 0), "{outcome:?}");
        assert!(is_empty(&node));
    }
}

#[test]
fn what_is_in_place_is_a_success_although_it_is_cancelled() {
    let source = Source::new(SIZE);
    let (last, gate) = gated(SIZE / 2);
    let first = TestNode::new();
    let transfer = source.transfer().to(first.target("a")).to(last.target("a"));
    let handle = transfer.handle();
    let outcome = sending(transfer);
    wait_until("the first has it", || first.names() == ["a"]);
    handle.cancel(0).unwrap();
    gate.open();
    let outcome = outcome.join().unwrap();
    assert_eq!(codes(&outcome), [0, 0], "{outcome:?}");
    first.assert_has("a", &source.content);
}

#[test]
fn a_node_that_cannot_be_told_changes_nothing() {
    // It takes no second connection.
    let source = Source::new(SIZE);
    let gate = Arc::new(Gate::default());
    let (pass, connections) = (Arc::clone(&gate), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&connections);
    let tap = move |number, way, offset, bytes: &mut [u8]| {
        seen.fetch_max(number + 1, Ordering::Relaxed);
        // The first is the check, the second the chain.
        match (number, way) {
            (1, Way::Down) if offset > SIZE / 2 => pass.pass(),
            (2.., Way::Down) => bytes.fill(0),
            _ => {}
        }
    };
    let node = TestNode::behind(Arc::new(tap), |config| {
        config.timing.dead_after = Duration::from_secs(600);
    });
    let transfer = source.transfer().to(node.target("a"));
    let handle = transfer.handle();
    let outcome = sending(transfer);
    wait_until("some of it has come", || node.names() == ["a.lantorrent"]);
    handle.cancel(0).unwrap();
    wait_until("it was tried", || connections.load(Ordering::Relaxed) >= 3);
    gate.open();
    let outcome = outcome.join().unwrap();
    assert_eq!(codes(&outcome), [0], "{outcome:?}");
    node.assert_has("a", &source.content);
}

#[test]
fn a_target_is_cancelled_from_the_listener() {
    let source = Source::new(SIZE);
    let (node, gate) = gated(SIZE / 2);
    let other = TestNode::new();
    let mut timing = short(60_000);
    timing.progress = Duration::from_millis(20);
    let transfer = source.transfer().to(node.target("a")).to(other.target("a")).timing(timing);
    let handle = transfer.handle();
    let outcome = transfer
        .on_event(move |event| {
            if matches!(event, TransferEvent::Progress(progress) if progress.sent > 0) {
                (0..1000).for_each(|_| handle.cancel(0).unwrap());
                gate.open();
            }
        })
        .send()
        .unwrap();
    assert_eq!(codes(&outcome), [CANCELLED, 0], "{outcome:?}");
    other.assert_has("a", &source.content);
}

/// Leaves the beginning of the file on a node, by a sender that is gone.
fn leave_partial(source: &Source, node: &TestNode, names: &[&str]) {
    let mut header = header_for(Wire::Two, &[node], names, Some(source.content.len() as u64));
    header.envelope.as_mut().unwrap().source = Some(Cancel::source(source.file.path()).unwrap());
    let peer = Peer::ready(header, node.address);
    peer.write(&first_blocks(&peer.header, &source.content, 7));
    let written = |name: &&str| fs::metadata(node.path(&format!("{name}.lantorrent"))).unwrap().len();
    wait_until("it is written", || names.iter().map(written).all(|bytes| bytes == 7 * 4096));
}

#[test]
fn what_is_left_is_removed_without_a_transfer() {
    let source = Source::new(100_000);
    let (one, two, empty) = (TestNode::new(), TestNode::new(), TestNode::new());
    let port = DeadPort::new();
    leave_partial(&source, &one, &["a", "b"]);
    leave_partial(&source, &two, &["a"]);
    // What is kept of it is enough to know it by, when it is not there any more.
    let cancel = source.cancel();
    let Source { file, content } = source;
    drop(file);
    let found = cancel
        .to(one.target("a"))
        .to(target(port.address, "/dead"))
        .to(two.target("a"))
        .to(empty.target("a"))
        .to(target(empty.address, "/etc/passwd"))
        .run()
        .unwrap();
    let expected = [CANCELLED, Code::CANNOT_CONNECT.0, CANCELLED, CANCELLED, CANCELLED];
    assert_eq!(codes(&found), expected, "{found:?}");
    let ids: Vec<_> = found.reports().map(|report| report.id.as_deref().unwrap()).collect();
    assert_eq!(ids, ["0", "1", "2", "3", "4"]);
    assert!(is_empty(&two) && is_empty(&empty));
    assert_eq!(one.names(), ["b.lantorrent"]);
    assert_eq!(content.len(), 100_000);
}

#[test]
fn what_is_whole_or_of_another_file_is_not_removed() {
    let (source, other) = (Source::new(100_000), Source::new(90_000));
    let node = TestNode::new();
    assert!(source.transfer().to(node.target("a")).send().unwrap().all_succeeded());
    leave_partial(&other, &node, &["b"]);
    let found = source.cancel().to(node.target("a")).to(node.target("b")).run().unwrap();
    assert_eq!(codes(&found), [CANCELLED; 2], "{found:?}");
    assert_eq!(node.names(), ["a", "b.lantorrent"]);
}

#[test]
fn what_is_suspended_is_cancelled_and_no_more() {
    let source = Source::new(SIZE);
    let (node, gate) = gated(SIZE / 2);
    let transfer = source.transfer().to(node.target("a")).to(node.target("b"));
    let handle = transfer.handle();
    let outcome = sending(transfer);
    // What has nothing to go on with is not kept.
    let written = |name| fs::metadata(node.path(name)).map_or(0, |found| found.len());
    let enough = SIZE as u64 / 3;
    wait_until("some of it has come", || {
        ["a.lantorrent", "b.lantorrent"].iter().all(|name| written(name) > enough)
    });
    handle.suspend();
    assert_eq!(codes(&outcome.join().unwrap()), [Code::STOPPED.0; 2]);
    gate.open();
    assert_eq!(codes(&source.cancel().to(node.target("a")).run().unwrap()), [CANCELLED]);
    assert_eq!(node.names(), ["b.lantorrent"]);
    assert!(source.transfer().to(node.target("b")).send().unwrap().all_succeeded());
    assert_eq!(node.names(), ["b"]);
}

#[test]
fn who_has_no_password_of_wire_2_can_cancel_nothing() {
    let source = Source::new(10);
    let hint = Cancel::source(source.file.path()).unwrap();
    assert!(Cancel::new(Keyring::wire_1_only(Password::new("x").unwrap()), hint).run().is_err());
    assert!(source.cancel().run().is_err(), "nobody is asked");
    assert!(Cancel::source("/no/such/file").is_err());
}
