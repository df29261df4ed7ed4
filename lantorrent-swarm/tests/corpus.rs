//! Replays the committed corpora of this crate's fuzz targets, so that what fuzzing once found stays found on any toolchain.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use lantorrent_swarm::fuzz;

type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 8] = [
    ("bencode", fuzz::bencode),
    ("dht", fuzz::dht),
    ("lpd", fuzz::lpd),
    ("metainfo", fuzz::metainfo),
    ("peer_wire", fuzz::peer_wire),
    ("swarm", fuzz::swarm),
    ("tracker_reply", fuzz::tracker_reply),
    ("tracker_request", fuzz::tracker_request),
];

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Whether the target runs a function of this crate, and not of another one.
fn is_ours(target: &Path) -> bool {
    fs::read_to_string(target).unwrap().contains("lantorrent_swarm::fuzz::")
}

#[test]
fn every_input_of_every_target_passes() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let known: BTreeSet<String> = TARGETS.iter().map(|(name, _)| format!("{name}.rs")).collect();
    let mut sources = names(&fuzz.join("fuzz_targets"));
    sources.retain(|name| is_ours(&fuzz.join("fuzz_targets").join(name)));
    assert_eq!(sources, known, "every target is replayed here");
    for (target, run) in TARGETS {
        let folder = fuzz.join("corpus").join(target);
        let inputs = names(&folder);
        assert!(!inputs.is_empty(), "{target} has no corpus");
        for input in inputs {
            println!("{target}/{input}");
            run(&fs::read(folder.join(input)).unwrap());
        }
    }
}

#[test]
fn any_short_input_passes() {
    for (_, run) in TARGETS {
        run(&[]);
        for first in 0..=255 {
            for second in [0, 1, 0x5f, 0xff] {
                run(&[first]);
                run(&[first, second, 0, 0, 0, 0, first, second, second, first]);
            }
        }
    }
}
