//! Nodes that the source asks by themselves, and what is said of those that it cannot ask.

use std::cell::Cell;
use std::time::Duration;

use lantorrent_core::wire::Wire;

use crate::many::only;
use crate::random::Random;
use crate::scenario::{Outcome, Scenario};
use crate::seeds::seeds;
use crate::world::fault::{Fault, Mishap, When};
use crate::world::host::Manner;
use crate::world::link::Side;
use crate::world::route::{Cut, Hosts};

/// Nothing gets from one group to the other, nor back, for ever.
fn apart(when: When, one: &[usize], other: &[usize]) -> Mishap {
    let cut = Cut { from: Hosts::of(one.iter().copied()), to: Hosts::of(other.iter().copied()) };
    Mishap::new(when, Fault::Silence { cut, both: true })
}

/// Nobody is said to have failed that has the file.
fn assert_exact(outcome: &Outcome) {
    for (node, code) in outcome.codes().into_iter().enumerate() {
        let whole = outcome.files[node].contains_key("/f");
        assert!(code == 0 || code == 509 || !whole, "h{node} has the file, and is said to be {code}");
    }
}

#[test]
fn one_damaged_bit_of_the_only_question_or_answer_costs_no_verdict() {
    // Every byte of the header, the proof, and the first frames; of the challenge and the lines behind it.
    seeds(2 * 800, |seed| {
        let (side, place) = ([Side::Dialer, Side::Acceptor][(seed % 2) as usize], seed / 2);
        let mut scenario = Scenario::chain(Wire::Two, 2, 5000);
        // The node before it cannot reach it: the source alone asks it, and once if nothing is damaged.
        scenario.mishaps = vec![apart(When::After(Duration::ZERO), &[0], &[1])];
        scenario.flip = Some((1, side, place, 1 << Random::new(seed).below(8)));
        scenario.flip_once = true;
        let outcome = scenario.run(seed);
        assert_eq!(outcome.codes(), [0, 0], "byte {place} from the {side:?}");
    });
}

#[test]
fn a_source_that_sleeps_takes_nobody_for_gone() {
    let nodes = 5;
    seeds(60, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = Scenario::chain(Wire::Two, nodes, 200_000);
        scenario.source_micros = 40_000;
        // It hears nobody any more, and takes the one behind it for silent.
        let deaf = random.within(1, nodes - 2);
        let cut = Cut { from: Hosts::ALL.but(Hosts::of([deaf])), to: Hosts::of([deaf]) };
        let bytes = random.within(1, 50_000) as u64;
        let deafens = Mishap::new(When::Has(deaf, bytes), Fault::Silence { cut, both: false });
        // The others have the file by then, and the source has not heard so.
        let sleep = Duration::from_millis(random.within(2_500, 30_000) as u64);
        let sleeps = Mishap::new(When::Ended(nodes - 1), Fault::Freeze(scenario.source())).ends_after(sleep);
        scenario.mishaps = vec![deafens, sleeps];
        let outcome = scenario.run(seed);
        let mut codes = outcome.codes();
        assert!([0, 509].contains(&std::mem::take(&mut codes[deaf])), "{codes:?}");
        assert_eq!(codes, vec![0; nodes], "h{deaf} was deaf");
    });
}

#[test]
fn who_may_be_served_out_of_sight_is_not_said_to_have_failed() {
    let unknown = Cell::new(0);
    seeds(80, |seed| {
        let mut random = Random::new(seed);
        let nodes = random.within(5, 8);
        let mut scenario = Scenario::chain(Wire::Two, nodes, random.pick(&[5000, 60_000]));
        // The second node has the file at once, and said so. Of those behind it one is not there, which it says too, and
        // another one it waits for.
        scenario.manners[2] = Manner::Refuses;
        let waits = apart(When::After(Duration::ZERO), &[1], &[3]);
        // Then it is cut off together with others, whom it goes on to serve.
        let (here, there): (Vec<usize>, Vec<usize>) = (5..nodes).partition(|_| random.chance(50));
        let when = When::After(Duration::from_millis(random.within(150, 450) as u64));
        let mut here = [&[nodes], &here[..]].concat();
        let mut there = [&[1, 4], &there[..]].concat();
        for host in [0, 3] {
            if random.chance(50) { &mut here } else { &mut there }.push(host);
        }
        scenario.mishaps = vec![waits, apart(when, &here, &there)];
        if random.chance(50) {
            // An abort knows no more of them.
            let when = When::After(Duration::from_millis(random.within(3_000, 5_000) as u64));
            scenario.mishaps.push(Mishap::new(when, Fault::Stop(scenario.source(), Duration::ZERO)));
        }
        let outcome = scenario.run(seed);
        assert_exact(&outcome);
        let codes = outcome.codes();
        let served = there.iter().filter(|&&node| codes[node] == 509 && !outcome.files[node].is_empty());
        unknown.set(unknown.get() + served.count());
    });
    assert!(only().is_some() || unknown.get() > 0, "nobody was served out of sight");
}
