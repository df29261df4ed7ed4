//! Chains and trees in which nothing goes wrong.

use std::collections::BTreeMap;

use lantorrent_core::wire::{NodeState, Wire};

use crate::world::disk::Kind;
use crate::world::host::Manner;

use crate::random::Random;
use crate::scenario::{BLOCK, Scenario};
use crate::seeds::seeds;

const SIZES: &[usize] = &[0, 1, BLOCK as usize - 1, BLOCK as usize, BLOCK as usize + 1, 30_000];

/// Any shape and size.
fn any(random: &mut Random) -> Scenario {
    let wire = random.pick(&[Wire::One, Wire::Two]);
    let nodes = random.within(1, 6);
    let mut scenario = Scenario::chain(wire, nodes, random.pick(SIZES));
    scenario.degree = random.within(1, 4) as u32;
    scenario.length_known = wire == Wire::One || random.chance(70);
    scenario
}

#[test]
fn everybody_gets_everything() {
    seeds(400, |seed| {
        let scenario = any(&mut Random::new(seed));
        let outcome = scenario.run(seed);
        assert_eq!(outcome.codes(), vec![0; scenario.list.len()]);
    });
}

#[test]
fn any_chunking_and_order_of_events_gives_the_same_outcome() {
    for wire in [Wire::One, Wire::Two] {
        let mut scenario = Scenario::chain(wire, 6, 3 * BLOCK as usize + 7);
        scenario.degree = 2;
        scenario.manners[1] = Manner::Refuses;
        scenario.list[2].1 = ["/a", "/b", "/c"].map(String::from).to_vec();
        scenario.kinds = vec![
            (2, "/b", Kind::CannotOpen),
            (3, "/f", Kind::FullAt(9000)),
            (4, "/f", Kind::NotReadable),
            (5, "/f", Kind::CannotPlace),
        ];
        let first = scenario.run(0);
        let codes: Vec<u16> = first.reports.values().map(|report| report.code.0).collect();
        assert_eq!(codes, [0, 505, 0, 503, 0, 512, 0, 511]);
        seeds(300, |seed| {
            let outcome = scenario.run(seed);
            assert_eq!(outcome.reports, first.reports);
            assert_eq!(outcome.files, first.files);
        });
    }
}

#[test]
fn progress_ends_with_the_state_of_every_node() {
    seeds(200, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = any(&mut random);
        // Long enough for progress on the way.
        scenario.source_micros = random.pick(&[100, 600_000]);
        let nodes = scenario.list.len();
        for node in 0..nodes {
            match random.below(8) {
                0 => scenario.manners[node] = Manner::Refuses,
                1 => scenario.kinds.push((node, "/f", Kind::CannotOpen)),
                _ => {}
            }
        }
        let outcome = scenario.run(seed);
        let codes = outcome.codes();
        let good = codes.iter().filter(|&&code| code == 0).count() as u32;
        let last = outcome.progress.last().expect("progress is told at the end at least");
        assert_eq!((last.count(NodeState::Done), last.count(NodeState::Failed)), (good, nodes as u32 - good));
        assert_eq!(last.states.values().sum::<u32>() as usize, nodes, "{last:?}");
        if scenario.wire == Wire::Two {
            if good as usize == nodes {
                let size = scenario.content.len() as u64;
                assert_eq!((last.least, last.greatest), (size, size));
            }
            // Every node's state is named when it changes, also those that do not fit into one line.
            let changes = outcome.progress.iter().flat_map(|progress| &progress.changed);
            let named: BTreeMap<u32, NodeState> =
                changes.map(|change| (change.index, change.state)).collect();
            for (index, code) in (0..).zip(codes) {
                let state = if code == 0 { NodeState::Done } else { NodeState::Failed };
                assert_eq!(named.get(&index), Some(&state), "node {index}");
            }
        }
    });
}

#[test]
fn a_long_chain_names_every_node() {
    let scenario = Scenario::chain(Wire::Two, 80, 5000);
    let outcome = scenario.run(7);
    assert_eq!(outcome.codes(), [0; 80]);
    let changes = outcome.progress.iter().flat_map(|progress| &progress.changed);
    let named: BTreeMap<u32, NodeState> = changes.map(|change| (change.index, change.state)).collect();
    assert_eq!(named, (0..80).map(|index| (index, NodeState::Done)).collect());
}
