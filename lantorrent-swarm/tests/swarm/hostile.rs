//! Peers that mean ill, and what becomes of them.

use std::net::SocketAddr;
use std::time::Duration;

use lantorrent_swarm::swarm::{
    Action, Bitfield, Content, Direction, Event, Limits, Origin, PeerKey, Reason, Verdict,
};
use lantorrent_swarm::wire::{
    Exchange, ExchangePeer, ExtendedHandshake, METADATA_ID, Message, MetadataMessage,
};
use lantorrent_swarm::{BLOCK, Geometry, PeerId};

use crate::hand::{
    ALL, Hand, INFO, PIECES, PLAIN, address, block, closed, config, content, dialled, extended, said,
};

fn has_metadata(size: u32) -> ExtendedHandshake {
    extended(|it| (it.metadata_id, it.metadata_size) = (Some(9), Some(size)))
}

fn asks_for_metadata(actions: &[Action], key: u64) -> bool {
    said(actions, key).iter().any(|message| matches!(message, Message::Extended { id: 9, .. }))
}

fn metadata(message: &MetadataMessage) -> Message {
    Message::Extended { id: METADATA_ID, payload: message.encode() }
}

#[test]
fn parts_that_drip_do_not_keep_others_from_being_asked() {
    let mut hand = Hand::new(config(None));
    for number in 1..=4 {
        hand.connect(number, Direction::Incoming, ALL);
        hand.introduce(number.into(), &has_metadata(if number < 4 { 16 << 20 } else { INFO.len() as u32 }));
    }
    let mut rounds = 0..20;
    let asked = rounds.any(|round| {
        let data = vec![0; 16 << 10];
        for key in 1..=3 {
            hand.say(
                key,
                metadata(&MetadataMessage::Data { piece: round, total: 16 << 20, data: data.clone() }),
            );
        }
        asks_for_metadata(&hand.pass(Duration::from_secs(2)), 4)
    });
    assert!(asked, "three who never come to an end, and one who would");
}

#[test]
fn who_refuses_the_metadata_is_not_asked_before_others() {
    let mut hand = Hand::new(config(None));
    for number in 1..=4 {
        hand.connect(number, Direction::Incoming, ALL);
        hand.introduce(number.into(), &has_metadata(INFO.len() as u32));
    }
    for key in 1..=3 {
        hand.say(key, metadata(&MetadataMessage::Reject(0)));
    }
    assert!(asks_for_metadata(&hand.pass(Duration::from_secs(1)), 4));
}

#[test]
fn of_many_behind_one_address_only_those_who_lie_are_banned() {
    let mut hand = Hand::with(1..8);
    let lie = |hand: &mut Hand, key: u64| {
        hand.connect_as(key, 1, Direction::Incoming, PeerId([key as u8; 20]), ALL);
        hand.say(key, Message::HaveAll);
        hand.say(key, Message::Unchoke);
        hand.piece(key, 0);
        closed(&hand.verified(0, Verdict::Wrong, [b"x", b"b"]))
    };
    assert_eq!(lie(&mut hand, 1), [(1, Reason::Banned)]);
    let honest = PeerId([9; 20]);
    assert_eq!(closed(&hand.connect_as(9, 1, Direction::Incoming, honest, ALL)), []);
    assert_eq!(lie(&mut hand, 2), [(2, Reason::Banned)]);
    assert_eq!(lie(&mut hand, 3), [(3, Reason::Banned), (9, Reason::Banned)], "there is no end of names");
    assert_eq!(
        closed(&hand.connect_as(10, 1, Direction::Incoming, PeerId([10; 20]), ALL)),
        [(10, Reason::Banned)]
    );
}

#[test]
fn who_changes_his_mind_without_end_is_closed() {
    let flood: [&[Message]; 4] = [
        &[Message::Choke, Message::Unchoke],
        &[Message::Bitfield(vec![0xff]), Message::Bitfield(vec![0])],
        &[Message::Port(7)],
        &[Message::Extended { id: 0, payload: b"de".to_vec() }],
    ];
    for messages in flood {
        let mut hand = Hand::with([]);
        hand.connect(1, Direction::Incoming, PLAIN);
        let all = messages.iter().cycle().take(1000);
        let actions: Vec<_> = all.flat_map(|message| hand.say(1, message.clone())).collect();
        assert!(matches!(closed(&actions)[..], [(1, Reason::Broken(_))]), "{messages:?}");
    }
    let mut hand = Hand::with([]);
    hand.connect(1, Direction::Incoming, PLAIN);
    for _ in 0..1000 {
        assert_eq!(closed(&hand.say(1, Message::Choke)), [], "in an hour that is nothing");
        hand.now += Duration::from_secs(3);
    }
}

#[test]
fn addresses_that_no_peer_can_have() {
    let mut hand = Hand::with([]);
    hand.connect(1, Direction::Incoming, ALL);
    let told = |addresses: &[&str]| {
        let peer =
            |text: &&str| ExchangePeer { address: text.parse().unwrap(), seed: false, reachable: true };
        let exchange = Exchange { added: addresses.iter().map(peer).collect(), dropped: Vec::new() };
        Message::Extended { id: 1, payload: exchange.encode() }
    };
    let none =
        ["127.0.0.1:25", "0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:1", "[::1]:1", "[ff02::1]:1", "[::]:1"];
    assert_eq!(dialled(&hand.say(1, told(&none))), []);
    let zero: SocketAddr = "10.0.0.1:0".parse().unwrap();
    assert_eq!(dialled(&hand.handle(Event::Found { by: Origin::Tracker, addresses: &[zero] })), []);
    hand.now += Duration::from_secs(60);
    assert_eq!(dialled(&hand.say(1, told(&["10.0.0.9:1"]))), ["10.0.0.9:1".parse().unwrap()]);
}

#[test]
fn a_host_of_many_ports_does_not_keep_others_from_being_called() {
    let mut hand = Hand::with([]);
    let ports: Vec<SocketAddr> = (1..5000).map(|port| SocketAddr::from(([10, 0, 0, 7], port))).collect();
    let mut called = dialled(&hand.handle(Event::Found { by: Origin::Local, addresses: &ports }));
    called.extend(dialled(&hand.found(Origin::Tracker, &[1])));
    let mut tries = 0;
    while !called.contains(&address(1)) {
        tries += called.len();
        assert!((1..100).contains(&tries), "so many in vain");
        let next: Vec<_> = called.drain(..).flat_map(|at| hand.handle(Event::ConnectFailed(at))).collect();
        called = dialled(&next);
    }
    assert!(tries + called.len() < 50);
}

#[test]
fn a_peer_with_two_addresses_is_called_at_both_when_it_has_gone() {
    let mut hand = Hand::with([]);
    let id = PeerId([b'z'; 20]);
    hand.connect_as(1, 1, Direction::Incoming, id, PLAIN);
    hand.pass(Duration::from_secs(10));
    assert_eq!(dialled(&hand.found(Origin::Tracker, &[1, 2])).len(), 2);
    for (key, number) in [(2, 1), (3, 2)] {
        let actions = hand.connect_as(key, number, Direction::Outgoing, id, PLAIN);
        assert_eq!(closed(&actions), [(key, Reason::Duplicate)]);
    }
    assert_eq!(dialled(&hand.pass(Duration::from_secs(30))), [], "it is connected");
    hand.handle(Event::Closed(PeerKey(1)));
    let mut again = dialled(&hand.pass(Duration::from_secs(3)));
    again.sort_unstable();
    assert_eq!(again, [address(1), address(2)]);
}

#[test]
fn of_two_connections_the_one_that_stays_keeps_the_address() {
    let mut hand = Hand::with([]);
    let less = PeerId([b' '; 20]);
    hand.found(Origin::Tracker, &[1]);
    hand.connect_as(1, 1, Direction::Outgoing, less, PLAIN);
    assert_eq!(closed(&hand.connect_as(2, 1, Direction::Incoming, less, PLAIN)), [(1, Reason::Duplicate)]);
    hand.pass(Duration::from_secs(20));
    hand.handle(Event::Closed(PeerKey(2)));
    assert_eq!(dialled(&hand.pass(Duration::from_secs(3))), [address(1)]);
}

#[test]
fn what_is_there_already_is_said_in_one_message() {
    let pieces = 10_000;
    let mut hand = Hand::new(config(None));
    hand.connect(1, Direction::Incoming, PLAIN);
    let geometry = Geometry::new(u64::from(pieces) * u64::from(BLOCK), BLOCK).unwrap();
    let known = Content::new(INFO.into(), geometry, Bitfield::all(pieces));
    let actions = hand.handle(Event::Content(known));
    assert_eq!(said(&actions, 1), [Message::Bitfield(vec![0xff; 1250])]);
}

#[test]
fn those_who_take_little_do_not_hold_back_who_takes_much() {
    let mut config = config(Some(content(0..PIECES)));
    config.limits = Limits::default().upload_slots(200);
    let mut hand = Hand::new(config);
    for number in 1..=100 {
        hand.connect(number, Direction::Incoming, PLAIN);
        hand.say(number.into(), Message::Interested);
        for _ in 0..40 {
            hand.say(number.into(), Message::Request(block(0, 0)));
        }
    }
    // Each of them takes 16 KiB in a second.
    for _ in 0..10 {
        hand.pass(Duration::from_secs(1));
        (1..=100).for_each(|key| _ = hand.handle(Event::Sent(PeerKey(key), block(0, 0))));
    }
    hand.connect(200, Direction::Incoming, PLAIN);
    hand.say(200, Message::Interested);
    let actions = hand.say(200, Message::Request(block(0, 0)));
    assert_eq!(actions, [Action::Upload(PeerKey(200), block(0, 0))]);
}

#[test]
fn a_torrent_without_pieces() {
    let geometry = Geometry::new(0, BLOCK).unwrap();
    let known = Content::new(INFO.into(), geometry, Bitfield::none(0));
    let mut hand = Hand::new(config(Some(known)));
    hand.connect(1, Direction::Incoming, PLAIN);
    hand.handle(Event::Closed(PeerKey(1)));
    hand.connect(2, Direction::Incoming, ALL);
    assert_eq!(closed(&hand.say(2, Message::HaveAll)), [(2, Reason::NothingToDo)]);
}

#[test]
fn who_was_a_seed_when_he_went_is_not_called_by_a_seed() {
    let mut hand = Hand::with(1..8);
    hand.found(Origin::Tracker, &[1, 2]);
    hand.willing(1, PLAIN);
    hand.connect(2, Direction::Outgoing, PLAIN);
    hand.piece(1, 0);
    hand.say(2, Message::Bitfield(vec![0xff]));
    hand.handle(Event::Closed(PeerKey(2)));
    hand.stored(0);
    assert_eq!(dialled(&hand.pass(Duration::from_secs(600))), []);
}
