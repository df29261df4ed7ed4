//! How pieces come.

use std::time::Duration;

use lantorrent_swarm::swarm::{
    Action, Direction, Event, Fate, Fetching, Limits, PeerKey, Reason, Sender, Verdict,
};
use lantorrent_swarm::wire::Message;
use lantorrent_swarm::{BLOCK, Span};

use crate::hand::{ALL, Hand, PIECES, PLAIN, block, closed, requests, said};

/// Everything that is asked for, in order.
fn sorted(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    spans
}

#[test]
fn from_the_first_request_to_the_last_piece() {
    let mut hand = Hand::with(2..8);
    assert_eq!(sorted(hand.willing(1, PLAIN)), [block(0, 0), block(0, 1), block(1, 0), block(1, 1)]);
    assert_eq!(hand.block(1, block(0, 1)), (Fate::Keep, vec![]));
    let verify = |piece| Action::Verify { piece, compare: false };
    assert_eq!(hand.block(1, block(0, 0)), (Fate::Keep, vec![verify(0)]));
    hand.connect(2, Direction::Incoming, PLAIN);
    assert_eq!(said(&hand.stored(0), 2), [Message::Have(0)]);
    assert_eq!(hand.piece(1, 1), [verify(1)]);
    let actions = hand.stored(1);
    assert_eq!(said(&actions, 1), [Message::NotInterested], "nobody is told of what he has");
    assert!(actions.contains(&Action::Complete) && hand.torrent.is_complete());
    assert_eq!(closed(&actions), [(1, Reason::NothingToDo)]);
    assert_eq!(hand.torrent.progress(hand.now).downloaded, 4 * u64::from(BLOCK));
}

#[test]
fn what_nobody_has_asked_for() {
    let mut hand = Hand::with([]);
    hand.connect(1, Direction::Incoming, ALL);
    assert_eq!(hand.block(1, block(0, 0)), (Fate::Drop, vec![]));
    assert_eq!(hand.torrent.received(hand.now, Sender::Peer(PeerKey(1)), block(0, 0)), Fate::Drop);
    let closings: Vec<_> = (0..3000).flat_map(|_| closed(&hand.block(1, block(0, 0)).1)).collect();
    assert!(matches!(closings[..], [(1, Reason::Broken(_))]));
}

#[test]
fn who_chokes_us_is_not_waited_for() {
    let mut hand = Hand::with(1..8);
    hand.willing(1, PLAIN);
    hand.willing(2, ALL);
    let all = vec![block(0, 0), block(0, 1)];
    let actions = hand.say(1, Message::Choke);
    hand.say(2, Message::Choke);
    assert_eq!(sorted(requests(&actions, 2)), [], "it is asked for both already, as nothing else is missing");
    assert_eq!(hand.say(2, Message::Reject(block(0, 0))), []);
    assert_eq!(hand.say(2, Message::Reject(block(0, 1))), []);
    assert_eq!(sorted(requests(&hand.say(1, Message::Unchoke), 1)), all);
    assert_eq!(hand.block(2, block(0, 0)).0, Fate::Drop);
}

#[test]
fn who_rejects_is_asked_again_later() {
    let mut hand = Hand::with(1..8);
    hand.willing(1, ALL);
    assert_eq!(requests(&hand.say(1, Message::Reject(block(0, 0))), 1), []);
    assert_eq!(requests(&hand.pass(Duration::from_secs(2)), 1), [block(0, 0)]);
}

#[test]
fn while_choked_what_is_allowed() {
    let mut hand = Hand::with([]);
    hand.connect(1, Direction::Incoming, ALL);
    assert_eq!(said(&hand.say(1, Message::HaveAll), 1), [Message::Interested]);
    let actions = hand.say(1, Message::AllowedFast(5));
    assert_eq!(requests(&actions, 1), [block(5, 0), block(5, 1)]);
}

#[test]
fn a_later_bitfield_replaces_an_earlier_one() {
    let mut hand = Hand::with(0..6);
    hand.connect(1, Direction::Incoming, PLAIN);
    assert_eq!(said(&hand.say(1, Message::Bitfield(vec![0xfc])), 1), []);
    assert_eq!(said(&hand.say(1, Message::Bitfield(vec![0xfd])), 1), [Message::Interested]);
    assert_eq!(requests(&hand.say(1, Message::Unchoke), 1), [block(7, 0), block(7, 1)]);
    assert_eq!(said(&hand.say(1, Message::Bitfield(vec![0])), 1), [Message::NotInterested]);
}

#[test]
fn in_the_end_whoever_is_first_counts() {
    let mut hand = Hand::with(1..8);
    hand.willing(1, PLAIN);
    assert_eq!(sorted(hand.willing(2, PLAIN)), [block(0, 0), block(0, 1)]);
    let (fate, actions) = hand.block(2, block(0, 0));
    assert_eq!((fate, said(&actions, 1)), (Fate::Keep, vec![Message::Cancel(block(0, 0))]));
    assert_eq!(hand.block(1, block(0, 0)), (Fate::Drop, vec![]), "it has crossed the cancel");
}

#[test]
fn who_is_silent_loses_his_blocks_to_others() {
    let mut hand = Hand::with(2..8);
    hand.willing(1, PLAIN);
    hand.connect(2, Direction::Incoming, PLAIN);
    hand.say(2, Message::Unchoke);
    hand.pass(Duration::from_secs(9));
    let actions = hand.say(2, Message::Have(0));
    assert_eq!(sorted(requests(&actions, 2)), [block(0, 0), block(0, 1)], "although piece 1 is missing too");
    assert_eq!(hand.block(1, block(0, 1)).0, Fate::Keep, "late is better than never");
    assert_eq!(hand.block(2, block(0, 0)).0, Fate::Keep);
    assert_eq!(hand.block(1, block(0, 0)).0, Fate::Drop);
    hand.pass(Duration::from_secs(9));
    assert_eq!(hand.block(1, block(1, 0)).0, Fate::Keep, "nobody else has it");
}

#[test]
fn who_sends_a_wrong_piece_alone_is_banned() {
    let mut hand = Hand::with(1..8);
    hand.willing(1, ALL);
    hand.piece(1, 0);
    assert_eq!(closed(&hand.verified(0, Verdict::Wrong, [b"x", b"b"])), [(1, Reason::Banned)]);
    assert_eq!(closed(&hand.connect(1, Direction::Incoming, ALL)), [(1, Reason::Banned)]);
    assert_eq!(hand.willing(2, ALL), [block(0, 0), block(0, 1)]);
}

#[test]
fn of_two_who_have_sent_a_wrong_piece_the_right_one_is_banned() {
    let mut hand = Hand::with(1..8);
    hand.willing(1, ALL);
    hand.willing(2, ALL);
    assert_eq!((hand.block(1, block(0, 0)).0, hand.block(2, block(0, 1)).0), (Fate::Keep, Fate::Keep));
    let actions = hand.verified(0, Verdict::Wrong, [b"a", b"x"]);
    assert_eq!(closed(&actions), []);
    // It comes from one alone now; who, is not said.
    let asked: Vec<u64> = [1, 2].into_iter().filter(|key| !requests(&actions, *key).is_empty()).collect();
    assert_eq!(asked.len(), 1);
    let verify = hand.piece(asked[0], 0);
    assert_eq!(verify, [Action::Verify { piece: 0, compare: true }]);
    assert_eq!(closed(&hand.verified(0, Verdict::Stored, [b"a", b"b"]))[0], (2, Reason::Banned));
}

#[test]
fn a_full_disk_stops_it_until_told_otherwise() {
    let mut hand = Hand::with(2..8);
    hand.willing(1, ALL);
    hand.piece(1, 0);
    let actions = hand.verified(0, Verdict::NotStored, [b"a", b"b"]);
    assert_eq!((requests(&actions, 1), closed(&actions)), (vec![], vec![]));
    hand.piece(1, 1);
    assert_eq!(requests(&hand.stored(1), 1), []);
    assert_eq!(requests(&hand.handle(Event::Fetching(Fetching::On)), 1), [block(0, 0), block(0, 1)]);
}

#[test]
fn what_is_lost_is_fetched_again() {
    let mut hand = Hand::with(0..PIECES);
    assert_eq!(hand.handle(Event::Lost(99)), []);
    hand.handle(Event::Lost(3));
    assert!(!hand.torrent.is_complete());
    assert_eq!(hand.willing(1, ALL), [block(3, 0), block(3, 1)]);
    hand.piece(1, 3);
    assert!(hand.stored(3).contains(&Action::Complete));
}

#[test]
fn with_a_limit_to_the_rate_no_more_is_asked_for_than_comes_soon() {
    let mut hand = Hand::with([]);
    let slow = |rate| Event::Limits(Limits::default().download(Some(rate)));
    hand.handle(slow(3 * u64::from(BLOCK) / 2));
    assert_eq!((hand.willing(1, ALL).len(), hand.willing(2, ALL).len()), (3, 0));
    let actions = hand.handle(slow(2 * u64::from(BLOCK)));
    assert_eq!(requests(&actions, 1).len() + requests(&actions, 2).len(), 1);
}

#[test]
fn no_more_is_begun_than_may_be_unfinished() {
    let mut config = crate::hand::config(Some(crate::hand::content([])));
    config.limits.unfinished = 0;
    let mut hand = Hand::new(config);
    let asked = hand.willing(1, ALL);
    assert_eq!(asked.len(), 4, "two pieces are always allowed");
    let piece = asked[0].piece;
    assert_eq!(requests(&hand.piece(1, piece), 1), [], "it is still in memory");
    assert_eq!(requests(&hand.stored(piece), 1).len(), 2);
}
