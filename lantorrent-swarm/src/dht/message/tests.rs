//! Messages as bytes.

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
        let reply = message(Body::Reply(Reply { nodes: vec![contact; 2], ..Reply::new(NodeId([1; 20])) }));
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
    let reply = b"d1:rd2:id20:mnopqrstuvwxyz1234565:nodes3:abc6:valuesl6:aaaa\0\x003:abci7eee1:t2:aa1:y1:re";
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
