//! Who may ask: decided from the head of a request alone.

use std::hint::black_box;
use std::net::{IpAddr, SocketAddr};

use super::answer::Answer;
use super::head::Head;
use super::route::HEALTH;

/// What somebody who has reached a listener has shown by that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// A Unix socket: who may open the file may ask.
    File,
    /// TCP on this machine alone: whoever is on it may ask, but a web browser on it may have been sent by a page.
    Loopback,
    /// TCP on the network: the token alone counts.
    Network,
}

impl Access {
    pub(super) fn of(listener: SocketAddr) -> Self {
        if listener.ip().to_canonical().is_loopback() { Self::Loopback } else { Self::Network }
    }
}

/// Lets a request pass, or says why not.
pub(super) fn admit(head: &Head, access: Access, token: Option<&str>) -> Result<(), Answer> {
    if access == Access::File || has_token(head, token) {
        return Ok(());
    }
    match access {
        Access::Network if head.path != HEALTH => Err(unauthorized()),
        Access::Loopback => refuse_pages(head),
        Access::Network | Access::File => Ok(()),
    }
}

fn unauthorized() -> Answer {
    let detail =
        "this takes the header `Authorization: Bearer TOKEN`, with `token` of [agent] in the agent's lt.ini";
    Answer::problem(401, detail).with("WWW-Authenticate", "Bearer realm=\"lantorrent\"")
}

/// A page from anywhere, shown by a browser on this machine, can send requests to this machine. Two things betray it:
/// - Under a name of its own that it has come to mean this machine (DNS rebinding) it could read the answers too; then
///   that name stands in Host.
/// - Without that it can post blindly; then the browser says in Origin where the page is from. Bodies it could also send
///   as a form, if any other content type than JSON were taken.
fn refuse_pages(head: &Head) -> Result<(), Answer> {
    if head.host.as_deref().is_some_and(|host| !is_this_machine(host)) {
        return Err(Answer::problem(
            421,
            "the header Host names another machine; ask http://localhost or a loopback address, or give the token",
        ));
    }
    if head.origin.is_some() && !matches!(head.method.as_str(), "GET" | "HEAD" | "OPTIONS") {
        return Err(Answer::problem(
            403,
            "web pages (requests with the header Origin) may change nothing here; give the token, or ask without it",
        ));
    }
    Ok(())
}

/// Whether it is a name or an address of loopback, with or without a port.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    let name = name.unwrap_or_default();
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_loopback)
}

fn has_token(head: &Head, token: Option<&str>) -> bool {
    let (Some(token), Some(said)) = (token, &head.authorization) else { return false };
    let Some((scheme, credentials)) = said.split_once(' ') else { return false };
    scheme.eq_ignore_ascii_case("bearer") && equal(credentials.trim().as_bytes(), token.as_bytes())
}

/// Takes as long wherever they differ. How long the token is may be known.
fn equal(one: &[u8], other: &[u8]) -> bool {
    let differing = one.iter().zip(other).fold(0, |bits, (one, other)| black_box(bits | (one ^ other)));
    one.len() == other.len() && black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn head(method: &str, host: Option<&str>, origin: Option<&str>, said: Option<&str>) -> Head {
        let own = |text: Option<&str>| text.map(str::to_owned);
        let (host, origin, authorization) = (own(host), own(origin), own(said));
        Head {
            method: method.into(),
            path: "/v1/requests".into(),
            host,
            origin,
            authorization,
            ..Head::default()
        }
    }

    fn status(head: &Head, access: Access) -> u16 {
        admit(head, access, Some(TOKEN)).map_or_else(|answer| answer.status, |()| 200)
    }

    #[test]
    fn on_the_network_the_token_counts() {
        let with = |said: Option<&str>| status(&head("GET", Some("agent"), None, said), Access::Network);
        assert_eq!(with(Some("Bearer 0123456789abcdef")), 200);
        assert_eq!(with(Some("bearer  0123456789abcdef")), 200);
        for said in [
            None,
            Some(""),
            Some("Bearer"),
            Some("Bearer "),
            Some("Bearer 0123456789abcdeg"),
            Some("Bearer 0123456789abcde"),
            Some("Bearer 0123456789abcdef0"),
            Some("Basic 0123456789abcdef"),
            Some("0123456789abcdef"),
        ] {
            assert_eq!(with(said), 401, "{said:?}");
        }
        let good = head("GET", None, None, Some("Bearer "));
        assert!(
            admit(&good, Access::Network, Some("")).is_ok(),
            "an empty token is refused where lt.ini is read"
        );
        assert_eq!(admit(&good, Access::Network, None).unwrap_err().status, 401);
        let health = Head { path: HEALTH.into(), ..head("GET", Some("agent"), None, None) };
        assert_eq!(status(&health, Access::Network), 200);
    }

    #[test]
    fn pages_are_kept_out_of_loopback() {
        let from = |host: &str| status(&head("GET", Some(host), None, None), Access::Loopback);
        for host in
            ["localhost", "LocalHost:2894", "127.0.0.1:1", "127.9.9.9", "[::1]:2894", "[::ffff:127.0.0.1]"]
        {
            assert_eq!(from(host), 200, "{host}");
        }
        for host in
            ["", "example.com", "localhost.example.com", "10.0.0.1", "[::2]", "127.0.0.1.example.com", "::1"]
        {
            assert_eq!(from(host), 421, "{host}");
        }
        let page = Some("http://example.com");
        for (method, expected) in [("GET", 200), ("HEAD", 200), ("POST", 403), ("DELETE", 403), ("PUT", 403)]
        {
            let head = head(method, Some("localhost"), page, None);
            assert_eq!(status(&head, Access::Loopback), expected, "{method}");
            assert_eq!(status(&head, Access::File), 200, "{method}");
        }
        // Who knows the token is no such page.
        let trusted = head("POST", Some("agent.example.com"), page, Some("Bearer 0123456789abcdef"));
        assert_eq!(status(&trusted, Access::Loopback), 200);
    }

    #[test]
    fn without_a_host_it_is_no_browser() {
        assert_eq!(status(&head("GET", None, None, None), Access::Loopback), 200);
    }
}
