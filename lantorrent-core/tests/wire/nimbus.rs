//! Recorded connections to a node of version 0.2: testdata/nimbus-0.2.json.

use lantorrent_core::wire::{
    Code, Features, Footer, Frame, Header, HeaderError, HeaderLink, HeaderReader, Keyring, Nonce, Password,
    PayloadReader, Report, Sum, Verb, Wire,
};

use super::recorded::{Connection, vectors};
use super::support::{Feed, header, keys, read_header, read_payload, read_reports};

fn connection(name: &str) -> Connection {
    vectors().to_node.into_iter().find(|connection| connection.name == name).unwrap()
}

/// The header of a recorded stream, and what follows it.
fn split(sent: &str) -> (Header, &[u8]) {
    let (header, used) = read_header(sent.as_bytes(), &[sent.len()]).unwrap().expect("a header");
    (header, &sent.as_bytes()[used..])
}

/// How the connection called `name` is refused, if its header is complete and not good.
fn refusal(name: &str) -> Option<HeaderError> {
    match name {
        "bad signature" => Some(HeaderError::BadSignature),
        "no degree" => Some(HeaderError::Invalid("'degree' is missing".into())),
        "not json" => Some(HeaderError::NotJson("expected ident at line 1 column 2".into())),
        "300 lines" => Some(HeaderError::TooLong("more than 256 lines")),
        _ => None,
    }
}

#[test]
fn every_recorded_header_is_verified_and_read() {
    let mut good = 0;
    for Connection { name, sent, .. } in vectors().to_node {
        if ["garbage", "empty"].contains(&name.as_str()) {
            assert_eq!(read_header(sent.as_bytes(), &[sent.len()]), Ok(None), "{name}");
            continue;
        }
        let read = read_header(sent.as_bytes(), &[sent.len()]).map(|found| found.expect("a header").0);
        if let Some(error) = refusal(&name) {
            assert_eq!(read, Err(error), "{name}");
        } else {
            let header = read.unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(header.wire(), Wire::One, "{name}");
            assert_eq!((header.node.host.as_str(), header.node.port), ("127.0.0.1", 28931), "{name}");
            assert_eq!(header.node.index, 0, "{name}");
            assert_eq!((header.block_size, header.degree), (131_072, 1), "{name}");
            assert!(matches!(header.length, Some(0 | 80)), "{name}");
            let request = &header.node.requests[0];
            assert_eq!(request.id, "id-0", "{name}");
            assert_eq!(request.rename, name != "no rename", "{name}");
            let path = if name == "cannot open" { "/srv/missing/x" } else { "/srv/lt/a" };
            assert_eq!(request.filename, path, "{name}");
            good += 1;
        }
    }
    assert_eq!(good, 13);
}

#[test]
fn lists_are_read_in_order() {
    let requests = split(&connection("two files").sent).0.node.requests;
    let files: Vec<_> = requests.iter().map(|request| (&*request.filename, &*request.id)).collect();
    assert_eq!(files, [("/srv/lt/a", "id-0"), ("/srv/lt/b", "id-1")]);
    let destinations = split(&connection("dead node skipped").sent).0.destinations;
    let nodes: Vec<_> = destinations
        .iter()
        .map(|node| (node.index, &*node.host, node.port, &*node.requests[0].id, node.degree, node.block_size))
        .collect();
    assert_eq!(
        nodes,
        [
            (1, "127.0.0.1", 28939, "dead", Some(1), Some(131_072)),
            (2, "127.0.0.1", 28932, "n2", Some(1), Some(131_072))
        ]
    );
}

#[test]
fn the_same_headers_are_refused_under_another_password_or_with_wire_1_off() {
    for connection in vectors().to_node.iter().filter(|connection| connection.sent.starts_with('{')) {
        let signed = HeaderReader::default().push(connection.sent.as_bytes()).unwrap().1.unwrap();
        assert_eq!(signed.wire(), Wire::One);
        let other = Keyring::wire_1_only(Password::new("nimbus2").unwrap());
        assert_eq!(signed.verify(&other), Err(HeaderError::BadSignature));
        assert_eq!(
            signed.verify(&Keyring::new(Password::new("nimbus").unwrap())),
            Err(HeaderError::WireOff(1))
        );
        assert_eq!(signed.verify(&Keyring::default()), Err(HeaderError::WireOff(1)));
    }
}

#[test]
fn what_0_2_calls_a_bad_signature_is_one_and_the_right_one_is_not_told() {
    let refused = connection("bad signature");
    let error = header(refused.sent.as_bytes()).unwrap_err();
    assert_eq!(Code::from(&error), Code::ACCESS_DENIED);
    let report = Report::refusal(Code::from(&error), &error.to_string()).encode();
    assert!(refused.received.unwrap().contains("Z6wjE/ORjqV7AakHPV2Mnw=="), "0.2 tells the signature");
    assert!(!report.contains("Z6wjE/ORjqV7AakHPV2Mnw"), "{report}");
    assert!(!report.contains("127.0.0.1"), "{report}");
}

#[test]
fn payload_and_footer_are_read_to_the_recorded_sum() {
    let mut whole = 0;
    for Connection { name, sent, .. } in vectors().to_node {
        if refusal(&name).is_some() || ["garbage", "empty"].contains(&name.as_str()) {
            continue;
        }
        let (header, rest) = split(&sent);
        for feed in [Feed::Push, Feed::Slots] {
            let reader = PayloadReader::new(&header, &keys()).unwrap();
            let payload = read_payload(reader, 131_072, rest, &[rest.len()], feed);
            let size = header.length.unwrap();
            let sum = if size == 0 {
                "d41d8cd98f00b204e9800998ecf8427e"
            } else {
                "6a8ebc9c3d246a673d64a535a988c7d0"
            };
            match name.as_str() {
                "bad md5" => {
                    assert_eq!(payload.end.map_err(|error| Code::from(&error)), Err(Code::WRONG_CHECKSUM));
                }
                "short payload" => {
                    assert_eq!(payload.end.map_err(|error| Code::from(&error)), Err(Code::CONNECTION_LOST));
                    assert_eq!(payload.frames, []);
                }
                _ => {
                    assert_eq!(payload.end, Ok(()), "{name}");
                    let end = &payload.frames.last().unwrap().0;
                    let Frame::End { size: found, sum: Sum::Md5(md5) } = end else {
                        panic!("{name}: {end:?}")
                    };
                    assert_eq!((*found, md5.to_hex().as_str()), (size, sum), "{name}");
                    let footer = format!("{{\"md5sum\": \"{sum}\"}}");
                    assert_eq!(Footer::new(*md5).encode(), footer.as_bytes(), "as 0.2 writes it");
                    let data: Vec<u8> = payload.frames.iter().flat_map(|(_, data)| data.clone()).collect();
                    assert_eq!(data, "The quick brown fox\n".repeat(size as usize / 20).as_bytes(), "{name}");
                    whole += 1;
                }
            }
        }
    }
    assert_eq!(whole, 2 * 11);
}

#[test]
fn everything_that_0_2_answered_is_read() {
    let mut count = 0;
    for Connection { name, received, .. } in vectors().to_node {
        let Some(received) = received else { continue };
        let said = read_reports(received.as_bytes(), &[received.len()]);
        assert_eq!(said.end, Ok(()), "{name}");
        assert!(!said.all.is_empty(), "{name}");
        let recorded = serde_json::Deserializer::from_str(&received).into_iter::<serde_json::Value>();
        for (report, recorded) in said.all.iter().zip(recorded) {
            let recorded = recorded.unwrap();
            let ours: serde_json::Value = serde_json::from_str(&report.encode()).unwrap();
            assert_eq!(ours, recorded, "{name}: written again it says the same, field by field");
            count += 1;
        }
        let codes: Vec<u16> = said.all.iter().map(|report| report.code.0).collect();
        let expected: &[u16] = match name.as_str() {
            "two files" | "two nodes" | "port as string" => &[0, 0],
            "dead node skipped" => &[505, 0, 0],
            "bad signature" | "garbage" | "empty" => &[508],
            "bad md5" | "no degree" | "not json" | "300 lines" => &[500],
            "cannot open" => &[503],
            _ => &[0],
        };
        assert_eq!(codes, expected, "{name}");
    }
    assert_eq!(count, 23);
}

#[test]
fn what_the_client_writes_is_read_and_our_own_header_is_read_again() {
    let wrote = vectors().from_client.remove(0).wrote;
    let (header, rest) = split(&wrote);
    assert_eq!(header.node.requests[0].id, "14aabc22-e5e3-11f1-aaa5-02fc00000001");
    assert_eq!((header.destinations.len(), header.destinations[0].port), (1, 28932));
    let reader = PayloadReader::new(&header, &keys()).unwrap();
    assert_eq!(read_payload(reader, 131_072, rest, &[rest.len()], Feed::Push).end, Ok(()));
    let again = header.sign(&keys()).unwrap();
    assert_eq!(super::support::header(&again), Ok(header.clone()));
    assert_eq!(header.sign(&Keyring::new(Password::new("wire 2 alone").unwrap())), None);
    // What the client says of each destination, 0.2 needs in the header it makes of it: no key may get lost.
    let key_sets = |bytes: &[u8]| {
        let text = bytes.split(|&byte| byte == b'\n').next().unwrap();
        let json: serde_json::Value = serde_json::from_slice(text).unwrap();
        let keys = |json: &serde_json::Value| {
            let mut keys: Vec<String> = json.as_object().unwrap().keys().cloned().collect();
            keys.sort();
            keys
        };
        (keys(&json), keys(&json["destinations"][0]))
    };
    assert_eq!(key_sets(&again), key_sets(wrote.as_bytes()));
}

#[test]
fn a_header_is_handed_on_with_the_values_of_the_child() {
    let (header, _) = split(&connection("two nodes").sent.clone());
    let mut rest = header.destinations.clone();
    let child = rest.remove(0);
    let to = "127.0.0.1:28932".parse().unwrap();
    let features = Features::default();
    let link = HeaderLink { verb: Verb::Send, from: None, to, nonce: Nonce([0; 16]), expires: 0, features };
    let for_child = header.for_child(child, rest, link);
    let read = super::support::header(&for_child.sign(&keys()).unwrap()).unwrap();
    assert_eq!((read.node.port, &*read.node.requests[0].filename), (28932, "/srv/lt/n2"));
    assert_eq!((read.length, read.degree, read.block_size), (Some(80), 1, 131_072));
    assert_eq!((read.destinations.len(), read.envelope), (0, None));
}
