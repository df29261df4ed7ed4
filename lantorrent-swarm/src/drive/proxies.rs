//! Which proxy a server is asked through: by the rules of curl, so that what works there works here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ureq::Proxy as UreqProxy;

use super::SessionError;
use crate::percent;
use crate::url::{Authority, Scheme, Url, shown};

/// The port of a proxy that names none.
const PORT: u16 = 1080;

/// What the command line or the environment says.
#[derive(Debug, Default)]
pub(super) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    /// The hosts that are asked directly, as `no_proxy` names them.
    direct: String,
}

/// One proxy.
#[derive(Clone)]
pub(super) struct Proxy {
    scheme: &'static str,
    authority: Authority,
    pub(super) inner: UreqProxy,
}

impl Proxies {
    /// The proxy that is given, for all servers, where an empty one stands for none, or else those of the environment:
    /// `http_proxy` (not in capitals, which a server could set through CGI), `https_proxy`, and `all_proxy` for both.
    /// `no_proxy` holds for each of them.
    pub(super) fn find(
        given: Option<&str>,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SessionError> {
        let first =
            |names: &[&str]| names.iter().find_map(|name| variable(name).filter(|text| !text.is_empty()));
        let proxy = |names: &[&str]| {
            let text = given.map(ToOwned::to_owned).or_else(|| first(names));
            text.filter(|text| !text.is_empty()).map(|text| parse(&text))
        };
        Ok(Self {
            http: proxy(&["http_proxy", "all_proxy", "ALL_PROXY"]).transpose()?,
            https: proxy(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]).transpose()?,
            direct: first(&["no_proxy", "NO_PROXY"]).unwrap_or_default(),
        })
    }

    /// The one for that URL, if it is not to be asked directly.
    pub(super) fn of(&self, url: &Url) -> Option<&Proxy> {
        let proxy = if url.scheme() == Scheme::Https { &self.https } else { &self.http };
        proxy.as_ref().filter(|_| !is_direct(&self.direct, url.endpoint().0))
    }

    /// Those for HTTP and HTTPS, whatever the host.
    pub(super) fn both(&self) -> [Option<&Proxy>; 2] {
        [self.http.as_ref(), self.https.as_ref()]
    }
}

impl Proxy {
    /// Whether it answers by itself what it is asked for that URL: for other URLs or as another proxy it only connects.
    pub(super) fn answers(&self, url: &Url) -> bool {
        url.scheme() == Scheme::Http && matches!(self.scheme, "http" | "https")
    }
}

impl fmt::Display for Proxy {
    /// Without the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

fn parse(text: &str) -> Result<Proxy, SessionError> {
    let refused = || SessionError::Proxy(shown(text));
    let (scheme, rest) = text.trim().split_once("://").unwrap_or(("http", text.trim()));
    let (scheme, usual) = match scheme.to_ascii_lowercase().as_str() {
        "http" => ("http", PORT),
        "https" => ("https", 443),
        "socks" | "socks4" => ("socks4", PORT),
        "socks4a" => ("socks4a", PORT),
        "socks5" => ("socks5", PORT),
        "socks5h" => ("socks5h", PORT),
        _ => return Err(refused()),
    };
    let mut authority: Authority =
        rest.split(['/', '?', '#']).next().unwrap_or_default().parse().map_err(|_| refused())?;
    authority.port.get_or_insert(usual);
    let mut whole = format!("{scheme}://");
    if let Some((user, password)) = authority.credentials() {
        percent::encode(&user, &mut whole);
        whole.push(':');
        percent::encode(&password, &mut whole);
        whole.push('@');
    }
    whole.push_str(&authority.to_string());
    let inner = UreqProxy::new(&whole).map_err(|_| refused())?;
    Ok(Proxy { scheme, authority, inner })
}

/// Whether `no_proxy` names that host: a domain with all below it, or an address or a network of such.
fn is_direct(no_proxy: &str, host: &str) -> bool {
    if no_proxy == "*" {
        return true;
    }
    let names = || no_proxy.split([',', ' ', '\t']).filter(|name| !name.is_empty());
    match host.parse::<IpAddr>() {
        Ok(address) => names().any(|name| is_within(address, name)),
        Err(_) => names().any(|name| is_below(host, name)),
    }
}

fn is_below(host: &str, domain: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let domain = domain.strip_prefix('.').unwrap_or(domain);
    let Some(at) = host.len().checked_sub(domain.len()).filter(|_| !domain.is_empty()) else { return false };
    let ends = host.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(domain));
    ends && (at == 0 || host.as_bytes()[at - 1] == b'.')
}

fn is_within(address: IpAddr, network: &str) -> bool {
    let (base, bits) = match network.split_once('/') {
        Some((base, bits)) => (base, bits.parse::<u32>().ok()),
        None => (network, Some(0)),
    };
    let base = base.strip_prefix('[').and_then(|base| base.strip_suffix(']')).unwrap_or(base);
    let (Ok(base), Some(bits)) = (base.parse::<IpAddr>(), bits) else { return false };
    let (difference, width) = match (address, base) {
        (IpAddr::V4(address), IpAddr::V4(base)) => (u128::from(v4(address) ^ v4(base)), Ipv4Addr::BITS),
        (IpAddr::V6(address), IpAddr::V6(base)) => (v6(address) ^ v6(base), Ipv6Addr::BITS),
        _ => return false,
    };
    // curl takes /0 for no network at all.
    let bits = if bits == 0 { width } else { bits };
    bits <= width && difference.checked_shr(width - bits).unwrap_or(0) == 0
}

fn v4(address: Ipv4Addr) -> u32 {
    address.into()
}

fn v6(address: Ipv6Addr) -> u128 {
    address.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(given: Option<&str>, environment: &[(&str, &str)]) -> Result<Proxies, String> {
        let variable = |wanted: &str| {
            environment.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
        };
        Proxies::find(given, variable).map_err(|error| error.to_string())
    }

    fn of(proxies: &Proxies, url: &str) -> String {
        proxies.of(&url.parse().unwrap()).map(ToString::to_string).unwrap_or_default()
    }

    #[test]
    fn the_environment_as_curl_reads_it() {
        for (environment, http, https) in [
            (&[][..], "", ""),
            (&[("http_proxy", "http://p:1")], "http://p:1", ""),
            (&[("HTTP_PROXY", "http://p:1")], "", ""),
            (&[("HTTPS_PROXY", "http://p:1")], "", "http://p:1"),
            (&[("https_proxy", "p:1"), ("HTTPS_PROXY", "q:1")], "", "http://p:1"),
            (&[("all_proxy", "socks5h://p")], "socks5h://p:1080", "socks5h://p:1080"),
            (&[("ALL_PROXY", "p"), ("http_proxy", "HTTPS://q")], "https://q:443", "http://p:1080"),
            (&[("http_proxy", ""), ("ALL_PROXY", "[::1]:3128/")], "http://[::1]:3128", "http://[::1]:3128"),
        ] {
            let proxies = proxies(None, environment).unwrap();
            assert_eq!(of(&proxies, "http://a/"), http, "{environment:?}");
            assert_eq!(of(&proxies, "https://a/"), https, "{environment:?}");
        }
        let given = proxies(Some("http://p:1"), &[("http_proxy", "q"), ("NO_PROXY", "b")]).unwrap();
        assert_eq!([of(&given, "http://a/"), of(&given, "https://a/")], ["http://p:1"; 2]);
        assert_eq!(of(&given, "http://b/"), "");
        let none = proxies(Some(""), &[("ALL_PROXY", "q")]).unwrap();
        assert_eq!([of(&none, "http://a/"), of(&none, "https://a/")], [""; 2]);
    }

    #[test]
    fn credentials_are_sent_and_not_shown() {
        let proxies = proxies(None, &[("http_proxy", "http://us%40er:p%2fa+s@p:1")]).unwrap();
        let proxy = proxies.http.unwrap();
        assert_eq!((proxy.inner.username(), proxy.inner.password()), (Some("us@er"), Some("p/a+s")));
        assert_eq!((proxy.to_string(), format!("{proxy:?}")), ("http://p:1".into(), "http://p:1".into()));
    }

    #[test]
    fn what_is_no_proxy_is_named() {
        for bad in ["ftp://u:secret@p", "http://", "http://u:secret@p:x", "http://u:secret@p q"] {
            let error = proxies(Some(bad), &[]).unwrap_err();
            assert!(!error.contains("secret") && error.contains("no proxy"), "{error}");
        }
    }

    #[test]
    fn hosts_that_are_asked_directly() {
        for (no_proxy, host, direct) in [
            ("*", "a", true),
            ("*,b", "a", false),
            ("*.b", "a.b", false),
            ("b.example", "b.example", true),
            (".b.example", "b.example", true),
            ("b.example", "a.B.example", true),
            ("b.example.", "a.b.example.", true),
            ("b.example", "ab.example", false),
            ("b.example", "example", false),
            ("a b, c ,,d", "c", true),
            ("a b, c ,,d", "d", true),
            ("localhost:80", "localhost", false),
            ("localhost", "127.0.0.1", false),
            (".", "a", false),
            ("127.0.0.1", "127.0.0.1", true),
            (".0.0.1", "127.0.0.1", false),
            ("127.0.0.0/8", "127.1.2.3", true),
            ("10.0.0.0/9", "10.127.0.1", true),
            ("10.0.0.0/9", "10.128.0.1", false),
            ("10.0.0.1/32", "10.0.0.1", true),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("0.0.0.0/0", "10.0.0.1", false),
            ("10.0.0.0/x", "10.0.0.0", false),
            ("::1", "::1", true),
            ("[::1]", "::1", true),
            ("fd00::/8", "fd12::3", true),
            ("fd00::/8", "fc00::1", false),
            ("10.0.0.0/8", "::1", false),
            ("ä", "a", false),
        ] {
            assert_eq!(is_direct(no_proxy, host), direct, "{no_proxy} {host}");
        }
    }
}
