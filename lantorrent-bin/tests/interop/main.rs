//! Our seeding, fetching and tracking against those of aria2, libtorrent, Transmission and opentracker: every program as
//! seeder with every program as leecher, over each way in which peers can find each other, on hosts of their own.
//!
//! Needs root, iproute2 and the programs. Says that it skips elsewhere; in CI that is a failure. The harness is one of
//! its own, as cells wait far more than they work: many of them run at a time, however few the processors are. Cells are
//! chosen as tests are elsewhere, `cargo test -p lantorrent-bin --test interop -- dht_ours`, and listed with `--list`.

mod cell;
mod content;
mod crowd;
#[allow(dead_code, unused_imports)] // The tests of the lab have more to ask of it.
#[path = "../lab/harness/mod.rs"]
mod harness;
mod process;
mod programs;
mod schedule;
mod table;
mod torrent;
mod tracker;
mod web;

use std::process::ExitCode;

use harness::system;
use harness::turn::Turn;

/// What has to be installed, asked in a way that each of them answers with success. opentracker has none.
const PROGRAMS: [(&str, &[&str]); 7] = [
    ("ip", &["-Version"]),
    ("aria2c", &["--version"]),
    ("transmission-daemon", &["--version"]),
    ("transmission-cli", &["--version"]),
    (programs::PYTHON, &["-c", "import libtorrent"]),
    ("sh", &["-c", "command -v mktorrent"]),
    ("sh", &["-c", "command -v opentracker"]),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let flag = |name: &str| arguments.iter().any(|argument| argument == name);
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let is_asked = |name: &str| {
        filters.is_empty()
            || filters
                .iter()
                .any(|filter| if flag("--exact") { name == *filter } else { name.contains(*filter) })
    };
    let mut cells = table::cells();
    let all = cells.len();
    cells.retain(|cell| is_asked(&cell.name()));
    if flag("--list") {
        for cell in cells {
            println!("{}: test", cell.name());
        }
        return ExitCode::SUCCESS;
    }
    let is_there = |(program, arguments): &(&str, &[&str])| system::run(program, arguments).is_some();
    // Nothing is asked of a machine on which nothing is to run.
    if !cells.is_empty() && !PROGRAMS.iter().all(is_there) {
        cells.clear();
    }
    let left_out = all - cells.len();
    // Some of it is timed, and so is what others do in labs.
    let _turn = (!cells.is_empty()).then(Turn::take);
    schedule::run(cells, left_out)
}
