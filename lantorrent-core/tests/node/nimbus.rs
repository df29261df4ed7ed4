//! Recorded connections to a node of version 0.2 (testdata/nimbus-0.2.json), played to ours.
//!
//! Folders and ports are those of the test, so every header is signed anew, as the recorded ones are signed.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::recorded::{Connection, FromClient, vectors};
use crate::support::{DeadPort, TestNode, exchange, signature_1};

fn signature(text: &str) -> String {
    signature_1(text.as_bytes())
}

/// The two nodes of the recording and the port where nobody listens.
struct Lab {
    first: TestNode,
    second: TestNode,
    dead: DeadPort,
}

impl Lab {
    fn new() -> Self {
        Self { first: TestNode::new(), second: TestNode::new(), dead: DeadPort::new() }
    }

    /// The same text about this lab.
    fn here(&self, text: &str) -> String {
        let folder = |node: &TestNode| node.path("").to_str().unwrap().to_owned();
        text.replace("/srv/lt/n2", &format!("{}n2", folder(&self.second)))
            // The 0.2 client's own example has one file of this name, on the second node.
            .replace(
                "/srv/lt/b\"}], \"block_size\": 131072, \"port\": \"28932\"",
                &format!("{}b\"}}], \"block_size\": 131072, \"port\": \"28932\"", folder(&self.second)),
            )
            .replace("/srv/lt/", &folder(&self.first))
            .replace("/srv/missing/", &format!("{}missing/", folder(&self.first)))
            .replace("28931", &self.first.address.port().to_string())
            .replace("28932", &self.second.address.port().to_string())
            .replace("28939", &self.dead.address.port().to_string())
    }

    /// A recorded stream about this lab, signed anew; if it was badly signed, badly again.
    fn stream(&self, sent: &str) -> String {
        let Some((header, rest)) = sent.split_once("EOH : ") else { return sent.to_owned() };
        let (recorded, rest) = rest.split_at(24);
        let good = signature(header) == recorded;
        let header = self.here(header);
        let signature = if good { signature(&header) } else { recorded.to_owned() };
        format!("{header}EOH : {signature}{rest}")
    }

    /// Sizes of all files on both nodes. Stops them: what a failure leaves behind goes when its results are out.
    fn files(&mut self) -> BTreeMap<String, u64> {
        let mut files = BTreeMap::new();
        for node in [&mut self.first, &mut self.second] {
            node.stop();
            let names = node.names();
            files.extend(names.into_iter().map(|name| {
                let size = fs::metadata(node.path(&name)).unwrap().len();
                (name, size)
            }));
        }
        files
    }
}

/// Reports by id. Nothing but JSON objects may be in between.
fn reports(text: &str) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for report in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
        let report = report.unwrap();
        assert!(found.insert(report["id"].to_string(), report).is_none(), "one report for each: {text}");
    }
    found
}

const FIELDS: [&str; 6] = ["code", "id", "host", "file", "port", "md5sum"];

/// What we answer where 0.2 is wrong, and why: the code; whether it is about the request, which else is null.
fn ours(name: &str) -> Option<(u16, bool)> {
    match name {
        // 0.2 forgets to import what its own handler of this error needs, and says 500 about nothing.
        "bad md5" => Some((510, true)),
        // 0.2 says 500. Its own code for this is 502, as a value is missing.
        "no degree" => Some((502, false)),
        // 0.2 crashes in its handler; its own code for this is 501.
        "300 lines" => Some((501, false)),
        // 0.2 never answers, and leaves the partial file.
        "short payload" => Some((506, true)),
        _ => None,
    }
}

#[test]
fn recorded_connections_are_answered_as_by_0_2_or_better() {
    for Connection { name, sent, received, files_after } in vectors().to_node {
        let mut lab = Lab::new();
        let answer = exchange(lab.first.address, lab.stream(&sent).as_bytes());
        let answer = String::from_utf8(answer).unwrap();
        let found = reports(&answer);
        if let Some((code, about_request)) = ours(&name) {
            let [report] = found.values().collect::<Vec<_>>()[..] else { panic!("{name}: {answer}") };
            assert_eq!(report["code"], code, "{name}");
            assert_eq!(report["md5sum"], "", "{name}");
            let file = format!("{}a", lab.first.path("").display());
            let request = [("id", "id-0"), ("host", "127.0.0.1"), ("file", &file)];
            for (field, value) in request {
                let value = if about_request { value.into() } else { Value::Null };
                assert_eq!(report[field], value, "{name}: {field}");
            }
            let port = lab.first.address.port();
            assert_eq!(report["port"], if about_request { port.into() } else { Value::Null }, "{name}");
        } else {
            let expected = reports(&lab.here(&received.unwrap()));
            assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{name}");
            for (id, expected) in &expected {
                for field in FIELDS {
                    assert_eq!(found[id][field], expected[field], "{name}: {field} of {id}");
                }
                assert!(found[id]["message"].is_string(), "{name}");
            }
        }
        assert!(answer.ends_with('\n'), "{name}: whole lines");
        if name == "bad signature" || name == "garbage" || name == "empty" {
            // 0.2 tells the signature that would have been right. Ours is the same for everybody.
            let [report] = found.values().collect::<Vec<_>>()[..] else { panic!("{name}: {answer}") };
            assert_eq!(report["message"], "Access denied", "{name}");
            let right = sent.split_once("EOH").map_or(sent.as_str(), |(header, _)| header);
            assert!(!answer.contains(&signature(&lab.here(right))), "{name}: {answer}");
        }
        let files_after = match name.as_str() {
            // 0.2 removes what it was to write in place.
            "no rename" => BTreeMap::from([("a".to_owned(), 0)]),
            "short payload" => BTreeMap::new(),
            _ => files_after,
        };
        assert_eq!(lab.files(), files_after, "{name}");
    }
}

#[test]
fn what_was_written_is_what_was_sent() {
    let quick = "The quick brown fox\n".repeat(4);
    for connection in vectors().to_node {
        let mut lab = Lab::new();
        exchange(lab.first.address, lab.stream(&connection.sent).as_bytes());
        for (name, size) in lab.files() {
            let node = if name == "n2" { &lab.second } else { &lab.first };
            node.assert_has(&name, &quick.as_bytes()[..usize::try_from(size).unwrap()]);
        }
    }
}

#[test]
fn what_the_0_2_client_writes_goes_down_a_chain_of_two() {
    let FromClient { wrote } = vectors().from_client.remove(0);
    let mut lab = Lab::new();
    let answer = exchange(lab.first.address, lab.stream(&wrote).as_bytes());
    let found = reports(std::str::from_utf8(&answer).unwrap());
    let codes: Vec<_> = found.values().map(|report| &report["code"]).collect();
    assert_eq!(codes, [0, 0], "{found:?}");
    assert_eq!(lab.files(), BTreeMap::from([("a".to_owned(), 80), ("b".to_owned(), 80)]));
    let quick = "The quick brown fox\n".repeat(4);
    lab.first.assert_has("a", quick.as_bytes());
    lab.second.assert_has("b", quick.as_bytes());
}

#[test]
fn each_byte_may_come_alone() {
    use std::io::{Read, Write};
    let sent = vectors().to_node.into_iter().find(|connection| connection.name == "two nodes").unwrap().sent;
    let lab = Lab::new();
    let mut socket = std::net::TcpStream::connect(lab.first.address).unwrap();
    socket.set_nodelay(true).unwrap();
    for byte in lab.stream(&sent).bytes() {
        socket.write_all(&[byte]).unwrap();
    }
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(reports(&answer).values().all(|report| report["code"] == 0), "{answer}");
}
