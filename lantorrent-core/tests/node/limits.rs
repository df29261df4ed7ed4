//! Limits on the rate. How exact they are is the arithmetic's to prove, and the benchmark's to measure; here is what they
//! must not do.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use lantorrent_core::session::Timing;
use lantorrent_core::wire::Code;
use lantorrent_core::{Limit, NodeConfig, Transfer, TransferEvent, TransferHandle};

use crate::support::{BOTH, TestNode, codes, content, short, transfer, wait_until};
use crate::with::with;

/// What would take hours at the smallest limit.
const LARGE: usize = 8 << 20;

fn slowest() -> Limit {
    Limit::new(Some(Limit::LEAST))
}

/// A file of one block, which takes four seconds, longer than anybody is waited for that says nothing.
const SLOW: usize = 32 << 10;

/// But for what has to be longer than a block takes: on wire 1 nothing is said while one comes in, and there is no result
/// while all that was sent is still under way.
fn impatient() -> Timing {
    let long = Duration::from_secs(30);
    with(short(1000), |it| {
        it.dead_after_wire_1 = long;
        it.finish = long;
    })
}

fn four_seconds() -> Limit {
    Limit::new(Some(SLOW as u64 / 4))
}

fn one_block(content: &[u8]) -> Transfer {
    transfer(content).block_size(64 << 10)
}

/// Sends to all of them, none of whom is to be lost or bypassed on the way.
fn send(transfer: Transfer, nodes: &[TestNode], content: &[u8]) {
    let outcome = nodes.iter().fold(transfer, |transfer, node| transfer.to(node.target("a"))).send().unwrap();
    assert!(outcome.all_succeeded() && outcome.bypassed().is_empty(), "{outcome:?}");
    for node in nodes {
        node.assert_has("a", content);
    }
}

#[test]
fn a_source_that_waits_within_a_block_is_alive() {
    let content = content(SLOW);
    for wire in BOTH {
        let node = || TestNode::with(|config| config.timing = impatient());
        let transfer = one_block(&content).wire(wire).timing(impatient()).limit(four_seconds());
        send(transfer, &[node(), node()], &content);
    }
}

#[test]
fn a_node_that_takes_little_is_alive_and_so_is_one_that_gives_little() {
    let content = content(SLOW);
    let takes_little = TestNode::with(|config| {
        config.timing = impatient();
        config.receive_limit = four_seconds();
    });
    let gives_little = TestNode::with(|config| {
        config.timing = impatient();
        config.send_limit = four_seconds();
    });
    let last = TestNode::with(|config| config.timing = impatient());
    send(one_block(&content).timing(impatient()), &[takes_little, gives_little, last], &content);
}

#[test]
fn nobody_is_slow_because_of_the_sources_limit() {
    const MIB: u64 = 1 << 20;
    let content = content(6 << 20);
    let timing = || {
        with(Timing::default(), |it| {
            it.progress = Duration::from_millis(50);
            it.slow = Duration::from_millis(200);
        })
    };
    let node = || TestNode::with(|config| config.timing = timing());
    let transfer = transfer(&content).timing(timing()).min_rate(100 * MIB).limit(Limit::new(Some(3 * MIB)));
    send(transfer, &[node(), node(), node()], &content);
}

#[test]
fn a_limit_that_is_lifted_holds_up_nobody_any_more() {
    let content = content(LARGE);
    for at_source in [true, false] {
        let limit = slowest();
        let (node_limit, source_limit) =
            if at_source { (Limit::default(), limit.clone()) } else { (limit.clone(), Limit::default()) };
        let node = TestNode::with(|config| config.receive_limit = node_limit);
        let lift = move |event: &TransferEvent| {
            if matches!(event, TransferEvent::Progress(_)) {
                limit.set(None);
            }
        };
        send(transfer(&content).limit(source_limit).on_event(lift), &[node], &content);
    }
}

type End = fn(&TransferHandle);

#[test]
fn a_transfer_that_waits_for_its_turn_is_stopped_suspended_or_cancelled() {
    let content = content(LARGE);
    let ends: [(End, Code); 3] = [
        (TransferHandle::stop, Code::STOPPED),
        (TransferHandle::suspend, Code::STOPPED),
        (|handle| handle.cancel(0).unwrap(), Code::CANCELLED),
    ];
    for (end, code) in ends {
        let node = TestNode::new();
        let begun = Arc::new(Mutex::new(false));
        let heard = Arc::clone(&begun);
        let transfer = transfer(&content).to(node.target("a")).limit(slowest()).on_event(move |event| {
            if matches!(event, TransferEvent::Progress(_)) {
                *heard.lock().unwrap() = true;
            }
        });
        let handle = transfer.handle();
        let sending = thread::spawn(|| transfer.send().unwrap());
        wait_until("it is under way", || *begun.lock().unwrap());
        end(&handle);
        assert_eq!(codes(&sending.join().unwrap()), [code.0]);
    }
}

#[test]
fn a_node_that_waits_for_its_turn_is_stopped() {
    let content = content(LARGE);
    let slow = |change: fn(&mut NodeConfig)| TestNode::with(change);
    for mut first in
        [slow(|config| config.receive_limit = slowest()), slow(|config| config.send_limit = slowest())]
    {
        let last = TestNode::new();
        let begin = transfer(&content).to(first.target("a")).to(last.target("a"));
        let handle = begin.handle();
        let sending = thread::spawn(|| begin.send().unwrap());
        wait_until("it is under way", || !last.names().is_empty());
        first.stop();
        handle.stop();
        let _ = sending.join().unwrap();
    }
}

#[test]
fn a_slow_source_sends_small_blocks() {
    // At 4 KiB a second a block of 16 KiB, which is the smallest otherwise, would take four.
    let content = content(10_000);
    let node = TestNode::with(|config| config.timing = impatient());
    let limit = Limit::new(Some(5000));
    send(transfer(&content).limit(limit.clone()).timing(impatient()), &[node], &content);
    assert_eq!(limit.get(), Some(5000));
}
