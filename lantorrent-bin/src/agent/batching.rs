//! When the requests for a file are sent, and which of them together.
//!
//! Each source file has a lane. What arrives in it waits for others until there are enough, nothing has come for a
//! while, or the first has waited too long; and then for a free place among the transfers, while its source is sent
//! already. No clock and no thread: `now` is an argument.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lantorrent_core::wire::limits;

use super::queue::Ticket;
use super::request::Record;

/// Requests of one batch, at most.
const MOST_REQUESTS: usize = 5_000;
/// Bytes that the requests of one batch take in a header, at most; the rest of [`limits::HEADER_BYTES`] is for the
/// header's own values and what nodes add to them.
const MOST_BYTES: usize = 3 << 20;
/// Bytes in a header for a request and its node, besides the host and the path.
const FRAME_BYTES: usize = 200;
/// The first of a file's requests waits no longer than this many times what each waits for the next.
const MOST_WAITS: u32 = 10;
/// As long as no process lives. Later instants may be more than a clock can say.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// When a batch is ready, and how many are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Requests for a file that are not kept waiting for more.
    pub(crate) batch: usize,
    /// How long a file's requests wait for another one.
    pub(crate) wait: Duration,
    /// Files sent at the same time.
    pub(crate) sends: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self { batch: 64, wait: Duration::from_secs(5), sends: 2 }
    }
}

/// What goes out together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) source: Arc<str>,
    /// In the order in which they arrived.
    pub(crate) tickets: Vec<Ticket>,
}

/// The lanes of all sources.
#[derive(Debug)]
pub(crate) struct Batching {
    rules: Rules,
    lanes: HashMap<Arc<str>, Lane>,
    /// Where each waiting request is.
    places: HashMap<Ticket, (Arc<str>, u64)>,
    running: HashSet<Arc<str>>,
    arrivals: u64,
}

/// Those that wait for one source, by their arrival. Never empty.
#[derive(Debug, Default)]
struct Lane(BTreeMap<u64, Waiting>);

#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    since: Instant,
    record: Arc<Record>,
}

impl Batching {
    pub(crate) fn new(rules: Rules) -> Self {
        Self { rules, lanes: HashMap::new(), places: HashMap::new(), running: HashSet::new(), arrivals: 0 }
    }

    /// From now on other rules hold, for what waits as well. What is being sent is not stopped.
    pub(crate) fn reconfigure(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// The request wants to be sent. A ticket that waits already stays where it is.
    pub(crate) fn arrive(&mut self, now: Instant, ticket: Ticket, record: Arc<Record>) {
        if self.places.contains_key(&ticket) {
            return;
        }
        let source: Arc<str> = match self.lanes.get_key_value(record.wanted.source.as_str()) {
            Some((source, _)) => Arc::clone(source),
            None => record.wanted.source.as_str().into(),
        };
        self.arrivals += 1;
        self.places.insert(ticket, (Arc::clone(&source), self.arrivals));
        let lane = self.lanes.entry(source).or_default();
        lane.0.insert(self.arrivals, Waiting { ticket, since: now, record });
    }

    /// The request does not want to be sent any more. One that does not wait is ignored.
    pub(crate) fn withdraw(&mut self, ticket: Ticket) {
        let Some((source, arrival)) = self.places.remove(&ticket) else { return };
        if let Some(lane) = self.lanes.get_mut(&source) {
            lane.0.remove(&arrival);
            if lane.0.is_empty() {
                self.lanes.remove(&source);
            }
        }
    }

    /// What is to be sent now, if anything. Its source counts as being sent until it has [`ended`](Self::ended).
    pub(crate) fn next(&mut self, now: Instant) -> Option<Load> {
        let ready = self.startable().filter(|(_, lane)| lane.ready_at(&self.rules) <= now);
        // Arrivals are counted, so that of two in the same instant it is always the same one.
        let (source, _) = ready.min_by_key(|(_, lane)| lane.0.keys().next())?;
        let source = Arc::clone(source);
        let lane = self.lanes.get_mut(&source)?;
        let tickets = lane.take();
        if lane.0.is_empty() {
            self.lanes.remove(&source);
        }
        for ticket in &tickets {
            self.places.remove(ticket);
        }
        self.running.insert(Arc::clone(&source));
        Some(Load { source, tickets })
    }

    /// The source is not being sent any more.
    pub(crate) fn ended(&mut self, source: &str) {
        self.running.remove(source);
    }

    /// When [`next`](Self::next) will have something, if nothing happens until then.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.startable().map(|(_, lane)| lane.ready_at(&self.rules)).min()
    }

    /// The lanes that only time keeps from being sent.
    fn startable(&self) -> impl Iterator<Item = (&Arc<str>, &Lane)> {
        let full = self.running.len() >= self.rules.sends;
        let lanes = (!full).then_some(&self.lanes).into_iter().flatten();
        lanes.filter(|(source, _)| !self.running.contains(*source))
    }
}

impl Lane {
    fn ready_at(&self, rules: &Rules) -> Instant {
        let (Some((_, first)), Some((_, last))) = (self.0.first_key_value(), self.0.last_key_value()) else {
            unreachable!("a lane that becomes empty is removed")
        };
        if self.0.len() >= rules.batch {
            return first.since;
        }
        let after = |since: Instant, wait: Duration| since + wait.min(FOR_EVER);
        let oldest = after(first.since, rules.wait.saturating_mul(MOST_WAITS));
        after(last.since, rules.wait).min(oldest)
    }

    /// Takes all that fit into one transfer, first come first served.
    fn take(&mut self) -> Vec<Ticket> {
        let mut files: HashMap<(&str, u16), usize> = HashMap::new();
        let mut bytes = 0;
        let mut taken = Vec::new();
        for (&arrival, Waiting { ticket, record, .. }) in &self.0 {
            let files = files.entry((record.wanted.host.as_str(), record.wanted.port)).or_default();
            if *files == limits::REQUESTS {
                continue;
            }
            bytes += header_bytes(record);
            // Whatever its size, the first goes: else it would wait for ever.
            if taken.len() == MOST_REQUESTS || (bytes > MOST_BYTES && !taken.is_empty()) {
                break;
            }
            *files += 1;
            taken.push((arrival, *ticket));
        }
        for (arrival, _) in &taken {
            self.0.remove(arrival);
        }
        taken.into_iter().map(|(_, ticket)| ticket).collect()
    }
}

/// What the request may take in the JSON of a header.
fn header_bytes(record: &Record) -> usize {
    let escaped = |text: &str| text.chars().map(escaped_bytes).sum::<usize>();
    FRAME_BYTES + escaped(&record.wanted.host) + escaped(&record.wanted.destination)
}

/// Of a character in a JSON string, whichever way it is escaped.
fn escaped_bytes(c: char) -> usize {
    match c {
        '"' | '\\' => 2,
        c if c.is_control() => 6,
        c => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests;
