//! The networks that this host is in.

use std::net::{IpAddr, Ipv4Addr};

use lantorrent_core::runtime::interfaces::{V6Address, index_of, table, v6_addresses};

use crate::swarm::Network;

/// A network interface that has others behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) name: String,
    pub(super) index: u32,
}

/// All of them. None where the system does not say.
pub(super) fn interfaces() -> Vec<Interface> {
    let interface = |name: &str| Some(Interface { name: name.into(), index: index_of(name)? });
    let mut all: Vec<Interface> = table("dev").lines().filter_map(name).filter_map(interface).collect();
    // Those of containers, of which there may be many, come last.
    all.sort_by_key(|interface| interface.index);
    all
}

/// A line of the interfaces' counters begins with a name. Behind the loopback interface there is nobody else.
fn name(line: &str) -> Option<&str> {
    line.split_once(':').map(|(name, _)| name.trim()).filter(|name| *name != "lo")
}

/// Networks that are reached without a gateway. None where the system does not say.
pub(super) fn networks() -> Vec<Network> {
    let v6 = v6_addresses();
    table("route").lines().filter_map(route).chain(v6.iter().filter_map(network)).collect()
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

fn network(v6: &V6Address) -> Option<Network> {
    let (address, bits) = (IpAddr::V6(v6.address), v6.bits);
    (!address.is_loopback()).then_some(Network { address, bits })
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
        let v6 = |address: &str, bits| {
            let address = address.parse().unwrap();
            network(&V6Address { address, bits, index: 1, interface: "eth0".into() })
        };
        assert_eq!(v6("::1", 128), None);
        assert_eq!(v6("fe80::1", 64), expected("fe80::1", 64));
    }
}
