//! Headers that nobody should send, with and without the password.

use std::io::Write;
use std::net::Shutdown;

use lantorrent_core::wire::{Code, Header, ReportReader, Wire};
use serde_json::{Value, json};

use crate::support::{BOTH, Peer, TestNode, exchange, header, in_parallel, keys, payload, sign};

fn answer(node: &TestNode, bytes: &[u8]) -> Option<Code> {
    let answer = exchange(node.address, bytes);
    ReportReader::default().push(&answer).unwrap().1.map(|report| report.code)
}

/// The header as JSON, to be spoilt.
fn json(header: &Header) -> Value {
    let bytes = header.sign(&keys()).unwrap();
    serde_json::from_slice(bytes.split(|&byte| byte == b'\n').next().unwrap()).unwrap()
}

#[track_caller]
fn assert_serves(node: &TestNode) {
    for wire in BOTH {
        let peer = Peer::ready(header(wire, node, "good", 5), node.address);
        peer.write(&payload(&peer.header, b"fives"));
        assert_eq!(peer.codes(), [0]);
        std::fs::remove_file(node.path("good")).unwrap();
    }
    assert_eq!(node.names(), [""; 0]);
}

/// Bytes of memory that this process has used at most.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

#[test]
fn endless_headers_are_cut_off() {
    const MIB: usize = 1 << 20;
    let node = TestNode::new();
    let before = peak_memory();
    let piece = [vec![b'x'; MIB], [b'x', b'\n'].repeat(MIB / 2), b"{\"a\":".repeat(MIB / 5)];
    in_parallel(12, 12, |number| {
        let stranger = Peer::silent(node.address);
        // Enough to fill the machine if somebody kept it all.
        for _ in 0..128 {
            if (&stranger).write_all(&piece[number % 3]).is_err() {
                break;
            }
        }
    });
    let grown = peak_memory() - before;
    assert!(grown < 700 << 20, "{grown} bytes more");
    assert_serves(&node);
}

#[test]
fn headers_that_are_too_long_are_refused_by_name() {
    let node = TestNode::new();
    let line = vec![b'x'; 5 << 20];
    assert_eq!(answer(&node, &line), Some(Code::HEADER_TOO_LONG));
    assert_eq!(answer(&node, "x\n".repeat(257).as_bytes()), Some(Code::HEADER_TOO_LONG));
    let signature = [&b"{}\nEOH : "[..], &[b'A'; 200]].concat();
    assert_eq!(answer(&node, &signature), Some(Code::HEADER_TOO_LONG));
    assert_serves(&node);
}

#[test]
fn a_million_destinations_are_refused() {
    let node = TestNode::new();
    for wire in BOTH {
        let good = json(&header(wire, &node, "a", 5)).to_string();
        let endpoint = json!({"host": "127.0.0.1", "port": 1, "index": 1, "requests": []}).to_string();
        let refused = [
            ("{}", 1_000_000, Code::VALUE_MISSING),
            (&endpoint, 10_001, Code::VALUE_MISSING),
            (&endpoint, 90_000, Code::HEADER_TOO_LONG),
        ];
        for (entry, count, code) in refused {
            let list = format!("\"destinations\":[{}]", vec![entry; count].join(","));
            let text = good.replace("\"destinations\":[]", &list);
            assert_ne!(text, good);
            assert_eq!(answer(&node, &sign(wire, &text)), Some(code), "{count} times {entry}");
        }
        let requests = vec![json!({"filename": "/a", "id": "x", "rename": true}); 1001];
        let mut many = json(&header(wire, &node, "a", 5));
        many["requests"] = requests.into();
        assert_eq!(answer(&node, &sign(wire, &many.to_string())), Some(Code::VALUE_MISSING));
    }
    assert_serves(&node);
}

#[test]
fn deep_nesting_is_refused() {
    let node = TestNode::new();
    for wire in BOTH {
        let good = json(&header(wire, &node, "a", 5)).to_string();
        for (depth, keys) in [(17, &["unknown", "requests", "length", "host"][..]), (600_000, &["unknown"])] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let nested = format!("{}0{}", open.repeat(depth), close.repeat(depth));
                for key in keys {
                    let text = good.replacen('{', &format!("{{\"{key}\":{nested},"), 1);
                    let code = answer(&node, &sign(wire, &text)).unwrap();
                    let expected = [Code::VALUE_MISSING, Code::UNKNOWN, Code::HEADER_TOO_LONG];
                    assert!(expected.contains(&code), "{depth} of {open} in {key}: {code}");
                }
            }
        }
    }
    assert_serves(&node);
}

#[test]
fn numbers_that_are_none_are_refused() {
    let node = TestNode::new();
    let bad = ["-1", "1.5", "1e3", "18446744073709551616", "1e400", "\"x\"", "\"-5\"", "\"\"", "[]", "true"];
    for wire in BOTH {
        let mut good = header(wire, &node, "a", 5);
        good.destinations = crate::support::header_for(wire, &[&node, &node], &["a"], None).destinations;
        let good = json(&good);
        let extra = match wire {
            Wire::One => vec![("length", "null"), ("length", "9223372036854775808")],
            Wire::Two => vec![
                ("index", "4294967296"),
                ("length", "9223372036854775808"),
                ("block_size", "0"),
                ("block_size", "4095"),
                ("block_size", "2097152"),
                ("block_size", "4294967296"),
            ],
        };
        let ranges = [("port", "0"), ("port", "65536"), ("degree", "0"), ("degree", "65"), ("port", "null")];
        let keys: &[&str] = match wire {
            Wire::One => &["length", "port", "degree", "block_size"],
            Wire::Two => &["length", "port", "degree", "block_size", "index", "expires"],
        };
        let everywhere = keys.iter().flat_map(|&key| bad.map(|value| (key, value)));
        for (key, value) in everywhere.chain(ranges).chain(extra) {
            let text = good.to_string();
            let spoilt = format!("\"{key}\":{value}");
            let own = text.replacen(&format!("\"{key}\":{}", good[key]), &spoilt, usize::MAX);
            assert!(own.contains(&spoilt), "{own}");
            let code = answer(&node, &sign(wire, &own)).unwrap();
            let expected = [Code::VALUE_MISSING, Code::UNKNOWN];
            assert!(expected.contains(&code), "{key}: {value}: {code}");
        }
        // In a destination it is a bad destination, as far as its text could be read.
        for (key, value) in [("port", 0), ("port", 65536), ("degree", 0), ("degree", 65)] {
            let mut spoilt = good.clone();
            spoilt["destinations"][0][key] = value.into();
            let code = answer(&node, &sign(wire, &spoilt.to_string()));
            assert_eq!(code, Some(Code::BAD_DESTINATION), "{key}: {value}");
        }
    }
    assert_serves(&node);
}

#[test]
fn odd_texts_are_refused_or_harmless() {
    let node = TestNode::new();
    for wire in BOTH {
        let good = json(&header(wire, &node, "a", 5));
        let spoil = |key: &str, value: Value| {
            let mut spoilt = good.clone();
            spoilt[key] = value;
            sign(wire, &spoilt.to_string())
        };
        for (key, value) in [
            ("requests", json!([])),
            ("requests", json!(null)),
            ("requests", json!({"filename": "/a", "id": "x", "rename": true})),
            ("requests", json!([{"filename": "/a", "id": "x", "rename": "yes"}])),
            ("requests", json!([{"filename": 5, "id": "x", "rename": true}])),
            ("requests", json!([{"filename": "/a".repeat(10_000), "id": "x", "rename": true}])),
            ("requests", json!([{"filename": "/a", "id": "x".repeat(256), "rename": true}])),
            (
                "requests",
                json!([{"filename": "/a", "id": "x", "rename": true}, {"filename": "/b", "id": "x", "rename": true}]),
            ),
            ("host", json!("")),
            ("host", json!("x".repeat(256))),
            ("destinations", json!("none")),
        ] {
            assert_eq!(
                answer(&node, &spoil(key, value.clone())),
                Some(Code::VALUE_MISSING),
                "{key}: {value}"
            );
        }
        // The signature is of one wire, the text of the other.
        let other = spoil("wire", json!(3 - wire.number()));
        assert_eq!(answer(&node, &other), Some(Code::UNSUPPORTED));
        for text in ["", "null", "[]", "5", "\"x\"", "{", "{}}", "\u{feff}{}", "{\"a\":1,}"] {
            let code = answer(&node, &sign(wire, text)).unwrap();
            assert!([Code::UNKNOWN, Code::VALUE_MISSING].contains(&code), "{text:?}: {code}");
        }
        // Bytes that are no text at all.
        let mut bytes = good.to_string().into_bytes();
        let host = bytes.windows(9).position(|window| window == b"127.0.0.1").unwrap();
        bytes[host] = 0xff;
        let code = answer(&node, &crate::support::sign_bytes(wire, &bytes)).unwrap();
        assert!([Code::UNKNOWN, Code::VALUE_MISSING].contains(&code), "{code}");
    }
    assert_serves(&node);
}

#[test]
fn verbs_of_later_versions_are_not_obeyed() {
    let node = TestNode::new();
    for verb in ["format", "Send"] {
        let mut text = json(&header(Wire::Two, &node, "a", 5));
        text["verb"] = verb.into();
        assert_eq!(answer(&node, &sign(Wire::Two, &text.to_string())), Some(Code::UNSUPPORTED), "{verb}");
    }
    assert_serves(&node);
}

#[test]
fn noise_is_refused() {
    let node = TestNode::new();
    // With fewer line ends than are too many.
    let mut noise = crate::support::content(30_000);
    assert_eq!(answer(&node, &noise), Some(Code::ACCESS_DENIED));
    // What web browsers and TLS clients begin with.
    for start in
        [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\0"]
    {
        noise.splice(..start.len(), start.iter().copied());
        assert_eq!(answer(&node, start), Some(Code::ACCESS_DENIED));
        assert_eq!(answer(&node, &noise), Some(Code::ACCESS_DENIED));
    }
    let stranger = Peer::silent(node.address);
    stranger.shutdown(Shutdown::Both).unwrap();
    assert_serves(&node);
}
