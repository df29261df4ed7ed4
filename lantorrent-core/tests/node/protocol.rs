//! What PROTOCOL.md says of rare cases, tried by peers made by hand.

use lantorrent_core::wire::{Abort, Code, Frame, FromNode, Header, Line, NodeState, PayloadWriter, Wire};

use crate::support::{
    DeadPort, FakeNode, Peer, TestNode, content, first_blocks, from_to, header, header_for, keys, payload,
    without_blocks,
};

const BLOCK: usize = 4096;
const SIZE: usize = 5 * BLOCK + 5;

/// A header for a node and, behind it, whatever listens at that port.
fn before(node: &TestNode, port: u16) -> Header {
    let mut header = header_for(Wire::Two, &[node, node], &["a"], Some(SIZE as u64));
    header.destinations[0].port = port;
    header
}

/// The codes of all results until the node closes, by request, whatever else it says.
fn results(peer: &mut Peer) -> Vec<(String, u16)> {
    let mut results = Vec::new();
    while let Some(line) = peer.line() {
        if let Line::Result(sealed) = line {
            let report = peer.open(&sealed);
            results.push((report.id.unwrap(), report.code.0));
        }
    }
    results.sort();
    results
}

#[test]
fn a_bad_head_is_told_at_once_although_it_came_with_the_frame_before_it() {
    let node = TestNode::new();
    let mut peer = Peer::ready(header(Wire::Two, &node, "a", SIZE as u64), node.address);
    // In one write, and nothing behind it for which the node would read again.
    let frame = first_blocks(&peer.header, &content(SIZE), 1);
    let beyond_the_block = [&[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff][..], &[0; 16]].concat();
    peer.write(&[frame, beyond_the_block].concat());
    assert_eq!(peer.line(), Some(Line::Damaged { offset: BLOCK as u64 }));
    assert_eq!(peer.line(), None);
}

#[test]
fn requests_that_the_transfer_does_not_have_are_refused_one_by_one() {
    let content = content(SIZE);
    let node = TestNode::new();
    let header = header(Wire::Two, &node, "a", SIZE as u64);
    let first = Peer::ready(from_to(header.clone(), Some(0), 1), node.address);
    first.write(&first_blocks(&header, &content, 2));
    let mut other = from_to(header.clone(), None, 1);
    let mut foreign = other.node.requests[0].clone();
    foreign.id = "another".into();
    foreign.filename = node.path("b").to_str().unwrap().to_owned();
    other.node.requests.push(foreign);

    // While it is under way: the claim is granted, and adds nothing.
    let mut claim = Peer::greet(other.clone(), node.address);
    claim.prove();
    let Some(Line::Result(sealed)) = claim.line() else { panic!("no word of it") };
    let report = claim.open(&sealed);
    assert_eq!((report.id.as_deref(), report.code), (Some("another"), Code::TAKING_PART));
    assert_eq!((report.index, report.by), (Some(1), Some(1)));
    let Some(Line::Ready { offset }) = claim.line() else { panic!("not ready") };
    claim.write(&without_blocks(&claim.header, &content, offset as usize / BLOCK));
    assert_eq!(results(&mut claim), [("0 a".to_owned(), 0)]);

    // When it is over.
    let mut again = Peer::greet(other, node.address);
    again.prove();
    let taking_part = Code::TAKING_PART.0;
    assert_eq!(results(&mut again), [("0 a".to_owned(), 0), ("another".to_owned(), taking_part)]);
    assert_eq!(node.names(), ["a"]);
}

#[test]
fn an_abort_that_says_success_is_a_failure_for_everybody() {
    let node = TestNode::new();
    let dead = DeadPort::new();
    let mut peer = Peer::greet(before(&node, dead.address.port()), node.address);
    peer.prove();
    peer.frame(&Frame::Abort(Abort::new(Code::SUCCESS, "all is well".into())), &[]);
    let results = results(&mut peer);
    assert_eq!(results[0], ("0 a".to_owned(), Code::UNKNOWN.0));
    assert!(results.iter().all(|(_, code)| *code != 0), "{results:?}");
}

#[test]
fn a_node_that_is_known_by_its_result_alone_is_told_of_in_progress() {
    let content = content(SIZE);
    let node = TestNode::new();
    let fake = FakeNode::new(|mut child| {
        let sum = child.swallow().unwrap();
        let report = child.report(Code::SUCCESS, Some(&sum));
        child.say(&report);
        child.wait();
    });
    let header = before(&node, fake.address.port());
    let mut peer = Peer::ready(header.clone(), node.address);
    peer.write(&payload(&header, &content));
    let mut changed = Vec::new();
    while let Some(said) = peer.said() {
        if let FromNode::Line(Line::Progress(progress)) = said {
            changed.extend(progress.changed);
        }
    }
    let child: Vec<_> = changed.iter().filter(|change| change.index == 1).collect();
    assert_eq!(child.len(), 1, "{changed:?}");
    assert_eq!((child[0].state, child[0].offset), (NodeState::Done, SIZE as u64));
    fake.join();
}

#[test]
fn a_sender_that_goes_on_talking_hears_every_result_all_the_same() {
    let content = content(SIZE);
    let node = TestNode::new();
    let header = header(Wire::Two, &node, "a", SIZE as u64);
    let peer = Peer::ready(header.clone(), node.address);
    peer.write(&payload(&header, &content));
    // More than any socket holds: a node that closes with something unread resets the connection.
    let idle = Frame::Idle { offset: SIZE as u64 };
    let idle = PayloadWriter::new(&header, &keys()).unwrap().encode(&idle).unwrap();
    peer.write(&[idle.before, idle.after].concat().repeat(20_000));
    assert_eq!(peer.codes(), [0]);
}
