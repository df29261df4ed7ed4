//! A small transfer, cut at every byte and damaged at every byte.

use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lantorrent_core::session::Timing;
use lantorrent_core::wire::Wire;

use crate::support::{
    BOTH, Peer, TestNode, Way, content, exchange, header, in_parallel, keys, payload, transfer,
};
use crate::with::with;

const SIZE: usize = 300;
const WORKERS: usize = 8;

/// Cuts a transfer after `upto` bytes. Returns whether the node said that it has the file.
fn cut(wire: Wire, node: &TestNode, name: &str, content: &[u8], upto: usize) -> bool {
    let header = header(wire, node, name, content.len() as u64);
    let head = header.sign(&keys()).unwrap();
    let body = payload(&header, content);
    if wire == Wire::One || upto < head.len() {
        let all = [head, body].concat();
        let answer = exchange(node.address, &all[..upto]);
        let answer = String::from_utf8(answer).unwrap();
        return answer.contains("\"code\": 0,") || answer.contains("\"code\":0,");
    }
    let peer = Peer::ready(header, node.address);
    peer.write(&body[..upto - head.len()]);
    peer.socket.shutdown(Shutdown::Write).unwrap();
    peer.codes() == [0]
}

#[test]
fn a_transfer_that_is_cut_at_any_byte_is_no_file() {
    for wire in BOTH {
        let content = content(SIZE);
        // Who is cut off in the middle is waited for, but not in this test.
        let mut node = TestNode::with(|config| config.timing.orphan = Duration::from_millis(100));
        let sample = header(wire, &node, "000", SIZE as u64);
        let whole = sample.sign(&keys()).unwrap().len() + payload(&sample, &content).len();
        let name = |upto: usize| format!("{upto:03}");
        let succeeded = Mutex::new(Vec::new());
        in_parallel(whole + 1, WORKERS, |upto| {
            if cut(wire, &node, &name(upto), &content, upto) {
                succeeded.lock().unwrap().push(upto);
            }
        });
        // All of it is a file, and not one byte less.
        let succeeded = succeeded.into_inner().unwrap();
        assert_eq!(succeeded, [whole], "wire {wire:?}");
        node.stop();
        assert_eq!(node.names(), [name(whole)], "wire {wire:?}");
        node.assert_has(&name(whole), &content);
    }
}

#[test]
fn a_proof_that_is_cut_at_any_byte_is_none() {
    use lantorrent_core::wire::{Line, proof};
    let mut node = TestNode::new();
    in_parallel(proof::PROOF_BYTES, WORKERS, |upto| {
        let header = header(Wire::Two, &node, "a", SIZE as u64);
        let nonce = header.envelope.as_ref().unwrap().nonce;
        let mut peer = Peer::greet(header, node.address);
        let Some(Line::Challenge { challenge }) = peer.line() else { panic!("no challenge") };
        peer.write(&proof::line(&keys(), &nonce, &challenge).unwrap()[..upto]);
        peer.socket.shutdown(Shutdown::Write).unwrap();
        assert_eq!(peer.said(), None);
    });
    node.stop();
    assert_eq!(node.names(), [""; 0]);
}

/// Which byte of which connection to damage.
struct Damage {
    way: Way,
    at: usize,
    bit: u8,
}

/// A node whose connections pass through somebody who damages them by plan. Connections are told apart by their order,
/// so there is one at a time.
struct Damaged {
    node: TestNode,
    plan: Arc<Mutex<Option<Damage>>>,
    done: Arc<AtomicUsize>,
}

impl Damaged {
    fn new(timing: &Timing) -> Self {
        let plan = Arc::new(Mutex::new(None::<Damage>));
        let done = Arc::new(AtomicUsize::new(0));
        let (planned, count) = (Arc::clone(&plan), Arc::clone(&done));
        let tap = move |_, way, offset: usize, bytes: &mut [u8]| {
            let mut plan = planned.lock().unwrap();
            if let Some(damage) = &*plan
                && damage.way == way
                && (offset..offset + bytes.len()).contains(&damage.at)
            {
                bytes[damage.at - offset] ^= 1 << damage.bit;
                count.fetch_add(1, Ordering::Relaxed);
                *plan = None;
            }
        };
        let node = TestNode::behind(Arc::new(tap), |config| config.timing = timing.clone());
        Self { node, plan, done }
    }
}

/// How many bytes a transfer is, each way.
fn lengths(content: &[u8]) -> [usize; 2] {
    let lengths = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let count = Arc::clone(&lengths);
    let tap = move |_, way, _, bytes: &mut [u8]| {
        count[usize::from(way == Way::Up)].fetch_add(bytes.len(), Ordering::Relaxed);
    };
    let node = TestNode::behind(Arc::new(tap), |_| ());
    assert!(transfer(content).no_check().to(node.target("000000")).send().unwrap().all_succeeded());
    lengths.each_ref().map(|length| length.load(Ordering::Relaxed))
}

#[test]
fn a_bit_that_flips_anywhere_is_mended() {
    let content = content(SIZE);
    let [down, up] = lengths(&content);
    // Where the end of a line is damaged both sides wait for it.
    let patience = Duration::from_secs(1);
    let timing = with(Timing::default(), |it| {
        it.greeting = patience;
        it.handshake = patience;
        it.dead_after = patience;
    });
    let timing = with(timing, |it| {
        it.finish = patience;
        it.alive = Duration::from_millis(100);
    });
    let lanes: Vec<_> = (0..WORKERS).map(|_| Mutex::new(Damaged::new(&timing))).collect();
    in_parallel(down + up, WORKERS, |number| {
        // There are as many lanes as there are workers.
        let lane = lanes.iter().find_map(|lane| lane.try_lock().ok()).unwrap();
        let (way, at) = if number < down { (Way::Down, number) } else { (Way::Up, number - down) };
        let name = format!("{number:06}");
        // Any bit, and of neighbours not the same.
        let bit = (at * 5 + at / 8) as u8 % 8;
        *lane.plan.lock().unwrap() = Some(Damage { way, at, bit });
        let target = lane.node.target(&name);
        let outcome = transfer(&content).no_check().timing(timing.clone()).to(target).send().unwrap();
        *lane.plan.lock().unwrap() = None;
        // Whatever it was, it is said again over another connection.
        assert!(outcome.all_succeeded(), "bit {bit} of byte {at}, {way:?}: {outcome:?}");
        lane.node.assert_has(&name, &content);
    });
    let (mut hit, mut whole) = (0, 0);
    for lane in lanes {
        let mut lane = lane.into_inner().unwrap();
        lane.node.stop();
        let names = lane.node.names();
        assert!(names.iter().all(|name| name.len() == 6), "nothing but whole files is left: {names:?}");
        whole += names.len();
        hit += lane.done.load(Ordering::Relaxed);
    }
    println!("{down} bytes down, {up} up; {hit} flips, {whole} files");
    assert_eq!(whole, down + up);
    // The two streams are not of exactly the same length each time: ports and results differ by a few digits.
    assert!(hit > (down + up) * 9 / 10, "{hit} of {} flips have been made", down + up);
}
