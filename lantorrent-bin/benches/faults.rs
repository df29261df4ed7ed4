//! What it costs a chain of sixteen nodes that something happens to some of them: the scenarios of the tests
//! (tests/lab), in a lab of network namespaces, beside an undisturbed transfer and a plain copy in the same run.
//! Needs root and iproute2.
//!
//! `cargo bench -p lantorrent-bin --bench faults` (with `-- --runs 5 --only killed --json`)

#[allow(dead_code)] // The tests have more to do in it.
#[path = "../tests/lab/harness/mod.rs"]
mod harness;

use std::time::Duration;

use harness::fate::{mebibytes, seconds};
use harness::run::{Run, run};
use harness::scenario::{SCENARIOS, Scenario};
use harness::{SCALE, direct_copy};
use serde_json::{Value, json};

/// What everything else is compared with: the first scenario.
const BASELINE: &str = "undisturbed";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1).map(String::as_str)
    };
    let runs = option("--runs").and_then(|runs| runs.parse().ok()).unwrap_or(5);
    let only = option("--only").unwrap_or_default();
    let is_wanted = |scenario: &&Scenario| scenario.name == BASELINE || scenario.name.contains(only);
    let scenarios: Vec<&Scenario> = SCENARIOS.iter().filter(is_wanted).collect();

    let Some(figures) = measure(&scenarios, runs) else { return };
    if arguments.iter().any(|argument| argument == "--json") {
        println!("{}", figures.json());
    } else {
        figures.print();
    }
}

/// What was measured, round by round.
struct Figures {
    direct: Vec<Duration>,
    lines: Vec<Line>,
}

/// One scenario.
struct Line {
    scenario: &'static str,
    /// Until the sender ended.
    source: Vec<Duration>,
    /// Until the last of those had the file to whom nothing happened, where all of them got it.
    survivors: Vec<Duration>,
    whole: Vec<usize>,
    /// The most that a node received after the fault, in bytes.
    moved: Vec<u64>,
    complaints: usize,
}

/// Every scenario once in each round, so that a busy moment of this machine does not strike one of them alone. None
/// where it cannot be done.
fn measure(scenarios: &[&Scenario], runs: usize) -> Option<Figures> {
    let mut figures = Figures { direct: Vec::new(), lines: Vec::new() };
    figures.lines.extend(scenarios.iter().map(|scenario| Line::new(scenario.name)));
    for round in 1..=runs {
        figures.direct.push(direct_copy(SCALE)?);
        for (scenario, line) in scenarios.iter().zip(&mut figures.lines) {
            let run = run(scenario)?;
            eprintln!("round {round} of {runs}: {} in {:.2} s", scenario.name, run.elapsed.as_secs_f64());
            line.add(&run);
        }
    }
    Some(figures)
}

impl Line {
    fn new(scenario: &'static str) -> Self {
        let (source, survivors, whole, moved) = Default::default();
        Self { scenario, source, survivors, whole, moved, complaints: 0 }
    }

    fn add(&mut self, run: &Run) {
        let complaints = run.complaints();
        if !complaints.is_empty() {
            self.complaints += 1;
            eprintln!("{}\n{run}", complaints.join("\n"));
        }
        self.source.push(run.elapsed);
        self.survivors.extend(run.survivors());
        self.whole.push(run.whole());
        self.moved.extend(run.fates.iter().filter_map(|fate| fate.received_since).max());
    }
}

impl Figures {
    fn baseline(&self) -> &Line {
        // It is always among those that were run.
        &self.lines[0]
    }

    fn print(&self) {
        println!(
            "{} nodes, {} MiB, {} on every link; medians of {}",
            SCALE.nodes,
            SCALE.size >> 20,
            SCALE.rate,
            self.direct.len()
        );
        println!("one direct copy: {}", seconds(median(&self.direct)));
        println!(
            "{:<24} {:>9} {:>9} {:>11} {:>9} {:>7} {:>16} {:>6}",
            "", "sender", "added", "survivors", "added", "whole", "MiB after fault", "wrong"
        );
        for line in &self.lines {
            let (source, survivors) = (median(&line.source), median(&line.survivors));
            println!(
                "{:<24} {:>9} {:>9} {:>11} {:>9} {:>7} {:>16} {:>6}",
                line.scenario,
                seconds(source),
                added(source, median(&self.baseline().source)),
                seconds(survivors),
                added(survivors, median(&self.baseline().survivors)),
                median(&line.whole).map_or("-".into(), |whole| whole.to_string()),
                median(&line.moved).map_or("-".into(), |bytes| format!("{:.1}", mebibytes(bytes))),
                line.complaints,
            );
        }
    }

    fn json(&self) -> Value {
        let lines = self.lines.iter().map(|line| {
            json!({
                "scenario": line.scenario,
                "sender_seconds": all(&line.source),
                "survivors_seconds": all(&line.survivors),
                "whole": line.whole,
                "bytes_after_fault": line.moved,
                "runs_with_complaints": line.complaints,
            })
        });
        json!({ "direct_seconds": all(&self.direct), "scenarios": lines.collect::<Vec<_>>() })
    }
}

fn median<T: Copy + Ord>(figures: &[T]) -> Option<T> {
    let mut sorted = figures.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied()
}

fn all(times: &[Duration]) -> Vec<f64> {
    times.iter().map(Duration::as_secs_f64).collect()
}

fn added(time: Option<Duration>, baseline: Option<Duration>) -> String {
    let difference = time.zip(baseline).map(|(time, baseline)| time.as_secs_f64() - baseline.as_secs_f64());
    difference.map_or("-".into(), |difference| format!("{difference:+.2} s"))
}
