//! What the log says about requests. Each line has `request` and the id in it, so that one search tells its story.

use super::queue::{Change, Removal};
use super::request::{Attempt, Record, State};
use crate::text::clean;

/// A change to a request that has become durable.
pub(crate) fn tell(before: Option<&Record>, change: &Change) {
    match (before, change) {
        (None, Change::Put(after)) => received(after),
        (Some(before), Change::Put(after)) => changed(before, after),
        (Some(before), Change::Remove(Removal::Acknowledged)) => {
            log::info!("request {}: acknowledged, and forgotten", before.id);
        }
        (Some(before), Change::Remove(Removal::Expired)) => {
            log::info!("request {}: its answer was kept for long enough, and is forgotten", before.id);
        }
        (None, Change::Remove(_)) => {}
    }
}

fn received(record: &Record) {
    let target = record.wanted.target().to_string();
    let (source, target) = (clean(&record.wanted.source), clean(&target));
    log::info!("request {}: received, waits to be sent: {source} to {target}", record.id);
}

fn changed(before: &Record, after: &Record) {
    if after.attempts.len() > before.attempts.len()
        && let Some(attempt) = after.attempts.last()
    {
        return attempted(after, attempt);
    }
    let id = &after.id;
    match after.state {
        State::Cancelled => log::info!("request {id}: cancelled"),
        State::Sending => log::info!("request {id}: to be cancelled; its transfer is told"),
        State::Waiting => log::info!("request {id}: its transfer was interrupted, waits to be sent again"),
        // These come with an attempt.
        State::Done | State::Failed => {}
    }
}

fn attempted(record: &Record, attempt: &Attempt) {
    let (id, number, code) = (&record.id, record.attempts.len(), attempt.code);
    let reason = clean(&attempt.reason);
    let transfer = attempt.transfer.as_deref().unwrap_or("that did not begin");
    match (record.state, record.retry_at) {
        (State::Done, _) => log::info!("request {id}: done by attempt {number}, transfer {transfer}"),
        (State::Cancelled, _) => {
            log::info!("request {id}: cancelled in transfer {transfer}: {code} {reason}");
        }
        (State::Waiting, Some(at)) => {
            log::warn!(
                "request {id}: attempt {number}, transfer {transfer}, failed: {code} {reason}; next at {at}"
            );
        }
        _ => {
            log::warn!(
                "request {id}: failed: attempt {number}, transfer {transfer}, was the last: {code} {reason}"
            );
        }
    }
}

/// A request that was there when the agent was started.
pub(crate) fn found(record: &Record) {
    match record.retry_at {
        _ if record.state.is_final() || record.cancelled_at.is_some() => {}
        Some(at) => log::info!("request {}: waits for its next attempt, at {at}", record.id),
        None => log::info!("request {}: waits to be sent", record.id),
    }
}

/// The transfer of a request has begun, with `size` requests in all.
pub(crate) fn began(record: &Record, transfer: &str, size: usize) {
    let number = record.attempts.len() + 1;
    log::info!("request {}: attempt {number} begins: transfer {transfer}, requests in it: {size}", record.id);
}
