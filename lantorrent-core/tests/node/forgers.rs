//! A relay in the middle that knows the password and changes what it relays: it delays the nodes behind it, and no more.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex};

use lantorrent_core::Transfer;
use lantorrent_core::wire::{Code, HEAD_BYTES, Line, TAG_BYTES, Wire};

use crate::forger::{Forger, Lie};
use crate::support::{
    Peer, Tap, TestNode, Way, codes, content, from_to, header, keys, payload, transfer, wait_until,
};

/// Changes what relays send, and nothing that comes from the source itself.
fn forging(lie: Lie) -> Tap {
    let forgers: Mutex<HashMap<usize, Forger>> = Mutex::default();
    Arc::new(move |connection, way, _, bytes: &mut [u8]| {
        if way == Way::Down {
            let mut forgers = forgers.lock().unwrap();
            forgers.entry(connection).or_insert_with(|| Forger::new(lie, keys())).pass(bytes);
        }
    })
}

#[test]
fn the_source_serves_those_behind_it_by_itself() {
    let content = content(300_000);
    for lie in Lie::ALL {
        for degree in [1, 2] {
            let nodes = [
                TestNode::new(),
                TestNode::behind(forging(lie), |_| ()),
                TestNode::new(),
                TestNode::behind(forging(lie), |_| ()),
            ];
            for node in &nodes {
                fs::write(node.path("a"), b"what was there before").unwrap();
            }
            let begin = transfer(&content).degree(degree).block_size(4096);
            let outcome = nodes.iter().fold(begin, |begin, node| begin.to(node.target("a"))).send().unwrap();
            assert_eq!(codes(&outcome), [0; 4], "{lie:?} {outcome:?}");
            for node in &nodes {
                node.assert_has("a", &content);
                assert_eq!(node.names(), ["a"], "{lie:?}");
            }
        }
    }
}

#[test]
fn with_a_process_for_each_connection_too() {
    let content = content(300_000);
    for lie in Lie::ALL {
        let nodes = [TestNode::new(), TestNode::apart_behind(forging(lie)), TestNode::apart(|_| ())];
        let begin = nodes.iter().fold(transfer(&content), |begin, node| begin.to(node.target("a")));
        let outcome = Transfer::send(begin).unwrap();
        assert_eq!(codes(&outcome), [0; 3], "{lie:?} {outcome:?}");
        for node in &nodes {
            node.assert_has("a", &content);
            assert_eq!(node.names(), ["a"], "{lie:?}");
        }
    }
}

#[test]
fn a_transfer_that_was_spoiled_begins_anew_for_its_source_alone() {
    let content = content(10_000);
    for node in [TestNode::new(), TestNode::apart(|_| ())] {
        let header = header(Wire::Two, &node, "a", content.len() as u64);
        let mut other = content.clone();
        other[0] ^= 1;
        // As a relay has it that puts the source's end behind other content.
        let relay = Peer::ready(from_to(header.clone(), Some(0), 1), node.address);
        let (other, signed) = (payload(&relay.header, &other), payload(&relay.header, &content));
        let end = other.len() - HEAD_BYTES - 96 - TAG_BYTES;
        relay.write(&[&other[..end], &signed[end..]].concat());
        assert_eq!(relay.codes(), [Code::WRONG_CHECKSUM.0]);
        wait_until("nothing is left", || node.names().is_empty());
        // It is told again how that ended, whatever it brings.
        let mut again = Peer::greet(from_to(header.clone(), Some(0), 1), node.address);
        again.prove();
        assert!(matches!(again.line(), Some(Line::Result(_))));
        let source = Peer::ready(from_to(header, None, 1), node.address);
        source.write(&payload(&source.header, &content));
        assert_eq!(source.codes(), [0]);
        node.assert_has("a", &content);
    }
}
