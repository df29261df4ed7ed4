//! Liars, floods and garbage.

use std::net::SocketAddr;
use std::time::Duration;

use lantorrent_swarm::bencode::{Item, Value, dict};
use lantorrent_swarm::dht::DhtEvent;

use crate::world::{Chance, World, address, torrent};

/// The transaction of a query and what it looks for, or None for what is no query.
fn query(datagram: &[u8]) -> Option<(Vec<u8>, Option<[u8; 20]>)> {
    let message = Value::read_whole(datagram).ok()?.dict()?;
    let arguments = message.get("a")?.dict()?;
    let target = arguments.get("info_hash").or(arguments.get("target")).and_then(Value::bytes);
    Some((message.get("t")?.bytes()?.to_vec(), target.and_then(|target| target.try_into().ok())))
}

fn reply(transaction: Vec<u8>, results: Item) -> Vec<u8> {
    dict([("t", transaction.into()), ("y", "r".into()), ("r", results)]).encode()
}

/// Names next to the one that is looked for, at addresses where nobody is.
fn invented(chance: &mut Chance, target: [u8; 20], count: usize) -> Vec<u8> {
    let mut nodes = Vec::new();
    for _ in 0..count {
        let mut id = target;
        id[18..].copy_from_slice(&(chance.next() as u16).to_be_bytes());
        nodes.extend(id);
        nodes.extend([172, 16, chance.next() as u8, chance.next() as u8, 0x1a, 0xe1]);
    }
    nodes
}

/// Answers every query with another name, next to what is looked for, and with nodes that are not there.
fn liar(chance: &mut Chance, from: SocketAddr, datagram: &[u8]) -> Vec<(SocketAddr, Vec<u8>)> {
    let Some((transaction, target)) = query(datagram) else { return Vec::new() };
    let target = target.unwrap_or_default();
    let mut name = target;
    name[19] ^= 1;
    let nodes = invented(chance, target, 40);
    let results = dict([("id", Item::from(&name[..])), ("nodes", nodes.into()), ("token", "t".into())]);
    vec![(from, reply(transaction, results))]
}

/// Keeps its name, but knows only of nodes that are not there.
fn misleader(id: [u8; 20]) -> impl FnMut(&mut Chance, SocketAddr, &[u8]) -> Vec<(SocketAddr, Vec<u8>)> {
    move |chance, from, datagram| {
        let Some((transaction, target)) = query(datagram) else { return Vec::new() };
        let nodes = invented(chance, target.unwrap_or_default(), 8);
        let results = dict([("id", Item::from(&id[..])), ("nodes", nodes.into()), ("token", "t".into())]);
        vec![(from, reply(transaction, results))]
    }
}

#[test]
fn liars_among_honest_nodes_do_not_hide_what_was_announced() {
    let mut world = World::new(21);
    let nodes = world.crowd(0, 200);
    for number in 0..20 {
        let liar_address = address(5000 + number);
        if number % 2 == 0 {
            world.strangers.insert(liar_address, Box::new(liar));
        } else {
            let id = world.chance.id().0;
            world.strangers.insert(liar_address, Box::new(misleader(id)));
        }
        for _ in 0..10 {
            let told = nodes[world.chance.below(200) as usize];
            world.tell(told, DhtEvent::Meet(liar_address));
        }
    }
    world.run(Duration::from_secs(120));
    for number in 0..10 {
        world.join(nodes[number * 3], torrent(number as u32));
    }
    world.run(Duration::from_secs(120));
    for number in 0..10 {
        world.join(nodes[number * 5 + 77], torrent(number as u32));
    }
    world.run(Duration::from_secs(120));
    for number in 0..10 {
        let (seed, leecher) = (nodes[number * 3], nodes[number * 5 + 77]);
        assert!(world.has_found(leecher, torrent(number as u32), seed), "torrent {number}");
    }
}

#[test]
fn a_flood_is_not_answered() {
    let mut world = World::new(22);
    let node = world.node(1);
    let ping = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
    let before = world.sent;
    for _ in 0..10_000 {
        world.tell(node, DhtEvent::Received(address(2), ping));
        world.now += Duration::from_millis(1);
    }
    assert!(world.sent - before < 400, "{} answers in ten seconds", world.sent - before);
    // And another one is not the worse for it.
    let before = world.sent;
    world.tell(node, DhtEvent::Received(address(3), ping));
    assert!(world.sent > before);
}

#[test]
fn garbage_does_nothing() {
    let mut world = World::new(23);
    let nodes = world.crowd(0, 5);
    let templates: [&[u8]; 4] = [
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
        b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:\
          aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
        b"d1:rd2:id20:mnopqrstuvwxyz1234565:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t4:aaaa1:y1:re",
        b"d1:eli201e23:A Generic Error Ocurrede1:t4:aaaa1:y1:ee",
    ];
    for round in 0..20_000 {
        let mut bytes = templates[round % templates.len()].to_vec();
        for _ in 0..world.chance.below(4) {
            let at = world.chance.below(bytes.len() as u64) as usize;
            bytes[at] = world.chance.next() as u8;
        }
        bytes.truncate(world.chance.below(bytes.len() as u64 * 2) as usize);
        world.tell(nodes[round % 5], DhtEvent::Received(address(100 + round as u32 % 50), &bytes));
    }
    world.run(Duration::from_secs(60));
    world.join(nodes[0], torrent(1));
    world.join(nodes[4], torrent(1));
    world.run(Duration::from_secs(10));
    assert!(world.has_found(nodes[4], torrent(1), nodes[0]));
}

#[test]
fn nobody_announces_from_another_address_or_without_having_asked() {
    let mut world = World::new(24);
    let node = world.node(1);
    world.join(node, torrent(1));
    let announce = |token: &[u8]| {
        let arguments = dict([
            ("id", Item::from("abcdefghij0123456789")),
            ("info_hash", torrent(1).0[..].into()),
            ("port", 7000.into()),
            ("token", token.into()),
        ]);
        dict([("t", "aa".into()), ("y", "q".into()), ("q", "announce_peer".into()), ("a", arguments)])
            .encode()
    };
    let token = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let kept = std::rc::Rc::clone(&token);
    world.strangers.insert(
        address(2),
        Box::new(move |_, _, datagram| {
            let message = Value::read_whole(datagram).unwrap().dict().unwrap();
            let results = message.get("r").and_then(Value::dict);
            if let Some(token) = results.and_then(|results| results.get("token")) {
                *kept.borrow_mut() = token.bytes().unwrap().to_vec();
            }
            Vec::new()
        }),
    );
    let get = dict([("id", Item::from("abcdefghij0123456789")), ("info_hash", torrent(1).0[..].into())]);
    let get = dict([("t", "aa".into()), ("y", "q".into()), ("q", "get_peers".into()), ("a", get)]).encode();
    world.tell(node, DhtEvent::Received(address(2), &get));
    world.run(Duration::from_secs(1));
    let token = token.borrow().clone();
    assert!(!token.is_empty());

    world.tell(node, DhtEvent::Received(address(3), &announce(&token)));
    world.tell(node, DhtEvent::Received(address(2), &announce(b"guess")));
    assert_eq!(world.found.len(), 0);
    world.tell(node, DhtEvent::Received(address(2), &announce(&token)));
    assert!(world.has_found(node, torrent(1), address(2)));
}
