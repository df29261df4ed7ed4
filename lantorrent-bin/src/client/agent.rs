//! The agent as its clients see it: what can be asked, and what comes of it.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use ureq::http::{Method, StatusCode};

use super::http::{Answer, Http, NoAnswer, Question};
use super::patience::{Next, Patience, Stamina};
use super::place::Place;
use crate::api::{Limit, NewRequest, Page, Problem, Request};
use crate::config::{Config, Home, Secret};
use crate::exit::{Failure, Status};

/// Requests on a page: as many as there can be.
const PAGE: usize = 1000;
/// No more than one question in such a time about how a request stands, however soon it is answered.
const BETWEEN: Duration = Duration::from_secs(1);
/// Where the agent says how fast it may send.
const LIMIT: &str = "/v1/limit";
/// The token of the agent, for who has no lt.ini, or one of another agent.
const TOKEN: &str = "LANTORRENT_TOKEN";

/// Why there is nothing to show.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Nobody answers.
    Away(String),
    /// The agent cannot now, and says after which time it may.
    Busy { pause: Option<Duration>, detail: String },
    /// The agent will not.
    Refused { status: StatusCode, detail: String },
    /// What answers is no agent.
    Strange(String),
}

/// Asks again where that may help.
pub(crate) struct Agent {
    http: Http,
    place: Place,
    patience: Patience,
}

impl Agent {
    /// The one that the command line, lt.ini or the lack of both names.
    pub(crate) fn find(
        asked: Option<&str>,
        config: &Config,
        home: &Home,
        stamina: Stamina,
    ) -> Result<Self, Failure> {
        let place = Place::find(asked, &config.agent, home.known())?;
        let given = std::env::var_os(TOKEN).filter(|token| !token.is_empty());
        // What is no text is no token either, and is refused as one.
        let given = given.map(|token| Secret::new(&token.to_string_lossy()));
        let http = Http::new(&place, given.as_ref().or(config.agent.token.as_ref()))?;
        Ok(Self { http, place, patience: Patience::new(stamina) })
    }

    /// Hands a request in. That it has an id makes it safe to do so twice.
    pub(crate) fn submit(&mut self, new: &NewRequest) -> Result<Request, Trouble> {
        // Strings and numbers: nothing in it can fail to become JSON.
        let body = serde_json::to_vec(new).expect("a request is plain JSON");
        self.ask(&Method::POST, "/v1/requests", &body, Duration::ZERO)
    }

    pub(crate) fn show(&mut self, id: &str) -> Result<Request, Trouble> {
        self.ask(&Method::GET, &path(id), &[], Duration::ZERO)
    }

    /// Waits until the request has ended, and tells `watch` how it stands, first and then `every` so often.
    pub(crate) fn settle(
        &mut self,
        mut request: Request,
        every: Duration,
        mut watch: impl FnMut(&Request),
    ) -> Result<Request, Trouble> {
        watch(&request);
        let path = format!("{}?wait={}", path(&request.record.id), every.as_secs());
        while !request.record.state.is_final() {
            let asked = Instant::now();
            request = self.ask(&Method::GET, &path, &[], every)?;
            watch(&request);
            if !request.record.state.is_final() {
                std::thread::sleep(BETWEEN.saturating_sub(asked.elapsed()));
            }
        }
        Ok(request)
    }

    /// The requests behind `after`, or the first ones.
    pub(crate) fn list(&mut self, after: Option<&str>) -> Result<Page, Trouble> {
        let after = after.map(|id| format!("&after={}", encode(id))).unwrap_or_default();
        self.ask(&Method::GET, &format!("/v1/requests?limit={PAGE}{after}"), &[], Duration::ZERO)
    }

    /// Takes a request back. It may take its time to end.
    pub(crate) fn cancel(&mut self, id: &str) -> Result<Request, Trouble> {
        self.ask(&Method::DELETE, &path(id), &[], Duration::ZERO)
    }

    /// How fast the agent may send.
    pub(crate) fn limit(&mut self) -> Result<Limit, Trouble> {
        self.ask(&Method::GET, LIMIT, &[], Duration::ZERO)
    }

    /// Changes that, for all that it sends together.
    pub(crate) fn set_limit(&mut self, limit: Option<u64>) -> Result<Limit, Trouble> {
        // A number: nothing in it can fail to become JSON.
        let body = serde_json::to_vec(&Limit { limit }).expect("a limit is plain JSON");
        self.ask(&Method::PUT, LIMIT, &body, Duration::ZERO)
    }

    /// Lets the agent forget a request that has ended. Not worth a second try: the agent forgets in time by itself.
    pub(crate) fn acknowledge(&self, id: &str) {
        let path = format!("{}/ack", path(id));
        let question = Question { method: Method::POST, path: &path, body: &[], wait: Duration::ZERO };
        match self.http.ask(&question).map_err(Trouble::from).and_then(judge) {
            Ok(_) => {}
            Err(trouble) => log::debug!("request {id} is not acknowledged: {trouble:?}"),
        }
    }

    /// The message with which a command ends.
    pub(crate) fn failure(&self, trouble: Trouble) -> Failure {
        let place = &self.place;
        match trouble {
            Trouble::Away(why) => Failure::local(
                format_args!("cannot reach the agent at {place}: {why}"),
                "start `lantorrent agent`, or say where it is with --agent or `url` in [agent]",
            ),
            Trouble::Busy { detail, .. } => Failure::local(detail, "try again later"),
            Trouble::Strange(what) => Failure::local(
                format_args!("what answers at {place} is no agent: {what}"),
                "say where the agent is with --agent or `url` in [agent]",
            ),
            Trouble::Refused { status: StatusCode::UNAUTHORIZED, detail } => Failure::local(
                format_args!("the agent at {place} does not know us: {detail}"),
                format_args!("set `token` in [agent] of lt.ini, or {TOKEN}, to that of the agent"),
            ),
            Trouble::Refused { status: StatusCode::BAD_REQUEST, detail } => {
                Failure::told(Status::Usage, detail)
            }
            Trouble::Refused { detail, .. } => Failure::told(Status::Incomplete, detail),
        }
    }

    fn ask<T: DeserializeOwned>(
        &mut self,
        method: &Method,
        path: &str,
        body: &[u8],
        wait: Duration,
    ) -> Result<T, Trouble> {
        loop {
            let question = Question { method: method.clone(), path, body, wait };
            let trouble = match self.http.ask(&question).map_err(Trouble::from).and_then(judge) {
                Ok(body) => {
                    self.patience.answered();
                    return serde_json::from_slice(&body)
                        .map_err(|error| Trouble::Strange(format!("its answer cannot be read: {error}")));
                }
                Err(trouble) => trouble,
            };
            let (next, why) = match &trouble {
                Trouble::Away(why) => (self.patience.away(), why),
                Trouble::Busy { pause, detail } => (self.patience.busy(*pause), detail),
                Trouble::Refused { .. } | Trouble::Strange(_) => return Err(trouble),
            };
            match next {
                Next::Again { pause, say } => {
                    if say {
                        log::warn!("the agent at {} is away or busy, waiting for it: {why}", self.place);
                    }
                    std::thread::sleep(pause);
                }
                Next::GiveUp => return Err(trouble),
            }
        }
    }
}

impl From<NoAnswer> for Trouble {
    fn from(none: NoAnswer) -> Self {
        match none {
            NoAnswer::Away(why) => Self::Away(why),
            NoAnswer::Strange(what) => Self::Strange(what),
        }
    }
}

/// The body of a good answer, or what is wrong.
fn judge(answer: Answer) -> Result<Vec<u8>, Trouble> {
    let status = answer.status;
    if status.is_success() {
        return Ok(answer.body);
    }
    // What a proxy says of an agent that is being restarted.
    if matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT) {
        return Err(Trouble::Away(format!("a proxy answers {status}")));
    }
    let problem = serde_json::from_slice(&answer.body).ok();
    let detail = problem.map(|Problem { detail, .. }| detail);
    match detail {
        Some(detail) if status == StatusCode::SERVICE_UNAVAILABLE => {
            Err(Trouble::Busy { pause: answer.retry_after, detail })
        }
        Some(detail) => Err(Trouble::Refused { status, detail }),
        None if status == StatusCode::SERVICE_UNAVAILABLE => {
            Err(Trouble::Busy { pause: answer.retry_after, detail: format!("it answers {status}") })
        }
        None => Err(Trouble::Strange(format!("it answers {status}"))),
    }
}

fn path(id: &str) -> String {
    format!("/v1/requests/{}", encode(id))
}

/// One segment of a path, or one value of a query.
fn encode(text: &str) -> String {
    use std::fmt::Write;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<Vec<u8>, Trouble> {
        let status = StatusCode::from_u16(status).unwrap();
        judge(Answer { status, retry_after: None, body: body.into() })
    }

    #[test]
    fn what_an_answer_means() {
        let problem = r#"{"title":"x","status":1,"detail":"because"}"#;
        assert_eq!(answer(200, "x").unwrap(), b"x");
        assert!(matches!(answer(404, problem), Err(Trouble::Refused { detail, .. }) if detail == "because"));
        assert!(matches!(answer(503, problem), Err(Trouble::Busy { detail, .. }) if detail == "because"));
        assert!(matches!(answer(503, "<html>"), Err(Trouble::Busy { .. })));
        assert!(matches!(answer(502, "<html>"), Err(Trouble::Away(_))));
        for (status, body) in [(404, "<html>"), (302, ""), (500, "[]"), (400, r#"{"detail":"x"}"#)] {
            assert!(matches!(answer(status, body), Err(Trouble::Strange(_))), "{status}");
        }
    }

    #[test]
    fn an_id_stays_one_segment() {
        assert_eq!(encode("a-1._~"), "a-1._~");
        assert_eq!(encode("../x?y#z%:@ä"), "..%2Fx%3Fy%23z%25%3A%40%C3%A4");
    }
}
