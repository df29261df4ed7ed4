//! What nodes say to each other: KRPC (BEP 5, 32, 43).

use std::net::SocketAddr;

use super::id::NodeId;
use crate::InfoHash;
use crate::bencode::{Dict, Item, Value, dict};
use crate::compact::Compact;

/// A larger datagram than that is not read. Ours have less than 1000 bytes.
pub const DATAGRAM_LIMIT: usize = 2048;
/// Bytes of a transaction id, of which most have two, and of a token.
const LONGEST: usize = 64;

/// Error codes of BEP 5.
pub(super) const SERVER_ERROR: i64 = 202;
pub(super) const PROTOCOL_ERROR: i64 = 203;
pub(super) const METHOD_UNKNOWN: i64 = 204;

/// A node and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Contact {
    pub(super) id: NodeId,
    pub(super) address: SocketAddr,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Chosen by the one who asks; the answer has it too.
    pub(super) transaction: Vec<u8>,
    pub(super) body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Query {
        id: NodeId,
        mode: Mode,
        query: Query,
    },
    /// A query that lacks something that it must have.
    Malformed,
    Reply(Reply),
    Error(i64, &'static str),
    /// An error that somebody else sent.
    Refused,
}

/// Whether a node answers queries (BEP 43).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// It does, and takes part in all.
    #[default]
    Full,
    /// It only asks: for one that nobody can reach, or that is here for a moment. Nobody keeps it in a table.
    ReadOnly,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Query {
    Ping,
    FindNode(NodeId),
    GetPeers(InfoHash),
    Announce { torrent: InfoHash, port: Port, token: Vec<u8> },
    Unknown,
}

/// Where who announces takes connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    /// At the one that the datagram comes from.
    Implied,
    Given(u16),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) id: NodeId,
    pub(super) nodes: Vec<Contact>,
    pub(super) peers: Vec<SocketAddr>,
    pub(super) token: Option<Vec<u8>>,
}

impl Port {
    /// The port; `implied` if the datagram has it.
    pub(super) fn or(self, implied: u16) -> u16 {
        match self {
            Self::Implied => implied,
            Self::Given(port) => port,
        }
    }
}

impl Reply {
    pub(super) fn new(id: NodeId) -> Self {
        Self { id, nodes: Vec::new(), peers: Vec::new(), token: None }
    }
}

impl Message {
    /// Nodes are written, and read, as those of that family.
    pub(super) fn write(&self, family: Compact) -> Vec<u8> {
        let (kind, key, value) = match &self.body {
            Body::Query { id, query, .. } => ("q", "a", arguments(*id, query)),
            Body::Reply(reply) => ("r", "r", results(reply, family)),
            Body::Error(code, text) => ("e", "e", Item::List(vec![(*code).into(), (*text).into()])),
            Body::Malformed | Body::Refused => ("e", "e", Item::List(Vec::new())),
        };
        let mut entries =
            vec![("t", Item::Bytes(self.transaction.clone())), ("y", kind.into()), (key, value)];
        if let Body::Query { mode, query, .. } = &self.body {
            entries.push(("q", query.name().into()));
            if *mode == Mode::ReadOnly {
                entries.push(("ro", 1.into()));
            }
        }
        dict(entries).encode()
    }

    /// None for what is no message, or none that could be answered.
    pub(super) fn read(datagram: &[u8], family: Compact) -> Option<Self> {
        let (value, _) = Value::read(datagram).ok().filter(|_| datagram.len() <= DATAGRAM_LIMIT)?;
        let message = value.dict()?;
        let transaction = string(&message, "t")?;
        let body = match message.get("y")?.bytes()? {
            b"q" => read_query(&message),
            b"r" => Body::Reply(read_reply(&message.get("r")?.dict()?, family)?),
            b"e" => Body::Refused,
            _ => return None,
        };
        Some(Self { transaction, body })
    }
}

impl Query {
    fn name(&self) -> &'static str {
        match self {
            Self::Ping | Self::Unknown => "ping",
            Self::FindNode(_) => "find_node",
            Self::GetPeers(_) => "get_peers",
            Self::Announce { .. } => "announce_peer",
        }
    }
}

fn arguments(id: NodeId, query: &Query) -> Item {
    let mut entries = vec![("id", Item::from(&id.0[..]))];
    match query {
        Query::Ping | Query::Unknown => {}
        Query::FindNode(target) => entries.push(("target", target.0[..].into())),
        Query::GetPeers(torrent) => entries.push(("info_hash", torrent.0[..].into())),
        Query::Announce { torrent, port, token } => entries.extend([
            ("implied_port", i64::from(*port == Port::Implied).into()),
            ("info_hash", torrent.0[..].into()),
            ("port", i64::from(port.or(0)).into()),
            ("token", token.clone().into()),
        ]),
    }
    dict(entries)
}

fn results(reply: &Reply, family: Compact) -> Item {
    let mut entries = vec![("id", Item::from(&reply.id.0[..]))];
    if !reply.nodes.is_empty() {
        let mut nodes = Vec::new();
        for contact in &reply.nodes {
            nodes.extend(contact.id.0);
            family.write(&contact.address, &mut nodes);
        }
        entries.push((nodes_key(family), nodes.into()));
    }
    if !reply.peers.is_empty() {
        let peers = reply.peers.iter().map(|peer| {
            let mut bytes = Vec::new();
            Compact::of(peer).write(peer, &mut bytes);
            Item::Bytes(bytes)
        });
        entries.push(("values", Item::List(peers.collect())));
    }
    if let Some(token) = &reply.token {
        entries.push(("token", token.clone().into()));
    }
    dict(entries)
}

fn nodes_key(family: Compact) -> &'static str {
    match family {
        Compact::V4 => "nodes",
        Compact::V6 => "nodes6",
    }
}

fn read_query(message: &Dict<'_>) -> Body {
    let read = || {
        let arguments = message.get("a")?.dict()?;
        let id = NodeId(hash(&arguments, "id")?);
        let mode = match message.get("ro").and_then(Value::integer) {
            Some(1) => Mode::ReadOnly,
            _ => Mode::Full,
        };
        let query = match message.get("q")?.bytes()? {
            b"ping" => Query::Ping,
            b"find_node" => Query::FindNode(NodeId(hash(&arguments, "target")?)),
            b"get_peers" => Query::GetPeers(InfoHash(hash(&arguments, "info_hash")?)),
            b"announce_peer" => Query::Announce {
                torrent: InfoHash(hash(&arguments, "info_hash")?),
                port: read_port(&arguments)?,
                token: string(&arguments, "token")?,
            },
            _ => Query::Unknown,
        };
        Some(Body::Query { id, mode, query })
    };
    read().unwrap_or(Body::Malformed)
}

fn read_port(arguments: &Dict<'_>) -> Option<Port> {
    let number = |key| arguments.get(key).and_then(Value::integer);
    if number("implied_port").is_some_and(|implied| implied != 0) {
        return Some(Port::Implied);
    }
    u16::try_from(number("port")?).ok().filter(|&port| port != 0).map(Port::Given)
}

fn read_reply(results: &Dict<'_>, family: Compact) -> Option<Reply> {
    let id = NodeId(hash(results, "id")?);
    let nodes = results.get(nodes_key(family)).and_then(Value::bytes).unwrap_or_default();
    let values = results.get("values").and_then(Value::list);
    let peers = values.into_iter().flatten().filter_map(|value| read_peer(value.bytes()?));
    Some(Reply {
        id,
        nodes: read_nodes(nodes, family).collect(),
        peers: peers.collect(),
        token: string(results, "token"),
    })
}

/// Contacts one after another, as replies and saved tables have them.
pub(super) fn read_nodes(bytes: &[u8], family: Compact) -> impl Iterator<Item = Contact> {
    bytes.chunks_exact(20 + family.size()).filter_map(move |entry| {
        let (id, address) = entry.split_first_chunk()?;
        Some(Contact { id: NodeId(*id), address: family.read(address).next()? })
    })
}

fn read_peer(bytes: &[u8]) -> Option<SocketAddr> {
    [Compact::V4, Compact::V6].into_iter().find(|form| form.size() == bytes.len())?.read(bytes).next()
}

fn hash(from: &Dict<'_>, key: &str) -> Option<[u8; 20]> {
    from.get(key)?.bytes()?.try_into().ok()
}

fn string(from: &Dict<'_>, key: &str) -> Option<Vec<u8>> {
    from.get(key)?.bytes().filter(|bytes| bytes.len() <= LONGEST).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests;
