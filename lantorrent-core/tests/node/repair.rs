//! Chains that go on although somebody in them is lost.

use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lantorrent_core::wire::{Code, FromNode, Line, Wire};
use lantorrent_core::{Transfer, TransferEvent};

use crate::support::{
    FakeNode, Gate, Peer, TestNode, codes, content, gated, header_for, payload, reports, transfer, wait_until,
};

fn len(node: &TestNode) -> u64 {
    fs::metadata(node.path("a.lantorrent")).map_or(0, |found| found.len())
}

#[test]
fn who_is_behind_a_node_that_is_stopped_goes_on() {
    let content = content(40 << 20);
    for lost in 0..3 {
        // The source is held up, so that the others have not all of it yet.
        let (first, gate) = gated(20 << 20);
        let mut nodes = [first, TestNode::new(), TestNode::new(), TestNode::new()];
        let bypassed = Arc::new(AtomicBool::new(false));
        let hear = Arc::clone(&bypassed);
        let begin = transfer(&content).on_event(move |event| {
            if let TransferEvent::Bypassed(_) = event {
                hear.store(true, Ordering::Release);
            }
        });
        let transfer = nodes.iter().fold(begin, |transfer, node| transfer.to(node.target("a")));
        let sending = std::thread::spawn(|| transfer.send().unwrap());
        wait_until("all have begun", || nodes.iter().all(|node| len(node) > 1 << 20));
        nodes[lost + 1].stop();
        gate.open();
        let outcome = sending.join().unwrap();
        let mut expected = [0; 4];
        expected[lost + 1] = reports(&outcome)[lost + 1].code.0;
        assert_ne!(expected[lost + 1], 0, "{outcome:?}");
        assert_eq!(codes(&outcome), expected, "{outcome:?}");
        for (_, node) in nodes.iter().enumerate().filter(|&(place, _)| place != lost + 1) {
            node.assert_has("a", &content);
            assert_eq!(node.names(), ["a"]);
        }
        // Whoever was stopped keeps what it has for another time.
        assert_eq!(nodes[lost + 1].names(), ["a.lantorrent"]);
    }
}

#[test]
fn a_node_that_comes_back_gets_the_rest() {
    let content = content(40 << 20);
    let (first, gate) = gated(20 << 20);
    let (second, last) = (TestNode::new(), TestNode::new());
    let own = second.own;
    let targets = [first.target("a"), second.target("a"), last.target("a")];
    let transfer = targets.into_iter().fold(transfer(&content), Transfer::to);
    let sending = std::thread::spawn(|| transfer.send().unwrap());
    wait_until("all have begun", || [&first, &second, &last].iter().all(|node| len(node) > 1 << 20));
    let folder = second.into_folder();
    let second = TestNode::at(own, folder, |_| ());
    gate.open();
    let outcome = sending.join().unwrap();
    // It has said that it was stopped, which is its own word; or it was not heard, and asked again.
    let code = reports(&outcome)[1].code;
    assert!(code.is_success() || code == Code::STOPPED, "{outcome:?}");
    assert_eq!((reports(&outcome)[0].code.0, reports(&outcome)[2].code.0), (0, 0), "{outcome:?}");
    if code.is_success() {
        second.assert_has("a", &content);
    }
}

#[test]
fn what_was_changed_on_the_disk_is_sent_to_nobody() {
    let content = content(24 << 20);
    let node = TestNode::new();
    let gate = Arc::new(Gate::default());
    let pass = Arc::clone(&gate);
    let (seen, saw) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (tell_seen, tell_saw) = (Arc::clone(&seen), Arc::clone(&saw));
    let fake = FakeNode::raw(move |mut child| {
        child.line(&Line::ACCEPTED);
        tell_seen.store(true, Ordering::Release);
        pass.pass();
        child.line(&Line::Ready { offset: 0 });
        // Nothing but signs of life.
        assert_eq!(child.swallow(), None);
        tell_saw.store(true, Ordering::Release);
    });
    let mut header = header_for(Wire::Two, &[&node, &node], &["a"], Some(content.len() as u64));
    header.destinations[0].port = fake.address.port();
    let mut peer = Peer::ready(header, node.address);
    wait_until("the child is there", || seen.load(Ordering::Acquire));
    let bytes = payload(&peer.header, &content);
    // All but the end.
    peer.write(&bytes[..bytes.len() - 100]);
    wait_until("most of it is written", || len(&node) > 20 << 20);
    let partial = fs::File::options().write(true).open(node.path("a.lantorrent")).unwrap();
    partial.write_all_at(b"something else", 100).unwrap();
    gate.open();
    loop {
        match peer.said() {
            Some(FromNode::Line(Line::Aside)) => break,
            Some(FromNode::Line(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    wait_until("the child is let go", || saw.load(Ordering::Acquire));
    fake.join();
}
