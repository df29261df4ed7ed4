//! What the owner of a node hears of its transfers, and decides about their files.

use std::sync::{Arc, Mutex};

use lantorrent_core::wire::{Code, Keyring, Password};
use lantorrent_core::{Cancel, Check, Decision, Error, Node, NodeConfig, NodeEvent, Transfer};

use crate::support::{BOTH, TestNode, codes, content, keys, send, target, transfer, wait_until};

/// A node that writes down what happens.
fn watched(change: impl FnOnce(NodeConfig) -> NodeConfig) -> (TestNode, Arc<Mutex<Vec<NodeEvent>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let node = TestNode::with(|config| {
        let listener = move |event: &NodeEvent| hears.lock().unwrap().push(event.clone());
        *config = change(config.clone()).on_event(listener);
    });
    (node, heard)
}

fn ended(heard: &Mutex<Vec<NodeEvent>>) -> bool {
    heard.lock().unwrap().iter().any(|event| matches!(event, NodeEvent::Ended { .. }))
}

#[test]
fn events_tell_a_transfer_from_its_beginning_to_its_end() {
    let content = content(300_000);
    for wire in BOTH {
        let (node, heard) = watched(|config| config);
        let outcome = send(wire, &content, ["a", "missing/b", "c"].map(|name| node.target(name)));
        assert_eq!(codes(&outcome), [0, Code::CANNOT_OPEN.0, 0]);
        wait_until("the node has ended its part", || ended(&heard));
        let heard = heard.lock().unwrap();
        let NodeEvent::Began { transfer: begun, upstream, paths, size, .. } = &heard[0] else {
            panic!("{heard:?}")
        };
        assert!(upstream.ip().is_loopback());
        assert_eq!(*size, Some(300_000));
        assert!(paths[0].ends_with("/a"), "{paths:?}");
        let mut arrived: Vec<_> = heard
            .iter()
            .filter_map(|event| match event {
                NodeEvent::Arrived { transfer, path, bytes, .. } => Some((*transfer, path.clone(), *bytes)),
                _ => None,
            })
            .collect();
        arrived.sort_by_key(|(_, path, _)| path.clone());
        let here = |name| (*begun, node.path(name).to_str().unwrap().to_owned(), 300_000);
        assert_eq!(arrived, [here("a"), here("c")]);
        let NodeEvent::Ended { transfer, arrived, .. } = heard.last().unwrap() else { panic!("{heard:?}") };
        assert_eq!((transfer, *arrived), (begun, 2));
    }
}

#[test]
fn the_hook_decides_where_a_file_goes_and_whether_it_is_wanted() {
    let content = content(300_000);
    for wire in BOTH {
        let (node, heard) = watched(|config| {
            config.decide(|offer| match offer.path.rsplit_once('/') {
                Some((_, "unwanted")) => Decision::Refuse("no more images today".into()),
                Some((folder, "moved")) => Decision::WriteTo(format!("{folder}/elsewhere")),
                Some((_, "outside")) => Decision::WriteTo("/etc/lantorrent-test".into()),
                _ => Decision::Accept,
            })
        });
        let names = ["a", "unwanted", "moved", "outside"];
        let outcome = send(wire, &content, names.map(|name| node.target(name)));
        assert_eq!(codes(&outcome), [0, Code::NOT_ALLOWED.0, 0, Code::NOT_ALLOWED.0]);
        assert!(outcome.targets()[1].report().message.contains("no more images today"), "{outcome:?}");
        assert_eq!(node.names(), ["a", "elsewhere"]);
        node.assert_has("elsewhere", &content);
        wait_until("the node has ended its part", || ended(&heard));
        let moved = node.path("elsewhere").to_str().unwrap().to_owned();
        let arrived = |event: &NodeEvent| matches!(event, NodeEvent::Arrived { path, .. } if *path == moved);
        assert!(heard.lock().unwrap().iter().any(arrived));
    }
}

#[test]
fn the_hook_is_asked_by_checks_and_cancellations_too() {
    let (node, heard) = watched(|config| {
        config.decide(|offer| match offer.path.rsplit_once('/') {
            Some((folder, "moved")) => Decision::WriteTo(format!("{folder}/elsewhere")),
            _ => Decision::Refuse("not here".into()),
        })
    });
    let check = Check::new(keys()).to(node.target("moved")).to(node.target("other"));
    assert_eq!(codes(&check.run().unwrap()), [0, Code::NOT_ALLOWED.0]);
    assert_eq!(*heard.lock().unwrap(), [], "a check is no transfer");
    let source = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(source.path(), content(9)).unwrap();
    let cancel = Cancel::new(keys(), Cancel::source(source.path()).unwrap());
    let outcome = cancel.to(node.target("moved")).to(node.target("other")).run().unwrap();
    assert!(outcome.all_succeeded(), "nothing is left: {outcome:?}");
    assert_eq!(*heard.lock().unwrap(), [], "nor is a cancellation");
}

#[test]
fn a_node_without_password_or_root_is_refused_where_it_is_made() {
    let no_root = NodeConfig::new(keys(), [""; 0]);
    assert!(matches!(no_root, Err(Error::NoRoots)));
    let no_password = NodeConfig::new(Keyring::default(), ["/"]);
    assert!(matches!(no_password, Err(Error::NoPassword { wire: 2 })));
    let mut config = NodeConfig::new(keys(), ["/"]).unwrap();
    config.roots.clear();
    assert!(matches!(Node::bind(([127, 0, 0, 1], 0).into(), config), Err(Error::NoRoots)));
    assert!(Password::new("").is_err());
}

#[test]
fn an_outcome_that_is_not_whole_is_an_error_for_those_who_ask() {
    let node = TestNode::new();
    let begin = |transfer: Transfer| transfer.to(node.target("a")).to(target(node.address, "/etc/x"));
    let error = begin(transfer(b"x")).send().unwrap().into_result().unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("1 of 2 targets failed; first 127.0.0.1:"), "{text}");
    let Error::Incomplete(outcome) = error else { panic!("{error:?}") };
    assert_eq!(outcome.failed().next().unwrap().target.path, "/etc/x");
    transfer(b"x").to(node.target("b")).send().unwrap().into_result().unwrap();
}

#[test]
fn cancelling_a_target_that_does_not_exist_is_an_error() {
    let node = TestNode::new();
    let transfer = transfer(b"x");
    let handle = transfer.handle();
    assert!(matches!(handle.cancel(0), Err(Error::NoSuchTarget { place: 0, targets: 0 })));
    let transfer = transfer.to(node.target("a"));
    assert!(matches!(handle.cancel(1), Err(Error::NoSuchTarget { place: 1, targets: 1 })));
    assert!(transfer.send().unwrap().all_succeeded(), "nothing was cancelled");
}
