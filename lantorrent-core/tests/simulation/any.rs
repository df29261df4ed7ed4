//! Whole transfers under any faults: 10,000 of them, or those that `LANTORRENT_SEEDS` names.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::many::{Failure, many, only, replay, wanted};
use crate::plan::{KINDS, STATES, plan};
use crate::verdict::judge;

/// How many of those that failed alike are told.
const ALIKE: usize = 5;

/// Kinds of faults that are drawn: all, or those that the environment names.
fn is_allowed(kind: &str) -> bool {
    std::env::var("LANTORRENT_KINDS").map_or(true, |kinds| kinds.split(',').any(|allowed| allowed == kind))
}

fn run(seed: u64) {
    let plan = plan(seed, &is_allowed);
    crate::trace::line(0, None, || format!("{plan:?}"));
    let outcome = plan.scenario.run(seed);
    judge(&plan, &outcome);
}

fn kinds(seed: u64) -> Vec<&'static str> {
    plan(seed, &is_allowed).kinds
}

/// How many runs there were with each kind of fault, and how many of them failed.
fn tell(seeds: &Range<u64>, failures: &[Failure]) {
    let with = |kind: &str, among: &mut dyn Iterator<Item = u64>| {
        among.filter(|&seed| kinds(seed).contains(&kind)).count()
    };
    for kind in KINDS.iter().chain(STATES) {
        let failed = with(kind, &mut failures.iter().map(|failure| failure.seed));
        let all = with(kind, &mut seeds.clone());
        if all > 0 {
            eprintln!("{kind:>16}: {failed:>5} of {all:>5} failed");
        }
    }
}

#[test]
fn nothing_stops_the_chain() {
    if let Some(seed) = only() {
        return run(seed);
    }
    let seeds = wanted(10_000);
    let failures = many(&seeds, run);
    if failures.is_empty() {
        return;
    }
    tell(&seeds, &failures);
    let mut told = BTreeMap::<String, usize>::new();
    for failure in &failures {
        // Most that fail alike have the same reason.
        let times = told.entry(alike(&failure.message)).or_default();
        *times += 1;
        if *times <= ALIKE {
            eprintln!("{:?}: {}", kinds(failure.seed), failure.message);
            eprintln!("    {}", replay(failure.seed));
        }
    }
    panic!("{} of the seeds {seeds:?} failed", failures.len());
}

/// A message without what differs from run to run.
fn alike(message: &str) -> String {
    message.chars().filter(|letter| !letter.is_ascii_digit()).take(90).collect()
}
