//! What a node does with the paths it is given.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use lantorrent_core::store::Placement;
use lantorrent_core::wire::{Code, Frame, RootHasher, Sum, Wire, digest};
use lantorrent_core::{Outcome, Target, Transfer};

use crate::support::{
    BOTH, Peer, TestNode, codes, content, first_blocks, header, header_for, key_of, payload, reports, send,
    target, transfer,
};

fn in_place(wire: Wire, content: &[u8], targets: impl IntoIterator<Item = Target>) -> Outcome {
    let begin = transfer(content).wire(wire).placement(Placement::InPlace);
    targets.into_iter().fold(begin, Transfer::to).send().unwrap()
}

#[test]
fn a_file_in_place_keeps_its_inode_and_gets_the_new_length() {
    let content = content(100_001);
    for wire in BOTH {
        let nodes = [TestNode::new(), TestNode::new()];
        for node in &nodes {
            fs::write(node.path("a"), vec![7; 300_000]).unwrap();
        }
        let inode = |node: &TestNode| fs::metadata(node.path("a")).unwrap().ino();
        let before = nodes.each_ref().map(inode);
        let outcome = in_place(wire, &content, nodes.iter().map(|node| node.target("a")));
        assert!(outcome.all_succeeded(), "{outcome:?}");
        assert_eq!(nodes.each_ref().map(inode), before);
        for node in &nodes {
            node.assert_has("a", &content);
            assert_eq!(node.names(), ["a"]);
        }
    }
}

#[test]
fn a_file_in_place_can_be_written_again_at_once() {
    // A success means that the node is through with the file, its lock included.
    let node = TestNode::new();
    for round in 0..30 {
        let content = content(1000 + round);
        let outcome = in_place(BOTH[round % 2], &content, [node.target("a")]);
        assert!(outcome.all_succeeded(), "round {round}: {outcome:?}");
        node.assert_has("a", &content);
    }
}

#[test]
fn what_failed_can_be_tried_again_at_once() {
    // Given up means that nothing is left of the partial file, and nobody keeps it locked.
    let node = TestNode::new();
    let content = content(20_000);
    for round in 0..30 {
        let peer = Peer::ready(header(Wire::Two, &node, "a", 20_000), node.address);
        peer.write(&first_blocks(&peer.header, &content, 1));
        let code = peer.give_up();
        assert_eq!(peer.codes(), [code.0]);
        let outcome = send(Wire::Two, &content, [node.target("a")]);
        assert!(outcome.all_succeeded(), "round {round}: {outcome:?}");
    }
}

#[test]
fn dev_null_takes_everything_and_the_next_node_gets_it() {
    let content = content(6 << 20);
    for wire in BOTH {
        let null = || TestNode::with(|config| config.roots.push("/dev/null".into()));
        let (first, last) = (null(), null());
        let middle = TestNode::new();
        let list = [
            target(first.address, "/dev/null"),
            middle.target("a"),
            target(last.address, "/dev/null"),
            last.target("b"),
        ];
        let outcome = in_place(wire, &content, list);
        assert!(outcome.all_succeeded(), "{outcome:?}");
        middle.assert_has("a", &content);
        last.assert_has("b", &content);
    }
}

#[test]
fn a_bad_path_fails_alone() {
    let content = content(50_000);
    for wire in BOTH {
        let (node, next) = (TestNode::new(), TestNode::new());
        fs::create_dir(node.path("folder")).unwrap();
        std::os::unix::fs::symlink("/etc", node.path("way out")).unwrap();
        let fifo = node.path("fifo");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &fifo,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        let name = |name: &str| node.target(name);
        let list = [
            (name("a"), Code::SUCCESS),
            (name("missing/a"), Code::CANNOT_OPEN),
            (name("folder"), Code::CANNOT_OPEN),
            (name("fifo"), Code::CANNOT_OPEN),
            (name("way out/a"), Code::NOT_ALLOWED),
            (target(node.address, "/etc/lantorrent-test"), Code::NOT_ALLOWED),
            (name("../a"), Code::NOT_ALLOWED),
            (target(node.address, "/dev/null"), Code::NOT_ALLOWED),
            (target(node.address, ""), Code::NOT_ALLOWED),
            (target(node.address, "relative"), Code::NOT_ALLOWED),
            (name("zero\0byte"), Code::NOT_ALLOWED),
            (name(&"x".repeat(5000)), Code::CANNOT_OPEN),
            (name(&"x/".repeat(2500)), Code::CANNOT_OPEN),
            (name("b"), Code::SUCCESS),
            (next.target("c"), Code::SUCCESS),
        ];
        let expected: Vec<u16> = list.iter().map(|(_, code)| code.0).collect();
        let outcome = send(wire, &content, list.into_iter().map(|(target, _)| target));
        assert_eq!(codes(&outcome), expected, "{outcome:#?}");
        assert!(reports(&outcome).iter().all(|report| report.message.len() < 1000), "{outcome:#?}");
        assert_eq!(node.names(), ["a", "b", "fifo", "folder", "way out"]);
        node.assert_has("a", &content);
        node.assert_has("b", &content);
        next.assert_has("c", &content);
        assert!(!std::path::Path::new("/etc/lantorrent-test").exists());
    }
}

#[test]
fn a_node_that_can_write_nothing_still_forwards() {
    let content = content(6 << 20);
    for wire in BOTH {
        let (node, next) = (TestNode::new(), TestNode::new());
        let outcome = send(wire, &content, [node.target("missing/a"), next.target("a")]);
        assert_eq!(codes(&outcome), [Code::CANNOT_OPEN.0, 0]);
        next.assert_has("a", &content);
    }
}

#[test]
fn nobody_is_sent_what_nobody_can_write() {
    for wire in BOTH {
        let (node, next) = (TestNode::new(), TestNode::new());
        let outcome = send(wire, &content(50_000), [node.target("missing/a"), next.target("missing/a")]);
        assert_eq!(codes(&outcome), [Code::CANNOT_OPEN.0; 2], "{outcome:?}");
    }
}

#[test]
fn the_same_file_twice_is_written_once() {
    let content = content(50_000);
    for wire in BOTH {
        let node = TestNode::new();
        let outcome = send(wire, &content, [node.target("a"), node.target("a"), node.target("b")]);
        assert_eq!(codes(&outcome), [0, Code::IN_USE.0, 0]);
        node.assert_has("a", &content);
        assert_eq!(node.names(), ["a", "b"]);
    }
}

#[test]
fn neighbours_whose_names_are_not_text_are_left_alone() {
    for wire in BOTH {
        let node = TestNode::new();
        let neighbours = [&b"\xff\xfe"[..], b"a\xff", b"\xc3\x28.lantorrent"];
        for name in neighbours {
            fs::write(node.path("").join(OsStr::from_bytes(name)), name).unwrap();
        }
        let content = content(5000);
        let outcome = send(wire, &content, [node.target("a"), node.target("ü und ß")]);
        assert!(outcome.all_succeeded(), "{outcome:?}");
        node.assert_has("ü und ß", &content);
        for name in neighbours {
            assert_eq!(fs::read(node.path("").join(OsStr::from_bytes(name))).unwrap(), name);
        }
        assert_eq!(node.names().len(), 5);
    }
}

#[test]
fn two_transfers_of_one_path_do_not_mix() {
    let content = content(20_000);
    for wire in BOTH {
        let node = TestNode::new();
        let first = Peer::ready(header(wire, &node, "a", 20_000), node.address);
        let bytes = payload(&first.header, &content);
        first.write(&bytes[..9000]);
        crate::support::wait_until("the first has its file", || node.names() == ["a.lantorrent"]);
        let second = send(wire, &vec![7; 30_000], [node.target("a"), node.target("b")]);
        assert_eq!(codes(&second), [Code::IN_USE.0, 0]);
        first.write(&bytes[9000..]);
        assert_eq!(first.codes(), [0]);
        node.assert_has("a", &content);
        assert_eq!(node.names(), ["a", "b"]);
    }
}

#[test]
fn a_length_that_no_disk_has_is_a_clear_answer() {
    for wire in BOTH {
        for length in [1 << 60, i64::MAX as u64] {
            for rename in [true, false] {
                let (mut node, mut next) = (TestNode::new(), TestNode::new());
                let mut header = header_for(wire, &[&node, &next], &["a"], Some(length));
                header.node.requests[0].rename = rename;
                header.destinations[0].requests[0].rename = rename;
                let peer = Peer::greet(header, node.address);
                let peer = if wire == Wire::Two {
                    let mut peer = peer;
                    peer.prove();
                    peer
                } else {
                    // Wire 1 says so while the payload comes, and then it stops.
                    peer.write(&vec![7; 100_000]);
                    peer.socket.shutdown(std::net::Shutdown::Write).unwrap();
                    peer
                };
                let reports = peer.reports();
                let codes: Vec<_> = reports.iter().map(|report| report.code).collect();
                assert_eq!((codes[0], codes.len()), (Code::NO_SPACE, 2), "{reports:?}");
                // On wire 1 the end of the connection may overtake what the next node says.
                let early = wire == Wire::One && codes[1] == Code::CONNECTION_LOST;
                assert!(early || codes[1] == Code::NO_SPACE, "{reports:?}");
                assert!(reports[0].message.contains("no space"), "{reports:?}");
                node.stop();
                next.stop();
                assert_eq!((node.names(), next.names()), (vec![], vec![]));
            }
        }
    }
}

#[test]
fn holes_are_made_and_forwarded() {
    const BLOCK: usize = 4096;
    let (before, after) = (content(BLOCK), content(100));
    let span = 1000 * BLOCK;
    let whole = [&before[..], &vec![0; span], &after].concat();
    for rename in [true, false] {
        let (node, next) = (TestNode::new(), TestNode::new());
        for node in [&node, &next] {
            // In place something is in the way.
            fs::write(node.path("a"), vec![7; whole.len() + 5]).unwrap();
        }
        let mut header = header_for(Wire::Two, &[&node, &next], &["a"], Some(whole.len() as u64));
        header.node.requests[0].rename = rename;
        header.destinations[0].requests[0].rename = rename;
        let peer = Peer::ready(header, node.address);
        let mut root = RootHasher::new(BLOCK as u32);
        let data = |offset: usize, data: &[u8]| {
            let frame =
                Frame::Data { offset: offset as u64, len: data.len() as u32, digest: Some(digest(data)) };
            peer.frame(&frame, data);
        };
        data(0, &before);
        root.block(&digest(&before));
        peer.frame(&Frame::Idle { offset: BLOCK as u64 }, &[]);
        peer.frame(&Frame::Hole { offset: BLOCK as u64, span: span as u64 }, &[]);
        root.hole(span as u64);
        data(BLOCK + span, &after);
        root.block(&digest(&after));
        let signed = key_of(&peer.header).sign(whole.len() as u64, BLOCK as u32, root.root());
        peer.frame(&Frame::End { size: whole.len() as u64, sum: Sum::Root(signed) }, &[]);
        assert_eq!(peer.codes(), [0, 0]);
        for node in [&node, &next] {
            node.assert_has("a", &whole);
            let allocated = fs::metadata(node.path("a")).unwrap().blocks() * 512;
            assert!(allocated < 20 * BLOCK as u64, "{allocated} bytes are allocated");
        }
    }
}

#[test]
fn a_file_in_place_that_is_given_up_says_that_it_is_not_whole() {
    let content = content(20_000);
    for wire in BOTH {
        let mut node = TestNode::new();
        fs::write(node.path("a"), vec![7; 30_000]).unwrap();
        let mut header = header(wire, &node, "a", 20_000);
        header.node.requests[0].rename = false;
        let peer = Peer::ready(header, node.address);
        peer.write(&first_blocks(&peer.header, &content, 2));
        let code = peer.give_up();
        let reports = peer.reports();
        assert_eq!(reports[0].code, code, "{reports:?}");
        assert!(reports[0].message.contains("not whole"), "{reports:?}");
        node.stop();
        assert_eq!(node.names(), ["a"]);
    }
}
