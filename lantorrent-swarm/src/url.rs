//! URLs as torrents, magnet links, redirects and people write them: read once, sent as RFC 3986 has them, shown without
//! credentials.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use thiserror::Error;

use crate::percent;

/// Bytes that a URL may have.
pub(crate) const LONGEST: usize = 2048;

/// What a URL begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Scheme {
    /// Web servers, and trackers of BEP 3.
    Http,
    /// The same over TLS.
    Https,
    /// Trackers of BEP 15.
    Udp,
}

/// A URL that can be asked. Blanks, UTF-8 and what else cannot stand in a request is percent-encoded; what is
/// percent-encoded already stays as it is. A fragment is for no server, and is left out.
///
/// It is shown without its credentials, also by `Debug`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Url {
    scheme: Scheme,
    authority: Authority,
    /// The path and the query; may be empty.
    target: String,
}

/// Where a server is, and what it is to be told of who asks.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Authority {
    /// As it was given, percent-encoded.
    pub(crate) userinfo: Option<String>,
    /// A name or an address; one of IPv6 without brackets.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
}

/// Text that is no URL, or one of something that cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Longer than anything that is in use.
    #[error("a URL has at most {LONGEST} bytes")]
    TooLong,
    /// Line ends and their like.
    #[error("a URL has no control characters")]
    Control,
    /// Something like `ftp` or `wss`.
    #[error("only http://, https:// and udp:// are supported")]
    Scheme,
    /// `udp` where there are files.
    #[error("only http:// and https:// are supported")]
    NotHttp,
    /// No host, or none that can be one.
    #[error("a URL names a host, by its name or address")]
    Host,
    /// A name with letters beyond ASCII.
    #[error("international host names are not supported as such; write it in ASCII, as xn--...")]
    International,
    /// No number from 1 to 65535, or none for UDP.
    #[error("the port of a URL is a number from 1 to 65535, and udp:// has no usual one")]
    Port,
}

impl Url {
    /// How it is spoken to.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The URL if it is one of HTTP or HTTPS.
    pub fn http(self) -> Result<Self, UrlError> {
        if self.scheme == Scheme::Udp { Err(UrlError::NotHttp) } else { Ok(self) }
    }

    /// The name or address of the host, an IPv6 address without its brackets, and the port.
    pub fn endpoint(&self) -> (&str, u16) {
        let usual = if self.scheme == Scheme::Https { 443 } else { 80 };
        (&self.authority.host, self.authority.port.unwrap_or(usual))
    }

    /// The path and the query, which may be empty.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// User and password, decoded.
    pub fn credentials(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        self.authority.credentials()
    }

    /// The same host with another path and query, which are encoded already.
    pub(crate) fn with_target(&self, target: String) -> Self {
        Self { target, ..self.clone() }
    }

    /// The URL that a `Location` or a link stands for, seen from here (RFC 3986, 5.2). Credentials stay where the server
    /// is the same.
    pub fn join(&self, reference: &str) -> Result<Self, UrlError> {
        let reference = trimmed(reference);
        let head = reference.split(['/', '?', '#']).next().unwrap_or_default();
        if head.contains(':') || reference.starts_with("//") {
            let own = format!("{}:{reference}", self.scheme.name());
            let mut url: Self = if head.contains(':') { reference.parse()? } else { own.parse()? };
            if url.authority.userinfo.is_none() && url.is_same_server(self) {
                url.authority.userinfo.clone_from(&self.authority.userinfo);
            }
            return Ok(url);
        }
        let reference = encoded(reference)?;
        let path = self.target.split('?').next().unwrap_or_default();
        let target = match reference.chars().next() {
            None => self.target.clone(),
            Some('/') => plain_path(&reference),
            Some('?') => format!("{path}{reference}"),
            Some(_) => {
                let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
                plain_path(&format!("{folder}{reference}"))
            }
        };
        if target.len() > LONGEST { Err(UrlError::TooLong) } else { Ok(self.with_target(target)) }
    }

    /// Whether both are asked of the same server, in the same way.
    pub(crate) fn is_same_server(&self, other: &Self) -> bool {
        let ((host, port), (other_host, other_port)) = (self.endpoint(), other.endpoint());
        self.scheme == other.scheme && host.eq_ignore_ascii_case(other_host) && port == other_port
    }
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Udp => "udp",
        }
    }
}

impl Authority {
    pub(crate) fn credentials(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let (user, password) = match self.userinfo.as_deref()?.split_once(':') {
            Some(both) => both,
            None => (self.userinfo.as_deref()?, ""),
        };
        Some((percent::decode(user.as_bytes()), percent::decode(password.as_bytes())))
    }
}

impl FromStr for Authority {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (userinfo, place) = match text.rsplit_once('@') {
            Some((userinfo, place)) => (Some(userinfo.to_owned()), place),
            None => (None, text),
        };
        let (host, port) = match place.strip_prefix('[').and_then(|place| place.split_once(']')) {
            Some((host, rest)) => {
                let address = host.split('%').next().unwrap_or_default();
                address.parse::<Ipv6Addr>().map_err(|_| UrlError::Host)?;
                (host, if rest.is_empty() { "" } else { rest.strip_prefix(':').ok_or(UrlError::Host)? })
            }
            None => place.split_once(':').unwrap_or((place, "")),
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if !place.starts_with('[') && !host.bytes().all(is_name) {
            return Err(if host.is_ascii() { UrlError::Host } else { UrlError::International });
        }
        let port = match port {
            "" => None,
            port if !port.bytes().all(|byte| byte.is_ascii_digit()) => return Err(UrlError::Port),
            port => Some(port.parse().ok().filter(|&port| port != 0).ok_or(UrlError::Port)?),
        };
        let userinfo = userinfo.filter(|userinfo| !userinfo.is_empty());
        if host.is_empty() { Err(UrlError::Host) } else { Ok(Self { userinfo, host: host.to_owned(), port }) }
    }
}

impl fmt::Display for Authority {
    /// Without the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        if host.contains(':') {
            write!(f, "[{host}]")?;
        } else {
            f.write_str(host)?;
        }
        port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let text = trimmed(text);
        if text.len() > LONGEST {
            return Err(UrlError::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let schemes = [Scheme::Http, Scheme::Https, Scheme::Udp];
        let scheme = schemes.into_iter().find(|known| scheme.eq_ignore_ascii_case(known.name()));
        let scheme = scheme.ok_or(UrlError::Scheme)?;
        if rest.contains(char::is_control) {
            return Err(UrlError::Control);
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority: Authority = rest[..end].parse()?;
        if scheme == Scheme::Udp && authority.port.is_none() {
            return Err(UrlError::Port);
        }
        Ok(Self { scheme, authority, target: encoded(&rest[end..])? })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.name(), self.authority, self.target)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c.is_control())
}

/// The path and the query as they are sent, without the fragment.
fn encoded(text: &str) -> Result<String, UrlError> {
    let text = text.split('#').next().unwrap_or_default();
    if text.contains(char::is_control) {
        return Err(UrlError::Control);
    }
    let mut target = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            target.push(byte.into());
        } else {
            percent::encode(&[byte], &mut target);
        }
    }
    Ok(target)
}

/// The path, which begins with a slash, without `.` and `..`; the query is kept.
fn plain_path(target: &str) -> String {
    let (path, query) = target.find('?').map_or((target, ""), |at| target.split_at(at));
    let mut parts: Vec<&str> = Vec::new();
    let mut names = path[1..].split('/').peekable();
    while let Some(name) = names.next() {
        let is_last = names.peek().is_none();
        match name {
            "." | ".." => {
                if name == ".." {
                    parts.pop();
                }
                if is_last {
                    parts.push("");
                }
            }
            name => parts.push(name),
        }
    }
    format!("/{}{query}", parts.join("/"))
}

/// The text of an address, of which bytes that are no UTF-8 are percent-encoded: they are meant for a server that knows them.
pub(crate) fn text_of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        percent::encode(chunk.invalid(), &mut text);
    }
    text
}

/// What is shown of text that should be a URL: without what may be credentials, and without control characters.
pub fn shown(text: &str) -> String {
    let text = trimmed(text);
    let begin = text.find("://").map_or(0, |at| at + 3);
    // Of what is no URL nobody knows where a password ends.
    let is_url = text.parse::<Url>().is_ok();
    let end = text[begin..].find(['/', '?', '#']).filter(|_| is_url).map_or(text.len(), |at| begin + at);
    let place = text[begin..end].rfind('@').map_or(begin, |at| begin + at + 1);
    let shown = format!("{}{}", &text[..begin], &text[place..]);
    shown.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests;
