//! Files that are gone on with: after a restart, and when a newer transfer of the same file takes over.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use lantorrent_core::Transfer;
use lantorrent_core::wire::{Code, HEAD_BYTES, Header, TAG_BYTES, Wire};

use crate::support::{
    FakeNode, Peer, Proxy, TestNode, anew, codes, content, first_blocks, header, header_for, keys,
    of_version, payload, reports, send, short, target, wait_until, without_blocks,
};

const BLOCK: usize = 4096;
const SIZE: usize = 20 * BLOCK + 5;

fn asked(node: &TestNode) -> Header {
    of_version(header(Wire::Two, node, "a", SIZE as u64), "the file")
}

/// Waits until the node has written that much.
fn wait_for(node: &TestNode, blocks: usize) {
    wait_until("it is written", || {
        fs::metadata(node.path("a.lantorrent")).is_ok_and(|found| found.len() == (blocks * BLOCK) as u64)
    });
}

/// A folder in which a node has left that many blocks.
fn left_behind(content: &[u8], blocks: usize) -> tempfile::TempDir {
    let node = TestNode::new();
    let peer = Peer::ready(asked(&node), node.address);
    peer.write(&first_blocks(&peer.header, content, blocks));
    wait_for(&node, blocks);
    node.into_folder()
}

fn at(folder: tempfile::TempDir) -> TestNode {
    TestNode::at(([127, 0, 0, 1], 0).into(), folder, |_| ())
}

#[test]
fn a_node_that_was_restarted_goes_on_where_it_was() {
    let content = content(SIZE);
    let node = at(left_behind(&content, 7));
    assert_eq!(node.names(), ["a.lantorrent"]);
    let peer = Peer::ready_at(asked(&node), node.address, 7 * BLOCK as u64);
    peer.write(&without_blocks(&peer.header, &content, 7));
    assert_eq!(peer.codes(), [0]);
    node.assert_has("a", &content);
    assert_eq!(fs::read_dir(node.path("")).unwrap().count(), 1, "no journal is left");
}

#[test]
fn a_changed_source_begins_anew() {
    let content = content(SIZE);
    let node = at(left_behind(&content, 7));
    let other = of_version(asked(&node), "another version of it");
    let peer = Peer::ready(other, node.address);
    peer.write(&payload(&peer.header, &content));
    assert_eq!(peer.codes(), [0]);
    node.assert_has("a", &content);
}

#[test]
fn blocks_of_another_size_are_gone_on_with() {
    let content = content(SIZE);
    let node = at(left_behind(&content, 7));
    let mut header = asked(&node);
    header.block_size = 2 * BLOCK as u32;
    let peer = Peer::ready_at(header, node.address, 6 * BLOCK as u64);
    peer.write(&without_blocks(&peer.header, &content, 3));
    assert_eq!(peer.codes(), [0]);
    node.assert_has("a", &content);
}

#[test]
fn a_file_that_lacked_only_its_end_is_not_sent_again() {
    let content = content(SIZE);
    let end = |header: &Header| {
        let all = payload(header, &content);
        let data = SIZE.div_ceil(header.block_size as usize) * (HEAD_BYTES + TAG_BYTES) + SIZE;
        (all[..data].to_vec(), all[data..].to_vec())
    };
    for block_size in [BLOCK, 4 * BLOCK] {
        let node = TestNode::new();
        let peer = Peer::ready(asked(&node), node.address);
        peer.write(&end(&peer.header).0);
        wait_until("it is written", || {
            fs::metadata(node.path("a.lantorrent")).is_ok_and(|found| found.len() == SIZE as u64)
        });
        let node = at(node.into_folder());
        // Another node has nothing yet, and gets all of it from this one's file.
        let other = TestNode::new();
        let header = header_for(Wire::Two, &[&node, &other], &["a"], Some(SIZE as u64));
        let mut header = of_version(header, "the file");
        header.block_size = block_size as u32;
        let peer = Peer::ready_at(header, node.address, SIZE as u64);
        peer.write(&end(&peer.header).1);
        assert_eq!(peer.codes(), [0, 0]);
        node.assert_has("a", &content);
        other.assert_has("a", &content);
        assert_eq!(fs::read_dir(node.path("")).unwrap().count(), 1, "no journal is left");
    }
}

#[test]
fn what_was_damaged_on_the_disk_is_not_gone_on_with() {
    let content = content(SIZE);
    let folder = left_behind(&content, 7);
    let path = folder.path().join("a.lantorrent");
    let mut bytes = fs::read(&path).unwrap();
    bytes[4 * BLOCK + 7] ^= 1;
    fs::write(&path, bytes).unwrap();
    let node = at(folder);
    let peer = Peer::ready_at(asked(&node), node.address, 4 * BLOCK as u64);
    peer.write(&without_blocks(&peer.header, &content, 4));
    assert_eq!(peer.codes(), [0]);
    node.assert_has("a", &content);
}

#[test]
fn several_files_go_on_where_the_shortest_is() {
    let content = content(SIZE);
    let node = at(left_behind(&content, 7));
    let mut header = asked(&node);
    let mut second = header.node.requests[0].clone();
    second.filename = node.path("b").to_str().unwrap().to_owned();
    second.id = "second".into();
    header.node.requests.push(second);
    let peer = Peer::ready(header, node.address);
    peer.write(&payload(&peer.header, &content));
    assert_eq!(peer.codes(), [0, 0]);
    node.assert_has("a", &content);
    node.assert_has("b", &content);
}

#[test]
fn a_newer_transfer_of_the_same_file_takes_over() {
    let content = content(SIZE);
    let node = TestNode::new();
    let old = Peer::ready(asked(&node), node.address);
    old.write(&first_blocks(&old.header, &content, 7));
    wait_for(&node, 7);
    let new = Peer::ready_at(anew(old.header.clone()), node.address, 7 * BLOCK as u64);
    assert_eq!(old.codes(), [Code::SUPERSEDED.0]);
    new.write(&without_blocks(&new.header, &content, 7));
    assert_eq!(new.codes(), [0]);
    node.assert_has("a", &content);
}

#[test]
fn it_takes_over_from_one_that_waits_for_its_sender_too() {
    let content = content(SIZE);
    let node = TestNode::new();
    let old = Peer::ready(asked(&node), node.address);
    old.write(&first_blocks(&old.header, &content, 7));
    wait_for(&node, 7);
    let header = anew(old.header.clone());
    drop(old);
    let new = Peer::ready_at(header, node.address, 7 * BLOCK as u64);
    new.write(&without_blocks(&new.header, &content, 7));
    assert_eq!(new.codes(), [0]);
    node.assert_has("a", &content);
}

#[test]
fn a_file_that_another_source_is_writing_is_refused() {
    let content = content(SIZE);
    let node = TestNode::new();
    let first = Peer::ready(asked(&node), node.address);
    let outcome = send(Wire::Two, b"other", [node.target("a")]);
    assert_eq!(codes(&outcome), [Code::IN_USE.0], "{outcome:?}");
    first.write(&payload(&first.header, &content));
    assert_eq!(first.codes(), [0]);
    node.assert_has("a", &content);
}

#[test]
fn a_second_send_completes_what_the_first_began() {
    const CUT: usize = 10 << 20;
    let content = content(24 << 20);
    let source = tempfile::NamedTempFile::new().unwrap();
    fs::write(source.path(), &content).unwrap();
    let begin = || Transfer::from_file(source.path(), keys()).unwrap().block_size(64 << 10);
    // The way to the first node breaks for good in the middle of the payload.
    let [broken, good] = [Proxy::new(), Proxy::new()];
    let [to_broken, to_good] = [&broken, &good].map(|proxy| proxy.address);
    let node = TestNode::with(|config| config.also = vec![to_broken, to_good]);
    let is_cut = AtomicBool::new(false);
    let cut = move |_, _, offset: usize, bytes: &mut [u8]| {
        if offset > CUT || is_cut.load(Ordering::Acquire) {
            is_cut.store(true, Ordering::Release);
            bytes.fill(0);
        }
    };
    broken.run(node.own, Arc::new(cut));
    let path = node.path("a").to_str().unwrap().to_owned();
    let others = [TestNode::new(), TestNode::new()];
    let transfer = begin().to(target(to_broken, path.clone()));
    let transfer = others.iter().fold(transfer, |transfer, node| transfer.to(node.target("a")));
    let outcome = transfer.send().unwrap();
    assert!(!reports(&outcome)[0].code.is_success(), "{outcome:?}");
    assert!(reports(&outcome)[1..].iter().all(|report| report.code.is_success()), "{outcome:?}");
    for node in &others {
        node.assert_has("a", &content);
    }
    // Another way is good, and what is there already does not go over it.
    let passed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&passed);
    let tap = move |_, _, _, bytes: &mut [u8]| {
        count.fetch_add(bytes.len(), Ordering::Relaxed);
    };
    good.run(node.own, Arc::new(tap));
    let outcome = begin().to(target(to_good, path)).send().unwrap();
    assert!(outcome.all_succeeded(), "{outcome:?}");
    node.assert_has("a", &content);
    let passed = passed.load(Ordering::Relaxed);
    assert!(passed < content.len() - CUT + (1 << 20), "{passed} bytes");
}

#[test]
fn a_chain_whose_nodes_stand_at_different_offsets_goes_on() {
    let content = content(SIZE);
    let source = tempfile::NamedTempFile::new().unwrap();
    fs::write(source.path(), &content).unwrap();
    let begin = || Transfer::from_file(source.path(), keys()).unwrap().block_size(BLOCK as u32);
    // Who overhears which version it is can leave something of it behind.
    let hint = Arc::new(Mutex::new(None));
    let overheard = Arc::clone(&hint);
    let fake = FakeNode::raw(move |child| {
        *overheard.lock().unwrap() = child.header.envelope.clone().unwrap().source;
    });
    let _lost = begin().timing(short(500)).to(fake.target()).send().unwrap();
    fake.join();
    let hint = hint.lock().unwrap().clone().unwrap();
    for order in [[3, 9, 0, 17], [17, 3, 9, 1], [0, 17, 5, 20], [20, 20, 20, 20]] {
        let leave = |blocks: usize| {
            let node = TestNode::new();
            let mut header = header(Wire::Two, &node, "a", SIZE as u64);
            header.envelope.as_mut().unwrap().source = Some(hint.clone());
            let peer = Peer::ready(header, node.address);
            peer.write(&first_blocks(&peer.header, &content, blocks));
            wait_for(&node, blocks);
            at(node.into_folder())
        };
        let nodes = order.map(leave);
        let begin = begin();
        let outcome =
            nodes.iter().fold(begin, |transfer, node| transfer.to(node.target("a"))).send().unwrap();
        assert!(outcome.all_succeeded(), "{order:?}: {outcome:?}");
        for node in &nodes {
            node.assert_has("a", &content);
            assert_eq!(node.names(), ["a"]);
        }
    }
}

#[test]
fn partial_files_that_nobody_came_back_for_are_removed() {
    let content = content(SIZE);
    let folder = left_behind(&content, 7);
    let old = SystemTime::now() - Duration::from_secs(3600);
    for name in ["a.lantorrent", "a.lantorrent-journal"] {
        fs::File::options().write(true).open(folder.path().join(name)).unwrap().set_modified(old).unwrap();
    }
    // Nobody knows whose this is.
    fs::write(folder.path().join("b.lantorrent"), "of somebody else").unwrap();
    let node = TestNode::at(([127, 0, 0, 1], 0).into(), folder, |config| {
        config.keep_partial = Duration::from_secs(1800);
    });
    wait_until("it is gone", || node.names() == ["b.lantorrent"]);
}
