//! Hundreds of nodes, of which some come and go.

use std::time::Duration;

use lantorrent_swarm::dht::DhtEvent;

use crate::world::{World, torrent};

#[test]
fn what_is_announced_is_found() {
    let mut world = World::new(11);
    let nodes = world.crowd(0, 300);
    for number in 0..20 {
        world.join(nodes[number * 7], torrent(number as u32));
    }
    world.run(Duration::from_secs(30));
    let sent = world.sent;
    for number in 0..20 {
        world.join(nodes[number * 11 + 3], torrent(number as u32));
    }
    world.run(Duration::from_secs(10));
    for number in 0..20 {
        let (seed, leecher) = (nodes[number * 7], nodes[number * 11 + 3]);
        assert!(world.has_found(leecher, torrent(number as u32), seed), "torrent {number}");
        assert!(seed == leecher || world.found.contains_key(&(leecher, torrent(number as u32))));
    }
    let each = (world.sent - sent) / 20;
    assert!(each < 150, "{each} datagrams for one lookup, its announcement and all else");
}

#[test]
fn with_loss_and_churn_lookups_still_find_what_was_announced() {
    for seed in 0..5 {
        churn(seed);
    }
}

fn churn(seed: u64) {
    let mut world = World::new(seed);
    let mut nodes = world.crowd(0, 200);
    world.lost = 10;
    let seeds: Vec<_> = nodes[..10].to_vec();
    for (number, &seed) in seeds.iter().enumerate() {
        world.join(seed, torrent(number as u32));
    }
    // Half an hour in which two thirds of all others are replaced.
    for number in 1000..1120 {
        let gone = nodes.remove(10 + world.chance.below(nodes.len() as u64 - 10) as usize);
        world.kill(gone);
        let new = world.node(number);
        // More than one, for any may be gone the next moment.
        for _ in 0..3 {
            let known = nodes[world.chance.below(nodes.len() as u64) as usize];
            world.tell(new, DhtEvent::Meet(known));
        }
        nodes.push(new);
        world.run(Duration::from_secs(15));
    }
    let leechers: Vec<_> = nodes[100..110].to_vec();
    for (number, &leecher) in leechers.iter().enumerate() {
        world.join(leecher, torrent(number as u32));
    }
    world.run(Duration::from_secs(30));
    for (number, (&leecher, &seed)) in leechers.iter().zip(&seeds).enumerate() {
        assert!(world.has_found(leecher, torrent(number as u32), seed), "torrent {number}");
    }
}

#[test]
fn a_node_at_rest_sends_next_to_nothing() {
    let mut world = World::new(13);
    world.crowd(0, 100);
    world.run(Duration::from_secs(600));
    let sent = world.sent;
    world.run(Duration::from_secs(3600));
    let each = (world.sent - sent) / 100;
    assert!(each < 1500, "{each} datagrams of each node in an hour");
}

#[test]
fn thousands_of_torrents_are_looked_for_in_turn() {
    let mut world = World::new(14);
    let nodes = world.crowd(0, 2);
    for number in 0..1000 {
        world.join(nodes[0], torrent(number));
    }
    let sent = world.sent;
    world.run(Duration::from_secs(100));
    let each_second = (world.sent - sent) / 100;
    assert!((4..12).contains(&each_second), "{each_second}");
    world.run(Duration::from_secs(500));
    for number in 0..1000 {
        world.join(nodes[1], torrent(number));
    }
    world.run(Duration::from_secs(10));
    assert!((0..1000).all(|number| world.has_found(nodes[1], torrent(number), nodes[0])));
}
