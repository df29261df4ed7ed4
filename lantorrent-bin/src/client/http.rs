//! One question and its answer, over TCP or a Unix socket.

use std::time::Duration;

use lantorrent_swarm::drive::{Dialer, Heads, Lookup, retry_after};
use ureq::config::Config;
use ureq::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use ureq::http::{HeaderValue, Method, Request, StatusCode};
use ureq::{Body, Error};

use super::place::Place;
use super::socket::{NoResolver, SocketConnector};
use crate::config::Secret;
use crate::exit::Failure;

const CONNECT: Duration = Duration::from_secs(5);
/// For the agent to answer, on top of what it was asked to wait.
const ANSWER: Duration = Duration::from_secs(30);
/// A page of 1000 requests with long paths and many attempts is less.
const BODY_BYTES: u64 = 64 << 20;

/// What is asked.
pub(super) struct Question<'a> {
    pub(super) method: Method,
    /// Path and query, from the first slash on.
    pub(super) path: &'a str,
    /// JSON; may be empty.
    pub(super) body: &'a [u8],
    /// How long the agent may hold its answer back.
    pub(super) wait: Duration,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// After which time to ask again.
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum NoAnswer {
    /// Nobody is there, or went away before the whole answer had come.
    Away(String),
    /// What is there does not speak HTTP, or says far too much.
    Strange(String),
}

/// Asks an agent.
pub(super) struct Http {
    agent: ureq::Agent,
    base: String,
    authorization: Option<HeaderValue>,
}

impl Http {
    /// `token` is for TCP: who may open the socket needs none.
    pub(super) fn new(place: &Place, token: Option<&Secret>) -> Result<Self, Failure> {
        let (config, plain) = (config(), config());
        Ok(match place {
            Place::Tcp(url) => Self {
                agent: ureq::Agent::with_parts(
                    config,
                    Heads::new(Dialer::default(), plain),
                    Lookup::default(),
                ),
                base: url.clone(),
                authorization: token.map(|token| bearer(token.get())).transpose()?,
            },
            Place::Socket(path) => Self {
                agent: ureq::Agent::with_parts(
                    config,
                    Heads::new(SocketConnector(path.clone()), plain),
                    NoResolver,
                ),
                base: "http://localhost".into(),
                authorization: None,
            },
        })
    }

    pub(super) fn ask(&self, question: &Question<'_>) -> Result<Answer, NoAnswer> {
        let mut request = Request::builder().method(&question.method);
        request = request.uri(format!("{}{}", self.base, question.path));
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let wait = Some(ANSWER + question.wait);
        // Either says how long its body is, even if that is empty.
        let answer = if matches!(question.method, Method::POST | Method::PUT) {
            let request = request.header(CONTENT_TYPE, "application/json");
            let request = request.body(question.body).map_err(|error| told(error.into()))?;
            self.agent.run(self.agent.configure_request(request).timeout_recv_response(wait).build())
        } else {
            let request = request.body(()).map_err(|error| told(error.into()))?;
            self.agent.run(self.agent.configure_request(request).timeout_recv_response(wait).build())
        };
        let (head, body) = answer.map_err(told)?.into_parts();
        if head.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding.as_bytes() != b"identity") {
            return Err(NoAnswer::Strange("it packs its answers, although it is asked not to".into()));
        }
        Ok(Answer { status: head.status, retry_after: retry_after(&head.headers), body: read(body)? })
    }
}

fn config() -> Config {
    Config::builder()
        .http_status_as_error(false)
        .proxy(None)
        // Whoever answers with another address would get the token there.
        .max_redirects(0)
        .max_redirects_will_error(false)
        // A connection kept from before the agent was restarted would only fail.
        .max_idle_connections(0)
        .user_agent(concat!("lantorrent/", env!("CARGO_PKG_VERSION")))
        .accept("application/json")
        .accept_encoding("identity")
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_send_request(Some(ANSWER))
        .timeout_send_body(Some(ANSWER))
        .timeout_recv_body(Some(ANSWER))
        .build()
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    let plain = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    let value = plain.then(|| HeaderValue::from_str(&format!("Bearer {token}")).ok()).flatten();
    let mut value = value.ok_or_else(|| {
        Failure::usage(
            "the token for the agent holds what no token can",
            "set LANTORRENT_TOKEN to that of the agent",
        )
    })?;
    // It stays out of every log.
    value.set_sensitive(true);
    Ok(value)
}

fn read(mut body: Body) -> Result<Vec<u8>, NoAnswer> {
    body.with_config().limit(BODY_BYTES).read_to_vec().map_err(told)
}

fn told(error: Error) -> NoAnswer {
    match error {
        Error::Io(error) => NoAnswer::Away(error.to_string()),
        Error::Timeout(_) => NoAnswer::Away("it does not answer in time".into()),
        Error::HostNotFound => NoAnswer::Away("its host is not known".into()),
        Error::ConnectionFailed => NoAnswer::Away("the connection failed".into()),
        Error::BodyExceedsLimit(_) => NoAnswer::Strange("it says more than an agent would".into()),
        error => NoAnswer::Strange(error.to_string()),
    }
}
