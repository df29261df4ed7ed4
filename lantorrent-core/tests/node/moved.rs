//! Roots that are mounted, renamed or replaced while a node runs: a success is a file that is found under its path.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use lantorrent_core::store::Placement;
use lantorrent_core::wire::{Code, Header, Line, Report, Wire};
use lantorrent_core::{Check, Outcome, Target, Transfer};
use tempfile::TempDir;

use crate::support::{
    BOTH, FakeNode, Gate, Peer, TestNode, codes, content, from_to, header, header_for, keys, of_version,
    payload, send, target, transfer, wait_until,
};
use crate::system::SmallDisk;

const SIZE: usize = 100_001;

/// A node with one more root, and a place in that.
fn node_with(root: &Path) -> (TestNode, Target) {
    let node = TestNode::with(|config| config.roots.push(root.to_owned()));
    let target = target(node.address, root.join("a").to_str().unwrap());
    (node, target)
}

fn replace(folder: &Path) {
    fs::rename(folder, folder.with_extension("old")).unwrap();
    fs::create_dir(folder).unwrap();
}

/// A folder that is a root, in one that can hold another beside it.
fn root() -> (TempDir, std::path::PathBuf) {
    let outside = tempfile::tempdir().unwrap();
    let root = outside.path().join("root");
    fs::create_dir(&root).unwrap();
    (outside, root)
}

fn in_place(content: &[u8], target: Target) -> Outcome {
    let transfer: Transfer = transfer(content).placement(Placement::InPlace);
    transfer.to(target).send().unwrap()
}

#[test]
fn a_disk_that_is_mounted_under_a_running_node_is_used() {
    let content = content(SIZE);
    for wire in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let (_node, target) = node_with(folder.path());
        let Some(disk) = SmallDisk::on(folder, 16 << 20) else { return };
        let outcome = send(wire, &content, [target.clone()]);
        assert!(outcome.all_succeeded(), "{outcome:?}");
        assert!(fs::read(disk.path().join("a")).unwrap() == content);
        // And when it is away, what is below.
        disk.unmount();
        let outcome = send(wire, &content, [target]);
        assert!(outcome.all_succeeded(), "{outcome:?}");
        assert!(fs::read(disk.path().join("a")).unwrap() == content);
    }
}

#[test]
fn a_root_that_was_replaced_is_the_one_that_is_written() {
    let content = content(SIZE);
    for wire in BOTH {
        let (_outside, root) = root();
        let (_node, target) = node_with(&root);
        replace(&root);
        let outcome = send(wire, &content, [target.clone()]);
        assert!(outcome.all_succeeded(), "{outcome:?}");
        assert!(fs::read(root.join("a")).unwrap() == content);
        assert!(in_place(&content, target).all_succeeded());
    }
}

#[test]
fn a_root_that_is_missing_is_told_by_check_and_send_until_it_is_there_again() {
    let content = content(SIZE);
    let (_outside, root) = root();
    let (node, target) = node_with(&root);
    let away = root.with_extension("away");
    fs::rename(&root, &away).unwrap();
    let check = || Check::new(keys()).to(target.clone()).run().unwrap().targets()[0].report().clone();
    let found: Report = check();
    assert_eq!(found.code, Code::CANNOT_OPEN);
    assert!(found.message.contains(&format!("its root {root:?}")), "{}", found.message);
    for wire in BOTH {
        let outcome = send(wire, &content, [target.clone(), node.target("b")]);
        assert_eq!(codes(&outcome), [Code::CANNOT_OPEN.0, 0], "the other one is not concerned");
    }
    fs::rename(&away, &root).unwrap();
    assert_eq!(check().code, Code::SUCCESS);
    assert!(send(Wire::Two, &content, [target]).all_succeeded());
}

/// Sends all but the end, has something happen, and then the rest. Says what became of it.
fn send_while(
    header: Header,
    node: &TestNode,
    content: &[u8],
    written: &Path,
    happens: impl FnOnce(),
) -> Vec<Report> {
    let peer = Peer::ready(header, node.address);
    let bytes = payload(&peer.header, content);
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    peer.write(first);
    wait_until("some of it is there", || fs::metadata(written).is_ok_and(|found| found.len() > 0));
    happens();
    peer.write(rest);
    peer.reports()
}

#[test]
fn a_root_that_is_replaced_meanwhile_is_a_failure_that_names_both_places() {
    let content = content(SIZE);
    for wire in BOTH {
        for rename in [true, false] {
            let (_outside, root) = root();
            let (node, _) = node_with(&root);
            let mut header = header_for(wire, &[&node], &["b", "a"], Some(SIZE as u64));
            let request = &mut header.node.requests[1];
            request.filename = root.join("a").to_str().unwrap().to_owned();
            request.rename = rename;
            let suffix = if rename { ".lantorrent" } else { "" };
            let written = root.join(format!("a{suffix}"));
            let reports = send_while(header, &node, &content, &written, || replace(&root));
            let codes: Vec<u16> = reports.iter().map(|report| report.code.0).collect();
            assert_eq!(codes, [Code::CANNOT_WRITE.0, 0]);
            let message = &reports[0].message;
            let place = root.with_extension("old").join(format!("a{suffix}"));
            assert!(message.contains(&format!("{:?}", root.join("a"))), "{message}");
            assert!(message.contains(&format!("{place:?}")), "{message}");
            assert!(fs::read(&place).unwrap() == content, "nothing is deleted");
            assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
            node.assert_has("b", &content);
        }
    }
}

/// Asks again for what has ended.
fn ask_again(header: &Header, node: &TestNode) -> Report {
    let mut peer = Peer::greet(header.clone(), node.address);
    peer.prove();
    peer.reports().remove(0)
}

fn is_not_said_again(node: &TestNode) {
    let content = content(SIZE);
    let header = from_to(of_version(header(Wire::Two, node, "a", SIZE as u64), "the file"), None, 0);
    let peer = Peer::ready(header.clone(), node.address);
    peer.write(&payload(&peer.header, &content));
    assert_eq!(peer.codes(), [0]);
    let again = ask_again(&header, node);
    assert_eq!(again.code, Code::SUCCESS, "{again:?}");
    assert!(again.root.is_some());
    fs::rename(node.path("a"), node.path("b")).unwrap();
    let again = ask_again(&header, node);
    assert_eq!((again.code, &again.root), (Code::CANNOT_WRITE, &None), "{again:?}");
    fs::write(node.path("a"), "another").unwrap();
    assert_eq!(ask_again(&header, node).code, Code::CANNOT_WRITE);
    fs::rename(node.path("b"), node.path("a")).unwrap();
    assert_eq!(ask_again(&header, node).code, Code::SUCCESS);
}

#[test]
fn a_success_of_a_transfer_that_still_runs_is_said_again_only_while_it_is_true() {
    let (content, node) = (content(SIZE), TestNode::new());
    let gate = Arc::new(Gate::default());
    let pass = Arc::clone(&gate);
    let fake = FakeNode::new(move |child| {
        child.swallow();
        pass.pass();
    });
    let mut header = header_for(Wire::Two, &[&node, &node], &["a"], Some(SIZE as u64));
    header.destinations[0].port = fake.address.port();
    header.destinations[0].index = 2;
    let header = from_to(of_version(header, "the file"), Some(0), 1);
    let own = |peer: &mut Peer| loop {
        match peer.line() {
            Some(Line::Result(sealed)) => break peer.open(&sealed),
            Some(_) => {}
            None => panic!("no result"),
        }
    };
    let mut first = Peer::ready(header.clone(), node.address);
    first.write(&payload(&first.header, &content));
    assert_eq!(own(&mut first).code, Code::SUCCESS);
    fs::rename(node.path("a"), node.path("b")).unwrap();
    let mut second = Peer::greet(from_to(header.clone(), None, 1), node.address);
    second.prove();
    let again = own(&mut second);
    assert_eq!((again.code, again.root), (Code::CANNOT_WRITE, None));
    drop((first, second));
    gate.open();
    fake.join();
}

#[test]
fn a_success_is_said_again_only_while_it_is_true() {
    is_not_said_again(&TestNode::new());
}

#[test]
fn a_success_of_another_process_is_said_again_only_while_it_is_true() {
    is_not_said_again(&TestNode::apart(|_| ()));
}
