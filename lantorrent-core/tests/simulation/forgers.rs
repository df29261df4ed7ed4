//! Relays that know the password and change the content: they delay an honest node, and no more.

use std::time::Duration;

use lantorrent_core::wire::Wire;

use crate::forger::Lie;
use crate::random::Random;
use crate::scenario::{BLOCK, Outcome, Scenario};
use crate::seeds::seeds;
use crate::world::fault::{Fault, Mishap, When};

const SIZES: [usize; 4] = [1, 4096, 9000, 60_000];

/// Every honest node, which the forgers are themselves as far as their own file goes, has the true one in the end. Other
/// content under the name of the file ends any run: see `Scenario::run`.
fn all_are_whole(scenario: &Scenario, seed: u64) -> Outcome {
    let outcome = scenario.run(seed);
    assert!(outcome.codes().iter().all(|&code| code == 0), "{:?}", outcome.reports);
    outcome
}

#[test]
fn at_every_place_of_a_chain() {
    seeds(6, |seed| {
        for lie in Lie::ALL {
            for place in 0..4 {
                let mut scenario = Scenario::chain(Wire::Two, 5, Random::new(seed).pick(&SIZES));
                scenario.forgers = vec![(place, lie)];
                let outcome = all_are_whole(&scenario, seed);
                // Those behind it were served anew.
                let caught = matches!(lie, Lie::OwnSignature | Lie::NoSignature);
                assert!(!caught || (place + 1..5).all(|behind| outcome.sourced.contains(&behind)));
            }
        }
    });
}

#[test]
fn at_every_place_of_a_tree() {
    seeds(4, |seed| {
        for lie in Lie::ALL {
            for (degree, place) in [(2, 0), (2, 1), (2, 4), (3, 0), (3, 3)] {
                let mut scenario = Scenario::chain(Wire::Two, 8, Random::new(seed).pick(&SIZES));
                scenario.degree = degree;
                scenario.forgers = vec![(place, lie)];
                all_are_whole(&scenario, seed);
            }
        }
    });
}

#[test]
fn several_of_them_with_many_nodes_behind() {
    seeds(4, |seed| {
        for lie in Lie::ALL {
            let mut scenario = Scenario::chain(Wire::Two, 24, Random::new(seed).pick(&SIZES));
            scenario.forgers = vec![(1, lie), (2, Lie::OwnSignature), (12, Lie::OtherContent)];
            all_are_whole(&scenario, seed);
        }
    });
}

#[test]
fn with_a_process_for_each_connection() {
    seeds(6, |seed| {
        for lie in Lie::ALL {
            let mut scenario = Scenario::chain(Wire::Two, 4, Random::new(seed).pick(&SIZES));
            scenario.solo = (0..4).collect();
            scenario.forgers = vec![(1, lie)];
            all_are_whole(&scenario, seed);
        }
    });
}

#[test]
fn that_is_gone_before_its_lie_is_found_out() {
    // What it has served stays, and others go on behind that.
    let size = 30 * BLOCK as usize;
    seeds(60, |seed| {
        let mut random = Random::new(seed);
        for lie in Lie::ALL {
            let mut scenario = Scenario::chain(Wire::Two, 4, size);
            let forger = random.below(3);
            scenario.forgers = vec![(forger, lie)];
            if random.chance(30) {
                scenario.solo = (0..4).collect();
            }
            let fault = random.pick(&[Fault::Kill(forger), Fault::PowerCut(forger), Fault::Reset(forger)]);
            let when = match random.below(4) {
                0 => When::Ended(forger),
                _ => When::Has(forger + 1, random.within(1, 30) as u64 * u64::from(BLOCK)),
            };
            scenario.mishaps = vec![Mishap::new(when, fault)];
            let outcome = scenario.run(seed);
            let honest = outcome.codes().into_iter().enumerate().filter(|&(host, _)| host != forger);
            assert!(honest.clone().all(|(_, code)| code == 0), "{lie:?} {:?}", outcome.reports);
            assert!(outcome.took < Duration::from_secs(120), "{:?}", outcome.took);
        }
    });
}

#[test]
fn on_a_node_that_goes_on_with_what_an_earlier_transfer_left() {
    let size = 10 * BLOCK as usize;
    seeds(20, |seed| {
        let mut scenario = Scenario::chain(Wire::Two, 4, size);
        scenario.partials = vec![(2, 3 * BLOCK as usize), (3, 5 * BLOCK as usize)];
        scenario.forgers = vec![(1, Lie::ALL[(seed % 5) as usize])];
        all_are_whole(&scenario, seed);
    });
}
