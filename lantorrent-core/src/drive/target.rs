//! Destinations as people write them.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use super::error::Error;
use crate::store::Placement;
use crate::wire::{Destination, Request, limits};

/// The port of a node that says nothing else.
pub const DEFAULT_PORT: u16 = 2893;

/// One file on one node: `HOST[:PORT]/path`, with an IPv6 address in brackets. One of a single link has the interface of this
/// host behind it: `[fe80::1%eth0]/path`.
///
/// ```
/// # use lantorrent_core::Target;
/// let target: Target = "[::1]/srv/a.img".parse()?;
/// assert_eq!((target.host.as_str(), target.port, target.path.as_str()), ("::1", 2893, "/srv/a.img"));
/// # Ok::<(), lantorrent_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "HOST:PORT/path has three parts")]
pub struct Target {
    /// Name or address.
    pub host: String,
    /// TCP port, not 0.
    pub port: u16,
    /// Absolute path on that node.
    pub path: String,
}

impl Target {
    /// Whether that can be a node's host: a name, or an address without brackets; of IPv6 maybe with a zone.
    pub fn is_host(text: &str) -> bool {
        let fits = |c: char| match c {
            _ if c.is_ascii() => c.is_ascii_alphanumeric() || "-._".contains(c),
            _ => !(c.is_whitespace() || c.is_control() || is_hidden(c)),
        };
        let is_name = (1..=limits::HOST_BYTES).contains(&text.len()) && text.chars().all(fits);
        let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
        let is_zone = !zone.is_empty() && zone.chars().all(fits);
        is_name || text.len() <= limits::HOST_BYTES && is_zone && address.parse::<Ipv6Addr>().is_ok()
    }
}

/// Whether nothing is to be seen of the character, or text around it is shown in another order.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |why| Error::Target { text: text.to_owned(), why };
        let (host, rest) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(|| bad("the bracket is not closed"))?;
                if !(host.contains(':') && Self::is_host(host)) {
                    return Err(bad("what is in brackets is no IPv6 address"));
                }
                (host, rest)
            }
            None => text.split_at(text.find([':', '/']).unwrap_or(text.len())),
        };
        let slash = rest.find('/').ok_or_else(|| bad("it has no path"))?;
        let (port, path) = rest.split_at(slash);
        let port = match port.strip_prefix(':') {
            Some(port) => {
                port.parse().ok().filter(|&number| number != 0 && !port.starts_with('+')).ok_or_else(|| {
                    bad("the port is no number from 1 to 65535 (an IPv6 address stands in brackets)")
                })
            }
            None if port.is_empty() => Ok(DEFAULT_PORT),
            None => Err(bad("only :PORT may stand between address and path")),
        }?;
        if host.is_empty() {
            return Err(bad("it has no host"));
        }
        if !Self::is_host(host) {
            return Err(bad("the host is no name and no address"));
        }
        if path.contains(char::is_control) {
            return Err(bad("there is a control character in the path"));
        }
        // A line end of another system, or what was copied with it; no file is meant to be called so.
        if path.ends_with(|c: char| c.is_whitespace() || is_hidden(c)) {
            return Err(bad("the path ends in a blank, or a character that cannot be seen"));
        }
        Ok(Self { host: host.to_owned(), port, path: path.to_owned() })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, path } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}{path}") } else { write!(f, "{host}:{port}{path}") }
    }
}

/// Turns what people ask for into the list of a chain: requests of one host and port become one destination, where
/// the first of them stands. The id of a request is its place in `targets`.
pub(super) fn destinations(targets: &[Target], placement: Placement) -> Result<Vec<Destination>, Error> {
    if targets.is_empty() {
        return Err(Error::Arguments("nothing to do: there is no destination".into()));
    }
    if targets.len() > limits::REQUESTS_TOTAL {
        let text = format!("more than {} destinations at once", limits::REQUESTS_TOTAL);
        return Err(Error::Arguments(text));
    }
    let mut list: Vec<Destination> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (number, target) in targets.iter().enumerate() {
        let request = Request {
            filename: target.path.clone(),
            id: number.to_string(),
            rename: placement == Placement::Rename,
        };
        let place = *places.entry((&target.host, target.port)).or_insert_with(|| {
            list.push(Destination {
                host: target.host.clone(),
                port: target.port,
                index: 0,
                requests: Vec::new(),
                degree: None,
                block_size: None,
            });
            list.len() - 1
        });
        list[place].requests.push(request);
    }
    check(&list)?;
    Ok(list)
}

/// What a node would refuse is better refused here, where somebody can change it.
fn check(list: &[Destination]) -> Result<(), Error> {
    let wrong = |text: String| Err(Error::Arguments(text));
    if list.len() > limits::DESTINATIONS {
        return wrong(format!("more than {} nodes at once", limits::DESTINATIONS));
    }
    for node in list {
        if node.requests.len() > limits::REQUESTS {
            return wrong(format!("more than {} files on {node}", limits::REQUESTS));
        }
        if let Some(request) =
            node.requests.iter().find(|request| request.filename.len() > limits::FILENAME_BYTES)
        {
            let start: String = request.filename.chars().take(64).collect();
            return wrong(format!("the path {start}… is longer than {} bytes", limits::FILENAME_BYTES));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_destination() {
        for (text, host, port, path) in [
            ("10.0.0.7:2893/srv/img/a.img", "10.0.0.7", 2893, "/srv/img/a.img"),
            ("[::1]:99/srv/a.img", "::1", 99, "/srv/a.img"),
            ("[fe80::1%eth0]:99/srv/a.img", "fe80::1%eth0", 99, "/srv/a.img"),
            ("[fe80::1%3]/a", "fe80::1%3", DEFAULT_PORT, "/a"),
            ("[fe80::1%br-lan.10]/a", "fe80::1%br-lan.10", DEFAULT_PORT, "/a"),
            ("vmm3/a:b/c", "vmm3", DEFAULT_PORT, "/a:b/c"),
            ("h:1/", "h", 1, "/"),
            ("vmm-3.rack_1.example./a b #1%20.img", "vmm-3.rack_1.example.", DEFAULT_PORT, "/a b #1%20.img"),
            ("müller/ä\u{200d}b", "müller", DEFAULT_PORT, "/ä\u{200d}b"),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!((target.host.as_str(), target.port, target.path.as_str()), (host, port, path));
            assert_eq!(target.to_string().parse::<Target>().unwrap(), target);
        }
    }

    #[test]
    fn what_is_none() {
        for text in [
            "",
            "h",
            "/p",
            ":1/p",
            "h:/p",
            "h:0/p",
            "h:65536/p",
            "h:x/p",
            "h:+1/p",
            "[::1/p",
            "[h]/p",
            "[::1]x/p",
            "a b/p",
            "a\u{a0}b/p",
            "\u{feff}h/p",
            "h\u{200b}/p",
            "root@h/p",
            "h,i/p",
            "h%41/p",
            "h%eth0/p",
            "[fe80::1%]/p",
            "[fe80::1%a b]/p",
            "[10.0.0.1]/p",
            "[10.0.0.1%eth0]/p",
            "[fe80::1]%eth0/p",
            "fe80::1%eth0/p",
            "fe80::1/p",
            "::1/p",
            "http://h/p",
            "h;/p",
            "h/p ",
            "h/p\t",
            "h/p\r",
            "h/p\u{a0}",
            "h/p\u{200b}",
            "h/a\nb",
            "h/a\0b",
        ] {
            assert!(matches!(text.parse::<Target>(), Err(Error::Target { .. })), "{text}");
        }
    }

    #[test]
    fn one_node_is_one_destination() {
        let targets: Vec<Target> =
            ["a/1", "b/1", "a/2", "a:5/1"].iter().map(|text| text.parse().unwrap()).collect();
        let list = destinations(&targets, Placement::Rename).unwrap();
        assert_eq!(list.len(), 3);
        let ids: Vec<&str> = list[0].requests.iter().map(|request| request.id.as_str()).collect();
        assert_eq!(ids, ["0", "2"]);
    }
}
