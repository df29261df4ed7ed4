//! What it costs to send a file of 4 KiB: round trips, or the end of somebody's patience? In the lab of the tests
//! (tests/lab), on tmpfs, from the start of `lantorrent send` to its end. Needs root and iproute2.
//!
//! `cargo bench -p lantorrent-bin --bench small` (with `-- --runs 21 --json`)

#[allow(dead_code, unused_imports)] // The other benchmark and the tests have more to do in it.
#[path = "../tests/lab/harness/mod.rs"]
mod harness;

use std::time::{Duration, Instant};

use harness::NODES;
use harness::scenario::Setting;
use harness::stage::Stage;
use harness::turn::Turn;
use serde_json::{Value, json};

/// Of the file, in bytes.
const SIZE: u64 = 4 << 10;
/// A sender that has not ended by then never does.
const LIMIT: Duration = Duration::from_secs(60);

/// What is sent: to how many nodes, and how.
const KINDS: [(&str, usize, &[&str]); 4] = [
    ("1 node", 1, &[]),
    ("16 nodes", NODES, &[]),
    ("16 nodes, --no-check", NODES, &["--no-check"]),
    ("16 nodes, --degree 4", NODES, &["--degree", "4"]),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runs = arguments.iter().position(|argument| argument == "--runs");
    let runs = runs.and_then(|place| arguments.get(place + 1)?.parse().ok()).unwrap_or(21);
    let Some(lines) = measure(runs) else { return };
    if arguments.iter().any(|argument| argument == "--json") {
        println!("{}", lines.iter().map(Line::json).collect::<Value>());
    } else {
        print(&lines, runs);
    }
}

struct Line {
    kind: &'static str,
    /// From the start of the program to its end.
    command: Vec<Duration>,
    /// What the transfer says that it took, the check before it included.
    transfer: Vec<Duration>,
}

/// Each kind once in each round. None where it cannot be done.
fn measure(runs: usize) -> Option<Vec<Line>> {
    let _turn = Turn::take();
    let stage = Stage::set_with(Setting::Usual, SIZE)?;
    let mut lines: Vec<Line> = KINDS.iter().map(|(kind, ..)| Line::new(kind)).collect();
    for _ in 0..runs {
        for ((_, nodes, options), line) in KINDS.iter().zip(&mut lines) {
            let started = Instant::now();
            let ended = stage.send_to(options, &stage.nodes[..*nodes]).finish(started + LIMIT);
            let success = ended.status.is_some_and(|status| status.success());
            assert!(success, "the sender ends with {:?}\n{}", ended.status, ended.output);
            line.command.push(ended.at - started);
            line.transfer.push(transfer_time(&ended.output));
        }
    }
    Some(lines)
}

/// Out of the summary that the sender prints last.
fn transfer_time(output: &str) -> Duration {
    let last = output.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
    let seconds = last.and_then(|last| last["summary"]["seconds"].as_f64());
    Duration::from_secs_f64(seconds.expect("a summary with its seconds"))
}

impl Line {
    fn new(kind: &'static str) -> Self {
        Self { kind, command: Vec::new(), transfer: Vec::new() }
    }

    fn json(&self) -> Value {
        let seconds = |times: &[Duration]| times.iter().map(Duration::as_secs_f64).collect::<Vec<_>>();
        json!({
            "kind": self.kind,
            "command_seconds": seconds(&self.command),
            "transfer_seconds": seconds(&self.transfer),
        })
    }
}

fn print(lines: &[Line], runs: usize) {
    println!("{} KiB, tmpfs, {} on every link, {runs} runs; milliseconds", SIZE >> 10, harness::RATE);
    println!("{:<24} {:>8} {:>8} {:>8} {:>18}", "", "median", "least", "most", "transfer, median");
    for line in lines {
        println!(
            "{:<24} {:>8.1} {:>8.1} {:>8.1} {:>18.1}",
            line.kind,
            milliseconds(nth(&line.command, runs / 2)),
            milliseconds(nth(&line.command, 0)),
            milliseconds(nth(&line.command, runs - 1)),
            milliseconds(nth(&line.transfer, runs / 2)),
        );
    }
}

/// The one at that place when they are in order.
fn nth(times: &[Duration], place: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    sorted[place]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
