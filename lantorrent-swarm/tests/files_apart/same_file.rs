//! Two files of a torrent that are one where they are kept, as on a file system that ignores case.

use std::fs;
use std::process::Command;

use lantorrent_swarm::files::FilesError;

use crate::bench::{Bench, noise, refused};

fn run(program: &str, words: &[&str]) -> bool {
    Command::new(program).args(words).output().is_ok_and(|output| output.status.success())
}

/// Takes root for a file that has two names although it counts one.
#[test]
fn two_files_that_are_one_are_refused() {
    let bench = Bench::of("tool", |origin| {
        fs::create_dir(origin).unwrap();
        for (name, seed) in [("A", 1), ("a", 2), ("b", 3)] {
            fs::write(origin.join(name), noise(40_000, seed)).unwrap();
        }
    });
    drop(bench.open().unwrap());
    let [one, other] = ["A", "a"].map(|name| bench.partial().join(name).to_str().unwrap().to_owned());
    if !run("mount", &["--bind", &one, &other]) {
        assert!(std::env::var_os("CI").is_none(), "this takes root");
        println!("skipped: this takes root");
        return;
    }
    let opened = bench.open();
    let lengths = [&one, &other].map(|path| fs::metadata(path).unwrap().len());
    assert!(run("umount", &["-l", &other]));
    let text = refused!(opened, FilesError::SameFile { .. });
    assert!(text.contains("/A\"") && text.contains("/a\""), "{text}");
    assert_eq!(lengths, [40_000; 2]);
    bench.complete(&bench.open().unwrap());
    bench.assert_whole();
}
