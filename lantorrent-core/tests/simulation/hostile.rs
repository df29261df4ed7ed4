//! Hosts that know the password and lie.

use std::time::Duration;

use lantorrent_core::session::Proven;
use lantorrent_core::wire::{
    Change, Code, Keyring, Line, NodeState, Nonce, Progress, Report, SealedReport, TransferId, Wire,
};

use crate::random::Random;
use crate::scenario::Scenario;
use crate::seeds::seeds;
use crate::with::with;
use crate::world::host::{Manner, Script};

/// The lines that a liar says, each as it should be but for what it means.
fn say(proven: &mut Proven, lines: &[Line]) -> Vec<u8> {
    let writer = proven.lines.as_mut().expect("a connection of wire 2");
    lines.iter().flat_map(|line| writer.encode(line)).collect()
}

fn ready(proven: &mut Proven, then: &[Line]) -> Vec<u8> {
    let lines = [&[Line::ACCEPTED, Line::Ready { offset: 0 }], then].concat();
    say(proven, &lines)
}

/// A report on request `id` of node `index`, which looks as if that node had made it.
fn forged(proven: &Proven, keys: &Keyring, id: &str, index: u32, code: Code) -> Line {
    told(proven, keys, id, Some(index), Some(index), code)
}

/// A report on request `id`, about the node `index`, in the name of the node `by`.
fn told(proven: &Proven, keys: &Keyring, id: &str, index: Option<u32>, by: Option<u32>, code: Code) -> Line {
    let transfer = proven.header.envelope.as_ref().map_or(TransferId([0; 16]), |envelope| envelope.transfer);
    let report = with(Report::refusal(code, "believe me"), |it| {
        it.host = Some("h0".into());
        it.port = Some(2893);
        it.file = Some("/f".into());
        it.id = Some(id.into());
        it.root = Some("00".repeat(32));
        it.index = index;
        it.by = by;
    });
    let own = proven.node_key.clone().filter(|_| by == Some(proven.header.node.index));
    let key = own.or_else(|| keys.result_key(&transfer)).expect("wire 2 has a password");
    Line::Result(SealedReport::seal(&report, &key))
}

/// One liar in the middle of a chain, or at the head of a run, and what may be said of the others.
fn among_others(script: Script, degree: u32, seed: u64) -> Vec<u16> {
    let mut scenario = Scenario::chain(Wire::Two, 4, Random::new(seed).pick(&[0, 9000, 60_000]));
    scenario.degree = degree;
    scenario.checked = seed.is_multiple_of(2);
    scenario.manners[1] = Manner::Liar(script);
    if degree == 2 {
        // The liar is the head of the first run, 0 and 1 being in it.
        scenario.manners.swap(0, 1);
    }
    let outcome = scenario.run(seed);
    assert!(outcome.took < Duration::from_secs(150), "{:?}", outcome.took);
    outcome.codes()
}

#[test]
fn a_liar_that_is_caught_before_the_payload_is_skipped() {
    let scripts: &[Script] = &[
        |_, _| Vec::new(),
        |proven, _| say(proven, &[Line::ACCEPTED]),
        |proven, _| say(proven, &[Line::Ready { offset: 0 }]),
        |proven, _| say(proven, &[Line::ACCEPTED, Line::ACCEPTED]),
        |proven, _| say(proven, &[Line::ACCEPTED, Line::Ready { offset: 1 }]),
        |proven, _| say(proven, &[Line::ACCEPTED, Line::Ready { offset: 1 << 40 }]),
        |proven, _| say(proven, &[Line::ACCEPTED, Line::Ready { offset: u64::MAX - 4095 }]),
        |proven, _| say(proven, &[Line::ACCEPTED, Line::Challenge { challenge: Nonce([0; 16]) }]),
        |proven, _| say(proven, &[Line::ACCEPTED, Line::Left]),
        |proven, _| say(proven, &[Line::ACCEPTED, Line::Aside, Line::Ready { offset: 0 }]),
        |proven, _| say(proven, &[Line::ACCEPTED, Line::Damaged { offset: 0 }]),
        |_, _| b"{\"code\": 0, \"id\": \"1/0\"}\n".to_vec(),
        |_, _| vec![b'x'; 300_000],
        // A line that is lost, one that comes twice, and one inside of another.
        |proven, _| {
            let _ = say(proven, &[Line::ACCEPTED]);
            say(proven, &[Line::Alive])
        },
        |proven, _| say(proven, &[Line::ACCEPTED]).repeat(2),
        |proven, _| {
            let one = say(proven, &[Line::ACCEPTED]);
            let two = say(proven, &[Line::Alive]);
            [&one[..20], &two, &one[20..]].concat()
        },
    ];
    for &script in scripts {
        seeds(8, |seed| {
            let codes = among_others(script, 1, seed);
            assert_ne!(codes[1], 0);
            assert_eq!((codes[0], codes[2], codes[3]), (0, 0, 0));
        });
    }
}

#[test]
fn a_liar_that_takes_the_payload_harms_nobody() {
    let scripts: &[Script] = &[
        |proven, _| ready(proven, &[]),
        |proven, _| ready(proven, &[Line::Ready { offset: 0 }]),
        |proven, _| ready(proven, &[Line::Left]),
        |proven, _| ready(proven, &[Line::Aside]),
        |proven, _| ready(proven, &[Line::Damaged { offset: 0 }]),
        |proven, _| [ready(proven, &[]), vec![b'{'; 300_000]].concat(),
        |proven, _| [ready(proven, &[]), b"{}\n".to_vec()].concat(),
        // Results with a tag that is wrong.
        |proven, _| {
            let foreign = Keyring::new(lantorrent_core::wire::Password::new("another").unwrap());
            let line = forged(proven, &foreign, "1/0", 1, Code::SUCCESS);
            ready(proven, &[line])
        },
        // Numbers that add up to more than there are.
        |proven, _| {
            let states = [NodeState::Waiting, NodeState::Failed, NodeState::Receiving, NodeState::Done];
            let changed = (0..32).map(|index| Change::new(index % 2, NodeState::Done, u64::MAX)).collect();
            let states = states.map(|state| (state, u32::MAX)).into();
            let progress = with(Progress::default(), |it| {
                it.least = u64::MAX;
                it.greatest = u64::MAX;
                it.states = states;
                it.changed = changed;
            });
            ready(proven, &[Line::Progress(progress)])
        },
    ];
    for &script in scripts {
        seeds(8, |seed| {
            let codes = among_others(script, 1, seed);
            assert_ne!(codes[1], 0);
            assert_eq!([codes[0], codes[2], codes[3]], [0; 3]);
            let codes = among_others(script, 2, seed);
            assert_ne!(codes[0], 0);
            assert_eq!(codes[1..], [0; 3]);
        });
    }
}

#[test]
fn a_liar_speaks_for_itself_alone() {
    let scripts: &[Script] = &[
        // Results for itself, for everybody else, and for nobody.
        |proven, keys| {
            let all = ["0/0", "1/0", "2/0", "3/0", "9/9"];
            let lines: Vec<Line> = (0..)
                .zip(all)
                .flat_map(|(index, id)| {
                    [Code::SUCCESS, Code::UNKNOWN].map(|code| forged(proven, keys, id, index, code))
                })
                .collect();
            ready(proven, &lines)
        },
        |proven, keys| {
            let lines = ["0/0", "1/0", "2/0", "3/0"].map(|id| forged(proven, keys, id, 1, Code::UNKNOWN));
            ready(proven, &lines)
        },
    ];
    for &script in scripts {
        seeds(8, |seed| {
            let codes = among_others(script, 1, seed);
            assert_ne!(codes[1], 0);
            assert_eq!([codes[0], codes[2], codes[3]], [0; 3], "before it, and behind it");
            let codes = among_others(script, 2, seed);
            assert_ne!(codes[0], 0);
            assert_eq!(codes[1..], [0; 3], "behind it, and another run");
        });
    }
}

#[test]
fn a_node_that_says_again_and_again_that_the_sum_is_wrong_is_believed_in_the_end() {
    let scripts: &[Script] = &[
        |proven, keys| {
            let said = forged(proven, keys, "1/0", 1, Code::WRONG_CHECKSUM);
            ready(proven, &[said])
        },
        // It was served nothing, or not from the beginning.
        |proven, keys| {
            let said = forged(proven, keys, "1/0", 1, Code::WRONG_CHECKSUM);
            say(proven, &[Line::ACCEPTED, said])
        },
        |proven, keys| {
            let said = forged(proven, keys, "1/0", 1, Code::WRONG_CHECKSUM);
            say(proven, &[Line::ACCEPTED, Line::Ready { offset: 4096 }, said])
        },
    ];
    for &script in scripts {
        seeds(8, |seed| {
            let mut scenario = Scenario::chain(Wire::Two, 4, Random::new(seed).pick(&[9000, 60_000]));
            scenario.manners[1] = Manner::Liar(script);
            let outcome = scenario.run(seed);
            assert_eq!(outcome.codes(), [0, 510, 0, 0]);
            assert!(outcome.took < Duration::from_secs(60), "{:?}", outcome.took);
        });
    }
}

#[test]
fn a_success_is_the_word_of_the_node_that_has_the_file() {
    let scripts: &[Script] = &[
        // In its own name, in that of a third, of the source, and of nobody in particular.
        |proven, keys| {
            let named = [(Some(2), Some(1)), (Some(2), Some(3)), (Some(2), None)];
            let said = named.into_iter().chain([(None, Some(1)), (None, Some(2)), (None, None)]);
            let lines: Vec<Line> =
                said.map(|(index, by)| told(proven, keys, "2/0", index, by, Code::SUCCESS)).collect();
            ready(proven, &lines)
        },
        // What is hearsay at first is none the better for being said again.
        |proven, keys| {
            let codes = [Code::LOST, Code::SUCCESS, Code::CANNOT_CONNECT, Code::SUCCESS];
            let lines = codes.map(|code| told(proven, keys, "2/0", Some(2), Some(1), code));
            ready(proven, &lines)
        },
    ];
    for &script in scripts {
        seeds(8, |seed| {
            let mut scenario = Scenario::chain(Wire::Two, 3, Random::new(seed).pick(&[0, 9000]));
            scenario.manners[1] = Manner::Liar(script);
            scenario.manners[2] = Manner::Refuses;
            let codes = scenario.run(seed).codes();
            assert_eq!(codes[0], 0);
            assert!([505, 509].contains(&codes[2]), "{codes:?}");
        });
    }
}

#[test]
fn a_failure_in_the_name_of_another_keeps_nothing_from_it() {
    let script: Script = |proven, keys| {
        let word = forged(proven, keys, "2/0", 2, Code::CANNOT_OPEN);
        say(proven, &[Line::ACCEPTED, word, Line::Left])
    };
    for checked in [true, false] {
        seeds(10, |seed| {
            let mut scenario = Scenario::chain(Wire::Two, 4, 5000);
            scenario.manners[1] = Manner::Liar(script);
            scenario.checked = checked;
            assert_eq!(scenario.run(seed).codes(), [0, 509, 0, 0]);
        });
    }
}

#[test]
fn on_wire_1_a_liar_speaks_for_its_own_run_alone() {
    let script: Script = |_, _| {
        let said = |id: &str, code: u16| {
            format!(
                "{{\"code\": {code}, \"host\": \"h0\", \"port\": 2893, \"file\": \"/f\", \"id\": \"{id}\"}}"
            )
        };
        ["0/0", "1/0", "2/0", "3/0", "9/9"].map(|id| said(id, 500) + &said(id, 0)).concat().into_bytes()
    };
    seeds(60, |seed| {
        let mut scenario = Scenario::chain(Wire::One, 4, Random::new(seed).pick(&[0, 9000, 60_000]));
        scenario.manners[1] = Manner::Liar(script);
        assert_eq!(scenario.run(seed).codes(), [0, 500, 500, 500]);
        scenario.degree = 2;
        scenario.manners.swap(0, 1);
        assert_eq!(scenario.run(seed).codes(), [500, 500, 0, 0]);
    });
}

#[test]
fn on_wire_1_a_success_for_other_content_is_none() {
    let script: Script = |_, _| {
        b"{\"code\": 0, \"host\": \"h0\", \"port\": 2893, \"file\": \"/f\", \"id\": \"0/0\", \"md5sum\": \"d41d8cd98f\"}"
            .to_vec()
    };
    seeds(20, |seed| {
        let mut scenario = Scenario::chain(Wire::One, 1, 5000);
        scenario.manners[0] = Manner::Liar(script);
        assert_eq!(scenario.run(seed).codes(), [510]);
    });
}

#[test]
fn nobody_without_the_password_is_let_in() {
    // The list names hosts that exist; what the source's password opens is theirs alone.
    seeds(30, |seed| {
        let mut scenario = Scenario::chain(Wire::Two, 3, 5000);
        scenario.strangers = vec![0, 1, 2];
        let outcome = scenario.run(seed);
        assert_eq!(outcome.codes(), [508; 3]);
        assert!(outcome.begun.iter().all(Vec::is_empty));
    });
}
