//! What a chain takes where it was never measured: a model of few terms, with what was measured here in them.
//!
//! A block of the file is at the last node after it went over every hop, and from then on the file comes in at the rate of
//! the slowest part: the network, or a node's processors.

use std::time::Duration;

use super::codec;
use super::loopback::Bench;
use super::table::{Row, Section};

/// What is known of a chain.
#[derive(Debug, Clone, Copy)]
struct Chain {
    /// Of the file, in bytes.
    size: u64,
    hops: u32,
    /// Of a link, in bits a second.
    link: f64,
    /// What one node carries at most, in bytes a second.
    node: f64,
    /// What a hop adds besides the time that a block is on the link: connecting, proving, opening, results.
    delay: Duration,
}

/// Of what goes over an Ethernet link in frames of 1,500 bytes, the share that is payload of TCP.
const GOODPUT: f64 = 1448.0 / 1538.0;

impl Chain {
    /// How long it takes until the last node has everything.
    #[allow(clippy::cast_precision_loss)] // A model is not that exact.
    fn predict(self) -> Duration {
        let rate = (self.link / 8.0 * GOODPUT).min(self.node);
        let block = f64::from(lantorrent_core::wire::block_size(Some(self.size), self.hops));
        let hop = self.delay.as_secs_f64() + block / rate;
        Duration::from_secs_f64(self.size as f64 / rate + hop * f64::from(self.hops))
    }
}

/// The run that is remembered of version 0.2 (1,000 machines had 1.2 GB each in 10 minutes), and what the model says of
/// ours. `large` and `small` are what is measured with: a file that shows what bytes cost, and one that shows what hops cost.
#[allow(clippy::cast_precision_loss)] // Three digits are shown.
pub(crate) fn measure(large: &Bench, small: &Bench, runs: usize) -> Section {
    const SIZE: u64 = 1_200_000_000;
    const HOPS: u32 = 1000;
    let node = large.rate_of_a_processor(runs);
    // In the middle of the chain half of the list has gone.
    let delay = small.delay_of_a_hop(runs) + codec::cost_of_header(runs) / 2;
    let mut section = Section::new(format!(
        "model: {HOPS} nodes, 1.2 GB, one processor of a node carries {:.0} MB/s, a hop adds {:.1} ms",
        node / 1e6,
        delay.as_secs_f64() * 1e3
    ));
    section.rows.push(Row {
        name: "version 0.2 on a real cluster, remembered".into(),
        wall: Some(Duration::from_secs(600)),
        rate: Some(SIZE as f64 / 600.0),
        ..Row::default()
    });
    section.rows.extend([1.0, 10.0, 25.0].map(|gigabits| {
        let wall = Chain { size: SIZE, hops: HOPS, link: gigabits * 1e9, node, delay }.predict();
        let rate = Some(SIZE as f64 / wall.as_secs_f64());
        Row { name: format!("predicted at {gigabits} Gbit/s"), wall: Some(wall), rate, ..Row::default() }
    }));
    section
}
