//! What was measured, as one table for people or as JSON for machines.

use std::time::Duration;

use serde_json::{Value, json};

/// One line. What does not apply is None.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// Medians.
    pub(crate) wall: Option<Duration>,
    /// Bytes a second.
    pub(crate) rate: Option<f64>,
    /// Processor-seconds for each GiB and hop.
    pub(crate) cpu: Option<f64>,
    /// Bytes that a process had resident at most.
    pub(crate) peak: Option<u64>,
    /// What must be said besides.
    pub(crate) remark: String,
}

/// Lines that are compared with the first of them.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) rows: Vec<Row>,
}

const MEBI: f64 = (1 << 20) as f64;

impl Section {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), rows: Vec::new() }
    }

    fn ratio(&self, of: impl Fn(&Row) -> Option<f64>, row: &Row) -> Option<f64> {
        let first = of(self.rows.first()?)?;
        Some(of(row)? / first)
    }

    /// Times of other work than the first line's are not compared with it.
    fn wall_ratio(&self, row: &Row) -> Option<f64> {
        let seconds = |row: &Row| row.rate.and(row.wall).map(|wall| wall.as_secs_f64());
        self.ratio(seconds, row)
    }

    fn cpu_ratio(&self, row: &Row) -> Option<f64> {
        self.ratio(|row| row.cpu, row)
    }
}

pub(crate) fn print(sections: &[Section]) {
    println!(
        "{:<44} {:>10} {:>7} {:>8} {:>9} {:>7} {:>7}",
        "", "seconds", "ratio", "MB/s", "cpu s/GiB", "ratio", "MiB"
    );
    for section in sections {
        println!("{}", section.title);
        for row in &section.rows {
            println!(
                "  {:<42} {:>10} {:>7} {:>8} {:>9} {:>7} {:>7}  {}",
                row.name,
                row.wall.map_or(String::new(), seconds),
                shown(section.wall_ratio(row), 2),
                shown(row.rate.map(|rate| rate / 1e6), 0),
                shown(row.cpu, 2),
                shown(section.cpu_ratio(row), 2),
                shown(row.peak.map(mebibytes), 1),
                row.remark,
            );
        }
    }
    println!(
        "ratio: to the first line of each part; cpu s/GiB: processor-seconds for each GiB and hop; MiB: resident"
    );
}

pub(crate) fn json(sections: &[Section]) -> Value {
    let row = |section: &Section, row: &Row| {
        json!({
            "name": row.name,
            "seconds": row.wall.map(|wall| wall.as_secs_f64()),
            "seconds_ratio": section.wall_ratio(row),
            "bytes_per_second": row.rate,
            "cpu_seconds_per_gib_and_hop": row.cpu,
            "cpu_ratio": section.cpu_ratio(row),
            "resident_bytes": row.peak,
            "remark": row.remark,
        })
    };
    let part = |section: &Section| {
        let rows: Vec<Value> = section.rows.iter().map(|one| row(section, one)).collect();
        json!({ "title": section.title, "rows": rows })
    };
    sections.iter().map(part).collect()
}

fn shown(figure: Option<f64>, decimals: usize) -> String {
    figure.map_or(String::new(), |figure| format!("{figure:.decimals$}"))
}

/// With a unit that leaves digits to see.
fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        time if time < 1e-3 => format!("{:.1} µs", time * 1e6),
        time if time < 1.0 => format!("{:.2} ms", time * 1e3),
        time => format!("{time:.2}"),
    }
}

#[allow(clippy::cast_precision_loss)] // Four digits are shown.
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / MEBI
}

/// The middle one; of an even number the upper.
pub(crate) fn median<T: Copy + PartialOrd>(figures: impl IntoIterator<Item = T>) -> T {
    let mut sorted: Vec<T> = figures.into_iter().collect();
    sorted.sort_by(|one, other| one.partial_cmp(other).expect("figures can be compared"));
    sorted[sorted.len() / 2]
}
