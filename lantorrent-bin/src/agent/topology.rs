//! The order of a chain.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fs;
use std::iter::Peekable;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::str::Chars;

use lantorrent_core::Target;

use crate::config::value;
use crate::exit::Failure;
use crate::lines;

/// More hosts than anybody has; a file that is longer is something else.
const MOST_BYTES: u64 = 16 << 20;

/// Where hosts stand in a chain: as in a file that lists them rack by rack, then by address. Without a file, by address
/// alone, since neighbours in the network tend to have neighbouring addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Topology {
    /// The line of each host, which may be named with a port or without.
    places: HashMap<(Host, Option<u16>), usize>,
}

/// As an address if it is one, since those can be written in several ways.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Host {
    Address(IpAddr),
    /// An address of a single link, with the interface that it is behind.
    OfLink(Ipv6Addr, String),
    Name(String),
}

impl Host {
    fn new(text: &str) -> Self {
        // A dot at its end changes no name, nor do capitals.
        let name = || Self::Name(text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase());
        match text.split_once('%').map(|(address, zone)| (address.parse(), zone)) {
            Some((Ok(address), zone)) => Self::OfLink(address, zone.to_owned()),
            _ => {
                text.parse().map_or_else(|_| name(), |address: IpAddr| Self::Address(address.to_canonical()))
            }
        }
    }
}

impl Topology {
    /// Reads the file: a host on each line, `#` before comments, and anything between racks.
    pub(crate) fn load(path: &Path) -> Result<Self, Failure> {
        let advice = "put it right, or take `topology` out of [agent] in lt.ini";
        let failed = |error: std::io::Error| {
            Failure::usage(format_args!("cannot read the topology {}: {error}", path.display()), advice)
        };
        if fs::metadata(path).map_err(failed)?.len() > MOST_BYTES {
            return Err(Failure::usage(
                format_args!("the topology {} is longer than 16 MiB", path.display()),
                advice,
            ));
        }
        let text = fs::read(path).map_err(failed)?;
        Self::parse(&text).map_err(|what| Failure::usage(format_args!("{}: {what}", path.display()), advice))
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        let mut places = HashMap::new();
        for (number, line) in lines::all(text) {
            let line = line.map_err(|what| format!("line {number}: {what}"))?;
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() || is_rack(line) {
                continue;
            }
            let named = host_and_port(line).ok_or_else(|| {
                let line = crate::text::clean(line);
                format!("line {number}: {line} is no HOST[:PORT]; write one host on each line")
            })?;
            // Who is listed twice stands where it is first.
            places.entry(named).or_insert(number);
        }
        Ok(Self { places })
    }

    /// Which of two nodes stands nearer to the source.
    pub(crate) fn compare(&self, one: (&str, u16), other: (&str, u16)) -> Ordering {
        self.key(one).cmp(&self.key(other))
    }

    /// What sorts nodes: those without a line behind all others.
    fn key<'a>(&self, (host, port): (&'a str, u16)) -> (usize, Rank<'a>, u16) {
        let parsed = Host::new(host);
        let rank = match &parsed {
            Host::Address(address) => Rank::Address(*address, ""),
            Host::OfLink(address, _) => {
                Rank::Address((*address).into(), host.split_once('%').map_or("", |(_, zone)| zone))
            }
            Host::Name(_) => Rank::Name(Natural(host)),
        };
        let whole = self.places.get(&(parsed.clone(), Some(port)));
        let line = whole.or_else(|| self.places.get(&(parsed, None)));
        (line.copied().unwrap_or(usize::MAX), rank, port)
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank<'a> {
    Address(IpAddr, &'a str),
    Name(Natural<'a>),
}

/// A line such as `[rack 12]`; not an IPv6 address in its brackets.
fn is_rack(line: &str) -> bool {
    line.strip_prefix('[')
        .and_then(|line| line.strip_suffix(']'))
        .is_some_and(|name| name.parse::<IpAddr>().is_err() && !(name.contains(':') && Target::is_host(name)))
}

fn host_and_port(text: &str) -> Option<(Host, Option<u16>)> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some((Host::Address(address.to_canonical()), None));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            // A name stands in no brackets.
            host.contains(':').then_some(())?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => Some(u16::try_from(value::within(port, &(1..=65_535)).ok()?).ok()?),
        None => None,
    };
    Target::is_host(host).then(|| (Host::new(host), port))
}

/// Text in which numbers count as numbers: node2 stands before node10.
#[derive(PartialEq, Eq)]
struct Natural<'a>(&'a str);

impl Ord for Natural<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut one, mut two) = (self.0.chars().peekable(), other.0.chars().peekable());
        loop {
            let order = match (one.peek().copied(), two.peek().copied()) {
                // As numbers 7 and 007 are equal, as names they are not.
                (None, None) => return self.0.cmp(other.0),
                (Some(a), Some(b)) if a.is_ascii_digit() && b.is_ascii_digit() => {
                    let (a, b) = (number(&mut one), number(&mut two));
                    a.len().cmp(&b.len()).then(a.cmp(&b))
                }
                _ => one.next().cmp(&two.next()),
            };
            if order != Ordering::Equal {
                return order;
            }
        }
    }
}

impl PartialOrd for Natural<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The digits that come next, without zeros before them: however many, the longer ones are the greater number.
fn number(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut digits = String::new();
    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
        if !(digits.is_empty() && digit == '0') {
            digits.push(digit);
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted<'a>(topology: &Topology, mut nodes: Vec<(&'a str, u16)>) -> Vec<(&'a str, u16)> {
        nodes.sort_by(|one, other| topology.compare(*one, *other));
        nodes
    }

    #[test]
    fn by_address_then_by_name() {
        let order = [
            ("10.0.0.9", 1),
            ("10.0.0.10", 1),
            ("10.0.0.10", 2),
            ("2001:db8::2", 1),
            ("2001:db8::10", 1),
            ("fe80::1%eth0", 1),
            ("fe80::1%eth1", 1),
            ("fe80::2%eth0", 1),
            ("node", 1),
            ("node2", 1),
            ("node02", 1),
            ("node10", 1),
            ("node10a", 1),
            ("vmm1", 1),
        ];
        // node02 and node2 are the same number, and the order of both is that of their text.
        let order = order.map(|(host, port)| match host {
            "node2" => ("node02", port),
            "node02" => ("node2", port),
            other => (other, port),
        });
        let mixed: Vec<_> = order.iter().rev().copied().collect();
        assert_eq!(sorted(&Topology::default(), mixed), order);
    }

    #[test]
    fn a_file_lists_hosts_rack_by_rack() {
        let topology = Topology::parse(
            "\u{feff}# machines\n[rack 1]\nvmm3\n  VMM1  # the old one\n\n10.0.0.7:2894\r\n\n[2001:db8::1]:2893\n2001:db8::2\n[fe80::A%eth0]\n[fe80::b%eth0]:7\n"
                .as_bytes(),
        );
        let topology = topology.unwrap();
        let order = [
            ("vmm3", 5),
            ("vmm3", 6),
            ("vmm1", 5),
            ("10.0.0.7", 2894),
            ("2001:db8:0::1", 2893),
            ("2001:db8::2", 1),
            ("fe80::a%eth0", 1),
            ("fe80::b%eth0", 7),
            // Not listed: this port of the host, and these hosts.
            ("10.0.0.7", 2893),
            ("::1", 1),
            ("other", 1),
        ];
        let mixed: Vec<_> = order.iter().rev().copied().collect();
        assert_eq!(sorted(&topology, mixed), order);
    }

    #[test]
    fn what_is_no_host_is_refused_by_its_line() {
        for line in [
            "two hosts",
            "a\u{200b}",
            "a,b",
            "root@a",
            "a\0b",
            "host:",
            "host:0",
            "host:65536",
            "host:x",
            ":1",
            "[::1",
            "[::1]x",
            "[fe80::1%]:1",
            "a:b:c",
        ] {
            let error = Topology::parse(format!("good\n{line}\n").as_bytes()).unwrap_err();
            assert!(error.contains("line 2"), "{error}");
        }
    }

    #[test]
    fn the_order_is_total() {
        let hosts =
            ["1", "01", "a1", "a01", "a1b", "a1b2", "a", "", "1.2.3.4", "::1", "a9999999999999999999999"];
        let topology = Topology::default();
        for a in hosts {
            for b in hosts {
                let order = topology.compare((a, 1), (b, 1));
                assert_eq!(order, topology.compare((b, 1), (a, 1)).reverse(), "{a} {b}");
                assert_eq!(order == Ordering::Equal, a == b, "{a} {b}");
                for c in hosts {
                    if order.is_lt() && topology.compare((b, 1), (c, 1)).is_lt() {
                        assert!(topology.compare((a, 1), (c, 1)).is_lt(), "{a} {b} {c}");
                    }
                }
            }
        }
    }
}
