//! A process that is killed at any instant, again and again, until the torrent is whole nevertheless.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use lantorrent_swarm::files::State;

use crate::bench::Bench;

/// Where the child finds the folder of the torrent.
const FOLDER: &str = "LANTORRENT_TEST_FOLDER";

fn bench() -> Bench {
    Bench::file(3_000_000)
}

/// The child: writes what is missing in an order of its own, and says what it does.
#[test]
#[ignore = "only in a process of its own, which is killed"]
fn child() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    // The bytes are made anew, and are the same. Only the folder is that of the parent.
    let bench = bench();
    let seed: u32 = env::var("SEED").unwrap().parse().unwrap();
    let say = |line: String| {
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{line}").and_then(|()| stdout.flush()).unwrap();
    };
    let content = bench.open_recorded_in(folder.as_ref()).unwrap();
    if content.state() == State::Partial {
        let proven: Vec<u32> = content.proven().into_iter().flatten().collect();
        let pieces = (0..bench.pieces()).map(|piece| (piece * 37 + seed) % bench.pieces());
        for (turn, piece) in pieces.filter(|piece| !proven.contains(piece)).enumerate() {
            bench.write(&content, piece);
            say(format!("+ {piece}"));
            if turn % 7 == 6 {
                content.sync().unwrap();
                say("synced".into());
            }
        }
        content.finish().unwrap();
    }
    say("whole".into());
}

#[test]
fn nothing_is_claimed_that_is_not_there_and_nothing_proven_is_lost() {
    let bench = bench();
    let mut safe: Vec<u32> = Vec::new();
    for round in 0..200 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "killed::child", "--ignored", "--nocapture"])
            .env(FOLDER, bench.folder.path().join("root"))
            .env("SEED", round.to_string())
            .env("TMPDIR", bench.folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Another instant in each round; what it does in the time until the signal comes is chance.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (mut written, mut whole) = (Vec::new(), false);
        for line in lines.by_ref().take(10 + round * 3 % 41) {
            match line.split_once("+ ") {
                Some((_, piece)) => written.push(piece.parse::<u32>().unwrap()),
                None if line.contains("synced") => safe.append(&mut written),
                None => whole |= line.contains("whole"),
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let content = bench.open_recorded().unwrap();
        let proven: Vec<u32> = content.proven().into_iter().flatten().collect();
        for &piece in &proven {
            assert!(content.verify(piece).unwrap(), "round {round}: {piece} is claimed");
        }
        for piece in &safe {
            assert!(proven.contains(piece), "round {round}: {piece} was durable");
        }
        assert!(!whole || content.state() == State::Whole, "round {round}");
        if content.state() == State::Whole {
            bench.assert_whole();
            assert!(round > 3, "it was killed a few times");
            return;
        }
    }
    panic!("it is never whole");
}
