//! What the agent counts, and its form for Prometheus.

use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use super::clerk::Totals;
use super::request::State;
use crate::time::Timestamp;

/// Goes up, from any thread.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What was counted since the agent started, but for what the clerk counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    started: Timestamp,
    /// Transfers that began.
    pub(crate) transfers: Counter,
    /// Bytes sent to first nodes.
    pub(crate) sent_bytes: Counter,
    /// Answers over HTTP, by the first digit of their status.
    pub(crate) answers: [Counter; 5],
    /// Connections that were turned away because there were too many.
    pub(crate) turned_away: Counter,
}

/// What others know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Present {
    pub(crate) totals: Totals,
    /// Requests in each state, in the order of [`State::ALL`].
    pub(crate) requests: [usize; 5],
    /// That run.
    pub(crate) transfers: usize,
    /// Of what is sent, in bytes a second.
    pub(crate) limit: Option<u64>,
    pub(crate) connections: usize,
}

impl Metrics {
    pub(crate) fn new(started: Timestamp) -> Self {
        Self {
            started,
            transfers: Counter::default(),
            sent_bytes: Counter::default(),
            answers: Default::default(),
            turned_away: Counter::default(),
        }
    }

    pub(crate) fn answered(&self, status: u16) {
        if let Some(class) = self.answers.get(usize::from(status / 100).wrapping_sub(1)) {
            class.add(1);
        }
    }

    /// In the text format of Prometheus, 0.0.4.
    pub(crate) fn render(&self, present: &Present) -> String {
        let mut page = Page(String::with_capacity(4096));
        page.family("lantorrent_build_info", "gauge", "The version that runs.");
        page.labelled("lantorrent_build_info", "version", env!("CARGO_PKG_VERSION"), 1);
        #[allow(clippy::cast_precision_loss)] // Exact for some 285,000 years.
        let started = self.started.0 as f64 / 1000.0;
        page.one(
            "process_start_time_seconds",
            "gauge",
            "When the agent started, in seconds since 1970.",
            started,
        );
        requests(&mut page, present);
        self.transfers(&mut page, present);
        self.http(&mut page, present);
        page.0
    }

    fn transfers(&self, page: &mut Page, present: &Present) {
        page.one("lantorrent_transfers_running", "gauge", "Transfers that run.", present.transfers);
        page.counter("lantorrent_transfers_total", "Transfers that began.", &self.transfers);
        page.counter("lantorrent_sent_bytes_total", "Bytes sent to first nodes.", &self.sent_bytes);
        let limit = "The most that is sent, in bytes a second; +Inf without a limit.";
        let rate = present.limit.map_or_else(|| "+Inf".to_owned(), |rate| rate.to_string());
        page.one("lantorrent_limit_bytes_per_second", "gauge", limit, rate);
    }

    fn http(&self, page: &mut Page, present: &Present) {
        let name = "lantorrent_http_requests_total";
        page.family(name, "counter", "Answers over HTTP, by class of status.");
        for (class, counter) in ["1xx", "2xx", "3xx", "4xx", "5xx"].iter().zip(&self.answers) {
            page.labelled(name, "class", class, counter.get());
        }
        let connections = "Connections over HTTP that are open.";
        page.one("lantorrent_http_connections", "gauge", connections, present.connections);
        let turned_away = "Connections over HTTP that were turned away, as there were too many.";
        page.counter("lantorrent_http_connections_turned_away_total", turned_away, &self.turned_away);
    }
}

fn requests(page: &mut Page, present: &Present) {
    let name = "lantorrent_requests";
    page.family(name, "gauge", "Requests in the queue, by state.");
    for (state, count) in State::ALL.iter().zip(present.requests) {
        page.labelled(name, "state", state.name(), count);
    }
    let totals = &present.totals;
    page.one("lantorrent_requests_submitted_total", "counter", "New requests.", totals.submitted);
    let name = "lantorrent_requests_ended_total";
    page.family(name, "counter", "Requests that ended, by outcome.");
    for (state, count) in
        [(State::Done, totals.done), (State::Failed, totals.failed), (State::Cancelled, totals.cancelled)]
    {
        page.labelled(name, "outcome", state.name(), count);
    }
    let retries = "Attempts that failed and are followed by another.";
    page.one("lantorrent_retries_total", "counter", retries, totals.retries);
    let errors = "Commits of the queue that the disk did not take.";
    page.one("lantorrent_database_errors_total", "counter", errors, totals.database_errors);
}

/// Writing to a String cannot fail.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn labelled(&mut self, name: &str, label: &str, value: &str, count: impl Display) {
        let _ = writeln!(self.0, "{name}{{{label}=\"{value}\"}} {count}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn counter(&mut self, name: &str, help: &str, counter: &Counter) {
        self.one(name, "counter", help, counter.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_has_a_line() {
        let metrics = Metrics::new(Timestamp(1_500));
        metrics.transfers.add(6);
        metrics.sent_bytes.add(7);
        metrics.turned_away.add(9);
        for status in [200, 201, 404, 503, 0, 99, 600, u16::MAX] {
            metrics.answered(status);
        }
        let totals =
            Totals { submitted: 1, done: 2, failed: 3, cancelled: 4, retries: 5, database_errors: 8 };
        let present = Present {
            totals,
            requests: [11, 12, 13, 14, 15],
            transfers: 16,
            limit: Some(18),
            connections: 17,
        };
        let page = metrics.render(&present);
        for line in [
            "process_start_time_seconds 1.5",
            "lantorrent_requests{state=\"waiting\"} 11",
            "lantorrent_requests{state=\"sending\"} 12",
            "lantorrent_requests{state=\"done\"} 13",
            "lantorrent_requests{state=\"failed\"} 14",
            "lantorrent_requests{state=\"cancelled\"} 15",
            "lantorrent_requests_submitted_total 1",
            "lantorrent_requests_ended_total{outcome=\"done\"} 2",
            "lantorrent_requests_ended_total{outcome=\"failed\"} 3",
            "lantorrent_requests_ended_total{outcome=\"cancelled\"} 4",
            "lantorrent_retries_total 5",
            "lantorrent_transfers_total 6",
            "lantorrent_sent_bytes_total 7",
            "lantorrent_database_errors_total 8",
            "lantorrent_http_connections_turned_away_total 9",
            "lantorrent_http_requests_total{class=\"2xx\"} 2",
            "lantorrent_http_requests_total{class=\"4xx\"} 1",
            "lantorrent_http_requests_total{class=\"5xx\"} 1",
            "lantorrent_transfers_running 16",
            "lantorrent_http_connections 17",
            "lantorrent_limit_bytes_per_second 18",
        ] {
            assert!(page.lines().any(|there| there == line), "{line} is missing in\n{page}");
        }
    }

    /// What Prometheus refuses: a figure whose family is not described once, before it.
    #[test]
    fn every_figure_is_described() {
        let metrics = Metrics::new(Timestamp(0));
        let totals = Totals::default();
        let page =
            metrics.render(&Present { totals, requests: [0; 5], transfers: 0, limit: None, connections: 0 });
        let mut described = Vec::new();
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let name = rest.split(' ').next().unwrap();
                assert!(!described.contains(&name), "{name} is there twice");
                described.push(name);
            } else if !line.starts_with('#') {
                assert_eq!(line.split(['{', ' ']).next(), described.last().copied(), "{line}");
            }
        }
    }
}
