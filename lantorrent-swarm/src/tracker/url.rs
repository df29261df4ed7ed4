//! Where a tracker is.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The longest URL that is taken.
const LONGEST: usize = 2048;

/// How a tracker is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// BEP 3.
    Http,
    /// The same over TLS.
    Https,
    /// BEP 15.
    Udp,
}

/// The URL of a tracker, as torrents name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrackerUrl(String);

/// Text that is no URL of a tracker, or of one that cannot be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TrackerUrlError {
    /// Longer than anybody needs.
    #[error("the URL of a tracker has at most {LONGEST} characters")]
    TooLong,
    /// Spaces, control characters, or not ASCII.
    #[error("the URL of a tracker is written in ASCII, without spaces; percent-encode others")]
    Characters,
    /// Something like `wss`.
    #[error("the URL of a tracker begins with http://, https:// or udp://")]
    Scheme,
    /// No host.
    #[error("the URL of a tracker names a host")]
    Host,
    /// UDP has no usual port.
    #[error("the URL of a UDP tracker names a host and a port, as udp://tracker:6969")]
    Port,
}

impl TrackerUrl {
    /// How it is spoken to.
    pub fn scheme(&self) -> Scheme {
        match self.0.split(':').next() {
            Some(scheme) if scheme.eq_ignore_ascii_case("udp") => Scheme::Udp,
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
            _ => Scheme::Http,
        }
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name or address of the host, an IPv6 address without its brackets, and the port.
    pub fn endpoint(&self) -> (&str, u16) {
        let usual = match self.scheme() {
            Scheme::Https => 443,
            Scheme::Http | Scheme::Udp => 80,
        };
        let (host, port) = self.parts().unwrap_or_default();
        (host, port.unwrap_or(usual))
    }

    /// The path and the query, which may be empty.
    pub(super) fn target(&self) -> &str {
        let rest = self.behind_scheme();
        let rest = rest.split('#').next().unwrap_or_default();
        rest.find(['/', '?']).map_or("", |at| &rest[at..])
    }

    /// All but what stands behind a `#`, which is for nobody on the network.
    pub(super) fn sent(&self) -> &str {
        self.0.split('#').next().unwrap_or_default()
    }

    fn behind_scheme(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, rest)| rest)
    }

    /// The host, and the port if one is named.
    fn parts(&self) -> Result<(&str, Option<u16>), TrackerUrlError> {
        let authority = self.behind_scheme().split(['/', '?', '#']).next().unwrap_or_default();
        let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
        let (host, port) = match place.strip_prefix('[').and_then(|place| place.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':').or(rest.is_empty().then_some(""))),
            None => place.rsplit_once(':').map_or((place, Some("")), |(host, port)| (host, Some(port))),
        };
        let number = match port {
            Some("") => None,
            Some(port) => Some(port.parse().ok().filter(|&port| port != 0).ok_or(TrackerUrlError::Port)?),
            None => return Err(TrackerUrlError::Host),
        };
        if host.is_empty() { Err(TrackerUrlError::Host) } else { Ok((host, number)) }
    }
}

impl FromStr for TrackerUrl {
    type Err = TrackerUrlError;

    fn from_str(text: &str) -> Result<Self, TrackerUrlError> {
        if text.len() > LONGEST {
            return Err(TrackerUrlError::TooLong);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TrackerUrlError::Characters);
        }
        let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
        if !["http", "https", "udp"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(TrackerUrlError::Scheme);
        }
        let url = Self(text.to_owned());
        match (url.parts()?, url.scheme()) {
            ((_, None), Scheme::Udp) => Err(TrackerUrlError::Port),
            _ => Ok(url),
        }
    }
}

impl fmt::Display for TrackerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let cases = [
            ("http://tracker.site/announce", Scheme::Http, ("tracker.site", 80), "/announce"),
            ("HTTPS://u:p@[fe80::1]/a?b=c#d", Scheme::Https, ("fe80::1", 443), "/a?b=c"),
            ("http://10.0.0.1:6969?x", Scheme::Http, ("10.0.0.1", 6969), "?x"),
            ("udp://10.0.0.1:6969", Scheme::Udp, ("10.0.0.1", 6969), ""),
            ("udp://[::1]:1/announce?k=v", Scheme::Udp, ("::1", 1), "/announce?k=v"),
        ];
        for (text, scheme, endpoint, target) in cases {
            let url: TrackerUrl = text.parse().unwrap();
            assert_eq!((url.scheme(), url.endpoint(), url.target()), (scheme, endpoint, target), "{text}");
            assert_eq!(url.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_tracker() {
        use TrackerUrlError::{Characters, Host, Port, Scheme, TooLong};
        let cases = [
            ("", Scheme),
            ("tracker", Scheme),
            ("wss://tracker/announce", Scheme),
            ("http://", Host),
            ("http:///announce", Host),
            ("http://:80/", Host),
            ("http://[::1]x/", Host),
            ("http://tracker:0/", Port),
            ("http://tracker:65536/", Port),
            ("udp://tracker/announce", Port),
            ("http://tracker/a b", Characters),
            ("http://tracker/\r\nHost: other", Characters),
            ("http://träcker/", Characters),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<TrackerUrl>(), Err(error), "{text}");
        }
        assert_eq!(format!("http://{}", "a".repeat(LONGEST)).parse::<TrackerUrl>(), Err(TooLong));
    }
}
