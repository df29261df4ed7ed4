//! What every module needs: nodes, hand-made peers on either side of them, and proxies between.

mod apart;
mod fake;
pub(crate) mod later;
mod nimbus;
mod node;
mod peer;
mod proxy;
mod sign;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lantorrent_core::session::Timing;
use lantorrent_core::wire::{Keyring, Password, Report, Wire};
use lantorrent_core::{Outcome, Target, Transfer};
use socket2::{Domain, Socket, Type};

use crate::with::with;

pub(crate) use fake::{Child, FakeNode};
pub(crate) use nimbus::Nimbus;
pub(crate) use node::{TestNode, gated};
pub(crate) use peer::{
    Peer, anew, exchange, first_blocks, from_to, header, header_for, key_of, of_version, payload,
    without_blocks,
};
pub(crate) use proxy::{Proxy, Tap, Way};
pub(crate) use sign::{sign, sign_bytes, signature_1};

pub(crate) const PASSWORD: &str = "a password of these tests";
pub(crate) const NIMBUS: &str = "nimbus";
pub(crate) const BOTH: [Wire; 2] = [Wire::One, Wire::Two];

/// Both wires on, each under its own password.
pub(crate) fn keys() -> Keyring {
    Keyring::new(Password::new(PASSWORD).unwrap()).with_wire_1(Password::new(NIMBUS).unwrap()).unwrap()
}

/// Deadlines that nothing here has to wait for, however busy the machine is.
pub(crate) fn patient() -> Timing {
    let time = Duration::from_secs(60);
    with(Timing::default(), |it| {
        it.greeting = time;
        it.handshake = time;
        it.dead_after = time;
        it.grace = time;
        it.direct = time;
        it.check = time;
    })
}

/// Deadlines that a test may wait for.
pub(crate) fn short(time: u64) -> Timing {
    let time = Duration::from_millis(time);
    with(Timing::default(), |it| {
        it.greeting = time;
        it.handshake = time;
        it.dead_after = time;
        it.dead_after_wire_1 = time;
        it.finish = time;
        it.orphan = time;
        it.alive = time / 5;
        it.progress = time / 5;
    })
}

/// Bytes without a pattern, the same each time.
pub(crate) fn content(len: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(len + 8);
    let mut state = len as u64;
    while bytes.len() < len {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bytes.extend_from_slice(&(mixed ^ (mixed >> 27)).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A transfer of a file with that content. The file itself is gone by then; who has it open can still read it.
pub(crate) fn transfer(content: &[u8]) -> Transfer {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    Transfer::from_file(file.path(), keys()).unwrap().timing(patient())
}

/// Sends `content` to `targets` by that wire.
pub(crate) fn send(wire: Wire, content: &[u8], targets: impl IntoIterator<Item = Target>) -> Outcome {
    targets.into_iter().fold(transfer(content).wire(wire), Transfer::to).send().unwrap()
}

/// The codes of all results, in order of the targets.
pub(crate) fn codes(outcome: &Outcome) -> Vec<u16> {
    outcome.reports().map(|report| report.code.0).collect()
}

/// All results, in order of the targets.
pub(crate) fn reports(outcome: &Outcome) -> Vec<Report> {
    outcome.reports().cloned().collect()
}

pub(crate) fn target(address: SocketAddr, path: impl Into<String>) -> Target {
    Target { host: address.ip().to_string(), port: address.port(), path: path.into() }
}

/// An address where nobody listens, and nobody else will while this lives.
pub(crate) struct DeadPort {
    pub(crate) address: SocketAddr,
    _socket: Socket,
}

impl DeadPort {
    pub(crate) fn new() -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        Self { address, _socket: socket }
    }
}

/// Waits until something is so. The limit is there to fail, not to measure.
pub(crate) fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < limit, "still waiting until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Something that others wait for until it is opened.
#[derive(Default)]
pub(crate) struct Gate(AtomicBool);

impl Gate {
    pub(crate) fn open(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn pass(&self) {
        wait_until("the gate opens", || self.0.load(Ordering::Acquire));
    }
}

/// Runs `job` for each number below `count`, several at a time.
pub(crate) fn in_parallel(count: usize, workers: usize, job: impl Fn(usize) + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    job(number);
                }
            });
        }
    });
}
