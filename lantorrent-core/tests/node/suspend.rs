//! Transfers that are suspended, and sent once more.

use std::fs;
use std::sync::{Arc, Mutex};
use std::thread;

use lantorrent_core::wire::Code;
use lantorrent_core::{Transfer, TransferEvent};

use crate::support::{
    DeadPort, Gate, TestNode, Way, codes, content, keys, patient, reports, target, transfer, wait_until,
};

const SIZE: usize = 24 << 20;
const NODES: usize = 3;

/// A node that lets so much of what comes down to it through, all in all, and the rest when the gate opens. Says how much
/// has come.
fn metered(bytes: usize) -> (TestNode, Arc<Gate>, Arc<Mutex<usize>>) {
    let (gate, count) = (Arc::new(Gate::default()), Arc::new(Mutex::new(0)));
    let (pass, counted) = (Arc::clone(&gate), Arc::clone(&count));
    let tap = move |_, way, offset, data: &mut [u8]| {
        if way == Way::Down {
            if offset > bytes {
                pass.pass();
            }
            *counted.lock().unwrap() += data.len();
        }
    };
    (TestNode::behind(Arc::new(tap), |_| ()), gate, count)
}

fn written(node: &TestNode) -> u64 {
    fs::metadata(node.path("a.lantorrent")).map_or(0, |found| found.len())
}

#[test]
fn every_node_goes_on_where_it_was() {
    let content = content(SIZE);
    let source = tempfile::NamedTempFile::new().unwrap();
    fs::write(source.path(), &content).unwrap();
    let (first, gate, moved) = metered(SIZE / 2);
    let others = [TestNode::new(), TestNode::new()];
    let nodes: Vec<&TestNode> = std::iter::once(&first).chain(&others).collect();
    let begin = || {
        let transfer = Transfer::from_file(source.path(), keys()).unwrap().timing(patient());
        nodes.iter().fold(transfer, |transfer, node| transfer.to(node.target("a")))
    };
    let transfer = begin();
    let handle = transfer.handle();
    let sending = thread::spawn(|| transfer.send().unwrap());
    // More than the journal may lack when it ends.
    wait_until("half of it is there", || nodes.iter().all(|node| written(node) > SIZE as u64 / 3));
    handle.suspend();
    let outcome = sending.join().unwrap();
    assert_eq!(codes(&outcome), [Code::STOPPED.0; NODES], "{outcome:?}");
    assert!(reports(&outcome).iter().all(|report| report.by.is_none()), "{outcome:?}");
    handle.suspend();
    assert!(nodes.iter().all(|node| node.names() == ["a.lantorrent"]), "nobody gives it up");
    gate.open();
    *moved.lock().unwrap() = 0;
    let outcome = begin().send().unwrap();
    assert!(outcome.all_succeeded(), "{outcome:?}");
    let moved = *moved.lock().unwrap();
    assert!(moved < SIZE * 3 / 4, "{moved} bytes went to the first node again");
    for node in nodes {
        node.assert_has("a", &content);
        assert_eq!(fs::read_dir(node.path("")).unwrap().count(), 1, "no journal is left");
    }
}

#[test]
fn a_transfer_is_suspended_before_it_begins() {
    let node = TestNode::new();
    let transfer = transfer(&content(50_000)).to(node.target("a"));
    transfer.handle().suspend();
    let outcome = transfer.send().unwrap();
    assert_eq!(codes(&outcome), [Code::STOPPED.0], "{outcome:?}");
    assert_eq!(node.names(), [""; 0]);
}

#[test]
fn who_begins_is_told_first_and_by_place() {
    let (one, two) = (TestNode::new(), TestNode::new());
    let port = DeadPort::new();
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let outcome = transfer(&content(50_000))
        .to(one.target("a"))
        .to(target(port.address, "/dead"))
        .to(two.target("a"))
        .to(one.target("b"))
        .on_event(move |event| heard.lock().unwrap().push(event.clone()))
        .send()
        .unwrap();
    assert_eq!(codes(&outcome), [0, Code::CANNOT_CONNECT.0, 0, 0]);
    let events = events.lock().unwrap();
    // Only who was left out is spoken of before.
    assert!(
        matches!(&events[0], TransferEvent::Ended(ended) if ended.report().id.as_deref() == Some("1")),
        "{events:?}"
    );
    let TransferEvent::Begun { nodes, .. } = &events[1] else { panic!("{events:?}") };
    let listed: Vec<_> = nodes.iter().map(|node| (node.index, node.port, &node.places[..])).collect();
    assert_eq!(listed, [(0, one.address.port(), &[0, 3][..]), (2, two.address.port(), &[2])]);
}
