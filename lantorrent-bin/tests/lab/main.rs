//! Sixteen nodes on hosts of their own, and what can go wrong with them: nobody else is to suffer from it, and what is
//! reported is to be exact. How long it takes is the benchmark's to say (benches/faults.rs).
//!
//! Needs root and iproute2. Says that it skips elsewhere; in CI that is a failure.

mod addresses;
mod harness;
mod marked;

use harness::run::run;
use harness::scenario::SCENARIOS;
use harness::{SCALE, direct_copy};

/// A test for each of the scenarios named.
macro_rules! test {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*

        const TESTED: &[&str] = &[$(stringify!($name)),*];
    };
}

test! {
    undisturbed
    killed_5
    killed_3_4_9
    killed_first_and_last
    stopped_5
    stopped_3_8_13
    stopped_5_for_a_while
    cut_5
    cut_5_6_7
    cut_5_for_a_while
    disk_of_7_too_small
    disk_of_7_fills_up
    bit_flipped_before_6
    bits_flipped_before_6
    sender_restarted
    node_5_restarted
    slow_4
}

#[test]
fn every_scenario_has_a_test() {
    let names: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    assert_eq!(names, TESTED);
}

fn check(name: &str) {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).expect("a scenario of that name");
    // What it is to be measured by, for whoever reads along.
    if scenario.name == "undisturbed" {
        let Some(direct) = direct_copy(SCALE) else { return };
        println!("one direct copy: {:.2} s", direct.as_secs_f64());
    }
    let Some(run) = run(scenario) else { return };
    println!("{run}");
    let complaints = run.complaints();
    assert!(complaints.is_empty(), "{name}:\n{}\n", complaints.join("\n"));
}
