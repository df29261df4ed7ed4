//! The source asks nodes directly how their requests end, and what they say under the key of such a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lantorrent_core::wire::{Code, Header, Verb, Wire};

use crate::support::{
    Peer, Tap, TestNode, anew, codes, content, from_to, header, payload, reports, transfer,
};

const SIZE: usize = 20_000;

/// With one process, and with one for each connection.
fn nodes() -> [TestNode; 2] {
    [TestNode::new(), TestNode::apart(|_| ())]
}

fn with(verb: Verb, mut header: Header) -> Header {
    header.envelope.as_mut().unwrap().verb = verb;
    header
}

/// The source asks this of the node.
fn ask(verb: Verb, header: &Header, node: &TestNode) -> Peer {
    let header = from_to(with(verb, header.clone()), None, header.node.index);
    let mut peer = Peer::greet(header, node.address);
    peer.prove();
    peer
}

/// For the third of a list, from its second.
fn relayed(node: &TestNode) -> Header {
    from_to(header(Wire::Two, node, "a", SIZE as u64), Some(1), 2)
}

#[test]
fn a_query_waits_for_the_end_of_the_transfer() {
    let content = content(SIZE);
    for node in nodes() {
        let first = Peer::ready(relayed(&node), node.address);
        let mut query = ask(Verb::Query, &first.header, &node);
        first.write(&payload(&first.header, &content));
        let sealed = query.sealed();
        assert_eq!(sealed.len(), 1);
        let report = sealed[0].open(&query.node_key()).expect("under the key of the query");
        assert!(report.is_own() && report.code.is_success(), "{report:?}");
        // What goes by way of the relay is the same from then on.
        assert_eq!(first.codes(), [0]);
    }
}

#[test]
fn a_query_after_the_end_is_answered_at_once() {
    let content = content(SIZE);
    for node in nodes() {
        let first = Peer::ready(relayed(&node), node.address);
        first.write(&payload(&first.header, &content));
        let header = first.header.clone();
        assert_eq!(first.codes(), [0]);
        let mut query = ask(Verb::Query, &header, &node);
        let sealed = query.sealed();
        assert_eq!(sealed[0].open(&query.node_key()).unwrap().code, Code::SUCCESS);
        std::fs::remove_file(node.path("a")).unwrap();
        assert_eq!(ask(Verb::Query, &header, &node).codes(), [Code::CANNOT_WRITE.0], "it is gone since");
    }
}

#[test]
fn a_query_about_a_transfer_that_the_node_does_not_know_begins_nothing() {
    let content = content(SIZE);
    for node in nodes() {
        let header = relayed(&node);
        assert_eq!(ask(Verb::Query, &header, &node).codes(), [Code::NEVER_REPORTED.0]);
        assert_eq!(node.names(), [""; 0]);
        let first = Peer::ready(header, node.address);
        assert_eq!(ask(Verb::Query, &anew(first.header.clone()), &node).codes(), [Code::NEVER_REPORTED.0]);
        first.write(&payload(&first.header, &content));
        assert_eq!(first.codes(), [0]);
        node.assert_has("a", &content);
    }
}

#[test]
fn a_query_about_another_place_hears_which_one_the_node_has() {
    for node in nodes() {
        let first = Peer::ready(relayed(&node), node.address);
        let other = from_to(first.header.clone(), None, 5);
        assert_eq!(ask(Verb::Query, &other, &node).codes(), [Code::TAKING_PART.0]);
    }
}

#[test]
fn a_query_about_a_request_that_the_transfer_does_not_have_is_answered() {
    let content = content(SIZE);
    for node in nodes() {
        let first = Peer::ready(relayed(&node), node.address);
        let mut asked = first.header.clone();
        asked.node.requests.extend(header(Wire::Two, &node, "b", SIZE as u64).node.requests);
        let mut foreign = asked.clone();
        foreign.node.requests.remove(0);
        assert_eq!(ask(Verb::Query, &foreign, &node).codes(), [Code::TAKING_PART.0]);
        let both = ask(Verb::Query, &asked, &node);
        first.write(&payload(&first.header, &content));
        assert_eq!(both.codes(), [0, Code::TAKING_PART.0]);
        assert_eq!(first.codes(), [0]);
        assert_eq!(ask(Verb::Query, &asked, &node).codes(), [0, Code::TAKING_PART.0], "after the end");
        assert_eq!(node.names(), ["a"]);
    }
}

#[test]
fn results_come_under_the_key_of_the_check() {
    let content = content(SIZE);
    for node in nodes() {
        let header = relayed(&node);
        let mut check = ask(Verb::Check, &header, &node);
        assert!(check.sealed()[0].open(&check.node_key()).unwrap().code.is_success());
        let mut first = Peer::ready(header, node.address);
        first.write(&payload(&first.header, &content));
        let sealed = first.sealed();
        assert!(sealed[0].open(&check.node_key()).unwrap().code.is_success());
    }
}

#[test]
fn what_a_relay_asks_for_does_not_come_under_the_key_of_the_source() {
    for node in nodes() {
        let header = relayed(&node);
        let mut check = ask(Verb::Check, &header, &node);
        assert_eq!(check.sealed().len(), 1);
        for verb in [Verb::Check, Verb::Query] {
            let mut relay = Peer::greet(with(verb, header.clone()), node.address);
            relay.prove();
            assert_eq!(relay.sealed()[0].key_id(), None, "{verb:?}");
        }
    }
}

/// Counts connections.
fn counting(count: &Arc<AtomicUsize>) -> Tap {
    let count = Arc::clone(count);
    Arc::new(move |number, _, _, _| {
        count.fetch_max(number + 1, Ordering::Relaxed);
    })
}

#[test]
fn a_node_that_the_source_knows_is_not_asked_again() {
    let content = content(SIZE);
    for apart in [false, true] {
        let count = Arc::new(AtomicUsize::new(0));
        let tap = counting(&count);
        let last = if apart { TestNode::apart_behind(tap) } else { TestNode::behind(tap, |_| ()) };
        let relay = TestNode::new();
        let outcome = transfer(&content).to(relay.target("a")).to(last.target("a")).send().unwrap();
        assert_eq!(codes(&outcome), [0, 0]);
        assert_eq!(count.load(Ordering::Relaxed), 2, "the check, and its upstream");
        // A node that was not checked is asked once, to confirm it.
        let begin = transfer(&content).to(relay.target("b")).to(last.target("b")).no_check();
        let outcome = begin.send().unwrap();
        assert_eq!(codes(&outcome), [0, 0]);
        assert!(reports(&outcome).iter().all(|report| !report.message.contains("confirm")), "{outcome:?}");
        assert_eq!(count.load(Ordering::Relaxed), 4, "its upstream, and the question");
    }
}
