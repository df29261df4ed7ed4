//! What it costs to send a file of 4 KiB: round trips, or the end of somebody's patience? In the lab, from the start of
//! the command to its end.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::harness::scenario::Setting;
use super::harness::stage::Stage;
use super::harness::turn::Turn;
use super::harness::{SCALE, Scale};
use super::table::{Row, Section, median};

const SMALL: Scale = Scale { size: 4 << 10, ..SCALE };
/// A sender that has not ended by then never does.
const LIMIT: Duration = Duration::from_secs(60);
/// Its time varies more than that of large files.
const RUNS: usize = 4;

/// What is sent: to how many nodes, and how.
const KINDS: [(&str, usize, &[&str]); 4] = [
    ("1 node", 1, &[]),
    ("16 nodes", SMALL.nodes, &[]),
    ("16 nodes, --no-check", SMALL.nodes, &["--no-check"]),
    ("16 nodes, --degree 4", SMALL.nodes, &["--degree", "4"]),
];

/// None after saying that it is skipped, where network namespaces cannot be made.
pub(crate) fn measure(runs: usize) -> Option<Section> {
    let _turn = Turn::take();
    let stage = Stage::set(Setting::Usual, SMALL)?;
    let mut times = KINDS.map(|_| Vec::new());
    for _ in 0..runs * RUNS {
        for ((_, nodes, options), times) in KINDS.iter().zip(&mut times) {
            times.push(send(&stage, *nodes, options));
        }
    }
    let mut section = Section::new(format!("lab, {} KiB, {} on every link", SMALL.size >> 10, SMALL.rate));
    section.rows.extend(KINDS.iter().zip(times).map(|((name, ..), times)| {
        let transfer = median(times.iter().map(|(_, transfer)| *transfer)).as_secs_f64() * 1e3;
        Row {
            name: (*name).into(),
            wall: Some(median(times.iter().map(|(command, _)| *command))),
            remark: format!("the transfer alone {transfer:.1} ms"),
            ..Row::default()
        }
    }));
    Some(section)
}

/// How long the command took, and how long the transfer by its own account, with the check before it.
fn send(stage: &Stage, nodes: usize, options: &[&str]) -> (Duration, Duration) {
    let started = Instant::now();
    let ended = stage.send_to(options, &stage.nodes[..nodes]).finish(started + LIMIT);
    let success = ended.status.is_some_and(|status| status.success());
    assert!(success, "the sender ends with {:?}\n{}", ended.status, ended.output);
    let last = ended.output.lines().last().and_then(|line| serde_json::from_str::<Value>(line).ok());
    let seconds = last.and_then(|last| last["summary"]["seconds"].as_f64()).expect("a summary");
    (ended.at - started, Duration::from_secs_f64(seconds))
}
