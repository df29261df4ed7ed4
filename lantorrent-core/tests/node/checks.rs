//! Questions before the start.

use std::fs;
use std::time::{Duration, Instant};

use lantorrent_core::store::Placement;
use lantorrent_core::wire::{Code, Keyring, Password, Wire};
use lantorrent_core::{Check, TransferEvent};

use crate::support::{
    BOTH, DeadPort, Peer, TestNode, codes, content, header, keys, of_version, reports, short, target,
    transfer,
};

#[test]
fn every_node_says_what_it_could_write() {
    let (node, other) = (TestNode::new(), TestNode::new());
    let stranger = TestNode::with(|config| config.keys = Keyring::new(Password::new("another").unwrap()));
    let port = DeadPort::new();
    fs::create_dir(node.path("folder")).unwrap();
    let busy = Peer::ready(header(Wire::Two, &other, "busy", 5), other.address);
    let outcome = Check::new(keys())
        .length(Some(1 << 20))
        .to(node.target("a"))
        .to(target(port.address, "/a"))
        .to(other.target("a"))
        .to(node.target("missing/a"))
        .to(node.target("folder"))
        .to(stranger.target("a"))
        .to(target(node.address, "/etc/lantorrent-test"))
        .to(other.target("busy"))
        .run()
        .unwrap();
    let expected = [
        Code::SUCCESS,
        Code::CANNOT_CONNECT,
        Code::SUCCESS,
        Code::CANNOT_OPEN,
        Code::CANNOT_OPEN,
        Code::ACCESS_DENIED,
        Code::NOT_ALLOWED,
        Code::IN_USE,
    ];
    assert_eq!(codes(&outcome), expected.map(|code| code.0), "{outcome:#?}");
    let ids: Vec<_> = outcome.reports().map(|report| report.id.as_deref().unwrap()).collect();
    assert_eq!(ids, ["0", "1", "2", "3", "4", "5", "6", "7"]);
    drop(busy);
    assert_eq!(node.names(), ["folder"]);
    assert_eq!(stranger.names(), [""; 0]);
}

#[test]
fn a_file_for_which_there_is_no_space_is_found_before() {
    let node = TestNode::new();
    let check = Check::new(keys()).length(Some(1 << 60)).to(node.target("a"));
    assert_eq!(codes(&check.run().unwrap()), [Code::NO_SPACE.0]);
    fs::write(node.path("a"), "what is there stays").unwrap();
    let check = Check::new(keys()).length(Some(1 << 60)).placement(Placement::InPlace).to(node.target("a"));
    assert_eq!(codes(&check.run().unwrap()), [Code::NO_SPACE.0]);
    node.assert_has("a", b"what is there stays");
}

#[test]
fn what_a_newer_transfer_would_take_over_is_no_obstacle() {
    let node = TestNode::new();
    let source = tempfile::NamedTempFile::new().unwrap();
    let content = content(50_000);
    fs::write(source.path(), &content).unwrap();
    let transfer = || lantorrent_core::Transfer::from_file(source.path(), keys()).unwrap();
    // The same, from somewhere else: that is another source.
    let other = Peer::ready(of_version(header(Wire::Two, &node, "a", 5), "another"), node.address);
    assert_eq!(codes(&transfer().to(node.target("a")).send().unwrap()), [Code::IN_USE.0]);
    drop(other);
    assert!(transfer().to(node.target("b")).send().unwrap().all_succeeded());
    node.assert_has("b", &content);
}

#[test]
fn who_does_not_answer_is_asked_twice_and_no_more() {
    let mute = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let node = TestNode::new();
    let mut timing = short(1000);
    timing.check = Duration::from_millis(200);
    let begun = Instant::now();
    let outcome = Check::new(keys())
        .timing(timing)
        .to(target(mute.local_addr().unwrap(), "/a"))
        .to(node.target("a"))
        .run()
        .unwrap();
    assert_eq!(codes(&outcome), [Code::TIMED_OUT.0, 0]);
    assert!(begun.elapsed() >= Duration::from_millis(400));
    mute.set_nonblocking(true).unwrap();
    let asked = std::iter::from_fn(|| mute.accept().ok()).count();
    assert_eq!(asked, 2);
}

#[test]
fn who_fails_the_check_is_left_out() {
    let content = content(300_000);
    for checks in [true, false] {
        let (first, last) = (TestNode::new(), TestNode::new());
        let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let hear = std::sync::Arc::clone(&told);
        let begin = transfer(&content)
            .to(first.target("missing/a"))
            .to(last.target("a"))
            .to(first.target("b"))
            .to(first.target("../c"))
            .on_event(move |event| {
                if let TransferEvent::Ended(ended) = event {
                    hear.lock().unwrap().push(ended.report().clone());
                }
            });
        let outcome = if checks { begin } else { begin.no_check() }.send().unwrap();
        assert_eq!(codes(&outcome), [Code::CANNOT_OPEN.0, 0, 0, Code::NOT_ALLOWED.0], "{outcome:?}");
        first.assert_has("b", &content);
        last.assert_has("a", &content);
        let mut told = told.lock().unwrap().clone();
        told.sort_by_key(|report| report.id.clone());
        assert_eq!(told, reports(&outcome), "each once");
        // All of it is known before anything is sent.
        let nobody = transfer(&content).to(last.target("missing/a"));
        let outcome = if checks { nobody } else { nobody.no_check() }.send().unwrap();
        assert_eq!((codes(&outcome), outcome.sent()), (vec![Code::CANNOT_OPEN.0], 0));
    }
}

#[test]
fn what_cannot_be_asked_is_an_error() {
    for keys in [Keyring::wire_1_only(Password::new("x").unwrap()), keys()] {
        // Without a password, and without anybody to ask.
        assert!(Check::new(keys).run().is_err());
    }
}

#[test]
fn many_nodes_are_asked_at_once() {
    let node = TestNode::with(|config| config.connections = 1000);
    let host = |number: usize| format!("127.0.{}.{}", number / 250, number % 250 + 1);
    // One node under many addresses will not do: it listens on one. So these refuse, which is an answer too.
    let begin = Check::new(keys()).to(node.target("a"));
    let port = node.address.port();
    let target = |number| lantorrent_core::Target { host: host(number), port, path: "/a".into() };
    let outcome = (1..600).fold(begin, |check, number| check.to(target(number))).run().unwrap();
    let reports = reports(&outcome);
    assert_eq!(reports.len(), 600);
    assert_eq!(reports[0].code, Code::SUCCESS);
    assert!(reports[1..].iter().all(|report| report.code == Code::CANNOT_CONNECT), "{:?}", reports[1]);
}

#[test]
fn both_wires_leave_out_who_cannot() {
    // On wire 1 nobody can be asked, and it is found on the way.
    let content = content(50_000);
    for wire in BOTH {
        let node = TestNode::new();
        let outcome =
            transfer(&content).wire(wire).to(node.target("missing/a")).to(node.target("a")).send().unwrap();
        assert_eq!(codes(&outcome), [Code::CANNOT_OPEN.0, 0], "{outcome:?}");
    }
}
