//! How long a whole swarm takes, compared to one copy from one host to another, in simulated time.

use lantorrent_swarm::swarm::Limits;

use crate::scenario::{Role, Scenario, driver, tell};
use crate::web::WebServer;
use crate::world::World;

const RATE: u64 = 100_000_000 / 8;
const LENGTH: u64 = 64 << 20;
/// Microseconds that one direct copy takes.
const COPY: u64 = LENGTH * 1_000_000 / RATE;

/// All in thousandths.
#[derive(Debug)]
struct Figure {
    /// When the last node had everything, of the time of one direct copy.
    last: u64,
    /// What the seed has sent, of the file.
    sent: u64,
    /// What has come in vain, of what was to come.
    wasted: u64,
}

/// So many nodes that begin at the same time, behind a seed or with a web server.
fn run(first: Role, nodes: usize, piece_length: u32, webs: Vec<WebServer>) -> World {
    let mut roles = vec![first];
    roles.resize(nodes + 1, Role::Leecher);
    let scenario = Scenario {
        rates: vec![(RATE, RATE); roles.len()],
        roles,
        length: LENGTH,
        piece_length,
        info: 1000,
        limits: Limits::default(),
        webs,
        latency: 200,
    };
    let mut world = scenario.world(1);
    for host in 0..=nodes {
        tell(&mut world, host, 0..=nodes);
    }
    while (1..=nodes).any(|host| driver(&world, host).is_none_or(|driver| driver.done.is_none())) {
        assert!(world.net.micros < 100 * COPY, "it does not end");
        for _ in 0..100 {
            world.step();
        }
    }
    world
}

/// A seed, and so many nodes.
fn swarm(nodes: usize, piece_length: u32) -> Figure {
    let world = run(Role::Seed, nodes, piece_length, Vec::new());
    let drivers = || (1..=nodes).filter_map(|host| driver(&world, host));
    let wasted: u64 = drivers().map(|driver| driver.torrent.progress(world.net.now()).wasted).sum();
    Figure {
        last: drivers().filter_map(|driver| driver.done).max().unwrap_or(0) * 1000 / COPY,
        sent: world.hosts[0].sent * 1000 / LENGTH,
        wasted: wasted * 1000 / (LENGTH * nodes as u64),
    }
}

#[test]
fn a_site_fetches_from_the_web_about_once() {
    let server = WebServer { rate: RATE / 8, fails: 0, lies: false };
    let world = run(Role::Leecher, 15, 256 << 10, vec![server]);
    let fetched: u64 = (0..=15).filter_map(|host| driver(&world, host)).map(|driver| driver.webs.sent).sum();
    let (fetched, took) = (fetched * 1000 / LENGTH, world.net.micros * 1000 / COPY);
    println!("16 nodes and the web, in thousandths: fetched {fetched}, took {took}");
    assert!(fetched < 1150 && took < 1600, "{fetched} {took}");
}

#[test]
fn thirty_two_nodes_take_little_longer_than_one() {
    for (piece_length, limit) in [(128 << 10, 1200), (256 << 10, 1250)] {
        let figure = swarm(32, piece_length);
        println!("32 nodes, pieces of {} KiB, in thousandths: {figure:?}", piece_length >> 10);
        assert!(figure.last < limit && figure.sent < limit && figure.wasted < 50, "{figure:?}");
    }
}

#[test]
fn a_single_node_takes_no_longer_than_a_copy() {
    let figure = swarm(1, 256 << 10);
    assert!(figure.last < 1020 && figure.sent < 1010 && figure.wasted == 0, "{figure:?}");
}
