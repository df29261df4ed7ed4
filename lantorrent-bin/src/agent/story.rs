//! What the log says about requests. Each line begins with `request` and the id, so that one search tells its story.

use std::fmt;

use log::Level;

use super::queue::{Change, Removal};
use super::request::{Attempt, Record, State};
use crate::text::clean;

/// A line for the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line {
    level: Level,
    text: String,
}

impl Line {
    fn new(level: Level, record: &Record, what: impl fmt::Display) -> Self {
        // What comes from peers and callers may have anything in it.
        let text = format!("request {}: {}", record.id, clean(&what.to_string()));
        Self { level, text }
    }

    fn info(record: &Record, what: impl fmt::Display) -> Self {
        Self::new(Level::Info, record, what)
    }

    pub(crate) fn log(&self) {
        log::log!(self.level, "{}", self.text);
    }
}

/// A change to a request that has become durable.
pub(crate) fn tell(before: Option<&Record>, change: &Change) -> Option<Line> {
    match (before, change) {
        (None, Change::Put(after)) => Some(received(after)),
        (Some(before), Change::Put(after)) => changed(before, after),
        (Some(before), Change::Remove(Removal::Acknowledged)) => {
            Some(Line::info(before, "acknowledged, and forgotten"))
        }
        (Some(before), Change::Remove(Removal::Expired)) => {
            Some(Line::info(before, "its answer was kept for long enough, and is forgotten"))
        }
        (None, Change::Remove(_)) => None,
    }
}

fn received(record: &Record) -> Line {
    let (source, target) = (&record.wanted.source, record.wanted.target());
    Line::info(record, format_args!("received, waits to be sent: {source} to {target}"))
}

fn changed(before: &Record, after: &Record) -> Option<Line> {
    if after.attempts.len() > before.attempts.len() {
        return after.attempts.last().map(|attempt| attempted(after, attempt));
    }
    match after.state {
        State::Cancelled => Some(Line::info(after, "cancelled")),
        State::Sending => Some(Line::info(after, "to be cancelled; its transfer is told")),
        State::Waiting => Some(Line::info(after, "its transfer was interrupted, waits to be sent again")),
        // These come with an attempt.
        State::Done | State::Failed => None,
    }
}

fn attempted(record: &Record, attempt: &Attempt) -> Line {
    let Attempt { code, reason, .. } = attempt;
    let transfer = attempt.transfer.as_deref().unwrap_or("that did not begin");
    let number = format!("attempt {}, transfer {transfer}", record.attempts.len());
    match (record.state, record.retry_at) {
        (State::Done, _) => Line::info(record, format_args!("done by {number}")),
        (State::Cancelled, _) => Line::info(record, format_args!("cancelled in {number}: {code} {reason}")),
        (State::Waiting, Some(at)) => {
            Line::new(Level::Warn, record, format_args!("{number}, failed: {code} {reason}; next at {at}"))
        }
        _ => Line::new(Level::Warn, record, format_args!("failed: {number}, was the last: {code} {reason}")),
    }
}

/// A request that was there when the agent was started.
pub(crate) fn found(record: &Record) -> Option<Line> {
    match record.retry_at {
        _ if record.state.is_final() || record.cancelled_at.is_some() => None,
        Some(at) => Some(Line::info(record, format_args!("waits for its next attempt, at {at}"))),
        None => Some(Line::info(record, "waits to be sent")),
    }
}

/// The transfer of a request has begun, with `size` requests in all.
pub(crate) fn began(record: &Record, transfer: &str, size: usize) -> Line {
    let number = record.attempts.len() + 1;
    Line::info(record, format_args!("attempt {number} begins: transfer {transfer}, requests in it: {size}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lantorrent_core::wire::Code;

    use super::*;
    use crate::agent::testing;
    use crate::time::Timestamp;

    #[test]
    fn one_search_tells_the_story_of_a_request() {
        let fresh = testing::record("r7", testing::wanted("/srv/a\u{1b}.img", "vmm1"));
        let sending = Record { state: State::Sending, ..fresh.clone() };
        let attempt = |code| Attempt {
            transfer: Some("0123".into()),
            started: Timestamp(0),
            ended: Timestamp(0),
            code,
            reason: "because\nso".into(),
        };
        let again = Record {
            state: State::Waiting,
            retry_at: Some(Timestamp(1000)),
            attempts: vec![attempt(Code::LOST)],
            ..fresh.clone()
        };
        let done = Record {
            state: State::Done,
            retry_at: None,
            attempts: vec![attempt(Code::LOST), attempt(Code::SUCCESS)],
            ..again.clone()
        };
        let failed = Record { state: State::Failed, ..done.clone() };
        let taken_back = Record { cancelled_at: Some(Timestamp(0)), ..sending.clone() };
        let cancelled = Record { state: State::Cancelled, ..fresh.clone() };
        let put = |record: &Record| Change::Put(Arc::new(record.clone()));
        let lines = [
            tell(None, &put(&fresh)),
            Some(began(&sending, "0123", 64)),
            tell(Some(&sending), &put(&again)),
            tell(Some(&again), &put(&done)),
            tell(Some(&again), &put(&failed)),
            tell(Some(&sending), &put(&taken_back)),
            tell(Some(&fresh), &put(&cancelled)),
            tell(Some(&sending), &put(&fresh)),
            tell(Some(&done), &Change::Remove(Removal::Acknowledged)),
            tell(Some(&done), &Change::Remove(Removal::Expired)),
            found(&fresh),
            found(&again),
        ];
        let lines: Vec<String> = lines.into_iter().map(|line| line.unwrap().text).collect();
        assert!(lines.iter().all(|line| line.starts_with("request r7: ")), "{lines:#?}");
        assert!(lines.iter().all(|line| !line.chars().any(char::is_control)), "{lines:#?}");
        for (line, said) in [
            (0, "received, waits to be sent: /srv/a\\u{1b}.img to vmm1:2893/dst/a.img"),
            (1, "attempt 1 begins: transfer 0123, requests in it: 64"),
            (2, "attempt 1, transfer 0123, failed: 525 because\\u{a}so; next at 1970-01-01T00:00:01.000Z"),
            (3, "done by attempt 2, transfer 0123"),
            (4, "failed: attempt 2, transfer 0123, was the last: 0 because\\u{a}so"),
        ] {
            assert_eq!(lines[line], format!("request r7: {said}"));
        }
        assert_eq!(found(&done), None);
    }
}
