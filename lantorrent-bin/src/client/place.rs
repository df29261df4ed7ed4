//! Where the agent is.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ureq::http::Uri;
use ureq::http::uri::Scheme;

use crate::config::AgentConfig;
use crate::exit::Failure;

/// Where the agent serves HTTP unless it is told otherwise.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 2894);
/// Its socket, under `LANTORRENT_HOME`.
const SOCKET: &str = "agent.sock";
const FORM: &str = "give http://HOST:PORT, or the path of the agent's socket";

/// How the agent is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A URL without a slash at its end.
    Tcp(String),
    Socket(PathBuf),
}

impl Place {
    /// What the command line says, else `url` in `[agent]`, else the agent of this machine: by its socket if there is
    /// one, and by TCP if there is none.
    pub(crate) fn find(
        asked: Option<&str>,
        config: &AgentConfig,
        home: Option<&Path>,
    ) -> Result<Self, Failure> {
        if let Some(text) = asked {
            return Self::parse(text).map_err(|why| Failure::usage(why, FORM).at("--agent"));
        }
        if let Some(text) = &config.url {
            return Self::parse(text).map_err(|why| Failure::usage(why, FORM).at("`url` in [agent]"));
        }
        let socket = config.socket.clone().or_else(|| Some(home?.join(SOCKET)));
        if let Some(socket) = socket.filter(|socket| socket.exists()) {
            return Ok(Self::Socket(socket));
        }
        Ok(Self::Tcp(format!("http://{}", reachable(config.listen.unwrap_or(LISTEN)))))
    }

    fn parse(text: &str) -> Result<Self, String> {
        if text.contains("://") {
            return url(text).map(Self::Tcp);
        }
        // A path is told from HOST:PORT, which somebody may well write.
        if text.contains('/') {
            return Ok(Self::Socket(text.into()));
        }
        let text = shown(text);
        Err(format!("{text} is neither a URL nor a path with a slash in it"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(url) => f.write_str(url),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The text for a message. Before an `@` there may be a password, and behind a `?` a token.
fn shown(text: &str) -> String {
    if text.contains(['@', '?']) { "what is given".into() } else { format!("`{text}`") }
}

fn url(text: &str) -> Result<String, String> {
    let place = shown(text);
    let uri: Uri = text.parse().map_err(|error| format!("{place} is no URL: {error}"))?;
    if uri.scheme() == Some(&Scheme::HTTPS) {
        return Err(format!(
            "{place} asks for TLS, which this program does not have; a tunnel or a proxy on this machine can add it"
        ));
    }
    if uri.scheme() != Some(&Scheme::HTTP) {
        return Err(format!("{place} does not begin with http://"));
    }
    if uri.query().is_some() || uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(format!("{place} holds more than a host, a port and a path"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Where this machine reaches what listens at `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(asked: Option<&str>, config: &AgentConfig, home: &Path) -> Result<String, String> {
        let place = Place::find(asked, config, Some(home)).map_err(|failure| failure.to_string())?;
        Ok(place.to_string())
    }

    #[test]
    fn the_nearest_word_counts() {
        let home = tempfile::tempdir().unwrap();
        let find = |asked, config: &AgentConfig| find(asked, config, home.path()).unwrap();
        let mut config = AgentConfig::default();
        assert_eq!(find(None, &config), "http://127.0.0.1:2894");
        config.listen = Some("0.0.0.0:99".parse().unwrap());
        assert_eq!(find(None, &config), "http://127.0.0.1:99");
        config.listen = Some("[::]:99".parse().unwrap());
        assert_eq!(find(None, &config), "http://[::1]:99");
        let socket = home.path().join("agent.sock");
        std::fs::write(&socket, "").unwrap();
        assert_eq!(find(None, &config), socket.to_str().unwrap());
        config.socket = Some(home.path().join("other.sock"));
        assert_eq!(find(None, &config), "http://[::1]:99", "the socket of lt.ini is not there");
        std::fs::write(home.path().join("other.sock"), "").unwrap();
        assert_eq!(find(None, &config), home.path().join("other.sock").to_str().unwrap());
        config.url = Some("http://repo:2894/".into());
        assert_eq!(find(None, &config), "http://repo:2894");
        assert_eq!(find(Some("./agent.sock"), &config), "./agent.sock");
        assert_eq!(find(Some("http://[::1]:1/lt/"), &config), "http://[::1]:1/lt");
    }

    #[test]
    fn what_is_no_place() {
        for (text, part) in [
            ("https://repo:2894", "TLS"),
            ("ftp://repo", "http://"),
            ("http://", "no URL"),
            ("http://re po/", "no URL"),
            ("http://me:secret@repo", "more than"),
            ("http://repo?token=secret", "more than"),
            ("https://me:secret@repo", "TLS"),
            ("me:secret@repo", "neither"),
            ("http://me:sec ret@repo", "no URL"),
            ("repo:2894", "neither"),
            ("", "neither"),
        ] {
            let config = AgentConfig::default();
            let error = find(Some(text), &config, Path::new("/")).expect_err(text);
            assert!(error.contains(part) && error.contains("--agent"), "{text}: {error}");
            assert!(!error.contains("secret"), "{text}: {error}");
        }
    }
}
