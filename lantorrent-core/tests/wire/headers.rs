//! Headers of both wires: what is accepted, what is refused, and by which limit.

use lantorrent_core::wire::{
    Destination, Envelope, Features, Header, HeaderError, HeaderLink, HeaderReader, Keyring, Nonce, Password,
    Request, Signer, SourceHint, TransferKey, Verb, Wire, limits,
};
use serde_json::{Value, json};

use super::support::{header, keys, read_header, signed_1, signed_2};

use crate::with::with;

pub(crate) fn value_1() -> Value {
    json!({
        "host": "10.0.0.7", "port": 2893, "length": 80, "degree": 1, "block_size": 131_072,
        "requests": [{"filename": "/srv/a", "id": "a", "rename": true}],
        "destinations": [{
            "host": "10.0.0.8", "port": "2893", "length": 80, "degree": 1, "block_size": 131_072,
            "requests": [{"filename": "/srv/b", "id": "b", "rename": true}],
        }],
    })
}

/// Of the example.
fn signer() -> Signer {
    TransferKey::new(&[1; 32]).signer()
}

pub(crate) fn value_2() -> Value {
    json!({
        "wire": 2, "verb": "send", "transfer": signer().transfer(), "signer": signer(), "nonce": "11".repeat(16), "expires": 1_800_000_000,
        "to": "10.0.0.7:2893", "source": {"size": 80, "mtime": 5, "id": "x"}, "begun": 1_799_999_000,
        "min_rate": 1_000_000, "sparse": true, "features": ["later", "other"], "use": ["later"],
        "host": "10.0.0.7", "port": 2893, "index": 0, "length": 80, "degree": 2, "block_size": 65_536,
        "requests": [{"filename": "/srv/a", "id": "a", "rename": true}],
        "destinations": [{
            "host": "::1", "port": 2893, "index": 1, "degree": 3,
            "requests": [{"filename": "/srv/b", "id": "b", "rename": false}],
        }],
    })
}

pub(crate) fn signed(wire: Wire, value: &Value) -> Vec<u8> {
    let text = format!("{value}\n");
    match wire {
        Wire::One => signed_1(text.as_bytes()),
        Wire::Two => signed_2(text.as_bytes()),
    }
}

/// Reads the example of `wire` with `changes` made to it: a pointer, and a value or nothing at all.
fn changed(wire: Wire, changes: &[(&str, Option<Value>)]) -> Result<Header, HeaderError> {
    let mut value = if wire == Wire::One { value_1() } else { value_2() };
    for (pointer, new) in changes {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = value.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match new {
            Some(new) => drop(parent.insert(key.into(), new.clone())),
            None => drop(parent.remove(key).unwrap()),
        }
    }
    header(&signed(wire, &value))
}

pub(crate) fn header_2() -> Header {
    let request = |filename: &str, id: &str, rename| {
        with(Request::new(filename.into(), id.into()), |it| it.rename = rename)
    };
    let destination = |host: &str, index, degree, request| {
        with(Destination::new(host.into(), 2893, vec![request]), |it| {
            it.index = index;
            it.degree = degree;
        })
    };
    with(
        Header::new(destination("10.0.0.7", 0, None, request("/srv/a", "a", true)), Some(80), 65_536),
        |it| {
            it.degree = 2;
            it.destinations = vec![destination("::1", 1, Some(3), request("/srv/b", "b", false))];
            it.envelope = Some(with(
                Envelope::new(signer(), Nonce([0x11; 16]), 1_800_000_000, "10.0.0.7:2893".parse().unwrap()),
                |it| {
                    it.source = Some(with(SourceHint::new("x".into()), |it| {
                        it.size = Some(80);
                        it.mtime = Some(5);
                    }));
                    it.begun = Some(1_799_999_000);
                    it.min_rate = Some(1_000_000);
                    it.sparse = true;
                    it.features = Features::new(["later", "other"]).unwrap();
                    it.features_in_use = Features::new(["later"]).unwrap();
                },
            ));
        },
    )
}

#[test]
fn values_come_through_both_ways() {
    assert_eq!(header(&signed(Wire::Two, &value_2())), Ok(header_2()));
    assert_eq!(header(&header_2().sign(&keys()).unwrap()), Ok(header_2()));
    let mut stream = header_2();
    stream.length = None;
    stream.envelope.as_mut().unwrap().source = None;
    stream.envelope.as_mut().unwrap().to = "[fe80::1]:1".parse().unwrap();
    stream.node.requests[0].filename = "/srv/\"\\\n\r\u{1}ä\u{10ffff}".into();
    assert_eq!(header(&stream.sign(&keys()).unwrap()), Ok(stream));
    for verb in [Verb::Send, Verb::Check, Verb::Query, Verb::Cancel] {
        let mut asking = header_2();
        asking.envelope.as_mut().unwrap().verb = verb;
        assert_eq!(header(&asking.sign(&keys()).unwrap()), Ok(asking));
    }
}

#[test]
fn a_child_gets_its_own_values_and_the_envelope_of_the_transfer() {
    let parent = header_2();
    let child = parent.destinations[0].clone();
    let to = "[::1]:2893".parse().unwrap();
    let features = Features::new(["own"]).unwrap();
    let link =
        HeaderLink { verb: Verb::Cancel, from: Some(0), to, nonce: Nonce([9; 16]), expires: 7, features };
    let made = parent.for_child(child, Vec::new(), link);
    let read = header(&made.sign(&keys()).unwrap()).unwrap();
    assert_eq!((read.node.index, read.degree, read.block_size), (1, 3, 65_536));
    let (new, old) = (read.envelope.unwrap(), parent.envelope.unwrap());
    assert_eq!((new.from, new.nonce, new.expires, new.to), (Some(0), Nonce([9; 16]), 7, to));
    assert_eq!((new.transfer, new.verb, new.source), (old.transfer, Verb::Cancel, old.source));
    assert_eq!(new.signer, old.signer);
    assert_eq!((new.begun, new.min_rate, new.sparse), (old.begun, old.min_rate, old.sparse));
    assert_eq!(
        new.features,
        Features::new(["own"]).unwrap(),
        "what the source can do stays with its own header"
    );
    assert_eq!(new.features_in_use, old.features_in_use);
}

#[test]
fn unknown_keys_and_any_layout_are_accepted() {
    for (wire, value) in [(Wire::One, value_1()), (Wire::Two, value_2())] {
        let expected = header(&signed(wire, &value)).unwrap();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        assert!(pretty.lines().count() > 20);
        let sign = if wire == Wire::One { signed_1 } else { signed_2 };
        for text in [
            format!("{pretty}\n"),
            format!("{}\r\n", pretty.replace('\n', "\r\n")),
            format!("\r\n\n \t{pretty}\n\n\n"),
        ] {
            assert_eq!(header(&sign(text.as_bytes())), Ok(expected.clone()));
        }
        let unknown =
            [("/later", Some(json!({"a": [1, 2.5, null]}))), ("/destinations/0/later", Some(json!("x")))];
        assert_eq!(changed(wire, &unknown), Ok(expected));
    }
}

#[test]
fn wire_1_signs_without_line_ends_and_wire_2_with_each_byte() {
    let one = signed(Wire::One, &value_1());
    let mark = one.windows(3).position(|part| part == b"EOH").unwrap();
    let crlf = [&one[..mark - 1], b"\r\n", &one[mark..]].concat();
    assert_eq!(header(&crlf), header(&one));
    let two = signed(Wire::Two, &value_2());
    let mark = two.windows(3).position(|part| part == b"EOH").unwrap();
    for changed in [
        [&two[..mark - 1], b"\r\n", &two[mark..]].concat(),
        [&two[..mark], b"\n", &two[mark..]].concat(),
        [b" ", &two[..]].concat(),
    ] {
        assert_eq!(header(&changed), Err(HeaderError::BadSignature));
    }
    // How the EOH line is spaced and ended is no part of what is signed.
    for (from, to) in [("EOH : ", "EOH:"), ("EOH : ", "EOH\t:  "), ("\r\n", "\n"), ("\r\n", "  \n")] {
        let text = String::from_utf8(two.clone()).unwrap().replace(from, to);
        assert!(header(text.as_bytes()).is_ok(), "{to:?}");
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    for whole in [signed(Wire::One, &value_1()), signed(Wire::Two, &value_2())] {
        let good = header(&whole).unwrap();
        let mark = whole.windows(3).position(|part| part == b"EOH").unwrap();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bad = whole.clone();
                bad[at] ^= 1 << bit;
                match read_header(&bad, &[bad.len()]) {
                    Ok(None) | Err(_) => {}
                    // Only blanks around the signature, and wire 1's line ends, may change.
                    Ok(Some((header, _))) => {
                        assert_eq!(header, good);
                        let unsigned =
                            at > mark || b"\r\n".contains(&whole[at]) || b"\r\n".contains(&bad[at]);
                        assert!(unsigned && !bad[at].is_ascii_alphanumeric(), "byte {at} bit {bit}");
                    }
                }
            }
        }
    }
}

#[test]
fn signature_lines_that_are_none() {
    let text = b"{}\n".to_vec();
    for line in [
        "EOH\n",
        "EOH :\n",
        "EOH : \r\n",
        "EOHX : 6wfiiDBKSzFp6ehTYO+jhw==\n",
        "EOH 6wfiiDBKSzFp6ehTYO+jhw==\n",
        "EOH : 6wfiiDBKSzFp6ehTYO+jhw=\n",
        "EOH : 6wfiiDBKSzFp6ehTYO+jhw\n",
        "EOH : 6wfiiDBKSzFp6ehTYO+jh===\n",
        "EOH : 6wfiiDBKSzFp6ehTYO+jhx==\n",
        "EOH : 6wfiiDBKSzFp 6ehTYO+jhw==\n",
        "EOH : 6wfiiDBKSzFp6ehTYO+jhw== x\n",
        "EOH : 6wfiiDBKSzFp6ehTYO+jhwAAAA==\n",
        "EOH : \u{e4}wfiiDBKSzFp6ehTYO+jhw==\n",
    ] {
        let bytes = [&text, line.as_bytes()].concat();
        assert_eq!(HeaderReader::default().push(&bytes), Err(HeaderError::BadSignature), "{line}");
    }
    // EOH within a line ends nothing.
    let inside = b"{} EOH : 6wfiiDBKSzFp6ehTYO+jhw==\n eoh : x\n";
    assert_eq!(HeaderReader::default().push(inside), Ok((inside.len(), None)));
}

#[test]
fn the_signed_wire_must_agree_with_the_signature() {
    let unsupported = |result| matches!(result, Err(HeaderError::Unsupported(_)));
    assert!(unsupported(header(&signed(Wire::One, &value_2()))), "wire 2's text under wire 1's signature");
    assert!(unsupported(header(&signed(Wire::Two, &value_1()))), "wire 1's text under wire 2's signature");
    assert!(unsupported(changed(Wire::Two, &[("/wire", None)])));
    assert!(unsupported(changed(Wire::Two, &[("/wire", Some(json!(1)))])));
    assert!(unsupported(changed(Wire::Two, &[("/wire", Some(json!(3)))])));
    assert!(unsupported(changed(Wire::One, &[("/wire", Some(json!(2)))])));
    assert!(changed(Wire::One, &[("/wire", Some(json!(1)))]).is_ok());
    assert!(changed(Wire::Two, &[("/wire", Some(json!("2")))]).is_ok());
    assert!(unsupported(changed(Wire::Two, &[("/verb", Some(json!("seed")))])));
}

#[test]
fn each_wire_has_its_own_password() {
    let one = signed(Wire::One, &value_1());
    let two = signed(Wire::Two, &value_2());
    let read = |bytes: &[u8]| HeaderReader::default().push(bytes).unwrap().1.unwrap();
    let swapped = Keyring::new(Password::new("nimbus").unwrap())
        .with_wire_1(Password::new(super::support::PASSWORD).unwrap())
        .unwrap();
    assert_eq!(read(&one).verify(&swapped), Err(HeaderError::BadSignature));
    assert_eq!(read(&two).verify(&swapped), Err(HeaderError::BadSignature));
    let one_only = Keyring::wire_1_only(Password::new("nimbus").unwrap());
    assert!(read(&one).verify(&one_only).is_ok());
    assert_eq!(read(&two).verify(&one_only), Err(HeaderError::WireOff(2)));
}

#[test]
fn each_missing_key_is_named() {
    let invalid = |key: &str| HeaderError::Invalid(format!("'{key}' is missing"));
    for key in ["host", "port", "length", "degree", "block_size", "requests", "destinations"] {
        assert_eq!(changed(Wire::One, &[(&format!("/{key}"), None)]), Err(invalid(key)), "wire 1");
    }
    for key in [
        "verb",
        "transfer",
        "signer",
        "nonce",
        "expires",
        "to",
        "host",
        "port",
        "index",
        "block_size",
        "requests",
    ] {
        assert_eq!(changed(Wire::Two, &[(&format!("/{key}"), None)]), Err(invalid(key)), "wire 2");
        assert!(changed(Wire::Two, &[(&format!("/{key}"), Some(Value::Null))]).is_err(), "{key}: null");
    }
    for key in ["host", "port", "requests"] {
        for wire in [Wire::One, Wire::Two] {
            let result = changed(wire, &[(&format!("/destinations/0/{key}"), None)]);
            assert!(matches!(result, Err(HeaderError::Destination(_))), "{key}: {result:?}");
        }
    }
    for key in ["filename", "id", "rename"] {
        for none in [None, Some(Value::Null)] {
            let result = changed(Wire::One, &[(&format!("/requests/0/{key}"), none.clone())]);
            assert!(matches!(result, Err(HeaderError::Invalid(_))), "{key}: {result:?}");
            let result = changed(Wire::One, &[(&format!("/destinations/0/requests/0/{key}"), none)]);
            assert!(matches!(result, Err(HeaderError::Destination(_))), "{key}: {result:?}");
        }
    }
    // What wire 2 may leave out.
    let changes = [("/length", None), ("/degree", None), ("/destinations", None), ("/source", None)];
    let bare = changed(Wire::Two, &changes).unwrap();
    assert_eq!((bare.length, bare.degree, bare.destinations.len()), (None, 1, 0));
    for key in ["length", "degree", "destinations", "source", "begun", "from", "min_rate", "sparse"] {
        let absent = changed(Wire::Two, &[(&format!("/{key}"), Some(Value::Null))]).unwrap();
        if key != "from" {
            assert_eq!(Ok(absent), changed(Wire::Two, &[(&format!("/{key}"), None)]), "{key}");
        }
    }
}

#[test]
fn numbers_out_of_range_are_refused() {
    let whole = ["port", "length", "degree", "block_size"];
    for wire in [Wire::One, Wire::Two] {
        for key in whole.iter().copied().chain((wire == Wire::Two).then_some("index")) {
            for bad in [
                json!(-1),
                json!(1.0),
                json!(0.5),
                json!(1e300),
                json!(true),
                json!([]),
                json!({}),
                json!(""),
                json!("-1"),
                json!("1.0"),
                json!(" 1"),
                json!("0x10"),
                json!("18446744073709551616"),
            ] {
                let result = changed(wire, &[(&format!("/{key}"), Some(bad.clone()))]);
                assert!(matches!(result, Err(HeaderError::Invalid(_))), "{key} = {bad}: {result:?}");
            }
        }
        for (key, bad) in [
            ("port", json!(0)),
            ("port", json!(65_536)),
            ("degree", json!(0)),
            ("degree", json!(65)),
            ("length", json!(u64::MAX)),
            ("length", json!(1_u64 << 63)),
            ("host", json!("")),
            ("host", json!("x".repeat(256))),
            ("host", json!(7)),
            ("requests", json!([])),
            ("requests", json!({})),
            ("destinations", json!({})),
        ] {
            let result = changed(wire, &[(&format!("/{key}"), Some(bad.clone()))]);
            assert!(matches!(result, Err(HeaderError::Invalid(_))), "{key} = {bad}: {result:?}");
        }
        for (key, good) in [
            ("port", json!(65_535)),
            ("port", json!("1")),
            ("degree", json!(64)),
            ("degree", json!("64")),
            ("length", json!(i64::MAX)),
            ("block_size", json!("65536")),
            ("host", json!("x".repeat(255))),
        ] {
            let mut changes = vec![(format!("/{key}"), Some(good.clone()))];
            if key == "length" {
                changes.push(("/destinations/0/length".into(), Some(good.clone())));
            }
            let changes: Vec<_> = changes.iter().map(|(key, value)| (&**key, value.clone())).collect();
            assert!(changed(wire, &changes).is_ok(), "{key} = {good}");
        }
        for (key, bad) in
            [("port", json!(0)), ("port", json!(65_536)), ("degree", json!(65)), ("requests", json!([]))]
        {
            let result = changed(wire, &[(&format!("/destinations/0/{key}"), Some(bad))]);
            assert!(matches!(result, Err(HeaderError::Destination(_))), "{result:?}");
        }
    }
}

#[test]
fn block_sizes_are_a_hint_in_wire_1_and_a_promise_in_wire_2() {
    let size = |size: u64| changed(Wire::One, &[("/block_size", Some(json!(size)))]).unwrap().block_size;
    assert_eq!((size(0), size(5000), size(u64::MAX)), (limits::BLOCK_MIN, 5000, limits::BLOCK_MAX));
    let child = changed(Wire::One, &[("/destinations/0/block_size", Some(json!(0)))]).unwrap();
    assert_eq!(child.destinations[0].block_size, Some(limits::BLOCK_MIN));
    for bad in [0, 1, 2048, 5000, 65_535, 2 << 20, u64::MAX] {
        let result = changed(Wire::Two, &[("/block_size", Some(json!(bad)))]);
        assert!(matches!(result, Err(HeaderError::Invalid(_))), "{bad}: {result:?}");
    }
    for good in [4096, 1 << 20] {
        assert!(changed(Wire::Two, &[("/block_size", Some(json!(good)))]).is_ok(), "{good}");
    }
}

#[test]
fn indices_grow_and_ids_differ() {
    for bad in [json!(0), Value::Null, json!(1_u64 << 32)] {
        let result = changed(Wire::Two, &[("/destinations/0/index", Some(bad.clone()))]);
        assert!(matches!(result, Err(HeaderError::Destination(_))), "{bad}: {result:?}");
    }
    assert!(changed(Wire::Two, &[("/index", Some(json!(1)))]).is_err());
    let mut twice = value_2();
    let second = twice["destinations"][0].clone();
    twice["destinations"].as_array_mut().unwrap().push(second);
    twice["destinations"][1]["requests"][0]["id"] = json!("c");
    assert!(matches!(header(&signed(Wire::Two, &twice)), Err(HeaderError::Destination(_))));
    twice["destinations"][1]["index"] = json!(u32::MAX);
    assert!(header(&signed(Wire::Two, &twice)).is_ok());
    for wire in [Wire::One, Wire::Two] {
        let result = changed(wire, &[("/destinations/0/requests/0/id", Some(json!("a")))]);
        assert_eq!(result, Err(HeaderError::Invalid("two requests have the same id".into())));
    }
    let result = changed(Wire::One, &[("/destinations/0/length", Some(json!(81)))]);
    assert!(matches!(result, Err(HeaderError::Destination(_))), "{result:?}");
}

#[test]
fn a_transfer_is_that_of_its_signer() {
    let other = TransferKey::new(&[2; 32]).signer();
    let foreign = Err(HeaderError::Invalid("'transfer' is not that of 'signer'".into()));
    for verb in ["send", "check", "query", "cancel"] {
        let verb = ("/verb", Some(json!(verb)));
        assert_eq!(changed(Wire::Two, &[verb.clone(), ("/signer", Some(json!(other)))]), foreign);
        assert_eq!(
            changed(Wire::Two, &[verb.clone(), ("/transfer", Some(json!(other.transfer())))]),
            foreign
        );
        let both = [verb, ("/signer", Some(json!(other))), ("/transfer", Some(json!(other.transfer())))];
        assert!(changed(Wire::Two, &both).is_ok());
    }
}

#[test]
fn what_brings_no_payload_needs_no_signer() {
    for verb in ["check", "query", "cancel"] {
        let anonymous = changed(Wire::Two, &[("/verb", Some(json!(verb))), ("/signer", None)]).unwrap();
        assert_eq!(anonymous.envelope.as_ref().unwrap().signer, None);
        assert_eq!(header(&anonymous.sign(&keys()).unwrap()), Ok(anonymous));
    }
}

#[test]
fn envelopes_that_are_none() {
    for (key, bad) in [
        ("verb", json!(5)),
        ("transfer", json!("00")),
        ("transfer", json!("g0".repeat(16))),
        ("signer", json!("00")),
        ("signer", json!("g0".repeat(32))),
        ("signer", json!(signer().to_string().to_uppercase())),
        ("signer", json!(5)),
        ("nonce", json!("00".repeat(17))),
        ("nonce", json!(0)),
        ("expires", json!(-1)),
        ("expires", json!(1.5)),
        ("to", json!("10.0.0.7")),
        ("to", json!("node:2893")),
        ("to", json!("10.0.0.7:65536")),
        ("to", json!("")),
        ("source", json!("x")),
        ("source", json!({"size": -1, "mtime": 0, "id": ""})),
        ("source", json!({"size": 1, "mtime": 0})),
        ("source", json!({"size": 1, "mtime": 0, "id": "x".repeat(256)})),
    ] {
        let result = changed(Wire::Two, &[(&format!("/{key}"), Some(bad.clone()))]);
        assert!(matches!(result, Err(HeaderError::Invalid(_))), "{key} = {bad}: {result:?}");
    }
}

#[test]
fn names_are_bounded_and_otherwise_left_to_the_store() {
    for (key, limit) in [("filename", limits::FILENAME_BYTES), ("id", limits::ID_BYTES)] {
        let pointer = format!("/requests/0/{key}");
        assert!(changed(Wire::One, &[(&pointer, Some(json!("x".repeat(limit))))]).is_ok());
        let result = changed(Wire::One, &[(&pointer, Some(json!("x".repeat(limit + 1))))]);
        assert!(matches!(result, Err(HeaderError::Invalid(_))), "{key}");
    }
    for name in ["", "relative", "/a\0b", "/a/../b"] {
        let read = changed(Wire::One, &[("/requests/0/filename", Some(json!(name)))]).unwrap();
        assert_eq!(read.node.requests[0].filename, name);
    }
}

#[test]
fn what_is_not_json_is_told() {
    for bad in [
        &b"\n"[..],
        b"not json\n",
        b"{\n",
        b"{}{}\n",
        b"{} x\n",
        b"{\"host\":\"\xff\xfe\"}\n",
        b"{\"host\":\"\xc3\"}\n",
        b"\xef\xbb\xbf{}\n",
        b"{\"host\":\"a\nb\"}\n",
        b"{\"host\":\"\\ud800\"}\n",
    ] {
        let result = header(&signed_1(bad));
        assert!(matches!(result, Err(HeaderError::NotJson(_))), "{bad:?}: {result:?}");
    }
    for bad in [&b"[]\n"[..], b"null\n", b"7\n", b"{\"host\":1}\n", b"{\"port\":1,\"port\":1}\n"] {
        let result = header(&signed_1(bad));
        assert!(matches!(result, Err(HeaderError::Invalid(_))), "{bad:?}: {result:?}");
    }
    for open in ["[", "{\"a\":", "{\"destinations\":[", "{\"later\":["] {
        for times in [limits::JSON_DEPTH + 1, 1_000_000] {
            let result = header(&signed_1(format!("{}\n", open.repeat(times)).as_bytes()));
            assert!(
                matches!(
                    result,
                    Err(HeaderError::Invalid(_) | HeaderError::NotJson(_) | HeaderError::TooLong(_))
                ),
                "{open}: {result:?}"
            );
        }
    }
}

#[test]
fn long_lists_are_cut_off() {
    let destination = |index: usize| {
        json!({"host": "h", "port": 1, "index": index + 1, "requests": [{"filename": "/f", "id": index, "rename": true}]}).to_string().replace(&format!("\"id\":{index}"), &format!("\"id\":\"{index}\""))
    };
    let with = |count: usize| {
        let list = (0..count).map(destination).collect::<Vec<_>>().join(",");
        let mut value = value_2();
        value["destinations"] = json!("LIST");
        header(&signed_2(
            format!("{}\n", value.to_string().replace("\"LIST\"", &format!("[{list}]"))).as_bytes(),
        ))
    };
    assert_eq!(with(limits::DESTINATIONS).map(|header| header.destinations.len()), Ok(limits::DESTINATIONS));
    assert!(matches!(with(limits::DESTINATIONS + 1), Err(HeaderError::Invalid(_))));
    // As many as the bytes of a header allow, each as short as can be.
    for (key, element) in [("destinations", "{}"), ("requests", "1"), ("later", "1")] {
        let list = vec![element; limits::HEADER_BYTES / (element.len() + 1) - 1000].join(",");
        let result = header(&signed_1(format!("{{\"{key}\":[{list}]}}\n").as_bytes()));
        assert!(matches!(result, Err(HeaderError::Invalid(_))), "{key}: {result:?}");
    }
    let requests = |count: usize| {
        let request = |id| json!({"filename": "/f", "id": format!("n{id}"), "rename": true});
        changed(Wire::One, &[("/requests", Some((0..count).map(request).collect()))])
    };
    assert!(requests(limits::REQUESTS).is_ok());
    assert!(matches!(requests(limits::REQUESTS + 1), Err(HeaderError::Invalid(_))));
    // 21 nodes with 1,000 requests each.
    let mut value = value_2();
    value["destinations"] = (1..=21)
        .map(|index| {
            let requests: Value = (0..limits::REQUESTS)
                .map(|id| json!({"filename": "/f", "id": format!("{index}-{id}"), "rename": true}))
                .collect();
            json!({"host": "h", "port": 1, "index": index, "requests": requests})
        })
        .collect();
    assert!(matches!(header(&signed(Wire::Two, &value)), Err(HeaderError::Invalid(_))));
}

#[test]
fn a_million_destinations_do_not_get_in() {
    let bomb = format!("{{\"destinations\":[{}]}}\n", vec!["{\"host\":\"h\"}"; 1_000_000].join(","));
    assert_eq!(read_header(bomb.as_bytes(), &[bomb.len()]), Err(HeaderError::TooLong("more than 4 MiB")));
    // Under an object for each of them, as tight as JSON goes, too.
    let tight = format!("{{\"destinations\":[{}]}}\n", vec!["{}"; 1_000_000].join(","));
    assert!(matches!(header(&signed_1(tight.as_bytes())), Err(HeaderError::Invalid(_))));
}

#[test]
fn endless_headers_are_cut_off_whatever_the_chunks() {
    let too_long = Err(HeaderError::TooLong("more than 4 MiB"));
    let long_line = Err(HeaderError::TooLong("an EOH line of more than 128 bytes"));
    let full = vec![b'x'; limits::HEADER_BYTES];
    for size in [1, 7, 65_536, limits::HEADER_BYTES + 1] {
        // The long part in one go, what follows in chunks.
        let push_all = |head: &[u8], tail: &[u8]| {
            let mut reader = HeaderReader::default();
            assert_eq!(reader.push(head), Ok((head.len(), None)));
            tail.chunks(size).map(|chunk| reader.push(chunk)).find(Result::is_err)
        };
        assert_eq!(push_all(&full, b""), None, "{size}");
        assert_eq!(push_all(&full, b"x"), Some(too_long.clone()), "{size}");
        assert_eq!(push_all(&full, b"\n"), Some(too_long.clone()), "{size}");
        assert_eq!(push_all(b"EOH : ", &full), Some(long_line.clone()), "{size}");
        // The signature line counts, and which of the limits is passed first does not depend on the chunks.
        for room in [0, 1, 3, 50, 127, 128, 129, 200] {
            let tail = [b"\nEOH : ", &[b'A'; 500][..]].concat();
            let expected = if room > 128 { long_line.clone() } else { too_long.clone() };
            let head = &full[..limits::HEADER_BYTES - room - 1];
            assert_eq!(push_all(head, &tail), Some(expected), "{size} with room for {room}");
        }
        let lines = "x\n".repeat(limits::HEADER_LINES);
        assert_eq!(push_all(b"", lines.as_bytes()), None);
        let more = push_all(b"", format!("{lines}x\n").as_bytes());
        assert_eq!(more, Some(Err(HeaderError::TooLong("more than 256 lines"))));
    }
}

#[test]
fn a_header_of_256_lines_passes() {
    let text = format!("{}{}\n", "\n".repeat(limits::HEADER_LINES - 1), value_2());
    assert_eq!(header(&signed_2(text.as_bytes())), Ok(header_2()));
}

#[test]
fn what_follows_a_header_is_left_alone() {
    let whole = signed(Wire::Two, &value_2());
    let stream = [&whole[..], b"PROOF : and the rest"].concat();
    let (_, used) = read_header(&stream, &[stream.len()]).unwrap().unwrap();
    assert_eq!(used, whole.len());
}
