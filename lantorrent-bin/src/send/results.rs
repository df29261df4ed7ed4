//! What became of every request, for people and for programs.

use lantorrent_core::wire::{Code, Report};
use lantorrent_core::{Outcome, TargetOutcome};
use serde::Serialize;

use crate::size;
use crate::table::Table;
use crate::terminal;
use crate::text::clean_json;

/// The node and file that a report is about.
pub(super) fn place(report: &Report) -> String {
    format!("{} {}", node(report), report.file.as_deref().unwrap_or("-"))
}

pub(crate) fn node(report: &Report) -> String {
    match (&report.host, report.port) {
        (Some(host), Some(port)) if host.contains(':') => format!("[{host}]:{port}"),
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.clone(),
        (None, _) => "-".into(),
    }
}

/// Who was bypassed and why, in one line.
pub(super) fn bypass(report: &Report) -> String {
    format!("{} {}", node(report), report.message)
}

/// How it ended, in one line.
pub(crate) fn outcome(report: &Report) -> String {
    if report.code.is_success() { "ok".into() } else { reason(report.code, &report.message) }
}

/// What went wrong, in one line.
pub(crate) fn reason(code: Code, message: &str) -> String {
    let meaning = code.meaning();
    if message.is_empty() {
        format!("{code} {meaning}")
    } else if message.starts_with(meaning) {
        format!("{code} {message}")
    } else {
        format!("{code} {meaning}: {message}")
    }
}

pub(super) fn print_table(results: &Outcome) {
    let mut table = Table::new(["request", "node", "file", "outcome"]);
    for report in results.reports() {
        let id = report.id.clone().unwrap_or_else(|| "-".into());
        let file = report.file.clone().unwrap_or_else(|| "-".into());
        table.row([id, node(report), file, told(report, results.bypassed())]);
    }
    terminal::print(&table.render());
    terminal::print_line(&summary(results));
}

/// How it ended, and what happened to the node on the way.
fn told(report: &Report, bypassed: &[Report]) -> String {
    let outcome = outcome(report);
    let about = |bypass: &&Report| (&bypass.host, bypass.port) == (&report.host, report.port);
    match bypassed.iter().rfind(about) {
        // Where nothing better is known in the end, the result says why already.
        Some(bypass) if !outcome.contains(&bypass.message) => {
            format!("{outcome} (bypassed: {})", bypass.message)
        }
        _ => outcome,
    }
}

fn summary(results: &Outcome) -> String {
    format!(
        "{} of {} succeeded, {} in {}, {}",
        results.succeeded().count(),
        results.targets().len(),
        size::bytes(results.sent()),
        size::seconds(results.elapsed()),
        size::rate(results.sent(), results.elapsed()),
    )
}

/// For who asks later.
pub(super) fn write_log(results: &Outcome) {
    for report in results.failed().map(TargetOutcome::report) {
        log::info!("{}: {}", place(report), outcome(report));
    }
    log::info!("{}", summary(results));
}

/// For who asked for nothing but what went wrong.
pub(super) fn note_failures(results: &Outcome) {
    for report in results.failed().map(TargetOutcome::report) {
        terminal::note(&format!("lantorrent: {}: {}", place(report), outcome(report)));
    }
}

#[derive(Serialize)]
struct SummaryLine {
    summary: Summary,
}

#[derive(Serialize)]
struct Summary {
    requests: usize,
    succeeded: usize,
    failed: usize,
    bytes: u64,
    seconds: f64,
}

pub(super) fn print_json(results: &Outcome) {
    let (requests, succeeded) = (results.targets().len(), results.succeeded().count());
    let summary = Summary {
        requests,
        succeeded,
        failed: requests - succeeded,
        bytes: results.sent(),
        seconds: results.elapsed().as_secs_f64(),
    };
    let summary = serde_json::to_string(&SummaryLine { summary });
    // Numbers alone: nothing in it can fail to become JSON.
    let summary = summary.expect("a summary is plain JSON");
    let lines = results.reports().map(Report::encode).chain([summary]);
    for line in lines {
        terminal::print_line(&clean_json(&line));
    }
}
