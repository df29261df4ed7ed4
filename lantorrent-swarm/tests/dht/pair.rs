//! Networks of two nodes, or of hardly more.

use std::net::SocketAddr;
use std::time::Duration;

use lantorrent_swarm::Compact;
use lantorrent_swarm::dht::{DhtEvent, Mode, NodeId, Saved};

use crate::world::{World, address, torrent};

#[test]
fn two_nodes_that_know_of_nobody_else_find_each_other() {
    for (one_joins_first, told) in [(true, 0), (true, 1), (false, 0), (false, 1)] {
        let mut world = World::new(1);
        let nodes = [world.node(1), world.node(2)];
        if one_joins_first {
            world.join(nodes[0], torrent(1));
            world.run(Duration::from_secs(100));
        }
        // As a PORT message does it.
        world.tell(nodes[told], DhtEvent::Meet(nodes[1 - told]));
        world.run(Duration::from_millis(500));
        world.join(nodes[1], torrent(1));
        world.join(nodes[0], torrent(1));
        world.run(Duration::from_secs(1));
        assert!(world.has_found(nodes[0], torrent(1), nodes[1]), "{one_joins_first} {told}");
        assert!(world.has_found(nodes[1], torrent(1), nodes[0]), "{one_joins_first} {told}");
    }
}

#[test]
fn names_that_differ_in_their_last_bit_are_no_trouble() {
    let mut world = World::new(1);
    let nodes: Vec<_> = (0..12)
        .map(|number| {
            let mut id = NodeId([0xaa; 20]);
            id.0[19] = number;
            world.node_of(address(number.into()), id, Mode::Full)
        })
        .collect();
    for &node in &nodes {
        world.tell(node, DhtEvent::Meet(nodes[0]));
    }
    world.run(Duration::from_secs(10));
    for &node in &nodes {
        world.join(node, torrent(1));
    }
    // Those who looked before others had announced look again.
    world.run(Duration::from_secs(1000));
    for &one in &nodes {
        assert!(nodes.iter().all(|&other| world.has_found(one, torrent(1), other)), "{one}");
        assert!(world.nodes[&one].nodes(world.now) >= 8);
    }
}

#[test]
fn a_given_node_that_comes_later_is_found() {
    let mut world = World::new(1);
    let node = world.node(1);
    world.tell(node, DhtEvent::Meet(address(2)));
    world.join(node, torrent(1));
    world.run(Duration::from_secs(600));
    let late = world.node(2);
    world.join(late, torrent(1));
    world.run(Duration::from_secs(15));
    assert!(world.has_found(node, torrent(1), late) && world.has_found(late, torrent(1), node));
}

#[test]
fn a_network_that_was_away_is_found_again() {
    let mut world = World::new(1);
    let nodes = world.crowd(0, 10);
    world.lost = 100;
    world.run(Duration::from_secs(3600));
    assert_eq!(world.nodes[&nodes[0]].nodes(world.now), 0);
    world.lost = 0;
    world.join(nodes[0], torrent(1));
    world.join(nodes[9], torrent(1));
    world.run(Duration::from_secs(60));
    assert!(world.has_found(nodes[0], torrent(1), nodes[9]));
}

#[test]
fn a_saved_table_leads_back_at_once() {
    let mut world = World::new(1);
    let nodes = world.crowd(0, 20);
    world.run(Duration::from_secs(60));
    let bytes = world.nodes[&nodes[7]].save(world.now);
    world.kill(nodes[7]);
    world.join(nodes[3], torrent(1));
    world.run(Duration::from_secs(60));
    let saved = Saved::read(&bytes, Compact::V4).unwrap();
    assert!(saved.nodes.len() >= 8);
    world.node_of(nodes[7], saved.id, Mode::Full);
    for &known in &saved.nodes {
        world.tell(nodes[7], DhtEvent::Meet(known));
    }
    world.join(nodes[7], torrent(1));
    world.run(Duration::from_secs(1));
    assert!(world.has_found(nodes[7], torrent(1), nodes[3]));
}

#[test]
fn who_only_reads_is_kept_by_nobody_and_finds_all_the_same() {
    let mut world = World::new(1);
    let nodes = world.crowd(0, 10);
    let id = world.chance.id();
    let reader = world.node_of(address(99), id, Mode::ReadOnly);
    world.join(nodes[4], torrent(1));
    world.tell(reader, DhtEvent::Meet(nodes[0]));
    world.run(Duration::from_secs(5));
    world.join(reader, torrent(1));
    world.run(Duration::from_secs(5));
    assert!(world.has_found(reader, torrent(1), nodes[4]));
    let bytes = nodes.iter().map(|node| world.nodes[node].save(world.now));
    let known: Vec<SocketAddr> =
        bytes.flat_map(|bytes| Saved::read(&bytes, Compact::V4).unwrap().nodes).collect();
    assert!(!known.is_empty() && !known.contains(&reader));
}

#[test]
fn over_ipv6_as_well() {
    let mut world = World::new(1);
    let nodes = ["[fd00::1]:1", "[fd00::2]:2", "[fd00::3]:3"].map(|text| text.parse::<SocketAddr>().unwrap());
    for node in nodes {
        let id = world.chance.id();
        world.node_of(node, id, Mode::Full);
        world.tell(node, DhtEvent::Meet(nodes[0]));
        world.tell(node, DhtEvent::Meet(address(1)));
    }
    world.run(Duration::from_secs(1));
    world.join(nodes[1], torrent(1));
    world.join(nodes[2], torrent(1));
    world.run(Duration::from_secs(5));
    assert!(world.has_found(nodes[1], torrent(1), nodes[2]));
}
