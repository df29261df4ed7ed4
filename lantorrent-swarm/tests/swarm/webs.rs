//! Web seeds.

use std::ops::Range;
use std::time::Duration;

use lantorrent_swarm::BLOCK;
use lantorrent_swarm::swarm::{Action, Event, Fate, Sender, Verdict, WebKey};

use crate::hand::{ALL, Hand, block, closed, config, content};

fn with_webs(count: u32) -> Hand {
    let mut config = config(Some(content([])));
    config.web_seeds = count;
    Hand::new(config)
}

fn fetches(actions: &[Action]) -> Vec<(WebKey, Range<u32>)> {
    let fetch = |action: &Action| match action {
        Action::Fetch { web, pieces } => Some((*web, pieces.clone())),
        _ => None,
    };
    actions.iter().filter_map(fetch).collect()
}

/// All blocks of these pieces come from a web seed.
fn deliver(hand: &mut Hand, web: WebKey, pieces: Range<u32>) -> Vec<Action> {
    let mut actions = Vec::new();
    for piece in pieces {
        for number in 0..2 {
            assert_eq!(hand.torrent.received(hand.now, Sender::Web(web), block(piece, number)), Fate::Keep);
            actions.extend(hand.actions());
        }
    }
    actions
}

#[test]
fn alone_with_a_web_seed() {
    let mut hand = with_webs(1);
    let actions = hand.pass(Duration::from_millis(1900));
    assert_eq!(fetches(&actions), [], "peers may be found yet");
    let mut pieces = 0;
    let mut actions = hand.pass(Duration::from_secs(1));
    while let [(web, run)] = &fetches(&actions)[..] {
        pieces += run.len();
        actions = deliver(&mut hand, *web, run.clone());
        assert!(actions.contains(&Action::StopFetch(*web)));
        for piece in run.clone() {
            actions.extend(hand.stored(piece));
        }
        actions.extend(hand.pass(Duration::from_secs(1)));
    }
    assert!(pieces == 8 && hand.torrent.is_complete());
    assert_eq!(hand.torrent.progress(hand.now).downloaded, u64::from(16 * BLOCK));
}

#[test]
fn what_peers_have_comes_from_them() {
    let mut hand = with_webs(1);
    hand.willing(1, ALL);
    assert_eq!(fetches(&hand.pass(Duration::from_secs(4))), []);
    let actions = hand.pass(Duration::from_secs(2));
    assert_eq!(fetches(&actions).len(), 1, "unless they are slow");
}

#[test]
fn a_web_seed_that_fails_or_stalls_is_left_alone_for_a_while() {
    let mut hand = with_webs(1);
    let actions = hand.pass(Duration::from_secs(3));
    let [(web, _)] = fetches(&actions)[..] else { panic!("{actions:?}") };
    let retry_after = Some(Duration::from_secs(60));
    assert_eq!(fetches(&hand.handle(Event::WebFailed { web, retry_after })), []);
    assert_eq!(fetches(&hand.pass(Duration::from_secs(59))), []);
    let actions = hand.pass(Duration::from_secs(2));
    assert_eq!(fetches(&actions).len(), 1);
    let actions = hand.pass(Duration::from_secs(16));
    assert!(actions.contains(&Action::StopFetch(web)), "it sends nothing");
    assert_eq!(hand.torrent.received(hand.now, Sender::Web(web), block(0, 0)), Fate::Drop);
}

#[test]
fn a_web_seed_with_other_files_is_never_asked_again() {
    let mut hand = with_webs(2);
    let actions = hand.pass(Duration::from_secs(3));
    let tasks = fetches(&actions);
    let (web, run) = tasks[0].clone();
    deliver(&mut hand, web, run.start..run.start + 1);
    let actions = hand.verified(run.start, Verdict::Wrong, [b"x", b"y"]);
    assert!(actions.contains(&Action::StopFetch(web)) || run.len() == 1);
    for (other, _) in &tasks[1..] {
        hand.handle(Event::WebUseless(*other));
    }
    let later = hand.pass(Duration::from_secs(3600));
    assert!(fetches(&later).iter().all(|(asked, _)| *asked != web), "{later:?}");
    assert_eq!(closed(&later), []);
}

#[test]
fn a_node_fetches_different_pieces_than_another() {
    let first = |seed| {
        let mut config = config(Some(content([])));
        (config.web_seeds, config.seed) = (1, seed);
        config.limits.unfinished = 0;
        let mut hand = Hand::new(config);
        fetches(&hand.pass(Duration::from_secs(3)))[0].1.start
    };
    let mut starts: Vec<u32> = (0..50).map(first).collect();
    starts.sort_unstable();
    starts.dedup();
    assert!(starts.len() > 5, "{starts:?}");
}

#[test]
fn a_web_seed_that_drips_does_not_keep_others_from_helping() {
    let mut hand = with_webs(2);
    let mut actions = hand.pass(Duration::from_secs(3));
    let (dripping, slow) = fetches(&actions)[0].clone();
    let mut helped = 0;
    for round in 0..40 {
        // A block in ten seconds, as long as it is asked for it.
        let span = block(slow.start + round / 2, round % 2);
        _ = hand.torrent.received(hand.now, Sender::Web(dripping), span);
        for (web, run) in fetches(&actions).into_iter().filter(|(web, _)| *web != dripping) {
            helped += run.clone().filter(|piece| slow.contains(piece)).count();
            actions = deliver(&mut hand, web, run.clone());
            run.for_each(|piece| actions.extend(hand.stored(piece)));
        }
        actions.extend(hand.pass(Duration::from_secs(10)));
    }
    assert!(helped > 0, "{slow:?} was left to it");
}
