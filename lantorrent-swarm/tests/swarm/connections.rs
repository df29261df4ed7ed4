//! Whom it is connected to.

use std::time::Duration;

use lantorrent_swarm::PeerId;
use lantorrent_swarm::swarm::{Direction, Event, Fate, Limits, Origin, PeerKey, Reason};
use lantorrent_swarm::wire::Message;

use crate::hand::{ALL, Hand, ID, PLAIN, address, closed, config, content, dialled, extended, said};

#[test]
fn who_is_found_is_dialled_at_once_and_again_when_it_fails() {
    let mut hand = Hand::with([]);
    assert_eq!(dialled(&hand.found(Origin::Tracker, &[1])), [address(1)]);
    assert_eq!(dialled(&hand.found(Origin::Local, &[1])), []);
    assert_eq!(dialled(&hand.handle(Event::ConnectFailed(address(1)))), []);
    assert_eq!(dialled(&hand.pass(Duration::from_secs(1))), []);
    assert_eq!(dialled(&hand.pass(Duration::from_secs(1))), [address(1)]);
    hand.handle(Event::ConnectFailed(address(1)));
    assert_eq!(dialled(&hand.found(Origin::Local, &[1])), [address(1)], "it has just said that it is there");
}

/// The peer calls us while we call it, and hangs up.
#[test]
fn an_address_that_is_being_dialled_is_not_dialled_again() {
    let mut hand = Hand::with([]);
    assert_eq!(dialled(&hand.found(Origin::Tracker, &[1])), [address(1)]);
    hand.connect(1, Direction::Incoming, ALL);
    let port = Some(address(1).port());
    hand.introduce(1, &extended(|it| it.port = port));
    hand.handle(Event::Closed(PeerKey(1)));
    assert_eq!(dialled(&hand.pass(Duration::from_secs(30))), []);
    assert_eq!(dialled(&hand.handle(Event::ConnectFailed(address(1)))), []);
    assert_eq!(dialled(&hand.pass(Duration::from_secs(30))), [address(1)]);
}

#[test]
fn private_torrents_know_only_trackers() {
    let mut private = content([]);
    private.private = true;
    let mut hand = Hand::new(config(Some(private)));
    for by in [Origin::Local, Origin::Exchange, Origin::Dht] {
        assert_eq!(dialled(&hand.found(by, &[1])), []);
    }
    assert_eq!(dialled(&hand.found(Origin::Tracker, &[1])), [address(1)]);
    assert_eq!(dialled(&hand.found(Origin::Given, &[2])), [address(2)]);
}

#[test]
fn nobody_talks_to_himself() {
    let mut hand = Hand::with([]);
    hand.found(Origin::Given, &[1]);
    let actions = hand.connect_as(1, 1, Direction::Outgoing, ID, ALL);
    assert_eq!(closed(&actions), [(1, Reason::Ourselves)]);
    assert_eq!(dialled(&hand.found(Origin::Local, &[1])), []);
    assert_eq!(hand.torrent.deadline(), None);
}

#[test]
fn of_two_connections_both_sides_keep_the_same() {
    let (less, more) = (PeerId([b' '; 20]), PeerId([b'z'; 20]));
    for first in [Direction::Outgoing, Direction::Incoming] {
        let second = if first == Direction::Outgoing { Direction::Incoming } else { Direction::Outgoing };
        // The one that the lesser has begun: theirs is incoming for us.
        for (id, kept) in [(less, Direction::Incoming), (more, Direction::Outgoing)] {
            let mut hand = Hand::with([]);
            hand.found(Origin::Given, &[1]);
            assert_eq!(closed(&hand.connect_as(1, 1, first, id, ALL)), []);
            let away = if second == kept { 1 } else { 2 };
            let actions = hand.connect_as(2, 1, second, id, ALL);
            assert_eq!(closed(&actions), [(away, Reason::Duplicate)], "{first:?} {kept:?}");
            assert_eq!(dialled(&hand.pass(Duration::from_secs(30))), [], "it is still connected");
        }
    }
}

#[test]
fn an_old_connection_is_not_given_up_for_a_new_one() {
    let mut hand = Hand::with([]);
    hand.connect_as(1, 1, Direction::Incoming, PeerId([b'z'; 20]), ALL);
    hand.pass(Duration::from_secs(10));
    let actions = hand.connect_as(2, 1, Direction::Outgoing, PeerId([b'z'; 20]), ALL);
    assert_eq!(closed(&actions), [(2, Reason::Duplicate)]);
}

#[test]
fn when_all_places_are_taken_who_is_of_no_use_goes() {
    let mut config = config(Some(content([])));
    config.limits = Limits::default().connections(2);
    let mut hand = Hand::new(config);
    hand.connect(1, Direction::Incoming, ALL);
    hand.connect(2, Direction::Incoming, ALL);
    assert_eq!(closed(&hand.connect(3, Direction::Incoming, ALL)), [(3, Reason::Full)]);
    assert_eq!(dialled(&hand.found(Origin::Given, &[4])), []);
    let actions = hand.pass(Duration::from_secs(61));
    assert_eq!((closed(&actions), dialled(&actions)), (vec![(1, Reason::Idle)], vec![address(4)]));
    hand.handle(Event::ConnectFailed(address(4)));
    hand.connect(5, Direction::Incoming, ALL);
    assert_eq!(closed(&hand.connect(6, Direction::Incoming, ALL)), [(2, Reason::Idle)]);
}

#[test]
fn fewer_places_than_connections() {
    let mut hand = Hand::with([]);
    (1..=3).for_each(|number| _ = hand.connect(number, Direction::Incoming, ALL));
    let actions = hand.handle(Event::Limits(Limits::default().connections(1)));
    assert_eq!(closed(&actions), [(2, Reason::Full), (3, Reason::Full)]);
}

#[test]
fn of_too_many_connections_the_most_useful_ones_stay() {
    let mut hand = Hand::with([]);
    let asked = [1, 2, 3, 4].map(|number| hand.willing(number, ALL)[0]);
    for key in [2, 4] {
        hand.now += Duration::from_secs(1);
        assert_eq!(hand.block(key as u64, asked[key - 1]).0, Fate::Keep);
    }
    let actions = hand.handle(Event::Limits(Limits::default().connections(2)));
    let mut gone: Vec<u64> = closed(&actions).into_iter().map(|(key, _)| key).collect();
    gone.sort_unstable();
    assert_eq!(gone, [1, 3]);
}

#[test]
fn nobody_is_told_anything_while_it_is_checked() {
    let mut hand = Hand::with(0..8);
    hand.found(Origin::Given, &[1]);
    hand.connect(1, Direction::Outgoing, ALL);
    hand.connect(2, Direction::Incoming, ALL);
    let actions = hand.handle(Event::Recheck);
    assert_eq!(closed(&actions), [(1, Reason::Stopped), (2, Reason::Stopped)]);
    assert!(hand.torrent.have().is_none() && hand.torrent.progress(hand.now).of == 0);
    assert_eq!(closed(&hand.connect(3, Direction::Incoming, ALL)), [(3, Reason::Stopped)]);
    assert_eq!(dialled(&hand.found(Origin::Given, &[4])), []);
    assert_eq!(dialled(&hand.pass(Duration::from_secs(60))), []);
    let actions = hand.handle(Event::Content(content(1..8)));
    assert_eq!(dialled(&actions).len(), 2, "it lacks something now, and asks those whom it knows");
    let first = said(&hand.connect(5, Direction::Incoming, ALL), 5).remove(0);
    assert_eq!(first, Message::Bitfield(vec![0x7f]));
}

#[test]
fn what_was_under_way_before_a_check_changes_nothing_behind_it() {
    let mut hand = Hand::with(1..8);
    hand.willing(1, ALL);
    hand.piece(1, 0);
    hand.handle(Event::Recheck);
    assert_eq!(hand.stored(0), []);
    hand.handle(Event::Content(content(2..8)));
    assert_eq!(hand.stored(0), []);
    assert_eq!(hand.torrent.have().unwrap().count(), 6);
    assert_eq!(hand.willing(2, ALL).len(), 4, "both are asked for again");
}

#[test]
fn the_first_words() {
    let bitfield = |have: &[u32]| said(&Hand::with(have.to_vec()).connect(1, Direction::Incoming, PLAIN), 1);
    assert_eq!(bitfield(&[]), []);
    assert_eq!(bitfield(&[0, 7]), [Message::Bitfield(vec![0x81])]);
    let fast = |have: Vec<u32>| said(&Hand::with(have).connect(1, Direction::Incoming, ALL), 1).remove(0);
    assert_eq!(fast(vec![]), Message::HaveNone);
    assert_eq!(fast(vec![1]), Message::Bitfield(vec![0x40]));
    assert_eq!(fast((0..8).collect()), Message::HaveAll);
}

#[test]
fn two_who_have_everything_part() {
    let mut hand = Hand::with(0..8);
    hand.found(Origin::Tracker, &[1]);
    hand.connect(1, Direction::Outgoing, ALL);
    assert_eq!(closed(&hand.say(1, Message::HaveAll)), [(1, Reason::NothingToDo)]);
    assert_eq!(hand.torrent.deadline(), None, "there is no use in calling it again");
    hand.connect(2, Direction::Incoming, ALL);
    let only = extended(|it| it.upload_only = Some(true));
    assert_eq!(closed(&hand.introduce(2, &only)), [(2, Reason::NothingToDo)]);
    hand.connect(3, Direction::Incoming, ALL);
    hand.say(3, Message::Bitfield(vec![0xfe]));
    assert_eq!(closed(&hand.say(3, Message::Have(7))), [(3, Reason::NothingToDo)]);
}

#[test]
fn silence_on_both_sides() {
    let mut hand = Hand::with([]);
    hand.connect(1, Direction::Incoming, ALL);
    let early = hand.pass(Duration::from_secs(99));
    assert_eq!((said(&early, 1), closed(&early)), (vec![], vec![]));
    assert_eq!(said(&hand.pass(Duration::from_secs(2)), 1), [Message::KeepAlive]);
    hand.say(1, Message::KeepAlive);
    assert_eq!(closed(&hand.pass(Duration::from_secs(178))), []);
    assert_eq!(closed(&hand.pass(Duration::from_secs(3))), [(1, Reason::Silent)]);
}

#[test]
fn who_breaks_the_protocol_is_closed() {
    let table: [&[Message]; 4] = [
        &[Message::Have(8)],
        &[Message::Bitfield(vec![0, 0])],
        &[Message::HaveAll, Message::HaveNone],
        &[Message::Extended { id: 0, payload: b"x".to_vec() }],
    ];
    for messages in table {
        let mut hand = Hand::with([]);
        hand.connect(1, Direction::Incoming, ALL);
        let actions: Vec<_> = messages.iter().flat_map(|message| hand.say(1, message.clone())).collect();
        assert!(matches!(closed(&actions)[..], [(1, Reason::Broken(_))]), "{messages:?}");
    }
}

#[test]
fn who_cannot_be_read_is_called_later_each_time() {
    let mut hand = Hand::with([]);
    hand.found(Origin::Tracker, &[1]);
    for (key, wait) in [(1, 2), (2, 4), (3, 8)] {
        hand.connect_as(key, 1, Direction::Outgoing, PeerId([1; 20]), ALL);
        let actions = hand.handle(Event::Unreadable(PeerKey(key)));
        assert!(matches!(closed(&actions)[..], [(_, Reason::Broken(_))]));
        assert_eq!(dialled(&hand.pass(Duration::from_secs(wait - 1))), []);
        assert_eq!(dialled(&hand.pass(Duration::from_secs(1))), [address(1)]);
    }
}

#[test]
fn all_is_closed_in_the_end() {
    let mut hand = Hand::with([]);
    hand.willing(1, ALL);
    hand.connect(2, Direction::Incoming, PLAIN);
    let actions = hand.handle(Event::Stop);
    assert_eq!(closed(&actions), [(1, Reason::Stopped), (2, Reason::Stopped)]);
    assert_eq!(closed(&hand.connect(3, Direction::Incoming, ALL)), [(3, Reason::Stopped)]);
    assert_eq!(dialled(&hand.found(Origin::Given, &[9])), []);
    assert_eq!((hand.torrent.deadline(), hand.torrent.unfinished()), (None, 0));
}

#[test]
fn a_peer_that_goes_is_called_again() {
    let mut hand = Hand::with([]);
    hand.found(Origin::Tracker, &[1]);
    hand.willing(1, ALL);
    hand.handle(Event::Closed(PeerKey(1)));
    assert_eq!(dialled(&hand.pass(Duration::from_secs(2))), [address(1)]);
}
