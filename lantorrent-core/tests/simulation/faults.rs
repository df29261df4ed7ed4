//! Hosts that are not there, do not listen, or leave; disks that fail; owners who stop what runs.

use std::collections::BTreeMap;
use std::time::Duration;

use lantorrent_core::session::Timing;
use lantorrent_core::wire::Wire;

use crate::random::Random;
use crate::scenario::{BLOCK, Scenario};
use crate::seeds::seeds;
use crate::world::disk::Kind;
use crate::world::fault::{Fault, Mishap, When};
use crate::world::host::Manner;
use crate::world::link::Side;

const WIRES: &[Wire] = &[Wire::One, Wire::Two];

/// A line that is longer than any may be.
static ENDLESS: [u8; 300_000] = [b' '; 300_000];

/// So much that it does not fit into the buffers on the way.
const LARGE: usize = 400_000;

fn wire(seed: u64) -> Wire {
    WIRES[(seed % 2) as usize]
}

#[test]
fn who_cannot_be_reached_is_reported_and_skipped() {
    let cases: &[&[usize]] = &[&[0], &[2], &[4], &[0, 1], &[1, 3], &[3, 4], &[0, 1, 2, 3, 4]];
    seeds(280, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = Scenario::chain(wire(seed), 5, random.pick(&[0, 20_000]));
        scenario.degree = random.within(1, 3) as u32;
        let dead = random.pick(cases);
        for &host in dead {
            scenario.manners[host] = Manner::Refuses;
        }
        let codes = scenario.run(seed).codes();
        let expected: Vec<u16> = (0..5).map(|host| if dead.contains(&host) { 505 } else { 0 }).collect();
        assert_eq!(codes, expected);
    });
}

#[test]
fn who_never_answers_is_skipped_in_time() {
    for (manner, code) in [
        (Manner::BlackHole, 505),
        (Manner::Mute, 522),
        (Manner::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), 507),
        (Manner::Says(b"{\"code\": 0}\n"), 519),
        (Manner::Says(b"{\"code\": 501, \"message\": \"too long\"}\n"), 501),
        (Manner::Says(&ENDLESS), 519),
    ] {
        seeds(20, |seed| {
            let mut scenario = Scenario::chain(Wire::Two, 4, 20_000);
            let bad = (seed % 4) as usize;
            scenario.manners[bad] = manner.clone();
            let outcome = scenario.run(seed);
            let mut codes = outcome.codes();
            let found = std::mem::take(&mut codes[bad]);
            // Who takes too long, to answer or to say everything, is given up as silent.
            assert!(found == code || found == 522, "{manner:?}: {found}");
            assert_eq!(codes, [0; 4]);
            assert!(outcome.took < Duration::from_secs(20), "{manner:?} took {:?}", outcome.took);
        });
    }
}

#[test]
fn a_host_with_another_password_is_reported_and_skipped() {
    seeds(80, |seed| {
        let mut scenario =
            Scenario::chain(wire(seed), 4, Random::new(seed).pick(&[0, 100, 50_000, LARGE / 2]));
        let stranger = (seed / 2 % 4) as usize;
        scenario.strangers = vec![stranger];
        let mut codes = scenario.run(seed).codes();
        assert_eq!(std::mem::take(&mut codes[stranger]), 508);
        assert_eq!(codes, [0; 4]);
    });
}

#[test]
fn on_wire_1_a_node_that_dies_takes_those_behind_it_along() {
    seeds(25, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = Scenario::chain(Wire::One, 5, LARGE);
        let at = random.below(5);
        let fault = if random.chance(50) { Fault::Kill(at) } else { Fault::Freeze(at) };
        scenario.mishaps = vec![Mishap::new(When::Has(at, random.within(1, LARGE / 2) as u64), fault)];
        let outcome = scenario.run(seed);
        let codes = outcome.codes();
        assert!(codes[..at].iter().all(|&code| code == 0), "before {at}: {codes:?}");
        assert!(codes[at..].iter().all(|&code| code != 0), "from {at}: {codes:?}");
        assert!(outcome.took < Duration::from_secs(700), "{:?}", outcome.took);
    });
}

#[test]
fn a_node_may_die_at_any_moment() {
    seeds(300, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = Scenario::chain(wire(seed), 4, random.pick(&[0, 5000, 100_000]));
        scenario.degree = random.within(1, 2) as u32;
        let at = random.below(4);
        let fault = if random.chance(50) { Fault::Kill(at) } else { Fault::Freeze(at) };
        let when = Duration::from_micros(random.below(6000) as u64);
        scenario.mishaps = vec![Mishap::new(When::After(when), fault)];
        let outcome = scenario.run(seed);
        let limit = if scenario.wire == Wire::Two { 40 } else { 2200 };
        assert!(outcome.took < Duration::from_secs(limit), "{:?}", outcome.took);
    });
}

#[test]
fn a_frozen_source_leaves_no_file_behind() {
    seeds(40, |seed| {
        let mut scenario = Scenario::chain(wire(seed), 3, LARGE);
        // So slow that most is still to come when the last node has the first of it.
        scenario.source_micros = 20_000;
        scenario.mishaps = vec![Mishap::new(When::Has(2, 1), Fault::Freeze(scenario.source()))];
        let outcome = scenario.run(seed);
        assert!(outcome.files.iter().all(BTreeMap::is_empty));
    });
}

#[test]
fn a_bad_file_fails_alone() {
    let kinds = [Kind::CannotOpen, Kind::CannotPlace, Kind::FullAt(30_000), Kind::FullAt(0)];
    seeds(120, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = Scenario::chain(wire(seed), 3, 100_000);
        let node = random.below(3);
        scenario.list[node].1 = ["/a", "/b", "/c"].map(String::from).to_vec();
        let bad = random.below(3);
        let kind = random.pick(&kinds);
        scenario.kinds = vec![(node, ["/a", "/b", "/c"][bad], kind)];
        let expected = match kind {
            Kind::CannotOpen => 503,
            Kind::CannotPlace => 511,
            _ => 512,
        };
        for (id, report) in scenario.run(seed).reports {
            let code = if id == format!("{node}/{bad}") { expected } else { 0 };
            assert_eq!(report.code.0, code, "{report:?}");
            assert!(scenario.wire == Wire::One || report.is_own(), "{report:?}");
        }
    });
}

#[test]
fn a_node_whose_files_all_fail_still_forwards() {
    seeds(120, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = Scenario::chain(wire(seed), 4, random.pick(&[0, 100, LARGE / 2]));
        let bad = random.below(4);
        scenario.list[bad].1 = ["/a", "/b"].map(String::from).to_vec();
        let late = Kind::FullAt(scenario.content.len() as u64 / 2);
        let (one, two) = if random.chance(50) { (Kind::CannotOpen, late) } else { (late, Kind::CannotOpen) };
        let two = if random.chance(30) { Kind::CannotOpen } else { two };
        scenario.kinds = vec![(bad, "/a", one), (bad, "/b", two)];
        let codes = scenario.run(seed).codes();
        for (node, code) in codes.into_iter().enumerate() {
            // Nothing is too large for a full disk if it is empty.
            let fails = node == bad && !(one == late && scenario.content.is_empty());
            assert_eq!(code != 0, fails, "node {node}: {code}");
        }
    });
}

#[test]
fn a_file_that_cannot_be_read_back_waits_for_the_children() {
    seeds(100, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = Scenario::chain(Wire::Two, 5, random.pick(&[0, 100, LARGE / 2]));
        let odd = random.below(4);
        scenario.kinds = vec![(odd, "/f", Kind::NotReadable), (random.below(4), "/f", Kind::NotReadable)];
        // Whoever follows is not there, and the next must still be served from the beginning.
        scenario.manners[odd + 1] = random.pick_manner();
        let mut codes = scenario.run(seed).codes();
        assert_ne!(std::mem::take(&mut codes[odd + 1]), 0);
        assert_eq!(codes, [0; 5]);
    });
}

#[test]
fn a_slow_disk_or_source_breaks_nothing() {
    seeds(24, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = Scenario::chain(wire(seed), 3, 200_000);
        scenario.degree = random.within(1, 2) as u32;
        if random.chance(50) {
            scenario.micros_per_block = vec![(random.below(3), 3_000_000)];
        } else {
            scenario.source_micros = 3_000_000;
        }
        assert_eq!(scenario.run(seed).codes(), [0; 3]);
    });
}

#[test]
fn a_node_whose_disk_hangs_leaves_its_child_to_another() {
    seeds(100, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = Scenario::chain(Wire::Two, 6, 120_000);
        if random.chance(50) {
            scenario.solo = (0..6).collect();
        }
        // The first is ahead of the second, which it serves from its file.
        let (hung, blocks) = (random.below(3), random.within(4, 20) as u64);
        scenario.micros_per_block = vec![(hung + 1, 400_000)];
        let (fault, ends) = (Fault::Stall(hung), Some(Duration::from_secs(60)));
        scenario.mishaps = vec![Mishap { when: When::Has(hung + 1, blocks * u64::from(BLOCK)), fault, ends }];
        let outcome = scenario.run(seed);
        assert_eq!(outcome.codes(), [0; 6]);
        // The one before it, and the one that takes its place.
        let most = outcome.upstreams.iter().max();
        assert!(most <= Some(&2), "{:?}", outcome.upstreams);
    });
}

#[test]
fn who_is_in_the_list_twice_is_told_so_and_the_rest_goes_on() {
    seeds(100, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = Scenario::chain(Wire::Two, 4, 50_000);
        scenario.degree = random.within(1, 2) as u32;
        let again = random.within(1, 3);
        scenario.list.insert(again + 1, (random.below(again), vec!["/again".into()]));
        let outcome = scenario.run(seed);
        let mut codes = outcome.codes();
        // In a tree either of the two may come first.
        assert_eq!(codes.iter().filter(|&&code| code == 520).count(), 1, "{codes:?}");
        codes.retain(|&code| code != 520);
        assert_eq!(codes, [0; 4]);
    });
}

#[test]
fn a_source_that_stops_or_breaks_leaves_nothing_behind() {
    seeds(100, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = Scenario::chain(wire(seed), 4, LARGE);
        let at = random.within(1, LARGE / 2);
        let expected = if random.chance(50) {
            scenario.broken_at = Some(at);
            529
        } else {
            scenario.mishaps =
                vec![Mishap::new(When::Has(0, at as u64), Fault::Stop(scenario.source(), Duration::ZERO))];
            521
        };
        let outcome = scenario.run(seed);
        assert!(outcome.files.iter().all(BTreeMap::is_empty));
        if scenario.wire == Wire::Two {
            assert_eq!(outcome.codes(), [expected; 4]);
        } else {
            assert!(outcome.codes().iter().all(|&code| code != 0));
        }
        assert!(outcome.took < Duration::from_secs(60));
    });
}

#[test]
fn a_source_may_stop_at_any_moment() {
    seeds(300, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = Scenario::chain(wire(seed), 4, random.pick(&[0, 10_000, 200_000]));
        scenario.degree = random.within(1, 3) as u32;
        let when = Duration::from_micros(random.below(10_000) as u64);
        scenario.mishaps =
            vec![Mishap::new(When::After(when), Fault::Stop(scenario.source(), Duration::ZERO))];
        if random.chance(30) {
            scenario.manners[random.below(4)] = random.pick_manner();
        }
        let outcome = scenario.run(seed);
        assert!(outcome.took < Duration::from_secs(30), "{:?}", outcome.took);
    });
}

#[test]
fn a_node_that_is_stopped_ends_in_its_time() {
    seeds(200, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = Scenario::chain(wire(seed), 4, random.pick(&[0, 10_000, LARGE / 2]));
        scenario.degree = random.within(1, 2) as u32;
        let node = random.below(4);
        let grace = random.pick(&[Duration::ZERO, Duration::from_millis(3), Duration::MAX]);
        let when = Duration::from_micros(random.below(20_000) as u64);
        scenario.mishaps = vec![Mishap::new(When::After(when), Fault::Stop(node, grace))];
        let outcome = scenario.run(seed);
        let codes = outcome.codes();
        assert!(codes.iter().all(|code| [0, 506, 509, 515, 521].contains(code)), "{codes:?}");
        assert!(codes[..node].iter().all(|&code| code == 0) || scenario.degree > 1, "{codes:?}");
        assert!(outcome.took < Duration::from_secs(30), "{:?}", outcome.took);
    });
}

#[test]
fn a_node_of_many_processes_that_is_stopped_says_what_the_others_have() {
    seeds(60, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = Scenario::chain(Wire::Two, 4, random.pick(&[5000, 100_000]));
        scenario.solo = vec![0, 1, 2, 3];
        // The node before it dies with what it was told, so that another connection comes while it is being stopped.
        scenario.mishaps = vec![
            Mishap::new(When::Has(2, 1), Fault::Stop(2, Duration::from_secs(8))),
            Mishap::new(When::Ended(2), Fault::Kill(1)),
        ];
        let outcome = scenario.run(seed);
        let codes = outcome.codes();
        assert_eq!((codes[0], codes[2], codes[3]), (0, 0, 0), "{codes:?}");
    });
}

#[test]
fn a_stop_takes_effect_when_its_time_is_over() {
    seeds(20, |seed| {
        let mut scenario = Scenario::chain(wire(seed), 1, LARGE);
        // Without the stop it would take much longer.
        scenario.source_micros = 10_000_000;
        let grace = Duration::from_millis(Random::new(seed).pick(&[0, 10, 1010, 2345]));
        // Who says it again in other words may hurry it, and not put it off.
        scenario.mishaps = vec![
            Mishap::new(When::After(Duration::from_millis(700)), Fault::Stop(0, grace)),
            Mishap::new(When::After(Duration::from_millis(701)), Fault::Stop(0, Duration::from_secs(60))),
        ];
        let outcome = scenario.run(seed);
        assert_eq!(outcome.codes(), [521]);
        let end = Duration::from_millis(700) + grace;
        assert!(outcome.took >= end, "{:?}", outcome.took);
        assert!(outcome.took < end + Duration::from_millis(100), "{:?}", outcome.took);
    });
}

#[test]
fn a_source_that_stops_waits_a_little_for_the_last_words() {
    seeds(20, |seed| {
        let mut scenario = Scenario::chain(Wire::Two, 2, LARGE);
        scenario.source_micros = 10_000_000;
        let stop = Duration::from_millis(1300);
        scenario.mishaps = vec![
            Mishap::new(When::After(Duration::from_secs(1)), Fault::Freeze(0)),
            Mishap::new(When::After(stop), Fault::Stop(scenario.source(), Duration::ZERO)),
        ];
        let took = scenario.run(seed).took;
        // So long is the first one waited for that may still have something to say.
        let least = stop + Duration::from_secs(1);
        assert!(took > least && took <= stop + Timing::default().linger, "{took:?}");
    });
}

#[test]
fn a_damaged_byte_is_never_taken_for_the_file() {
    seeds(800, |seed| {
        let mut random = Random::new(seed);
        let mut scenario = Scenario::chain(wire(seed), 3, random.pick(&[1, 5000]));
        let side = random.pick(&[Side::Dialer, Side::Acceptor]);
        let place = random.below(2500) as u64;
        scenario.flip = Some((random.below(3), side, place, 1 << random.below(8)));
        // The world checks what was placed and what was said.
        let outcome = scenario.run(seed);
        assert!(outcome.took < Duration::from_secs(1000), "{:?}", outcome.took);
    });
}

#[test]
fn several_mebibytes_go_through_a_tree() {
    seeds(4, |seed| {
        let mut scenario = Scenario::chain(wire(seed), 5, (3 << 20) + 1);
        scenario.degree = 1 + (seed / 2) as u32;
        assert_eq!(scenario.run(seed).codes(), [0; 5]);
    });
}
