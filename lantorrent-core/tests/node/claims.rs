//! Several upstreams for one node: who takes over, who does not, and what the node says to each.

use std::sync::Arc;
use std::time::Duration;

use lantorrent_core::wire::{Code, Frame, Header, Line, Wire, digest};

use crate::support::{
    FakeNode, Gate, Peer, TestNode, content, first_blocks, from_to, header, header_for, payload, short,
    wait_until, without_blocks,
};

const BLOCK: usize = 4096;
const SIZE: usize = 20 * BLOCK + 5;

/// A header for the third of a list.
fn third(node: &TestNode) -> Header {
    from_to(header(Wire::Two, node, "a", SIZE as u64), Some(1), 2)
}

#[test]
fn who_stands_before_the_upstream_takes_over_in_the_middle_of_a_block() {
    let content = content(SIZE);
    let node = TestNode::new();
    let mut first = Peer::ready(third(&node), node.address);
    let blocks = first_blocks(&first.header, &content, 3);
    first.write(&blocks[..blocks.len() - 1000]);
    wait_until("some of it is there", || {
        std::fs::metadata(node.path("a.lantorrent")).is_ok_and(|found| found.len() == 2 * BLOCK as u64)
    });
    // Two whole frames have come, and a part of the third.
    let second = from_to(first.header.clone(), Some(0), 2);
    let mut second = Peer::ready_at(second, node.address, 2 * BLOCK as u64);
    assert_eq!(first.line(), Some(Line::Left));
    assert_eq!(first.line(), None);
    second.write(&without_blocks(&second.header, &content, 2)[..5000]);
    // And then the source itself, from wherever that is.
    let third = from_to(second.header.clone(), None, 2);
    let mut third = Peer::greet(third, node.address);
    third.prove();
    let Some(Line::Ready { offset }) = third.line() else { panic!("not ready") };
    assert_eq!(second.line(), Some(Line::Left));
    let blocks = offset as usize / BLOCK;
    assert!((2..=3).contains(&blocks), "{offset}");
    third.write(&without_blocks(&third.header, &content, blocks));
    assert_eq!(third.codes(), [0]);
    node.assert_has("a", &content);
}

#[test]
fn who_stands_behind_the_upstream_is_turned_away_while_that_lives() {
    let content = content(SIZE);
    let node = TestNode::new();
    let first = Peer::ready(from_to(third(&node), Some(0), 2), node.address);
    first.write(&first_blocks(&first.header, &content, 3));
    for from in [Some(1), Some(2), Some(7)] {
        let mut other = Peer::greet(from_to(first.header.clone(), from, 2), node.address);
        let Some(Line::Challenge { challenge }) = other.line() else { panic!("no challenge") };
        other.answer(&challenge);
        assert_eq!(other.line(), Some(Line::Left), "from {from:?}");
        assert_eq!(other.line(), None);
    }
    // That one is gone; now somebody else may, as soon as the node has noticed.
    first.socket.shutdown(std::net::Shutdown::Both).unwrap();
    let mut second = loop {
        let mut peer = Peer::greet(from_to(first.header.clone(), Some(1), 2), node.address);
        let Some(Line::Challenge { challenge }) = peer.line() else { panic!("no challenge") };
        peer.answer(&challenge);
        match peer.line() {
            Some(Line::Accepted { .. }) => break peer,
            Some(Line::Left) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(second.line(), Some(Line::Ready { offset: 3 * BLOCK as u64 }));
    second.write(&without_blocks(&second.header, &content, 3));
    assert_eq!(second.codes(), [0]);
    node.assert_has("a", &content);
}

#[test]
fn who_is_silent_for_too_long_is_replaced_by_anybody() {
    let content = content(SIZE);
    let node = TestNode::with(|config| config.timing.dead_after = Duration::from_secs(1));
    let first = Peer::ready(from_to(third(&node), Some(0), 2), node.address);
    first.write(&first_blocks(&first.header, &content, 3));
    // Silence, with the connection as it is.
    std::thread::sleep(Duration::from_millis(1300));
    let second = Peer::ready_at(from_to(first.header.clone(), Some(1), 2), node.address, 3 * BLOCK as u64);
    second.write(&without_blocks(&second.header, &content, 3));
    assert_eq!(second.codes(), [0]);
    node.assert_has("a", &content);
    drop(first);
}

#[test]
fn a_block_that_waits_for_room_is_not_lost_when_the_upstream_changes() {
    // The node itself writes nothing, so its child throttles, and that takes nothing before the gate is open.
    let content = content(30 << 20);
    let node = TestNode::new();
    let gate = Arc::new(Gate::default());
    let (pass, expected) = (Arc::clone(&gate), hex_of(&root_of(&content)));
    let fake = FakeNode::new(move |mut child| {
        pass.pass();
        let sum = child.swallow().unwrap();
        assert_eq!(sum, expected);
        let report = child.report(Code::SUCCESS, Some(&sum));
        child.say(&report);
        child.wait();
    });
    let mut header = header_for(Wire::Two, &[&node, &node], &["missing/a"], Some(content.len() as u64));
    header.destinations[0].port = fake.address.port();
    header.destinations[0].index = 2;
    let mut first = Peer::greet(from_to(header, Some(0), 1), node.address);
    first.prove();
    // That its own request has failed comes before that or after it.
    let said = [first.line(), first.line()];
    assert!(said.contains(&Some(Line::Ready { offset: 0 })), "{said:?}");
    let bytes = payload(&first.header, &content);
    first.socket.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let full = std::io::Write::write_all(&mut &first.socket, &bytes).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::WouldBlock, "everybody is full by now");
    let mut second = Peer::greet(from_to(first.header.clone(), None, 1), node.address);
    second.prove();
    // What it has said of its own request is said again.
    let offset = loop {
        match second.line() {
            Some(Line::Ready { offset }) => break offset,
            Some(Line::Result(_)) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(offset > 0 && offset.is_multiple_of(BLOCK as u64), "{offset}");
    gate.open();
    second.write(&without_blocks(&second.header, &content, offset as usize / BLOCK));
    assert_eq!(second.codes(), [0]);
    fake.join();
}

fn hex_of(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn root_of(content: &[u8]) -> [u8; 32] {
    let mut root = lantorrent_core::wire::RootHasher::new(BLOCK as u32);
    content.chunks(BLOCK).for_each(|block| root.block(&digest(block)));
    root.root()
}

#[test]
fn a_damaged_frame_is_sent_again_over_a_fresh_connection() {
    let content = content(SIZE);
    let node = TestNode::new();
    let header = header(Wire::Two, &node, "a", SIZE as u64);
    let mut first = Peer::ready(header.clone(), node.address);
    let mut bytes = payload(&header, &content);
    let frame = first_blocks(&header, &content, 1).len();
    bytes[2 * frame + 2000] ^= 4;
    // The node may have heard enough before all of it is out.
    let _ = std::io::Write::write_all(&mut &first.socket, &bytes);
    assert_eq!(first.line(), Some(Line::Damaged { offset: 2 * BLOCK as u64 }));
    let second = Peer::ready_at(header, node.address, 2 * BLOCK as u64);
    second.write(&without_blocks(&second.header, &content, 2));
    assert_eq!(second.codes(), [0]);
    node.assert_has("a", &content);
}

#[test]
fn who_asks_after_the_end_is_told_again() {
    let content = content(SIZE);
    let node = TestNode::new();
    let header = header(Wire::Two, &node, "a", SIZE as u64);
    let first = Peer::ready(header.clone(), node.address);
    first.write(&payload(&header, &content));
    assert_eq!(first.codes(), [0]);
    for _ in 0..3 {
        let mut again = Peer::greet(header.clone(), node.address);
        again.prove();
        assert_eq!(again.codes(), [0]);
    }
    // For a while.
    let node = TestNode::with(|config| config.timing.retain = Duration::ZERO);
    let header = crate::support::header(Wire::Two, &node, "a", SIZE as u64);
    let first = Peer::ready(header.clone(), node.address);
    first.write(&payload(&header, &content));
    assert_eq!(first.codes(), [0]);
    drop(Peer::ready(header, node.address));
}

#[test]
fn the_result_finds_another_way_when_the_upstream_dies_after_the_end() {
    let content = content(SIZE);
    let node = TestNode::new();
    // The child holds up the end of the transfer.
    let gate = Arc::new(Gate::default());
    let pass = Arc::clone(&gate);
    let fake = FakeNode::new(move |mut child| {
        let sum = child.swallow().unwrap();
        pass.pass();
        let report = child.report(Code::SUCCESS, Some(&sum));
        child.say(&report);
        child.wait();
    });
    let mut header = header_for(Wire::Two, &[&node, &node], &["a"], Some(SIZE as u64));
    header.destinations[0].port = fake.address.port();
    let first = Peer::ready(header.clone(), node.address);
    first.write(&payload(&header, &content));
    wait_until("the node itself has it", || node.names() == ["a"]);
    drop(first);
    let mut second = Peer::greet(header.clone(), node.address);
    second.prove();
    second.frame(&Frame::Idle { offset: SIZE as u64 }, &[]);
    gate.open();
    let mut codes = Vec::new();
    while let Some(line) = second.line() {
        match line {
            Line::Result(sealed) => codes.push(second.open(&sealed).code.0),
            Line::Ready { offset } => assert_eq!(offset, SIZE as u64),
            other => panic!("{other:?}"),
        }
    }
    codes.sort_unstable();
    assert_eq!(codes, [0, 0]);
    fake.join();
}

#[test]
fn a_node_without_upstream_is_stopped_at_once() {
    let mut node = TestNode::new();
    let mut first = Peer::ready(header(Wire::Two, &node, "a", SIZE as u64), node.address);
    first.write(&first_blocks(&first.header, &content(SIZE), 1));
    first.socket.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(first.line(), None);
    // It waits for another for a minute, but not for that.
    node.stop();
    assert_eq!(node.names(), [""; 0]);
}

#[test]
fn many_claims_at_once_leave_one_upstream() {
    let content = content(SIZE);
    let node = TestNode::with(|config| config.timing = short(2000));
    let header = third(&node);
    let peers: Vec<Peer> = std::thread::scope(|scope| {
        let claim = |number: u32| {
            let header = from_to(header.clone(), Some(number % 2), 2);
            let node = &node;
            scope.spawn(move || {
                let mut peer = Peer::greet(header, node.address);
                if let Some(Line::Challenge { challenge }) = peer.line() {
                    peer.answer(&challenge);
                }
                peer
            })
        };
        let claims: Vec<_> = (0..20).map(claim).collect();
        claims.into_iter().map(|claim| claim.join().unwrap()).collect()
    });
    // Of all that were let in one has not been left since.
    let mut upstream = None;
    for mut peer in peers {
        peer.socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut ready = None;
        while let Some(line) = peer.line_soon() {
            match line {
                Line::Ready { offset } => ready = Some(offset),
                Line::Left => ready = None,
                _ => {}
            }
        }
        if ready.is_some() {
            assert!(upstream.replace(peer).is_none(), "two are let in");
        }
    }
    let peer = upstream.expect("nobody is let in");
    peer.socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    peer.write(&payload(&peer.header, &content));
    assert_eq!(peer.codes(), [0]);
    node.assert_has("a", &content);
}
