//! How others are served.

use std::time::Duration;

use lantorrent_swarm::Span;
use lantorrent_swarm::swarm::{Action, Direction, Event, Limits, PeerKey, Reason};
use lantorrent_swarm::wire::{Features, Message};

use crate::hand::{ALL, Hand, PIECES, PLAIN, block, closed, config, content, said};

/// Of a seed with so many slots.
fn seed(slots: usize) -> Hand {
    let mut config = config(Some(content(0..PIECES)));
    config.limits = Limits::default().upload_slots(slots);
    Hand::new(config)
}

fn uploads(actions: &[Action]) -> Vec<(u64, Span)> {
    let upload = |action: &Action| match action {
        Action::Upload(peer, span) => Some((peer.0, *span)),
        _ => None,
    };
    actions.iter().filter_map(upload).collect()
}

fn interested(hand: &mut Hand, number: u8, features: Features) -> Vec<Message> {
    hand.connect(number, Direction::Incoming, features);
    said(&hand.say(number.into(), Message::Interested), number.into())
}

#[test]
fn who_is_interested_is_served_at_once() {
    let mut hand = seed(1);
    assert_eq!(interested(&mut hand, 1, PLAIN), [Message::Unchoke]);
    assert_eq!(uploads(&hand.say(1, Message::Request(block(2, 1)))), [(1, block(2, 1))]);
    assert_eq!(interested(&mut hand, 2, PLAIN), [], "there is no slot left");
    assert_eq!(hand.say(2, Message::Request(block(0, 0))), []);
    assert_eq!(said(&hand.say(1, Message::NotInterested), 2), [Message::Unchoke]);
    assert_eq!(said(&hand.handle(Event::Closed(PeerKey(2))), 1), []);
    assert_eq!(said(&hand.say(1, Message::Interested), 1), [], "it has kept what nobody else wanted");
}

#[test]
fn who_has_to_wait_may_ask_for_a_few() {
    let mut hand = seed(0);
    let allowed = interested(&mut hand, 1, ALL);
    assert_eq!(allowed.len(), PIECES as usize, "of so few pieces that is all");
    assert!(allowed.contains(&Message::AllowedFast(3)));
    assert_eq!(uploads(&hand.say(1, Message::Request(block(3, 0)))), [(1, block(3, 0))]);
}

#[test]
fn requests_that_cannot_be_met() {
    let mut hand = Hand::with([1]);
    interested(&mut hand, 1, ALL);
    interested(&mut hand, 2, PLAIN);
    let lacking = Message::Request(block(0, 0));
    assert_eq!(said(&hand.say(1, lacking.clone()), 1), [Message::Reject(block(0, 0))]);
    assert_eq!(hand.say(2, lacking), []);
    let all: Vec<_> = (0..600).flat_map(|_| hand.say(1, Message::Request(block(1, 0)))).collect();
    assert_eq!(said(&all, 1).len(), 600 - 500 - uploads(&all).len(), "so many may wait, and no more");
    let beyond = Span { length: 1 << 20, ..block(1, 0) };
    assert!(matches!(closed(&hand.say(1, Message::Request(beyond)))[..], [(1, Reason::Broken(_))]));
}

#[test]
fn what_is_cancelled_is_not_sent() {
    let mut hand = seed(1);
    interested(&mut hand, 1, ALL);
    let first: Vec<_> = (0..4).flat_map(|piece| hand.say(1, Message::Request(block(piece, 0)))).collect();
    let under_way = uploads(&first);
    assert_eq!(under_way.len(), 2, "it is not known yet how much it takes");
    assert_eq!(said(&hand.say(1, Message::Cancel(block(3, 0))), 1), [Message::Reject(block(3, 0))]);
    assert_eq!(hand.say(1, Message::Cancel(block(0, 0))), [], "too late");
    let rest: Vec<_> =
        under_way.iter().flat_map(|(peer, span)| hand.handle(Event::Sent(PeerKey(*peer), *span))).collect();
    assert_eq!(uploads(&rest), [(1, block(2, 0))]);
}

#[test]
fn nobody_is_given_more_at_a_time_than_he_is_known_to_take() {
    let mut hand = seed(9);
    let mut given = Vec::new();
    for number in 1..=3 {
        interested(&mut hand, number, PLAIN);
        for _ in 0..40 {
            given.extend(uploads(&hand.say(number.into(), Message::Request(block(0, 0)))));
        }
    }
    let of = |key| given.iter().filter(|(to, _)| *to == key).count();
    assert_eq!([1, 2, 3].map(of), [2, 2, 2]);
}

#[test]
fn a_seed_suggests_to_each_what_it_has_suggested_to_nobody() {
    let mut hand = seed(9);
    hand.connect(1, Direction::Incoming, ALL);
    assert_eq!(said(&hand.say(1, Message::Interested), 1), [Message::Unchoke], "one alone needs no advice");
    let mut all: Vec<Message> = interested(&mut hand, 2, ALL);
    assert_eq!(all.pop(), Some(Message::Unchoke), "advice comes before it can be taken");
    assert_eq!(all.len(), 3);
    all.extend(interested(&mut hand, 3, ALL));
    all.retain(|message| *message != Message::Unchoke);
    let mut pieces: Vec<u32> = all
        .iter()
        .map(|message| if let Message::Suggest(piece) = message { *piece } else { panic!("{message:?}") })
        .collect();
    pieces.sort_unstable();
    pieces.dedup();
    assert_eq!(pieces.len(), 6);
}

#[test]
fn slots_are_shared_out_anew_every_ten_seconds() {
    let mut hand = seed(1);
    for number in 1..=3 {
        interested(&mut hand, number, ALL);
    }
    let mut served = std::collections::BTreeSet::new();
    for _ in 0..30 {
        for number in 1..=3 {
            hand.say(number, Message::KeepAlive);
        }
        let actions = hand.pass(Duration::from_secs(10));
        let turns = (1..=3).filter(|key| said(&actions, *key).contains(&Message::Unchoke));
        served.extend(turns);
        let chokes = (1..=3).filter(|key| said(&actions, *key).contains(&Message::Choke)).count();
        assert!(chokes <= 1);
    }
    assert_eq!(served.len(), 3, "all have their turn");
}

#[test]
fn who_is_choked_is_told_what_he_will_not_get() {
    let mut hand = seed(1);
    interested(&mut hand, 1, ALL);
    let asked: Vec<_> = (0..4).flat_map(|piece| hand.say(1, Message::Request(block(piece, 0)))).collect();
    assert_eq!(uploads(&asked).len(), 2);
    let actions = hand.handle(Event::Limits(Limits::default().upload_slots(0)));
    let expected = [Message::Choke, Message::Reject(block(2, 0)), Message::Reject(block(3, 0))];
    assert_eq!(said(&actions, 1), expected);
}
