//! Hosts of a later version among those of this one: what they say is ignored, and forwarded where it is to be.

use std::cell::Cell;

use lantorrent_core::wire::{Code, Wire};

use crate::later::is_forwarded;
use crate::random::Random;
use crate::scenario::{BLOCK, Outcome, Scenario};
use crate::seeds::seeds;

const NODES: usize = 5;

/// A chain in which some hosts are of a later version.
fn scenario(random: &mut Random) -> Scenario {
    let size = random.pick(&[0, 5000, 100_000, 300_000]);
    let mut scenario = Scenario::chain(Wire::Two, NODES, size);
    let share = random.pick(&[20, 50, 100]);
    scenario.later = (0..=NODES).filter(|_| random.chance(share)).collect();
    scenario.source_micros = random.pick(&[100, 3000, 30_000]);
    if random.chance(30) {
        scenario.solo = (0..NODES).filter(|_| random.chance(50)).collect();
    }
    if random.chance(30) {
        let blocks = size / BLOCK as usize;
        scenario.partials =
            (0..NODES).map(|node| (node, random.within(0, blocks) * BLOCK as usize)).collect();
    }
    scenario
}

/// Whether `some` are of `all`, in the order of those.
fn is_part_of<'a>(some: impl Iterator<Item = &'a Vec<u8>>, all: &[Vec<u8>]) -> bool {
    let mut all = all.iter();
    some.into_iter().all(|one| all.any(|other| other == one))
}

/// Checks what a node had from its parent. Returns how many of the frames had come to that from another.
fn check_heard(outcome: &Outcome, node: usize, parent: usize) -> usize {
    let (heard, made) = (&outcome.heard[node], &outcome.extended[parent]);
    let is_own = |frame: &&Vec<u8>| made.contains(frame);
    assert!(is_part_of(heard.iter().filter(is_own), made), "{node}");
    let relayed: Vec<_> = heard.iter().filter(|frame| !is_own(frame)).collect();
    assert!(relayed.iter().all(|frame| is_forwarded(frame)), "a frame that no node may send on");
    assert!(is_part_of(relayed.iter().copied(), &outcome.heard[parent]), "{node}");
    relayed.len()
}

#[test]
fn hosts_of_a_later_version_change_nothing_and_what_is_to_be_forwarded_is() {
    let (relayed, to_the_last) = (Cell::new(0), Cell::new(0));
    seeds(300, |seed| {
        let scenario = scenario(&mut Random::new(seed));
        let outcome = scenario.run(seed);
        assert_eq!(outcome.codes(), [0; NODES]);
        assert_eq!(outcome.upstreams[..NODES], [1; NODES], "nothing is repaired");
        assert!(outcome.bypassed.is_empty());
        for node in 0..NODES {
            let parent = node.checked_sub(1).unwrap_or(scenario.source());
            let count = check_heard(&outcome, node, parent);
            relayed.set(relayed.get() + count);
            to_the_last.set(to_the_last.get() + if node == NODES - 1 { count } else { 0 });
        }
    });
    if crate::many::only().is_none() {
        assert!(relayed.get() > 10_000 && to_the_last.get() > 3_000, "{relayed:?}, {to_the_last:?}");
    }
}

#[test]
fn what_they_say_changes_nothing_else() {
    seeds(100, |seed| {
        let mut scenario = scenario(&mut Random::new(seed));
        let with = scenario.run(seed);
        scenario.later.clear();
        let without = scenario.run(seed);
        assert_eq!(with.codes(), without.codes());
        assert_eq!((&with.files, &with.taken), (&without.files, &without.taken));
        assert!(without.heard.iter().all(Vec::is_empty));
    });
}

#[test]
fn a_node_that_lacks_a_feature_of_the_transfer_is_skipped() {
    seeds(100, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = scenario(&mut random);
        scenario.degree = random.within(1, 3) as u32;
        let lacks = random.below(NODES);
        scenario.later = (0..=NODES).filter(|&host| host != lacks).collect();
        scenario.uses_feature = true;
        let outcome = scenario.run(seed);
        let mut expected = [0; NODES];
        expected[lacks] = Code::UNSUPPORTED.0;
        assert_eq!(outcome.codes(), expected);
        assert!(outcome.begun[lacks].is_empty());
        let report = &outcome.reports[&format!("{lacks}/0")];
        assert!(report.message.contains(crate::later::FEATURE), "{report:?}");
    });
}
