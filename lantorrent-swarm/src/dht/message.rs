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
mod tests {
    use super::*;

    fn message(body: Body) -> Message {
        Message { transaction: b"aa".to_vec(), body }
    }

    fn query(query: Query) -> Body {
        Body::Query { id: NodeId(*b"abcdefghij0123456789"), mode: Mode::Full, query }
    }

    fn check(body: Body, bytes: &[u8]) {
        let message = message(body);
        let written = message.write(Compact::V4);
        assert_eq!(written.escape_ascii().to_string(), bytes.escape_ascii().to_string());
        assert_eq!(Message::read(bytes, Compact::V4), Some(message));
    }

    /// The examples of BEP 5.
    #[test]
    fn byte_for_byte() {
        check(query(Query::Ping), b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe");
        check(
            query(Query::FindNode(NodeId(*b"mnopqrstuvwxyz123456"))),
            b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
        );
        check(
            query(Query::GetPeers(InfoHash(*b"mnopqrstuvwxyz123456"))),
            b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
        );
        let announce = Query::Announce {
            torrent: InfoHash(*b"mnopqrstuvwxyz123456"),
            port: Port::Given(6881),
            token: b"aoeusnth".to_vec(),
        };
        check(
            query(announce),
            b"d1:ad2:id20:abcdefghij012345678912:implied_porti0e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:\
              aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
        );
        let id = NodeId(*b"mnopqrstuvwxyz123456");
        check(Body::Reply(Reply::new(id)), b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re");
        let peers = vec!["97.120.106.101:11893".parse().unwrap(), "105.100.104.116:28269".parse().unwrap()];
        let reply = Reply { peers, token: Some(b"aoeusnth".to_vec()), ..Reply::new(id) };
        check(
            Body::Reply(reply),
            b"d1:rd2:id20:mnopqrstuvwxyz1234565:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
        );
        assert_eq!(
            message(Body::Error(201, "A Generic Error Ocurred")).write(Compact::V4),
            b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee"
        );
    }

    #[test]
    fn nodes_of_both_families() {
        for (family, address) in [(Compact::V4, "10.0.0.1:1"), (Compact::V6, "[fe80::1]:1")] {
            let contact = Contact { id: NodeId([7; 20]), address: address.parse().unwrap() };
            let reply =
                message(Body::Reply(Reply { nodes: vec![contact; 2], ..Reply::new(NodeId([1; 20])) }));
            let bytes = reply.write(family);
            assert_eq!(Message::read(&bytes, family), Some(reply));
        }
    }

    #[test]
    fn leniently() {
        let read = |bytes: &[u8]| Message::read(bytes, Compact::V4).map(|message| message.body);
        let implied =
            b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234565:token1:x\
                        e1:q13:announce_peer2:roi1e1:t1:a1:y1:q1:v4:abcdeX";
        let announce = Query::Announce {
            torrent: InfoHash(*b"mnopqrstuvwxyz123456"),
            port: Port::Implied,
            token: b"x".to_vec(),
        };
        let expected =
            Body::Query { id: NodeId(*b"abcdefghij0123456789"), mode: Mode::ReadOnly, query: announce };
        assert_eq!(read(implied), Some(expected));
        // An address without a port, one of no length that addresses have, and half a node.
        let reply =
            b"d1:rd2:id20:mnopqrstuvwxyz1234565:nodes3:abc6:valuesl6:aaaa\0\x003:abci7eee1:t2:aa1:y1:re";
        assert_eq!(read(reply), Some(Body::Reply(Reply::new(NodeId(*b"mnopqrstuvwxyz123456")))));
        assert_eq!(read(b"d1:eli201e1:xe1:t1:a1:y1:ee"), Some(Body::Refused));
        assert_eq!(read(b"d1:t1:a1:y1:ee"), Some(Body::Refused));
    }

    #[test]
    fn what_is_no_message() {
        let read = |bytes: &[u8]| Message::read(bytes, Compact::V4).map(|message| message.body);
        for bytes in [
            &b""[..],
            b"hello",
            b"le",
            b"de",
            b"d1:y1:qe",
            b"d1:t1:a1:y1:xe",
            b"d1:t1:a1:y1:re",
            b"d1:rd2:id2:xxe1:t1:a1:y1:re",
            b"d1:t65:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1:y1:ee",
        ] {
            assert_eq!(read(bytes), None, "{}", bytes.escape_ascii());
        }
        for bytes in [
            &b"d1:t1:a1:y1:qe"[..],
            b"d1:ade1:q4:ping1:t1:a1:y1:qe",
            b"d1:ad2:id20:abcdefghij0123456789e1:q9:find_node1:t1:a1:y1:qe",
            b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti0e5:token1:xe1:q13:announce_peer\
              1:t1:a1:y1:qe",
        ] {
            assert_eq!(read(bytes), Some(Body::Malformed), "{}", bytes.escape_ascii());
        }
        let unknown = b"d1:ad2:id20:abcdefghij0123456789e1:q4:vote1:t1:a1:y1:qe";
        assert!(matches!(read(unknown), Some(Body::Query { query: Query::Unknown, .. })));
    }
}
