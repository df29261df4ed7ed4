//! The operations, each from what it is given to its answer.

use std::time::{Duration, Instant};

use lantorrent_core::DEFAULT_PORT;
use serde::Serialize;

use super::App;
use super::answer::Answer;
use super::limit;
use super::posted::Posted;
use super::query::Query;
use super::service::Service;
use super::stream::{Peer, Stream};
use crate::agent::clerk::{Filter, Novelty, Refusal, RefusalKind, Submission};
use crate::agent::metrics::Present;
use crate::agent::request::{Record, State, Wanted};
use crate::api::{Limit, NewRequest, Page, Request, Transfers};

/// The API, word for word.
pub(super) const OPENAPI: &str = include_str!("../../../openapi.yaml");
/// Requests of one page.
const PAGE: usize = 100;
const MOST_OF_A_PAGE: usize = 1000;
/// The longest that a request is waited for, in seconds.
const MOST_PATIENCE: u64 = 300;
/// How often it is looked, while a request is waited for, whether the client is still there and the agent goes on.
const GLANCE: Duration = Duration::from_millis(500);

/// Hands requests in.
pub(super) fn submit(service: &Service, body: &[u8], peer: Peer) -> Result<Answer, Answer> {
    let (posted, is_list) = match Posted::parse(body)? {
        Posted::One(request) => (vec![request], false),
        Posted::Many(requests) => (requests, true),
    };
    let submissions = posted.into_iter().map(|request| submission(request, peer)).collect();
    let submitted = service.app.clerk.submit(submissions).map_err(|refusal| {
        // The place in a list of which the client knows nothing would say nothing to it.
        let index = refusal.index.filter(|_| is_list);
        refused(Refusal { index, ..refusal }, 422)
    })?;
    let is_new = submitted.iter().any(|submitted| submitted.novelty == Novelty::New);
    let status = if is_new { 201 } else { 200 };
    let mut requests: Vec<Request> =
        submitted.into_iter().map(|submitted| describe(service, submitted.record)).collect();
    if is_list {
        return Ok(Answer::json(status, &requests));
    }
    // The clerk answers with as many as it was given: one.
    let request = requests.remove(0);
    let location = format!("/v1/requests/{}", request.record.id);
    Ok(Answer::json(status, &request).with("Location", location))
}

fn submission(request: NewRequest, peer: Peer) -> Submission {
    let NewRequest { source, destination, host, port, id } = request;
    let host = host.unwrap_or_else(|| peer.host());
    Submission { id, wanted: Wanted { source, destination, host, port: port.unwrap_or(DEFAULT_PORT) } }
}

/// Requests that fit a filter.
pub(super) fn list(service: &Service, mut query: Query) -> Result<Answer, Answer> {
    let limit = query.number("limit", &(1..=MOST_OF_A_PAGE))?.unwrap_or(PAGE);
    let filter = Filter {
        state: query.take("state").map(|name| state(&name)).transpose()?,
        source: query.take("source"),
        host: query.take("host"),
        after: query.take("after"),
        // One more, to know whether there are more.
        limit: limit + 1,
    };
    query.finish()?;
    let mut records = service.app.clerk.list(&filter).map_err(|refusal| refused(refusal, 404))?;
    let is_all = records.len() <= limit;
    records.truncate(limit);
    let next = records.last().filter(|_| !is_all).map(|record| record.id.clone());
    let requests = records.into_iter().map(|record| describe(service, record)).collect();
    Ok(Answer::json(200, &Page { requests, next }))
}

fn state(name: &str) -> Result<State, Answer> {
    let state = State::ALL.into_iter().find(|state| state.name() == name);
    state.ok_or_else(|| {
        let names = State::ALL.map(State::name).join(", ");
        Answer::problem(400, format!("`state` must be one of {names}"))
    })
}

/// How a request stands, now or once it has ended.
pub(super) fn show(service: &Service, id: &str, mut query: Query, stream: &Stream) -> Result<Answer, Answer> {
    let patience = query.number("wait", &(0..=MOST_PATIENCE))?.map(Duration::from_secs);
    query.finish()?;
    let found = match patience.filter(|patience| !patience.is_zero()) {
        Some(patience) => wait(service, id, patience, stream),
        None => service.app.clerk.find(id),
    };
    match found {
        Some(record) => Ok(Answer::json(200, &describe(service, record))),
        None => Err(unknown("request", id)),
    }
}

/// The request once it has ended, or as it stands when it is time to answer: patience is over, too many others wait, the
/// client has gone, or the agent is being stopped.
fn wait(service: &Service, id: &str, patience: Duration, stream: &Stream) -> Option<Record> {
    let Some(_place) = service.polls.take(1) else { return service.app.clerk.find(id) };
    let deadline = Instant::now() + patience;
    loop {
        let since = Instant::now();
        let glance = GLANCE.min(deadline.saturating_duration_since(since));
        let record = service.app.clerk.wait(id, glance)?;
        // A clerk that is being stopped lets nobody wait.
        let is_early = since.elapsed() < glance;
        let is_over = is_early || Instant::now() >= deadline;
        if record.state.is_final() || is_over || service.guests.is_closing() || stream.has_ended() {
            return Some(record);
        }
    }
}

pub(super) fn cancel(service: &Service, id: &str) -> Result<Answer, Answer> {
    let record = service.app.clerk.cancel(id).map_err(|refusal| refused(refusal, 404))?;
    // A transfer that has the request has still to let go of it.
    let status = if record.state.is_final() { 200 } else { 202 };
    Ok(Answer::json(status, &describe(service, record)))
}

pub(super) fn acknowledge(service: &Service, id: &str) -> Result<Answer, Answer> {
    service.app.clerk.acknowledge(id).map_err(|refusal| refused(refusal, 404))?;
    Ok(Answer::empty(204))
}

pub(super) fn transfers(service: &Service) -> Answer {
    Answer::json(200, &Transfers { transfers: service.app.transfers.list() })
}

pub(super) fn transfer(service: &Service, id: &str) -> Result<Answer, Answer> {
    let transfer = service.app.transfers.find(id).ok_or_else(|| unknown("transfer", id))?;
    Ok(Answer::json(200, &transfer))
}

/// How fast the agent may send.
pub(super) fn limit(service: &Service) -> Answer {
    Answer::json(200, &Limit { limit: service.app.limit.get() })
}

/// Changes that, also for transfers that run.
pub(super) fn set_limit(service: &Service, body: &[u8], peer: Peer) -> Result<Answer, Answer> {
    let Limit { limit } = limit::parse(body)?;
    service.app.limit.set(limit);
    match limit {
        Some(rate) => log::info!("http: {peer} limits what is sent to {rate} bytes a second"),
        None => log::info!("http: {peer} lifts the limit of what is sent"),
    }
    Ok(self::limit(service))
}

pub(super) fn health(service: &Service) -> Result<Answer, Answer> {
    match service.app.clerk.health() {
        Ok(()) => Ok(Answer::json(200, &Health { status: "ok" })),
        Err(why) => Err(unavailable(why, None)),
    }
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

pub(super) fn metrics(service: &Service) -> String {
    let App { clerk, transfers, metrics, limit } = &service.app;
    metrics.render(&Present {
        totals: clerk.totals(),
        requests: clerk.count(),
        transfers: transfers.running(),
        limit: limit.get(),
        connections: service.guests.count(),
    })
}

fn describe(service: &Service, record: Record) -> Request {
    let is_sent = record.state == State::Sending;
    let progress = is_sent.then(|| service.app.transfers.progress(&record.id)).flatten();
    Request::new(record, progress)
}

fn unknown(what: &str, id: &str) -> Answer {
    Answer::problem(
        404,
        format!("there is no {what} {id}; it was acknowledged, or kept long enough, or never there"),
    )
}

/// What the clerk refused. What is missing is either what the path names, or what was posted asks for.
fn refused(refusal: Refusal, missing: u16) -> Answer {
    let Refusal { kind, detail, index } = refusal;
    let status = match kind {
        RefusalKind::Malformed => 400,
        RefusalKind::Forbidden => 403,
        RefusalKind::Missing => missing,
        RefusalKind::Unusable => 422,
        RefusalKind::Conflict => 409,
        RefusalKind::NoSpace => 507,
        RefusalKind::Unavailable => return unavailable(detail, index),
    };
    Answer::problem_at(status, detail, index)
}

fn unavailable(detail: String, index: Option<usize>) -> Answer {
    Answer::problem_at(503, detail, index).with("Retry-After", "5")
}
