//! Addresses of hosts: names, which the system looks up, and IPv6 addresses of a single link, which take a zone.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::interfaces::{V6Address, index_of, name_of, v6_addresses};

type Lookup = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Where the addresses of a name come from. As a default, from the system: `/etc/hosts`, DNS, and what else it has.
///
/// ```
/// use std::net::SocketAddr;
/// use lantorrent_core::Resolver;
///
/// let racks = Resolver::new(|host, port| match host {
///     "vmm7" => Ok(vec![SocketAddr::from(([10, 0, 0, 7], port))]),
///     _ => Err(std::io::Error::other("there is no such machine")),
/// });
/// # drop(racks);
/// ```
#[derive(Clone)]
pub struct Resolver(Arc<Lookup>);

/// What a zone is worth that another host has given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zones {
    /// It was given on this host, and names an interface of it.
    Own,
    /// It names an interface of another host. This one may call it otherwise: where it has no such interface, or nothing
    /// answers there, it is one of the others.
    Foreign,
}

impl Resolver {
    /// Names are looked up by that, which may take its time: each call has a thread of its own. Addresses are not.
    pub fn new(look_up: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(look_up))
    }

    /// The addresses of a host, in the order in which they are to be tried.
    pub fn look_up(&self, host: &str, port: u16, zones: Zones) -> io::Result<Vec<SocketAddr>> {
        let (text, zone) = host.split_once('%').map_or((host, None), |(text, zone)| (text, Some(zone)));
        match text.parse() {
            Ok(IpAddr::V6(ip)) if zone.is_some() || ip.is_unicast_link_local() => {
                let indices = interfaces(zone, zones, &Links::of_this_host())?;
                Ok(indices.into_iter().map(|index| SocketAddrV6::new(ip, port, 0, index).into()).collect())
            }
            Ok(ip) if zone.is_none() => Ok(vec![SocketAddr::new(ip, port)]),
            _ => (self.0)(host, port),
        }
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new(|host, port| {
            in_any_case(host, |host| (host, port).to_socket_addrs().map(Iterator::collect))
        })
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

/// A name is the same one in capitals, which not every C library knows of those in `/etc/hosts`.
fn in_any_case(
    host: &str,
    look_up: impl Fn(&str) -> io::Result<Vec<SocketAddr>>,
) -> io::Result<Vec<SocketAddr>> {
    look_up(host).or_else(|error| {
        let small = host.to_ascii_lowercase();
        if small == host { Err(error) } else { look_up(&small) }
    })
}

/// The addresses of a host on this one: of a name, as the system has them, or of an IPv6 address with a zone, such as
/// `fe80::1%eth0`. Waits for as long as the system does.
///
/// # Errors
/// The name has no address, or there is no interface of the zone's name.
pub fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Resolver::default().look_up(host, port, Zones::Own)
}

/// As [`look_up`], but waits no longer than that. Where no thread can be had for the wait, it is as long as the system takes.
///
/// # Errors
/// As those of [`look_up`]; [`ErrorKind::TimedOut`] where it takes longer.
pub fn look_up_within(host: &str, port: u16, patience: Duration) -> io::Result<Vec<SocketAddr>> {
    look_up_all([(host.to_owned(), port)], patience).remove(0)
}

/// As [`look_up_within`], of several hosts at once, none of which holds up another: one result for each.
pub fn look_up_all(
    hosts: impl IntoIterator<Item = (String, u16)>,
    patience: Duration,
) -> Vec<io::Result<Vec<SocketAddr>>> {
    let until = Instant::now() + patience;
    let begun: Vec<_> = hosts.into_iter().map(look_up_apart).collect();
    let left = || until.saturating_duration_since(Instant::now());
    let late = || io::Error::new(ErrorKind::TimedOut, "the name was not looked up in time");
    begun.into_iter().map(|found| found.recv_timeout(left()).unwrap_or_else(|_| Err(late()))).collect()
}

fn look_up_apart((host, port): (String, u16)) -> mpsc::Receiver<io::Result<Vec<SocketAddr>>> {
    let (told, heard) = mpsc::sync_channel(1);
    let (name, here) = (host.clone(), told.clone());
    // The caller may have given up.
    let apart = move || drop(told.send(look_up(&name, port)));
    if thread::Builder::new().name("look up".into()).spawn(apart).is_err() {
        let _ = here.send(look_up(&host, port));
    }
    heard
}

/// The host of a peer, as it is written: an address of a single link with the name of its interface, such as `fe80::1%eth0`.
pub fn host_of(peer: SocketAddr) -> String {
    match (peer.ip().to_canonical(), peer) {
        (IpAddr::V6(ip), SocketAddr::V6(peer)) if peer.scope_id() != 0 => {
            let index = peer.scope_id();
            format!("{ip}%{}", name_of(index).unwrap_or_else(|| index.to_string()))
        }
        (ip, _) => ip.to_string(),
    }
}

/// The interfaces that an address of a single link may be behind, the likeliest first.
fn interfaces(zone: Option<&str>, zones: Zones, links: &Links) -> io::Result<Vec<u32>> {
    let invalid = |text: String| Err(io::Error::new(ErrorKind::InvalidInput, text));
    let named = zone.and_then(|zone| links.index(zone));
    match (zones, zone, named) {
        (Zones::Own, _, Some(index)) => Ok(vec![index]),
        (Zones::Own, None, _) => invalid(format!(
            "a link-local address takes the interface that it is behind, as in fe80::1%{}",
            links.names().next().unwrap_or("eth0")
        )),
        (Zones::Own, Some(zone), None) => {
            let names = links.names().collect::<Vec<_>>().join(", ");
            invalid(format!("there is no interface {zone} here with IPv6; there are: {names}"))
        }
        (Zones::Foreign, ..) => {
            let others = links.0.iter().map(|(index, _)| *index).filter(|index| Some(*index) != named);
            let all: Vec<u32> = named.into_iter().chain(others).collect();
            if all.is_empty() { invalid("no interface here has IPv6".into()) } else { Ok(all) }
        }
    }
}

/// Interfaces that have link-local addresses, by index and name.
struct Links(Vec<(u32, String)>);

impl Links {
    fn of_this_host() -> Self {
        let mut links: Vec<_> = v6_addresses().into_iter().filter_map(link).collect();
        links.sort_unstable();
        links.dedup();
        Self(links)
    }

    /// As the system has it, a name goes before a number.
    fn index(&self, zone: &str) -> Option<u32> {
        let known = self.0.iter().find(|(_, name)| name == zone).map(|(index, _)| *index);
        // An interface may be there without an address of its own, as loopback is.
        known.or_else(|| index_of(zone)).or_else(|| zone.parse().ok().filter(|&index| index != 0))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, name)| name.as_str())
    }
}

/// The interface of an address that is one of a single link.
fn link(address: V6Address) -> Option<(u32, String)> {
    address.address.is_unicast_link_local().then_some((address.index, address.interface))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links() -> Links {
        let text = "\
            fe800000000000000000000000000001 0a 40 20 80     ens3\n\
            20010db8000000000000000000000001 0a 40 00 80     ens3\n\
            fe800000000000000000000000000001 02 40 20 80     eth0\n\
            00000000000000000000000000000001 01 80 10 80       lo\n";
        Links(text.lines().filter_map(V6Address::read).filter_map(link).collect())
    }

    #[test]
    fn a_zone_is_the_name_or_the_number_of_an_interface() {
        let own = |zone| interfaces(zone, Zones::Own, &links());
        assert_eq!(own(Some("ens3")).unwrap(), [10]);
        assert_eq!(own(Some("7")).unwrap(), [7], "of an interface without an address");
        assert_eq!(own(Some("lo")).unwrap(), [1]);
        let missing = own(Some("eth9")).unwrap_err().to_string();
        assert!(missing.contains("eth9") && missing.contains("ens3, eth0"), "{missing}");
        let none = own(None).unwrap_err().to_string();
        assert!(none.contains("%ens3"), "{none}");
    }

    #[test]
    fn a_zone_of_another_host_is_one_of_the_own() {
        let foreign = |zone| interfaces(zone, Zones::Foreign, &links());
        assert_eq!(foreign(Some("eth0")).unwrap(), [2, 10], "the one of that name first");
        assert_eq!(foreign(Some("enp1s0")).unwrap(), [10, 2]);
        assert_eq!(foreign(None).unwrap(), [10, 2]);
        assert!(interfaces(Some("eth7"), Zones::Foreign, &Links(Vec::new())).is_err());
    }

    #[test]
    fn a_peer_has_the_name_of_its_interface() {
        let host = |text: &str| host_of(text.parse().unwrap());
        assert_eq!(host("[fe80::1%1]:5"), "fe80::1%lo");
        assert_eq!(host("[fe80::1%99999]:5"), "fe80::1%99999");
        assert_eq!(
            (host("[::ffff:10.0.0.1]:5"), host("[2001:db8::1]:5")),
            ("10.0.0.1".into(), "2001:db8::1".into())
        );
    }

    #[test]
    fn a_name_in_capitals_is_the_same_name() {
        // As musl reads `/etc/hosts`.
        let known = ["node7", "Node8"];
        let look_up = |host: &str| {
            let found = known.contains(&host).then(Vec::new);
            found.ok_or_else(|| io::Error::other(host.to_owned()))
        };
        for host in ["node7", "NODE7", "Node7", "Node8"] {
            assert!(in_any_case(host, look_up).is_ok(), "{host}");
        }
        assert_eq!(in_any_case("node9", look_up).unwrap_err().to_string(), "node9");
    }

    #[test]
    fn addresses_are_not_looked_up() {
        let resolver = Resolver::new(|host, _| Err(io::Error::other(host.to_owned())));
        let look_up = |host| resolver.look_up(host, 1, Zones::Own);
        assert_eq!(look_up("10.0.0.7").unwrap(), ["10.0.0.7:1".parse().unwrap()]);
        assert_eq!(look_up("2001:db8::7").unwrap(), ["[2001:db8::7]:1".parse().unwrap()]);
        assert_eq!(look_up("fe80::7%3").unwrap(), ["[fe80::7%3]:1".parse().unwrap()]);
        assert_eq!(look_up("a.example").unwrap_err().to_string(), "a.example");
    }
}
