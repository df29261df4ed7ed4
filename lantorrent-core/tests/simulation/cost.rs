//! What it costs the others when nodes are lost: beside the same run in which nothing goes wrong.

use std::time::Duration;

use lantorrent_core::session::Timing;
use lantorrent_core::wire::Wire;

use crate::random::Random;
use crate::scenario::{BLOCK, Scenario};
use crate::seeds::seeds;
use crate::world::fault::{Fault, Mishap, When};
use crate::world::route::{Cut, Hosts};

const NODES: usize = 16;
const BLOCKS: usize = 150;

/// Sixteen nodes, about two seconds.
fn quiet() -> Scenario {
    let mut scenario = Scenario::chain(Wire::Two, NODES, BLOCKS * BLOCK as usize);
    scenario.source_micros = 30_000;
    // What repair costs is measured, and not a slower connection that it was dealt.
    scenario.even_links = true;
    scenario
}

/// When a node is somewhere in the middle of the file.
fn half_way(random: &mut Random, node: usize) -> When {
    When::Has(node, (random.within(BLOCKS / 4, BLOCKS * 3 / 4) * BLOCK as usize) as u64)
}

/// How much longer it takes with those nodes lost at the same moment, each in the given way. All others must have the
/// file.
fn cost(seed: u64, lost: &[usize], fault: impl Fn(usize) -> Fault) -> Duration {
    let before = quiet().run(seed).took;
    let mut scenario = quiet();
    let when = half_way(&mut Random::new(seed), lost[0]);
    scenario.mishaps = lost.iter().map(|&node| Mishap::new(when, fault(node))).collect();
    let outcome = scenario.run(seed);
    let codes = outcome.codes();
    let expected: Vec<u16> = (0..NODES).map(|node| if lost.contains(&node) { 509 } else { 0 }).collect();
    assert_eq!(codes, expected);
    for node in (0..NODES).filter(|node| !lost.contains(node)) {
        assert_eq!(outcome.taken[node], scenario.content.len() as u64, "h{node} received something twice");
    }
    outcome.took.saturating_sub(before)
}

fn isolated(node: usize) -> Fault {
    let node = Hosts::of([node]);
    Fault::Silence { cut: Cut { from: node, to: Hosts::ALL.but(node) }, both: true }
}

const CASES: &[&[usize]] = &[&[5], &[0], &[NODES - 1], &[3, 4, 9], &[0, NODES - 1], &[2, 7, 12], &[5, 6, 7]];

#[test]
fn each_process_that_is_killed_costs_a_second_at_most() {
    seeds(70, |seed| {
        let lost = CASES[seed as usize % CASES.len()];
        let most = Duration::from_secs(1) * lost.len() as u32;
        let cost = cost(seed, lost, Fault::Kill);
        assert!(cost <= most, "{lost:?}: {cost:?}");
    });
}

#[test]
fn silence_costs_its_notice_and_a_second_at_most() {
    seeds(70, |seed| {
        let lost = CASES[seed as usize % CASES.len()];
        let fault = if seed % 2 == 0 { Fault::Freeze } else { isolated };
        let most = Timing::default().dead_after + Duration::from_secs(1);
        let cost = cost(seed, lost, fault);
        assert!(cost <= most, "{lost:?}: {cost:?}");
    });
}

#[test]
fn results_that_died_with_a_node_are_told_again() {
    seeds(40, |seed| {
        let node = Random::new(seed).within(1, NODES - 2);
        let mut scenario = quiet();
        scenario.mishaps = vec![Mishap::new(When::Ended(node), Fault::Freeze(node))];
        let outcome = scenario.run(seed);
        let mut codes = outcome.codes();
        codes.remove(node);
        assert_eq!(codes, [0; NODES - 1]);
        // Nobody but the lost one is asked again, and nobody comes to harm on the way.
        assert!(outcome.sourced.iter().all(|&host| host == 0 || host == node), "{:?}", outcome.sourced);
        assert!(outcome.bypassed.iter().all(|&lost| lost == node as u32), "{:?}", outcome.bypassed);
    });
}

#[test]
fn a_connection_that_is_reset_is_made_again_and_nobody_is_lost() {
    seeds(40, |seed| {
        let mut random = Random::new(seed);
        let node = random.below(NODES);
        let mut scenario = quiet();
        let fault = if seed % 2 == 0 { Fault::Reset(node) } else { Fault::Damage(node, 1) };
        scenario.mishaps = vec![Mishap::new(half_way(&mut random, node), fault)];
        let outcome = scenario.run(seed);
        assert_eq!(outcome.codes(), [0; NODES]);
        assert!(outcome.bypassed.is_empty(), "{:?}", outcome.bypassed);
        assert_eq!(outcome.sourced.into_iter().collect::<Vec<_>>(), [0]);
        assert!(outcome.upstreams.iter().all(|&upstreams| upstreams <= 2), "{:?}", outcome.upstreams);
    });
}

#[test]
fn a_stopped_process_that_wakes_up_splits_nothing() {
    seeds(60, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = quiet();
        // It sleeps until the others have gone on without it, and wakes up before or after they are done.
        scenario.source_micros = random.pick(&[30_000, 150_000]);
        let node = random.below(NODES);
        let sleep = Duration::from_millis(random.within(3_000, 9_000) as u64);
        let fault = if seed % 2 == 0 { Fault::Freeze(node) } else { isolated(node) };
        scenario.mishaps = vec![Mishap::new(half_way(&mut random, node), fault).ends_after(sleep)];
        let outcome = scenario.run(seed);
        let mut codes = outcome.codes();
        let its = std::mem::take(&mut codes[node]);
        assert_eq!(codes, [0; NODES]);
        let others = (0..NODES).filter(|&other| other != node).map(|other| outcome.upstreams[other]);
        assert!(others.max() <= Some(2), "{:?}", outcome.upstreams);
        assert!(its == 0 || its == 509, "{its}");
        // It is asked at the end, if not before.
        let woken = outcome.struck[0].is_some_and(|at| at + sleep + Duration::from_secs(2) < outcome.took);
        assert!(its == 0 || !woken, "it was awake for {:?}", outcome.took);
    });
}
