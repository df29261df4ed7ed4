//! How long a whole swarm takes, as a multiple of one copy from one host to another, in simulated time.

use lantorrent_swarm::swarm::Limits;

use crate::scenario::{Role, Scenario, driver};

const RATE: u64 = 100_000_000 / 8;
const LENGTH: u64 = 64 << 20;

struct Figure {
    /// When the last node had everything, as a multiple of one direct copy.
    makespan: f64,
    /// When the first one had.
    first: f64,
    /// What the seed has sent, as a multiple of the file.
    seed: f64,
    wasted: f64,
}

fn swarm(nodes: usize, piece_length: u32, seed: u64) -> Figure {
    let mut roles = vec![Role::Seed];
    roles.resize(nodes + 1, Role::Leecher);
    let scenario = Scenario {
        rates: vec![(RATE, RATE); roles.len()],
        roles,
        length: LENGTH,
        piece_length,
        info: 1000,
        limits: Limits::default(),
        webs: Vec::new(),
        latency: 200,
    };
    let mut world = scenario.world(seed);
    for host in 0..=nodes {
        scenario.tell(&mut world, host, 0..=nodes);
    }
    let done = |world: &crate::world::World| {
        (1..=nodes).map(|host| driver(world, host).unwrap().done).collect::<Option<Vec<_>>>()
    };
    let times = loop {
        assert!(world.step().is_some() && world.net.micros < 60_000_000, "it does not end");
        if world.net.micros % 16 == 0
            && let Some(times) = done(&world)
        {
            break times;
        }
    };
    let copy = LENGTH as f64 * 1e6 / RATE as f64;
    let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    let wasted: u64 =
        (1..=nodes).map(|host| driver(&world, host).unwrap().torrent.progress(world.net.now()).wasted).sum();
    Figure {
        makespan: *last as f64 / copy,
        first: *first as f64 / copy,
        seed: world.hosts[0].sent as f64 / LENGTH as f64,
        wasted: wasted as f64 / (LENGTH as f64 * nodes as f64),
    }
}

#[test]
fn thirty_two_nodes_take_little_longer_than_one() {
    for (piece_length, limit) in [(128 << 10, 1.2), (256 << 10, 1.3)] {
        let figure = swarm(32, piece_length, 1);
        println!(
            "32 nodes, pieces of {} KiB: last {:.3}, first {:.3}, seed {:.3}, wasted {:.3}",
            piece_length >> 10,
            figure.makespan,
            figure.first,
            figure.seed,
            figure.wasted
        );
        assert!(figure.makespan < limit && figure.seed < limit && figure.wasted < 0.01);
    }
}

#[test]
fn a_single_node_takes_no_longer_than_a_copy() {
    let figure = swarm(1, 256 << 10, 1);
    println!("one node: {:.3}, seed {:.3}", figure.makespan, figure.seed);
    assert!(figure.makespan < 1.03 && figure.seed < 1.01);
}
