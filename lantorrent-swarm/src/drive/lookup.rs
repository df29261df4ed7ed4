//! Addresses of names, for `ureq`, whose own way of it panics where there is no thread, and knows no zones.

use std::io::{self, ErrorKind};

use lantorrent_core::runtime::{look_up, look_up_within};
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::http::uri::Scheme;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Asks the system on a thread of its own, so that the wait has an end; where none can be had, on this one.
#[derive(Debug, Default)]
pub struct Lookup(());

impl Resolver for Lookup {
    fn resolve(&self, uri: &Uri, _: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let (host, port) = endpoint(uri).ok_or(Error::HostNotFound)?;
        let found = match timeout.not_zero() {
            None => look_up(&host, port),
            Some(patience) => look_up_within(&host, port, *patience),
        };
        let mut addresses = self.empty();
        // The array has room for some.
        for address in found.map_err(|error| unknown(error, timeout))?.into_iter().take(16) {
            addresses.push(address);
        }
        if addresses.is_empty() { Err(Error::HostNotFound) } else { Ok(addresses) }
    }
}

/// The zone of an address is told what it lacks; of a name the system says nothing that helps.
fn unknown(error: io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        ErrorKind::InvalidInput => Error::Io(error),
        _ => Error::HostNotFound,
    }
}

/// The host of a URL, with its zone as RFC 6874 writes that, and the port.
fn endpoint(uri: &Uri) -> Option<(String, u16)> {
    let usual = |scheme: &Scheme| if *scheme == Scheme::HTTPS { 443 } else { 80 };
    let port = uri.port_u16().or_else(|| uri.scheme().map(usual))?;
    let host = uri.host()?;
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    Some((without_escape(address.unwrap_or(host)), port))
}

/// The host of a URL, in which an address has its zone behind `%25`.
pub(super) fn without_escape(host: &str) -> String {
    if host.contains(':') { host.replacen("%25", "%", 1) } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_urls() {
        let host = |url: &str| endpoint(&url.parse().unwrap()).unwrap();
        assert_eq!(host("http://a.example/b"), ("a.example".into(), 80));
        assert_eq!(host("https://a.example"), ("a.example".into(), 443));
        assert_eq!(host("http://[2001:db8::1]:99/"), ("2001:db8::1".into(), 99));
        assert_eq!(host("http://[fe80::1%25eth0]:99/"), ("fe80::1%eth0".into(), 99));
        assert_eq!(host("http://[fe80::1%eth0]/"), ("fe80::1%eth0".into(), 80));
    }
}
