//! Network interfaces of this host, and their addresses.

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

use rustix::net::netdevice;

/// An IPv6 address of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V6Address {
    /// The address itself.
    pub address: Ipv6Addr,
    /// How many of its bits those of its network are.
    pub bits: u32,
    /// The interface that it belongs to, by number and by name.
    pub index: u32,
    /// See [`index`](Self::index).
    pub interface: String,
}

impl V6Address {
    /// A line of `if_inet6`: address, index, bits, scope and flags in hexadecimal, name.
    pub(super) fn read(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [address, index, bits, _, _, interface] = fields[..] else { return None };
        let number = |field| u32::from_str_radix(field, 16).ok();
        let address = Ipv6Addr::from(u128::from_str_radix(address, 16).ok()?);
        Some(Self { address, bits: number(bits)?, index: number(index)?, interface: interface.to_owned() })
    }
}

/// All IPv6 addresses. None where the system does not say.
pub fn v6_addresses() -> Vec<V6Address> {
    table("if_inet6").lines().filter_map(V6Address::read).collect()
}

/// A table of the kernel's network, as text. Empty where the system does not say.
pub fn table(name: &str) -> String {
    // Of this thread: the one that began the process may have been in another network.
    std::fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default()
}

/// The number of an interface.
pub fn index_of(name: &str) -> Option<u32> {
    netdevice::name_to_index(&any_socket()?, name).ok()
}

/// The name of an interface. One that is gone by now has none.
pub fn name_of(index: u32) -> Option<String> {
    netdevice::index_to_name(&any_socket()?, index).ok()
}

/// Any socket can say what number a name has.
fn any_socket() -> Option<UdpSocket> {
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_the_system_tells_them() {
        let line = "fe800000000000000000000000000001 0a 40 20 80     eth0";
        let address =
            V6Address { address: "fe80::1".parse().unwrap(), bits: 64, index: 10, interface: "eth0".into() };
        assert_eq!(V6Address::read(line), Some(address));
        for damaged in ["", "fe80 0a 40 20 80", "x 0a 40 20 80 eth0", "fe80 0a -1 20 80 eth0"] {
            assert_eq!(V6Address::read(damaged), None, "{damaged}");
        }
    }

    #[test]
    fn names_and_numbers_lead_to_each_other() {
        let index = index_of("lo").unwrap();
        assert_eq!(name_of(index).as_deref(), Some("lo"));
        assert_eq!((index_of("no-such-link"), name_of(99_999)), (None, None));
    }
}
