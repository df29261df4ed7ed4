//! How web servers and trackers are asked: through proxies, along redirects, with the credentials of their URLs.

use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine};
use thiserror::Error;
use ureq::config::{Config, ConfigBuilder};
use ureq::http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, LOCATION,
    PROXY_AUTHENTICATE, SERVER, TRANSFER_ENCODING,
};
use ureq::http::{Response, Version};
use ureq::typestate::AgentScope;
use ureq::{Agent, Body};

use super::SessionError;
use super::heads::Heads;
use super::lookup::Lookup;
use super::proxies::{Proxies, Proxy};
use super::retry::retry_after;
use crate::text::readable;
use crate::url::{Scheme, Url, shown, text_of};

/// How long a server may say nothing.
const SILENCE: Duration = Duration::from_secs(15);
/// How long it may take to send the head of an answer.
const ANSWER: Duration = Duration::from_secs(30);
/// Redirects that are followed, one after the other.
const REDIRECTS: usize = 10;
/// What servers say of bytes that are as they should be, such as those of charsets. Object stores keep `aws-chunked`, which is
/// how the file was sent to them.
const NO_CODINGS: [&str; 8] =
    ["identity", "none", "binary", "8bit", "utf-8", "utf8", "iso-8859-1", "aws-chunked"];

/// Asks by HTTP, and by HTTPS where that is built in. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Client {
    direct: Agent,
    /// Through the proxies for HTTP and HTTPS.
    proxied: [Option<Agent>; 2],
    proxies: Arc<Proxies>,
}

/// What is asked.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) url: &'a Url,
    pub(super) headers: Vec<(HeaderName, String)>,
    /// For all of the answer, redirects included.
    pub(super) patience: Option<Duration>,
    /// Whether a redirect from HTTPS to HTTP is followed: where what comes is verified anyway.
    pub(super) is_verified: bool,
}

/// What came back, from wherever redirects have led.
pub(super) struct Answer {
    pub(super) url: Url,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Box<dyn Read + Send>,
    /// The proxy that it may have come from.
    proxy: Option<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, Error)]
pub(super) enum HttpError {
    /// It may come another time.
    #[error("{0}")]
    Lost(String),
    /// Nothing came in time.
    #[error("{0} does not answer in time")]
    Silent(String),
    /// It will be the same another time.
    #[error("{0}")]
    Wrong(String),
}

impl Client {
    /// Through that proxy, or as the environment says.
    pub(super) fn new(proxy: Option<&str>) -> Result<Self, SessionError> {
        let proxies = Proxies::find(proxy, |name| std::env::var(name).ok())?;
        let proxied = proxies.both().map(|proxy| proxy.map(|proxy| agent(Some(proxy))));
        Ok(Self { direct: agent(None), proxied, proxies: proxies.into() })
    }

    /// Ends all that waits, in other threads too, with an error. Nothing can be asked for after that.
    pub(super) fn shut_down(&self) {
        let proxied = self.proxied.iter().flatten();
        proxied.chain([&self.direct]).for_each(|agent| agent.clone().shutdown());
    }

    /// Asks, and follows redirects.
    pub(super) fn get(&self, ask: &Ask<'_>) -> Result<Answer, HttpError> {
        let deadline = ask.patience.map(|patience| Instant::now() + patience);
        let mut url = ask.url.clone();
        let mut seen = Vec::new();
        loop {
            let answer = self.ask_once(&url, ask, deadline)?;
            let Some(location) = answer.location() else { return Ok(answer) };
            let next = follow(&url, &location, ask.is_verified)?;
            seen.push(std::mem::replace(&mut url, next));
            if seen.contains(&url) {
                return Err(HttpError::Wrong(format!("the server redirects in a circle, back to {url}")));
            }
            if seen.len() > REDIRECTS {
                return Err(HttpError::Wrong(format!("the server redirects more than {REDIRECTS} times")));
            }
        }
    }

    fn ask_once(&self, url: &Url, ask: &Ask<'_>, deadline: Option<Instant>) -> Result<Answer, HttpError> {
        let proxy = self.proxies.of(url);
        let [http, https] = &self.proxied;
        let proxied = if url.scheme() == Scheme::Https { https } else { http };
        let agent = proxied.as_ref().filter(|_| proxy.is_some()).unwrap_or(&self.direct);
        let mut again = true;
        let response = loop {
            match send(agent, url, ask, deadline) {
                // The connection was kept from before, and the server has closed it meanwhile.
                Err(ureq::Error::Io(error)) if again && was_closed(error.kind()) => again = false,
                result => break result.map_err(|error| explain(&error, url, proxy))?,
            }
        };
        plain_transfer(&response)?;
        let (head, body) = response.into_parts();
        Ok(Answer {
            url: url.clone(),
            status: head.status.as_u16(),
            headers: head.headers,
            body: Box::new(body.into_reader()),
            proxy: proxy.filter(|proxy| proxy.answers(url)).map(ToString::to_string),
        })
    }
}

/// Where a redirect leads, if it is to be followed.
fn follow(url: &Url, location: &str, is_verified: bool) -> Result<Url, HttpError> {
    let next = url.join(location).and_then(Url::http).map_err(|error| {
        let location = readable(shown(location).as_bytes());
        HttpError::Wrong(format!("the server redirects to {location}, which cannot be followed: {error}"))
    })?;
    if url.scheme() == Scheme::Https && next.scheme() == Scheme::Http && !is_verified {
        return Err(HttpError::Wrong(format!(
            "the server redirects from HTTPS to {next}, where anybody could change it; ask for that URL if that is meant"
        )));
    }
    Ok(next)
}

fn was_closed(kind: ErrorKind) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn send(
    agent: &Agent,
    url: &Url,
    ask: &Ask<'_>,
    deadline: Option<Instant>,
) -> Result<Response<Body>, ureq::Error> {
    let mut request = agent.get(url.to_string());
    for (name, value) in &ask.headers {
        request = request.header(name, value);
    }
    if let Some((user, password)) = url.credentials() {
        let both = [&user[..], b":", &password].concat();
        let mut value = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(both)))
            .map_err(|error| ureq::Error::Http(error.into()))?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    request.config().timeout_global(left).build().call()
}

/// What is packed on its way alone is no file that can be taken, and of what is in chunks that an old server does not know
/// the sizes would be part.
fn plain_transfer(response: &Response<Body>) -> Result<(), HttpError> {
    let codings = response.headers().get_all(TRANSFER_ENCODING).iter();
    let codings: Vec<String> = codings.map(|value| readable(value.as_bytes())).collect();
    let is_known =
        |coding: &str| ["chunked", "identity"].iter().any(|known| coding.trim().eq_ignore_ascii_case(known));
    let codings = codings.join(",");
    if codings.split(',').all(|coding| coding.is_empty() || is_known(coding))
        && (codings.is_empty() || response.version() > Version::HTTP_10)
    {
        return Ok(());
    }
    Err(HttpError::Wrong(format!("the server transfers it in a way that is not known ({codings})")))
}

impl Answer {
    /// The text of a header.
    pub(super) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
    }

    /// How the server has packed what it sends, although it was asked not to.
    pub(super) fn coding(&self) -> Option<String> {
        let values = self.headers.get_all(CONTENT_ENCODING).iter();
        let codings = values.map(|value| readable(value.as_bytes())).collect::<Vec<_>>().join(",");
        let is_one = |coding: &&str| {
            !(coding.is_empty() || NO_CODINGS.iter().any(|none| coding.eq_ignore_ascii_case(none)))
        };
        let codings: Vec<&str> = codings.split(',').map(str::trim).filter(is_one).collect();
        (!codings.is_empty()).then(|| codings.join(", "))
    }

    /// The bytes of the body, if the server says so.
    pub(super) fn length(&self) -> Option<u64> {
        // Of what is in chunks it says nothing (RFC 9112, 6.3).
        let in_chunks = self.headers.contains_key(TRANSFER_ENCODING);
        self.header(CONTENT_LENGTH).filter(|_| !in_chunks)?.parse().ok()
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        retry_after(&self.headers)
    }

    /// Where it leads, if it is a redirect.
    fn location(&self) -> Option<String> {
        let leads = matches!(self.status, 300..=303 | 307 | 308);
        leads.then(|| self.headers.get(LOCATION)).flatten().map(|value| text_of(value.as_bytes()))
    }

    /// Who answers what, for people: a proxy that refuses is not the server.
    pub(super) fn told(&self) -> String {
        let status = self.status;
        let Some(proxy) = &self.proxy else { return format!("the server answers {status}") };
        let own = self.headers.get("x-squid-error").map(|error| readable(error.as_bytes()));
        let is_proxys = self.headers.contains_key(PROXY_AUTHENTICATE)
            || self.headers.contains_key("proxy-status")
            || self.header(SERVER).is_some_and(|server| server.starts_with("tinyproxy"));
        match (status, own) {
            (407, _) => format!("the proxy {proxy} asks for user and password (407)"),
            (_, Some(own)) => format!("the proxy {proxy} answers {status} ({own})"),
            _ if is_proxys => format!("the proxy {proxy} answers {status}"),
            (403 | 502 | 503 | 504, None) => {
                format!("the server, or the proxy {proxy} on the way to it, answers {status}")
            }
            _ => format!("the server answers {status}"),
        }
    }
}

fn agent(proxy: Option<&Proxy>) -> Agent {
    let config = config(proxy.map(|proxy| proxy.inner.clone())).build();
    Agent::with_parts(config, Heads::new(connector(), self::config(None).build()), Lookup::default())
}

#[cfg(feature = "tls")]
fn connector() -> super::tls::Secure {
    super::tls::Secure::default()
}

#[cfg(not(feature = "tls"))]
fn connector() -> super::connector::Dialer {
    super::connector::Dialer::default()
}

/// Every wait has an end.
pub(super) fn config(proxy: Option<ureq::Proxy>) -> ConfigBuilder<AgentScope> {
    Config::builder()
        .http_status_as_error(false)
        // Redirects are followed here: with blanks and UTF-8 in them, and credentials for none but their own server.
        .max_redirects(0)
        .timeout_connect(Some(ANSWER))
        .timeout_recv_response(Some(ANSWER))
        .timeout_per_read(Some(SILENCE))
        .timeout_per_write(Some(SILENCE))
        // A file that is packed on the way is another file, and parts of it are parts of another file.
        .accept_encoding("identity")
        .user_agent(concat!("lantorrent/", env!("CARGO_PKG_VERSION")))
        .proxy(proxy)
}

/// What went wrong, for people: of an error of the system only what it says.
fn explain(error: &ureq::Error, url: &Url, proxy: Option<&Proxy>) -> HttpError {
    let server = proxy.map_or_else(|| "the server".to_owned(), |proxy| format!("the proxy {proxy}"));
    let through = proxy.map(|proxy| format!("through the proxy {proxy}: ")).unwrap_or_default();
    match error {
        ureq::Error::Io(error) => HttpError::Lost(format!("{through}{error}")),
        ureq::Error::Timeout(_) => HttpError::Silent(server),
        ureq::Error::HostNotFound => HttpError::Lost(format!("{through}there is no host of that name")),
        ureq::Error::ConnectionFailed => HttpError::Lost(format!("{server} cannot be reached")),
        ureq::Error::ConnectProxyFailed(why) => HttpError::Lost(tunnel(&server, url, why)),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
            HttpError::Wrong("the URL has a host that cannot be asked by HTTP".into())
        }
        ureq::Error::Protocol(error) => HttpError::Lost(format!(
            "{server} sends what is no HTTP: {}",
            readable(error.to_string().as_bytes())
        )),
        error => HttpError::Lost(readable(error.to_string().as_bytes())),
    }
}

/// A proxy that opens no tunnel.
fn tunnel(proxy: &str, url: &Url, why: &str) -> String {
    let status = why.split(|c: char| !c.is_ascii_digit()).find(|digits| digits.len() == 3);
    let (host, port) = url.endpoint();
    match status {
        Some("407") => format!("{proxy} asks for user and password (407)"),
        Some("403") => format!("{proxy} allows no connection to {host}, port {port} (403)"),
        Some(status) => format!("{proxy} answers {status} to a connection to {host}, port {port}"),
        None => format!("{proxy}: {}", readable(why.as_bytes())),
    }
}
