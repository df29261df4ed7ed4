//! Requests that are cancelled while the chain runs, and what that costs the others.

use std::collections::BTreeSet;
use std::time::Duration;

use lantorrent_core::wire::Wire;

use crate::random::Random;
use crate::scenario::{BLOCK, Outcome, Scenario};
use crate::seeds::seeds;
use crate::world::fault::{Fault, Mishap, When};

const NODES: usize = 6;
const BLOCKS: usize = 80;
const CANCELLED: u16 = 524;

fn chain(random: &mut Random) -> Scenario {
    let mut scenario = Scenario::chain(Wire::Two, NODES, BLOCKS * BLOCK as usize - random.pick(&[0, 1]));
    scenario.source_micros = 20_000;
    // What a cut costs is measured, and not a slower connection that it was dealt.
    scenario.even_links = true;
    scenario
}

/// Nodes whose connections have a process each.
fn any_solo(random: &mut Random) -> Vec<usize> {
    let share = random.pick(&[0, 50, 100]);
    (0..NODES).filter(|_| random.chance(share)).collect()
}

fn is_clean(outcome: &Outcome, node: usize) -> bool {
    outcome.files[node].is_empty() && outcome.partials[node].is_empty()
}

#[test]
fn who_is_cancelled_is_cut_out_and_nobody_receives_anything_twice() {
    seeds(120, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = chain(&mut random);
        scenario.solo = any_solo(&mut random);
        let quiet = scenario.run(seed).took;
        let node = random.below(NODES);
        let bytes = random.within(1, scenario.content.len() / 2) as u64;
        scenario.mishaps = vec![Mishap::new(When::Has(node, bytes), Fault::Cancel(node, 0))];
        let outcome = scenario.run(seed);
        let mut codes = outcome.codes();
        assert_eq!(std::mem::take(&mut codes[node]), CANCELLED);
        assert_eq!(codes, [0; NODES]);
        assert!(is_clean(&outcome, node));
        for other in (0..NODES).filter(|&other| other != node) {
            assert_eq!(
                outcome.taken[other],
                scenario.content.len() as u64,
                "h{other} received something twice"
            );
            assert!(outcome.upstreams[other] <= 2, "h{other} has had {} upstreams", outcome.upstreams[other]);
        }
        assert!(outcome.bypassed.is_empty(), "{:?}", outcome.bypassed);
        let cost = outcome.took.saturating_sub(quiet);
        assert!(cost <= Duration::from_secs(1), "{cost:?}");
    });
}

#[test]
fn the_other_files_of_a_node_go_on() {
    seeds(120, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = chain(&mut random);
        scenario.solo = any_solo(&mut random);
        scenario.degree = random.within(1, 3) as u32;
        let node = random.below(NODES);
        scenario.list[node].1 = ["/a", "/b", "/c"].map(String::from).to_vec();
        let gone: Vec<usize> = (0..2).map(|_| random.below(3)).collect();
        let when = match random.below(3) {
            0 => When::After(Duration::from_micros(random.below(500_000) as u64)),
            1 => When::Ended(node),
            _ => When::Has(node, random.within(1, scenario.content.len()) as u64),
        };
        scenario.mishaps = gone.iter().map(|&file| Mishap::new(when, Fault::Cancel(node, file))).collect();
        let outcome = scenario.run(seed);
        for (id, report) in &outcome.reports {
            let cancelled = gone.iter().any(|file| *id == format!("{node}/{file}"));
            let code = report.code.0;
            assert!(code == 0 || cancelled && code == CANCELLED, "{report:?}");
        }
        assert!(outcome.partials.iter().all(BTreeSet::is_empty));
    });
}

#[test]
fn a_cancel_may_come_at_any_moment_and_ends_in_one_way() {
    seeds(400, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = Scenario::chain(Wire::Two, NODES, random.pick(&[0, 5000, 100_000]));
        scenario.solo = any_solo(&mut random);
        scenario.degree = random.within(1, 3) as u32;
        let node = random.below(NODES);
        let within = random.pick(&[1, 50_000, 400_000]);
        let when = When::After(Duration::from_micros(random.below(within) as u64));
        scenario.mishaps = vec![Mishap::new(when, Fault::Cancel(node, 0))];
        let outcome = scenario.run(seed);
        let mut codes = outcome.codes();
        let code = std::mem::take(&mut codes[node]);
        assert_eq!(codes, [0; NODES]);
        assert!(code == CANCELLED && is_clean(&outcome, node) || code == 0, "{code}");
        assert!(outcome.took < Duration::from_secs(8), "{:?}", outcome.took);
    });
}

#[test]
fn where_all_are_cancelled_it_ends() {
    seeds(60, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = chain(&mut random);
        scenario.solo = any_solo(&mut random);
        let when = When::Has(0, random.within(1, scenario.content.len() / 2) as u64);
        scenario.mishaps = (0..NODES).map(|node| Mishap::new(when, Fault::Cancel(node, 0))).collect();
        let outcome = scenario.run(seed);
        assert_eq!(outcome.codes(), [CANCELLED; NODES]);
        assert!((0..NODES).all(|node| is_clean(&outcome, node)));
        let at = outcome.struck[0].expect("they were cancelled");
        assert!(
            outcome.took < at + Duration::from_secs(2),
            "cancelled after {at:?}, over after {:?}",
            outcome.took
        );
    });
}

#[test]
fn who_does_not_hear_of_it_changes_nothing() {
    seeds(60, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = chain(&mut random);
        // It stands still until it is too late: the node, or the one process of it that would have to be told.
        let node = random.below(NODES);
        scenario.solo = any_solo(&mut random);
        let when = When::Has(node, random.within(1, scenario.content.len() / 2) as u64);
        let faults = [Fault::Freeze(node), Fault::Cancel(node, 0)];
        scenario.mishaps = faults.map(|fault| Mishap::new(when, fault)).to_vec();
        let mut codes = scenario.run(seed).codes();
        assert_eq!(std::mem::take(&mut codes[node]), 509);
        assert_eq!(codes, [0; NODES]);
    });
}
