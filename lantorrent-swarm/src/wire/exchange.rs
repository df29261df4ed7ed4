//! Peers telling each other of peers (BEP 11).

use std::net::SocketAddr;

use crate::Compact;
use crate::bencode::{Dict, Item, Value, dict};

/// Somebody whom a peer is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "the fields of BEP 11")]
pub struct ExchangePeer {
    /// Where it takes connections.
    pub address: SocketAddr,
    /// It wants no data any more: a seed.
    pub seed: bool,
    /// It has been connected to, so it can be reached.
    pub reachable: bool,
}

/// Who has come and who has gone since the last time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields of BEP 11")]
pub struct Exchange {
    /// Who has come.
    pub added: Vec<ExchangePeer>,
    /// Who has gone.
    pub dropped: Vec<SocketAddr>,
}

const SEED: u8 = 0x02;
const REACHABLE: u8 = 0x10;

/// Keys of a list, of its flags, and of the other list, for each form of addresses.
const KEYS: [(Compact, &str, &str, &str); 2] =
    [(Compact::V4, "added", "added.f", "dropped"), (Compact::V6, "added6", "added6.f", "dropped6")];

impl Exchange {
    /// Reads the payload of such a message, but no more than `most` addresses of each list. None if it is malformed.
    pub fn read(payload: &[u8], most: usize) -> Option<Self> {
        let fields = Value::read(payload).ok()?.0.dict()?;
        let mut exchange = Self::default();
        for (form, added, flags, dropped) in KEYS {
            let flags = bytes(&fields, flags).iter().copied().chain(std::iter::repeat(0));
            let entries = bytes(&fields, added).chunks_exact(form.size()).zip(flags);
            exchange.added.extend(entries.take(most).filter_map(|(entry, flags)| {
                let address = form.read(entry).next()?;
                Some(ExchangePeer { address, seed: flags & SEED != 0, reachable: flags & REACHABLE != 0 })
            }));
            exchange.dropped.extend(form.read(bytes(&fields, dropped)).take(most));
        }
        Some(exchange)
    }

    /// The payload of such a message.
    pub fn encode(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        for (form, added_key, flags_key, dropped_key) in KEYS {
            let (mut added, mut flags, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
            for peer in self.added.iter().filter(|peer| Compact::of(&peer.address) == form) {
                form.write(&peer.address, &mut added);
                flags.push(if peer.seed { SEED } else { 0 } | if peer.reachable { REACHABLE } else { 0 });
            }
            for address in &self.dropped {
                form.write(address, &mut dropped);
            }
            fields.extend([(added_key, added), (flags_key, flags), (dropped_key, dropped)]);
        }
        dict(fields.into_iter().map(|(key, bytes)| (key, Item::from(bytes)))).encode()
    }
}

fn bytes<'a>(fields: &Dict<'a>, key: &str) -> &'a [u8] {
    fields.get(key).and_then(Value::bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str, seed: bool, reachable: bool) -> ExchangePeer {
        ExchangePeer { address: address.parse().unwrap(), seed, reachable }
    }

    #[test]
    fn there_and_back() {
        let exchange = Exchange {
            added: vec![
                peer("10.0.0.1:6881", true, false),
                peer("10.0.0.2:1", false, true),
                peer("[fe80::1]:7", true, true),
            ],
            dropped: vec!["10.0.0.3:9".parse().unwrap(), "[::1]:8".parse().unwrap()],
        };
        assert_eq!(Exchange::read(&exchange.encode(), 50), Some(exchange.clone()));
        let short = Exchange::read(&exchange.encode(), 1).unwrap();
        assert_eq!((short.added.len(), short.dropped.len()), (2, 2), "one of each form");
        assert_eq!(Exchange::read(&Exchange::default().encode(), 50), Some(Exchange::default()));
    }

    #[test]
    fn flags_stay_with_their_peer() {
        let bytes = b"d5:added12:\x0a\0\0\x01\0\0\x0a\0\0\x02\0\x077:added.f2:\x02\x10e";
        assert_eq!(Exchange::read(bytes, 50).unwrap().added, [peer("10.0.0.2:7", false, true)]);
        let bytes = b"d5:added6:\x0a\0\0\x01\0\x07e";
        assert_eq!(Exchange::read(bytes, 50).unwrap().added, [peer("10.0.0.1:7", false, false)]);
        assert_eq!(Exchange::read(b"i1e", 50), None);
    }
}
