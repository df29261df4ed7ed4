//! A process that may have few files open at a time.

use std::env;
use std::fs;
use std::process::Command;

use lantorrent_swarm::files::State;

use crate::bench::{Bench, PIECE, go_on};

/// The child: makes, writes, checks and reads a torrent with a hundred times as many files as it may have open.
#[test]
#[ignore = "only in a process of its own, which may open few files"]
fn child() {
    if env::var_os("LANTORRENT_TEST_CHILD").is_none() {
        return;
    }
    let bench = Bench::of("many", |origin| {
        for number in 0..10_000 {
            let folder = origin.join((number / 1000).to_string());
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(number.to_string()), number.to_string()).unwrap();
        }
    });
    assert!(bench.pieces() < 5, "thousands of files are in one piece of {PIECE}");
    let content = bench.open().unwrap();
    bench.complete(&content);
    bench.assert_whole();
    let content = bench.open().unwrap();
    content.recheck(&go_on).unwrap();
    assert_eq!(content.state(), State::Whole);
    assert_eq!(bench.read_all(&content), bench.bytes);
}

#[test]
fn more_files_than_may_be_open() {
    let script = "ulimit -n 100 && exec \"$0\" --exact open_files::child --ignored";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(env::current_exe().unwrap())
        .env("LANTORRENT_TEST_CHILD", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
