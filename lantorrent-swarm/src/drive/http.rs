//! How web servers and trackers are asked.

use std::time::Duration;

use ureq::config::{Config, ConfigBuilder};
use ureq::typestate::AgentScope;
use ureq::{Agent, Proxy};

use super::SwarmError;
use super::lookup::Lookup;

/// How long a server may say nothing.
const SILENCE: Duration = Duration::from_secs(15);
/// How long it may take to send the head of an answer.
const ANSWER: Duration = Duration::from_secs(30);

/// Asks by HTTP, and by HTTPS where that is built in, through the proxy or as the environment says.
pub(super) fn agent(proxy: Option<&str>) -> Result<Agent, SwarmError> {
    let refuse = |proxy: &str| SwarmError::Proxy(proxy.into());
    let proxy = match proxy {
        Some(text) => Some(Proxy::new(text).map_err(|_| refuse(text))?),
        None => Proxy::try_from_env(),
    };
    let config = config(proxy.clone()).build();
    Ok(connected(config, proxy))
}

#[cfg(feature = "tls")]
fn connected(config: Config, proxy: Option<Proxy>) -> Agent {
    Agent::with_parts(config, super::tls::Secure::new(proxy), Lookup::default())
}

#[cfg(not(feature = "tls"))]
fn connected(config: Config, _: Option<Proxy>) -> Agent {
    Agent::with_parts(config, super::connector::Dialer::default(), Lookup::default())
}

/// Every wait has an end.
pub(super) fn config(proxy: Option<Proxy>) -> ConfigBuilder<AgentScope> {
    Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(ANSWER))
        .timeout_recv_response(Some(ANSWER))
        .timeout_per_read(Some(SILENCE))
        .timeout_per_write(Some(SILENCE))
        // A file that is packed on the way is another file, and parts of it are parts of another file.
        .accept_encoding("identity")
        .user_agent(concat!("lantorrent/", env!("CARGO_PKG_VERSION")))
        .proxy(proxy)
}

/// How a server has packed what it sends, although it was asked not to.
pub(super) fn packed<B>(response: &ureq::http::Response<B>) -> Option<String> {
    let encoding = response.headers().get("content-encoding")?;
    let encoding = crate::text::readable(encoding.as_bytes());
    (!encoding.trim().eq_ignore_ascii_case("identity")).then_some(encoding)
}

/// What went wrong, for people: of an error of the system only what it says.
pub(super) fn explain(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Timeout(_) => "the server does not answer in time".into(),
        ureq::Error::HostNotFound => "there is no host of that name".into(),
        ureq::Error::ConnectionFailed => "the server cannot be reached".into(),
        error => error.to_string(),
    }
}
