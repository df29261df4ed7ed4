//! What a node keeps from one run to the next.

use std::net::SocketAddr;

use thiserror::Error;

use super::id::NodeId;
use super::message::{Contact, read_nodes};
use crate::bencode::{BencodeError, Item, Value, dict};
use crate::compact::Compact;

/// Nodes that are kept.
const MOST: usize = 400;

/// A node's name and those it knew: what comes back to where it was within a second.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Saved {
    /// Its name.
    pub id: NodeId,
    /// Nodes to [meet](super::DhtEvent::Meet) first.
    pub nodes: Vec<SocketAddr>,
}

/// A saved table that cannot be used. Start without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SavedError {
    /// It is not bencoded.
    #[error("the saved nodes are damaged ({0}); start without them")]
    Damaged(#[from] BencodeError),
    /// It is something else.
    #[error("these are no saved nodes; start without them")]
    Other,
}

impl Saved {
    /// Reads what [`DhtNode::save`](super::DhtNode::save) has returned for that family.
    pub fn read(bytes: &[u8], family: Compact) -> Result<Self, SavedError> {
        let saved = Value::read_whole(bytes)?.dict().ok_or(SavedError::Other)?;
        let id = saved.get("id").and_then(Value::bytes).and_then(|id| id.try_into().ok());
        let nodes = saved.get("nodes").and_then(Value::bytes).unwrap_or_default();
        let nodes = read_nodes(nodes, family).map(|contact| contact.address).take(MOST);
        Ok(Self { id: NodeId(id.ok_or(SavedError::Other)?), nodes: nodes.collect() })
    }
}

pub(super) fn write(id: NodeId, nodes: impl Iterator<Item = Contact>, family: Compact) -> Vec<u8> {
    let mut bytes = Vec::new();
    for contact in nodes.take(MOST) {
        bytes.extend(contact.id.0);
        family.write(&contact.address, &mut bytes);
    }
    dict([("id", Item::from(&id.0[..])), ("nodes", bytes.into())]).encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (family, address) in [(Compact::V4, "10.0.0.1:7"), (Compact::V6, "[::1]:7")] {
            let address: SocketAddr = address.parse().unwrap();
            let contact = Contact { id: NodeId([2; 20]), address };
            let bytes = write(NodeId([1; 20]), [contact].into_iter().cycle(), family);
            let saved = Saved { id: NodeId([1; 20]), nodes: vec![address; MOST] };
            assert_eq!(Saved::read(&bytes, family), Ok(saved));
            assert!(matches!(Saved::read(&bytes[1..], family), Err(SavedError::Damaged(_))));
        }
        for bytes in [&b"le"[..], b"de", b"d2:id3:abce"] {
            assert_eq!(Saved::read(bytes, Compact::V4), Err(SavedError::Other));
        }
    }
}
