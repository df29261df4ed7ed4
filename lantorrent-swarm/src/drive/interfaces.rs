//! The networks that this host is in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use crate::swarm::Network;

/// A network interface that has others behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) index: u32,
}

/// All of them. None where the system does not say.
pub(super) fn interfaces() -> Vec<Interface> {
    // Any socket can say what number a name has.
    let Ok(socket) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)) else { return Vec::new() };
    let index = |name: &str| rustix::net::netdevice::name_to_index(&socket, name).ok();
    let interface = |name: &str| Some(Interface { name: name.into(), index: index(name)? });
    let mut all: Vec<Interface> = read("dev").lines().filter_map(name).filter_map(interface).collect();
    // Those of containers, of which there may be many, come last.
    all.sort_by_key(|interface| interface.index);
    all
}

/// A line of the interfaces' counters begins with a name. Behind the loopback interface there is nobody else.
fn name(line: &str) -> Option<&str> {
    line.split_once(':').map(|(name, _)| name.trim()).filter(|name| *name != "lo")
}

/// Of this thread: the one that began the process may have been in another network.
fn read(name: &str) -> String {
    std::fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default()
}

/// Networks that are reached without a gateway. None where the system does not say.
pub(super) fn networks() -> Vec<Network> {
    let (v4, v6) = (read("route"), read("if_inet6"));
    v4.lines().filter_map(route).chain(v6.lines().filter_map(address)).collect()
}

/// A line of the routing table: interface, destination, gateway, and the mask as the eighth, in hexadecimal and the
/// processor's byte order.
fn route(line: &str) -> Option<Network> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, destination, gateway, _, _, _, _, mask, ..] = fields[..] else { return None };
    let word = |field| u32::from_str_radix(field, 16).ok().map(u32::to_ne_bytes);
    let (destination, gateway, mask) = (word(destination)?, word(gateway)?, word(mask)?);
    let bits = u32::from_be_bytes(mask).leading_ones();
    (gateway == [0; 4] && bits > 0)
        .then(|| Network { address: IpAddr::V4(Ipv4Addr::from(destination)), bits })
}

/// A line of the addresses: the address in hexadecimal, the index, and the bits of its network in hexadecimal.
fn address(line: &str) -> Option<Network> {
    let mut fields = line.split_whitespace();
    let address = Ipv6Addr::from(u128::from_str_radix(fields.next()?, 16).ok()?);
    let bits = u32::from_str_radix(fields.nth(1)?, 16).ok()?;
    (!address.is_loopback()).then_some(Network { address: IpAddr::V6(address), bits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says() {
        let header =
            " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs";
        assert_eq!(name(header), None);
        assert_eq!(
            (name("  eth0: 1 2 3"), name("br-1.2:7 2 3"), name("    lo: 1")),
            (Some("eth0"), Some("br-1.2"), None)
        );
        let header = "Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT";
        assert_eq!(route(header), None);
        assert_eq!(route("eth0	00000000	0100A8C0	0003	0	0	0	00000000	0	0	0"), None, "by a gateway");
        let expected = |address: &str, bits| Some(Network { address: address.parse().unwrap(), bits });
        if cfg!(target_endian = "little") {
            let line = "eth0	00004D0A	00000000	0001	0	0	0	0000FFFF	0	0	0";
            assert_eq!(route(line), expected("10.77.0.0", 16));
        }
        assert_eq!(address("00000000000000000000000000000001 01 80 10 80       lo"), None);
        let line = "fe800000000000000000000000000001 02 40 20 80     eth0";
        assert_eq!(address(line), expected("fe80::1", 64));
    }
}
