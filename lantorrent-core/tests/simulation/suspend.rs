//! Sources that are suspended, and send once more.

use std::time::Duration;

use lantorrent_core::wire::Wire;

use crate::random::Random;
use crate::scenario::{BLOCK, Scenario};
use crate::seeds::seeds;
use crate::world::fault::{Fault, Mishap, When};

const BLOCKS: usize = 100;
/// What a node may have received that never got to its disk.
const PENDING: u64 = 10 * BLOCK as u64;

/// A chain whose source is suspended when its first node has some of the file, and so nobody has all of it.
fn suspended(random: &mut Random, size: usize) -> (Scenario, Mishap) {
    let mut scenario = Scenario::chain(Wire::Two, random.within(1, 6), size);
    scenario.source_micros = 20_000;
    let bytes = random.within(1, size * 3 / 4) as u64;
    (scenario, Mishap::new(When::Has(0, bytes), Fault::Suspend))
}

#[test]
fn who_is_sent_to_again_goes_on_where_it_was() {
    seeds(100, |seed| {
        let mut random = Random::new(seed);
        let size = BLOCKS * BLOCK as usize - random.pick(&[0, 1]);
        let (mut scenario, mishap) = suspended(&mut random, size);
        // While the nodes still wait to be taken up again, and after that.
        let pause = Duration::from_millis(random.pick(&[0, 10, 5_000, 200_000]));
        scenario.mishaps = vec![mishap.ends_after(pause)];
        let outcome = scenario.run(seed);
        assert_eq!(outcome.codes(), vec![0; scenario.list.len()]);
        for (node, &taken) in outcome.taken.iter().enumerate().take(scenario.list.len()) {
            assert!(taken <= size as u64 + PENDING, "h{node} received {taken} bytes");
        }
    });
}

#[test]
fn who_is_not_sent_to_again_keeps_what_it_has() {
    seeds(60, |seed| {
        let mut random = Random::new(seed);
        let size = BLOCKS * BLOCK as usize;
        let (mut scenario, mishap) = suspended(&mut random, size);
        scenario.mishaps = vec![mishap];
        let outcome = scenario.run(seed);
        let at = outcome.struck[0].expect("the source was suspended");
        assert_eq!(outcome.took, at, "it ends at once");
        assert_eq!(outcome.codes(), vec![521; scenario.list.len()]);
        for node in 0..scenario.list.len() {
            let (kept, received) = (outcome.kept[node], outcome.received[node]);
            assert!(kept + PENDING >= received, "h{node} has received {received} bytes, and kept {kept}");
            assert!(outcome.files[node].is_empty());
        }
    });
}

#[test]
fn a_source_may_be_suspended_at_any_moment() {
    seeds(200, |seed| {
        let mut random = Random::new(seed);
        let wire = random.pick(&[Wire::One, Wire::Two]);
        let mut scenario = Scenario::chain(wire, 4, random.pick(&[0, 10_000, 200_000]));
        scenario.degree = random.within(1, 3) as u32;
        let when = When::After(Duration::from_micros(random.below(20_000) as u64));
        scenario.mishaps = vec![Mishap::new(when, Fault::Suspend)];
        if random.chance(30) {
            scenario.manners[random.below(4)] = random.pick_manner();
        }
        let outcome = scenario.run(seed);
        let at = outcome.struck[0].expect("the source was suspended");
        let codes = outcome.codes();
        assert!(outcome.took <= at || codes.iter().all(|&code| code != 521), "{:?}", outcome.took);
        // A node that was sent the end may have the file before it can say so.
        for (node, code) in codes.iter().enumerate().filter(|&(_, &code)| code == 521) {
            assert!(outcome.files[node].is_empty(), "h{node} has the file, and is told of as {code}");
        }
    });
}
