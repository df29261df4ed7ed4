//! Relays that know the password and change the content: they delay an honest node, and no more.

use lantorrent_core::wire::Wire;

use crate::forger::Lie;
use crate::random::Random;
use crate::scenario::Scenario;
use crate::seeds::seeds;

const SIZES: [usize; 4] = [1, 4096, 9000, 60_000];

/// Every honest node, which the forgers are themselves as far as their own file goes, has the true one in the end. Other
/// content under the name of the file ends any run: see `Scenario::run`.
fn all_are_whole(scenario: &Scenario, seed: u64) {
    let outcome = scenario.run(seed);
    assert!(outcome.codes().iter().all(|&code| code == 0), "{scenario:?} {:?}", outcome.reports);
}

#[test]
fn at_every_place_of_a_chain() {
    seeds(6, |seed| {
        for lie in Lie::ALL {
            for place in 0..4 {
                let mut scenario = Scenario::chain(Wire::Two, 5, Random::new(seed).pick(&SIZES));
                scenario.forgers = vec![(place, lie)];
                all_are_whole(&scenario, seed);
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
