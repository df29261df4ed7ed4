//! Chains of real processes on hosts of their own, with links of a rate, against one plain copy over the same links:
//! that is how long a perfect chain takes.

use std::time::{Duration, Instant};

use super::harness::scenario::Setting;
use super::harness::stage::Stage;
use super::harness::turn::Turn;
use super::harness::{Scale, direct_copy};
use super::table::{Row, Section, median};

const SCALES: [Scale; 3] = [
    Scale { nodes: 16, rate: "200mbit", size: 128 << 20 },
    Scale { nodes: 32, rate: "100mbit", size: 64 << 20 },
    Scale { nodes: 64, rate: "50mbit", size: 64 << 20 },
];
/// Of one transfer.
const LIMIT: Duration = Duration::from_secs(120);

/// None after saying that it is skipped, where network namespaces cannot be made.
pub(crate) fn measure(runs: usize) -> Option<Vec<Section>> {
    SCALES.iter().map(|scale| measure_at(*scale, runs)).collect()
}

fn measure_at(scale: Scale, runs: usize) -> Option<Section> {
    let (mut direct, mut chain) = (Vec::new(), Vec::new());
    // In turns, so that a busy moment of this machine does not strike one of them alone.
    for _ in 0..runs {
        direct.push(direct_copy(scale)?);
        chain.push(send(scale)?);
    }
    let Scale { nodes, rate, size } = scale;
    let mut section = Section::new(format!("lab, {} MiB, {rate} on every link", size >> 20));
    #[allow(clippy::cast_precision_loss)] // Three digits are shown.
    let row = |name: String, times: Vec<Duration>| {
        let wall = median(times);
        Row { name, wall: Some(wall), rate: Some(size as f64 / wall.as_secs_f64()), ..Row::default() }
    };
    section.rows = vec![row("one direct copy".into(), direct), row(format!("chain of {nodes} nodes"), chain)];
    Some(section)
}

/// How long a transfer takes, from the start of the command to its end, with all results.
fn send(scale: Scale) -> Option<Duration> {
    let _turn = Turn::take();
    let stage = Stage::set(Setting::Usual, scale)?;
    let started = Instant::now();
    let ended = stage.send().finish(started + LIMIT);
    assert!(ended.status.is_some_and(|status| status.success()), "the transfer failed:\n{}", ended.output);
    for node in &stage.nodes {
        let found = std::fs::metadata(node.file()).map(|metadata| metadata.len()).ok();
        assert_eq!(found, Some(scale.size), "a copy is not whole");
    }
    Some(ended.at - started)
}
