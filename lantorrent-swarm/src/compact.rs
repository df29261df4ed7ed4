//! Addresses as trackers (BEP 23, 7), peers (BEP 11) and the DHT (BEP 5) write them: the address and the port, in network
//! byte order.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// How many bytes an address has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "IP has two families")]
pub enum Compact {
    /// Four, and two of the port.
    V4,
    /// Sixteen, and two of the port.
    V6,
}

impl Compact {
    /// The form that this address has.
    pub fn of(address: &SocketAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Bytes in one address with its port.
    pub const fn size(self) -> usize {
        match self {
            Self::V4 => 6,
            Self::V6 => 18,
        }
    }

    /// The addresses in these bytes, one after another. Whatever is too short at the end is left out, and so are those
    /// without a port, to which nobody can connect.
    pub fn read(self, bytes: &[u8]) -> impl Iterator<Item = SocketAddr> {
        bytes.chunks_exact(self.size()).filter_map(move |entry| {
            let (address, port) = entry.split_at(self.size() - 2);
            let port = u16::from_be_bytes([port[0], port[1]]);
            let address: IpAddr = match self {
                Self::V4 => Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?).into(),
                Self::V6 => Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?).into(),
            };
            (port != 0).then_some(SocketAddr::new(address, port))
        })
    }

    /// Appends the address, if it has this form.
    pub fn write(self, address: &SocketAddr, out: &mut Vec<u8>) {
        match (self, address.ip()) {
            (Self::V4, IpAddr::V4(ip)) => out.extend_from_slice(&ip.octets()),
            (Self::V6, IpAddr::V6(ip)) => out.extend_from_slice(&ip.octets()),
            _ => return,
        }
        out.extend_from_slice(&address.port().to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let addresses: Vec<SocketAddr> =
            ["10.0.0.1:6881", "[fe80::1]:1", "10.0.0.2:65535"].map(|text| text.parse().unwrap()).into();
        for (form, expected) in [(Compact::V4, vec![0, 2]), (Compact::V6, vec![1])] {
            let mut bytes = Vec::new();
            for address in &addresses {
                form.write(address, &mut bytes);
            }
            assert_eq!(bytes.len(), expected.len() * form.size());
            let expected: Vec<_> = expected.iter().map(|&index| addresses[index]).collect();
            assert_eq!(form.read(&bytes).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn what_is_no_address_is_left_out() {
        let bytes = [10, 0, 0, 1, 0, 0, 10, 0, 0, 2, 0, 7, 10, 0, 0];
        assert_eq!(Compact::V4.read(&bytes).collect::<Vec<_>>(), ["10.0.0.2:7".parse().unwrap()]);
    }
}
