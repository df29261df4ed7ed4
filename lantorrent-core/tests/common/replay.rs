//! Replays the committed corpora of a crate's fuzz targets, so that what fuzzing once found stays found on any toolchain.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The name of a target, and what it runs.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// Runs every input of these targets, which have to be all that run functions of that crate.
pub(crate) fn every_input(targets: &[Target], of: &str) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let known: BTreeSet<String> = targets.iter().map(|(name, _)| format!("{name}.rs")).collect();
    let mut sources = names(&fuzz.join("fuzz_targets"));
    sources.retain(|name| {
        let source = fs::read_to_string(fuzz.join("fuzz_targets").join(name)).unwrap();
        source.contains(&format!("{of}::fuzz::"))
    });
    assert_eq!(sources, known, "every target is replayed here");
    for (target, run) in targets {
        let folder = fuzz.join("corpus").join(target);
        let inputs = names(&folder);
        assert!(!inputs.is_empty(), "{target} has no corpus");
        for input in inputs {
            println!("{target}/{input}");
            run(&fs::read(folder.join(input)).unwrap());
        }
    }
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Runs the targets with all kinds of short inputs.
pub(crate) fn any_short_input(targets: &[Target]) {
    for (_, run) in targets {
        run(&[]);
        for first in 0..=255 {
            for second in [0, 1, 0x5f, 0xff] {
                run(&[first]);
                run(&[first, second, 0, 0, 0, 0, first, second, second, first]);
            }
        }
    }
}
