//! A node that has nothing to do: how soon it listens, and what it holds.

use std::time::{Duration, Instant};

use super::loopback::Bench;
use super::process::Listening;
use super::table::{Row, Section, median};

pub(crate) fn measure(bench: &Bench, runs: usize) -> Section {
    let mut section = Section::new("a node that has nothing to do");
    let once = || {
        let started = Instant::now();
        let node = Listening::start(&mut bench.serve());
        let wall = started.elapsed();
        // What it does after it has said that it listens.
        std::thread::sleep(Duration::from_millis(100));
        (wall, node.usage().resident)
    };
    let (walls, sizes): (Vec<_>, Vec<_>) = (0..runs.max(5)).map(|_| once()).unzip();
    section.rows.push(Row {
        name: "from its start until it listens".into(),
        wall: Some(median(walls)),
        peak: Some(median(sizes)),
        ..Row::default()
    });
    section
}
