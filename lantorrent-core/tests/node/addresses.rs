//! Names with several addresses, of which some are of no use.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use lantorrent_core::session::Timing;
use lantorrent_core::wire::{Code, HeaderReader, Keyring, Password, Wire};
use lantorrent_core::{Check, NodeConfig, Resolver, Target, Transfer};
use socket2::{Domain, Socket, Type};

use crate::support::{
    DeadPort, Gate, TestNode, Way, codes, content, keys, patient, reports, transfer, wait_until,
};
use crate::with::with;

/// The names of a test, which both its source and its nodes look up.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<HashMap<String, Vec<SocketAddr>>>>);

impl Names {
    fn add(&self, name: &str, addresses: impl IntoIterator<Item = SocketAddr>) {
        self.0.lock().unwrap().insert(name.into(), addresses.into_iter().collect());
    }

    fn resolver(&self) -> Resolver {
        let names = self.clone();
        let unknown = || io::Error::other("the name is not known");
        Resolver::new(move |host, _| names.0.lock().unwrap().get(host).cloned().ok_or_else(unknown))
    }

    fn node(&self, change: impl FnOnce(&mut NodeConfig)) -> TestNode {
        let resolver = self.resolver();
        TestNode::with(|config| {
            config.resolver = resolver;
            change(config);
        })
    }
}

fn named(host: &str, node: &TestNode) -> Target {
    Target { host: host.into(), ..node.target("a") }
}

/// Takes connections, and says nothing. Keeps what it hears.
struct Mute {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<JoinHandle<Vec<u8>>>>>,
}

impl Mute {
    fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hearing = Arc::clone(&heard);
        thread::spawn(move || {
            for socket in listener.incoming() {
                let mut socket = socket.unwrap();
                let hear = move || {
                    let mut bytes = Vec::new();
                    let mut some = [0; 4096];
                    while let Ok(count @ 1..) = socket.read(&mut some) {
                        bytes.extend_from_slice(&some[..count]);
                    }
                    bytes
                };
                hearing.lock().unwrap().push(thread::spawn(hear));
            }
        });
        Self { address, heard }
    }

    /// What each connection brought, once its other end has closed it.
    fn heard(self) -> Vec<Vec<u8>> {
        let heard = std::mem::take(&mut *self.heard.lock().unwrap());
        heard.into_iter().map(|hearing| hearing.join().unwrap()).collect()
    }
}

/// An address at which nothing answers: the queue of its listener is full.
struct BlackHole {
    address: SocketAddr,
    _sockets: Vec<Socket>,
}

impl BlackHole {
    fn new() -> Self {
        let socket = || Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let listener = socket();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut sockets = vec![listener];
        for _ in 0..4 {
            let filler = socket();
            filler.set_nonblocking(true).unwrap();
            let _ = filler.connect(&address);
            sockets.push(filler);
        }
        Self { address: address.as_socket().unwrap(), _sockets: sockets }
    }
}

#[test]
fn the_first_address_that_answers_takes_part_and_not_the_first_that_connects() {
    let (names, content) = (Names::default(), content(300_000));
    let (mute, hole, dead) = (Mute::new(), BlackHole::new(), DeadPort::new());
    let stranger = TestNode::with(|config| config.keys = Keyring::new(Password::new("another").unwrap()));
    let nodes: Vec<TestNode> = (0..3).map(|_| names.node(|_| ())).collect();
    let list = ["n0", "n1", "n2"];
    for (name, node) in list.iter().zip(&nodes) {
        names.add(name, [mute.address, hole.address, dead.address, stranger.address, node.address]);
    }
    for checks in [true, false] {
        let transfer = list.iter().zip(&nodes).fold(transfer(&content), |transfer, (name, node)| {
            let target = Target { path: format!("{}{checks}", node.target("a").path), ..named(name, node) };
            transfer.to(target)
        });
        let transfer = transfer.resolver(names.resolver());
        let outcome = if checks { transfer } else { transfer.no_check() }.send().unwrap();
        assert_eq!(codes(&outcome), [0; 3], "{:#?}", reports(&outcome));
        for node in &nodes {
            node.assert_has(&format!("a{checks}"), &content);
        }
    }
    assert_eq!(stranger.names(), [""; 0]);
    let address = mute.address;
    let mut nonces = Vec::new();
    for bytes in mute.heard() {
        // Of one that was closed at once not all may have come.
        let (used, Some(signed)) = HeaderReader::default().push(&bytes).unwrap() else { continue };
        assert_eq!(used, bytes.len(), "behind the header comes nothing, no proof above all");
        let envelope = signed.verify(&keys()).unwrap().envelope.unwrap();
        assert_eq!(envelope.to, address);
        nonces.push(envelope.nonce.0);
    }
    let all = nonces.len();
    nonces.sort_unstable();
    nonces.dedup();
    assert!(all > 0 && nonces.len() == all, "each header has a nonce of its own: {nonces:?}");
}

#[test]
fn a_chain_is_repaired_by_all_addresses_too() {
    let (names, content) = (Names::default(), content(8 << 20));
    let hole = BlackHole::new();
    let gate = Arc::new(Gate::default());
    let pass = Arc::clone(&gate);
    let tap = move |_, way, offset, _: &mut [u8]| {
        if way == Way::Down && offset > 4 << 20 {
            pass.pass();
        }
    };
    let resolver = names.resolver();
    let first = TestNode::behind(Arc::new(tap), |config| config.resolver = resolver);
    let mut nodes = [first, names.node(|_| ()), names.node(|_| ())];
    let list = ["n0", "n1", "n2"];
    for (name, node) in list.iter().zip(&nodes) {
        names.add(name, [hole.address, node.address]);
    }
    let transfer = list
        .iter()
        .zip(&nodes)
        .fold(transfer(&content), |transfer, (name, node)| transfer.to(named(name, node)));
    let timing = with(patient(), |it| it.direct = Duration::from_secs(2));
    let transfer = transfer.timing(timing).resolver(names.resolver());
    let sending = thread::spawn(|| transfer.send().unwrap());
    let begun =
        |node: &TestNode| std::fs::metadata(node.path("a.lantorrent")).is_ok_and(|found| found.len() > 0);
    wait_until("all have begun", || nodes.iter().all(begun));
    nodes[1].stop();
    gate.open();
    let outcome = sending.join().unwrap();
    let codes = codes(&outcome);
    assert_eq!((codes[0], codes[2]), (0, 0), "{:#?}", reports(&outcome));
    assert_ne!(codes[1], 0);
    nodes[0].assert_has("a", &content);
    nodes[2].assert_has("a", &content);
}

#[test]
fn wire_1_goes_to_the_first_address_that_takes_the_connection() {
    let (names, content) = (Names::default(), content(100_000));
    let (hole, dead) = (BlackHole::new(), DeadPort::new());
    let nodes = [names.node(|_| ()), names.node(|_| ())];
    names.add("n0", [hole.address, dead.address, nodes[0].address]);
    names.add("n1", [dead.address, hole.address, nodes[1].address]);
    let transfer = transfer(&content).wire(Wire::One).resolver(names.resolver());
    let outcome = transfer.to(named("n0", &nodes[0])).to(named("n1", &nodes[1])).send().unwrap();
    assert_eq!(codes(&outcome), [0, 0], "{:#?}", reports(&outcome));
}

#[test]
fn where_no_address_is_of_use_the_report_names_each() {
    let names = Names::default();
    let (hole, dead) = (BlackHole::new(), DeadPort::new());
    let stranger = TestNode::with(|config| config.keys = Keyring::new(Password::new("another").unwrap()));
    let stuck = SocketAddr::new([127, 0, 0, 9].into(), dead.address.port());
    names.add("n", [hole.address, stuck, stranger.address]);
    names.add("none", []);
    let check = Check::new(keys()).resolver(names.resolver());
    let outcome = check
        .to(named("n", &stranger))
        .to(named("none", &stranger))
        .to(named("unknown", &stranger))
        .to("[fe80::1%no-such-link]/a".parse().unwrap())
        .run()
        .unwrap();
    let reports = reports(&outcome);
    let found: Vec<Code> = reports.iter().map(|report| report.code).collect();
    let lost = Code::CANNOT_CONNECT;
    assert_eq!(found, [Code::ACCESS_DENIED, lost, lost, lost], "{reports:#?}");
    let told = &reports[0].message;
    assert!(told.contains("Access denied") && told.contains("127.0.0.9: "), "{told}");
    assert!(told.contains("no connection in time"), "{told}");
    assert!(reports[1].message.contains("the name has no address"), "{:?}", reports[1]);
    assert!(reports[2].message.contains("the name is not known"), "{:?}", reports[2]);
    assert!(reports[3].message.contains("no interface no-such-link"), "{:?}", reports[3]);
}

#[test]
fn names_that_are_not_answered_hold_up_no_others() {
    let content = content(50_000);
    let (over, waits) = mpsc::channel::<()>();
    let waits = Mutex::new(waits);
    let names = Names::default();
    let known = names.resolver_or(move |_| {
        // Until the test is over.
        let _ = waits.lock().unwrap().recv();
        Err(io::Error::other("no answer"))
    });
    let node = || TestNode::with(|config| (config.resolver, config.timing) = (known.clone(), impatient()));
    let nodes = [node(), node()];
    names.add("n0", [nodes[0].address]);
    names.add("n1", [nodes[1].address]);
    // More of them than an event loop would have had threads for names.
    let dead = (0..6).map(|number| named(&format!("dead{number}"), &nodes[0]));
    let start = transfer(&content).timing(impatient()).no_check().resolver(known.clone());
    let transfer = dead.fold(start.to(named("n0", &nodes[0])), Transfer::to).to(named("n1", &nodes[1]));
    let outcome = transfer.send().unwrap();
    let codes = codes(&outcome);
    assert_eq!((codes[0], codes[7]), (0, 0), "{:#?}", reports(&outcome));
    assert!(codes[1..7].iter().all(|&code| code != 0), "{codes:?}");
    drop(over);
}

fn impatient() -> Timing {
    with(patient(), |it| {
        it.grace = Duration::from_millis(300);
        it.direct = Duration::from_secs(1);
    })
}

impl Names {
    /// Asks `other` for names that are not known.
    fn resolver_or(
        &self,
        other: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Resolver {
        let names = self.clone();
        Resolver::new(move |host, _| {
            let known = names.0.lock().unwrap().get(host).cloned();
            known.map_or_else(|| other(host), Ok)
        })
    }
}
