//! Metadata, other peers, and the DHT.

use std::time::Duration;

use lantorrent_swarm::swarm::{Action, Direction, Event, Origin, PeerKey, Reason};
use lantorrent_swarm::wire::{
    Exchange, ExchangePeer, ExtendedHandshake, METADATA_ID, Message, MetadataMessage,
};

use crate::hand::{ALL, Hand, INFO, address, closed, config, content, dialled, extended, requests, said};

const THEIR_ID: u8 = 9;

fn has_metadata(size: usize) -> ExtendedHandshake {
    extended(|it| (it.metadata_id, it.metadata_size) = (Some(THEIR_ID), Some(size as u32)))
}

fn data(piece: u32, total: usize, data: &[u8]) -> Message {
    let payload = MetadataMessage::Data { piece, total: total as u32, data: data.to_vec() }.encode();
    Message::Extended { id: METADATA_ID, payload }
}

fn asks(actions: &[Action], key: u64) -> Vec<MetadataMessage> {
    let read = |message| match message {
        Message::Extended { id: THEIR_ID, payload } => MetadataMessage::read(&payload),
        _ => None,
    };
    said(actions, key).into_iter().filter_map(read).collect()
}

#[test]
fn metadata_from_peers_of_which_some_lie() {
    let mut hand = Hand::new(config(None));
    hand.connect(1, Direction::Incoming, ALL);
    hand.connect(2, Direction::Incoming, ALL);
    hand.say(2, Message::Bitfield(vec![0xc0]));
    hand.say(2, Message::Unchoke);
    assert_eq!(asks(&hand.introduce(1, &has_metadata(5)), 1), [MetadataMessage::Request(0)]);
    assert_eq!(asks(&hand.introduce(2, &has_metadata(INFO.len())), 2), [MetadataMessage::Request(0)]);
    let actions = hand.say(1, data(0, 5, b"wrong"));
    assert_eq!(closed(&actions), [(1, Reason::Banned)]);
    assert_eq!(closed(&hand.connect(1, Direction::Incoming, ALL)), [(1, Reason::Banned)]);
    assert_eq!(hand.say(2, data(0, INFO.len(), INFO)), [Action::Metadata(INFO.to_vec())]);
    // What it has said about pieces is understood now.
    let actions = hand.handle(Event::Content(content([0])));
    assert_eq!(said(&actions, 2)[..2], [Message::Have(0), Message::Interested]);
    assert!(requests(&actions, 2).iter().all(|span| span.piece == 1) && requests(&actions, 2).len() == 2);
}

#[test]
fn who_is_silent_about_metadata_is_not_waited_for() {
    let mut hand = Hand::new(config(None));
    for number in 1..=5 {
        hand.connect(number, Direction::Incoming, ALL);
        hand.introduce(number.into(), &has_metadata(INFO.len()));
    }
    let actions = hand.pass(Duration::from_secs(4));
    assert!(!asks(&actions, 4).is_empty() && !asks(&actions, 5).is_empty());
    assert_eq!(hand.say(5, data(0, INFO.len(), INFO)), [Action::Metadata(INFO.to_vec())]);
    assert_eq!(hand.say(4, data(0, INFO.len(), INFO)), [], "once is enough");
}

#[test]
fn metadata_is_given_to_who_asks() {
    let ask = |hand: &mut Hand, piece| {
        let payload = MetadataMessage::Request(piece).encode();
        let actions = hand.say(1, Message::Extended { id: METADATA_ID, payload });
        asks(&actions, 1)
    };
    let mut hand = Hand::with([]);
    hand.connect(1, Direction::Incoming, ALL);
    assert_eq!(ask(&mut hand, 0), [], "it has not said by what number");
    hand.introduce(1, &has_metadata(0));
    let (total, whole) = (INFO.len() as u32, INFO.to_vec());
    assert_eq!(ask(&mut hand, 0), [MetadataMessage::Data { piece: 0, total, data: whole }]);
    assert_eq!(ask(&mut hand, 1), [MetadataMessage::Reject(1)]);
    let answers: Vec<_> = (0..9).flat_map(|_| ask(&mut hand, 0)).collect();
    assert_eq!(answers.last(), Some(&MetadataMessage::Reject(0)), "it is not given away for ever");
    let mut hand = Hand::new(config(None));
    hand.connect(1, Direction::Incoming, ALL);
    hand.introduce(1, &has_metadata(0));
    assert_eq!(ask(&mut hand, 0), [MetadataMessage::Reject(0)]);
}

fn wants_exchange(port: u16) -> ExtendedHandshake {
    extended(|it| (it.exchange_id, it.port) = (Some(THEIR_ID), Some(port)))
}

fn told(actions: &[Action], key: u64) -> Option<Exchange> {
    let read = |message| match message {
        Message::Extended { id: THEIR_ID, payload } => Exchange::read(&payload, 99),
        _ => None,
    };
    said(actions, key).into_iter().find_map(read)
}

#[test]
fn peers_hear_of_each_other() {
    let mut hand = Hand::with([]);
    hand.connect(1, Direction::Incoming, ALL);
    hand.introduce(1, &wants_exchange(7001));
    hand.found(Origin::Given, &[2]);
    hand.willing(2, ALL);
    let first = ExchangePeer { address: "10.0.0.1:7001".parse().unwrap(), seed: false, reachable: false };
    let heard = told(&hand.introduce(2, &wants_exchange(1)), 2).unwrap();
    assert_eq!((heard.added, heard.dropped), (vec![first], vec![]));
    let second = ExchangePeer { address: address(2), seed: true, reachable: true };
    let heard = told(&hand.pass(Duration::from_secs(1)), 1).unwrap();
    assert_eq!((heard.added, heard.dropped), (vec![second], vec![]));
    hand.handle(Event::Closed(PeerKey(1)));
    assert_eq!(told(&hand.pass(Duration::from_secs(50)), 2), None, "once a minute");
    assert_eq!(told(&hand.pass(Duration::from_secs(10)), 2).unwrap().dropped, [first.address]);
}

#[test]
fn peers_that_peers_name() {
    let exchange = Exchange {
        added: vec![ExchangePeer { address: address(7), seed: false, reachable: true }],
        dropped: Vec::new(),
    };
    let message = || Message::Extended { id: 1, payload: exchange.encode() };
    let mut hand = Hand::with([]);
    hand.connect(1, Direction::Incoming, ALL);
    assert_eq!(dialled(&hand.say(1, message())), [address(7)]);
    let mut private = content([]);
    private.private = true;
    let mut hand = Hand::new(config(Some(private)));
    let greeting = hand.connect(1, Direction::Incoming, ALL);
    let Some(Message::Extended { payload, .. }) = said(&greeting, 1).pop() else { panic!("{greeting:?}") };
    assert_eq!(ExtendedHandshake::read(&payload).unwrap().exchange_id, None);
    assert_eq!(dialled(&hand.say(1, message())), []);
    assert_eq!(told(&hand.introduce(1, &wants_exchange(1)), 1), None);
}

#[test]
fn who_has_everything_says_so_to_those_who_may_not_know() {
    let mut hand = Hand::with(1..8);
    hand.willing(1, ALL);
    hand.connect(2, Direction::Incoming, ALL);
    hand.piece(1, 0);
    let actions = hand.stored(0);
    let Some(Message::Extended { id: 0, payload }) = said(&actions, 2).pop() else { panic!("{actions:?}") };
    assert_eq!(ExtendedHandshake::read(&payload).unwrap().upload_only, Some(true));
    assert_eq!(closed(&actions), [(1, Reason::NothingToDo)]);
}

#[test]
fn nodes_of_the_dht() {
    let mut config = config(Some(content([])));
    config.dht_port = Some(7000);
    let mut hand = Hand::new(config);
    let features = ALL.with_dht();
    assert_eq!(said(&hand.connect(1, Direction::Incoming, features), 1).pop(), Some(Message::Port(7000)));
    assert_eq!(hand.say(1, Message::Port(7777)), [Action::DhtNode("10.0.0.1:7777".parse().unwrap())]);
    assert_eq!(hand.say(1, Message::Port(0)), []);
    assert!(!said(&hand.connect(2, Direction::Incoming, ALL), 2).contains(&Message::Port(7000)));
}
