//! Lines towards the source: forged, replayed, moved, lost, too long; and the proof that follows the challenge.

use std::collections::BTreeMap;

use lantorrent_core::wire::proof::{self, PROOF_BYTES, ProofReader};
use lantorrent_core::wire::{
    Change, Code, Features, FromNode, HeaderError, Keyring, Line, LineError, LineReader, LineWriter,
    NodeState, Nonce, Password, Progress, Report, SealedReport, TransferId, limits,
};

use super::support::{Said, base64, hmac_sha256, keys, read_lines};

use crate::with::with;

pub(crate) const NONCE: Nonce = Nonce([5; 16]);
pub(crate) const CHALLENGE: Nonce = Nonce([6; 16]);

fn report() -> Report {
    with(Report::refusal(Code::SUCCESS, ""), |it| {
        it.host = Some("10.0.0.7".into());
        it.port = Some(2893);
        it.file = Some("/srv/ \"a\"".into());
        it.id = Some("a".into());
        it.root = Some("00".repeat(32));
        it.index = Some(0);
        it.by = Some(0);
    })
}

pub(crate) fn every_line() -> Vec<Line> {
    let result_key = keys().result_key(&TransferId([3; 16])).unwrap();
    let change = Change::new(u32::MAX, NodeState::Failed, u64::MAX);
    let progress = with(Progress::default(), |it| {
        it.least = 5;
        it.greatest = u64::MAX;
        it.states = BTreeMap::from([(NodeState::Waiting, 7), (NodeState::Done, u32::MAX)]);
        it.changed = vec![change; limits::PROGRESS_CHANGES];
    });
    vec![
        Line::Challenge { challenge: CHALLENGE },
        Line::Accepted { features: Features::new(["a", "later-2"]).unwrap() },
        Line::Unknown { kind: "later".into() },
        Line::Ready { offset: u64::MAX },
        Line::Alive,
        Line::Progress(Progress::default()),
        Line::Progress(progress),
        Line::Result(SealedReport::seal(&report(), &result_key)),
        Line::Left,
        Line::Aside,
        Line::Damaged { offset: 65_536 },
        Line::Alive,
    ]
}

pub(crate) fn encoded_with(keys: &Keyring, lines: &[Line]) -> Vec<Vec<u8>> {
    let mut writer = LineWriter::new(keys.line_key(&NONCE, &CHALLENGE).unwrap());
    lines.iter().map(|line| writer.encode(line)).collect()
}

pub(crate) fn encoded() -> Vec<Vec<u8>> {
    encoded_with(&keys(), &every_line())
}

fn said(lines: &[Line]) -> Vec<FromNode> {
    lines.iter().cloned().map(FromNode::Line).collect()
}

fn read(bytes: &[u8]) -> Said<FromNode> {
    let whole = read_lines(NONCE, bytes, &[bytes.len()]);
    assert_eq!(whole, read_lines(NONCE, bytes, &vec![1; bytes.len()]), "chunks make no difference");
    whole
}

/// A line with a right code, whatever it says.
pub(crate) fn signed(json: &str) -> Vec<u8> {
    let context = [&b"lantorrent 2 line\0"[..], &NONCE.0, &CHALLENGE.0].concat();
    let key = hmac_sha256(super::support::PASSWORD.as_bytes(), &context);
    format!("{json} {}\n", base64(&hmac_sha256(&key, json.as_bytes()))).into_bytes()
}

#[test]
fn every_line_comes_through() {
    let payload = read(&encoded().concat());
    assert_eq!(payload, Said { all: said(&every_line()), end: Ok(()) });
    for (seq, line) in encoded().iter().enumerate() {
        assert!(
            line.starts_with(format!("{{\"seq\":{seq},\"line\":\"").as_bytes()),
            "the form of PROTOCOL.md"
        );
        assert_eq!(line.iter().position(|&byte| byte == b'\n'), Some(line.len() - 1));
    }
}

#[test]
fn a_line_is_an_object_of_its_kind() {
    let challenge = String::from_utf8(encoded()[0].clone()).unwrap();
    let second = |json: &str| {
        let mut stream = challenge.clone().into_bytes();
        stream.extend(signed(json));
        read(&stream)
    };
    for good in [
        r#"{"seq":1,"line":"alive","offset":"of no meaning here","tag":[]}"#,
        r#"{"seq":1,"line":"progress","least":0,"greatest":0,"states":{"done":1},"changed":null}"#,
    ] {
        assert_eq!(second(good).all.len(), 2, "{good}");
    }
    for bad in [
        r#"[1,"alive"]"#,
        r#" {"seq":1,"line":"alive"}"#,
        r#"{"seq":1,"line":"alive"} "#,
        r#"{"seq":"1","line":"alive"}"#,
        r#"{"seq":1,"line":3}"#,
        r#"{"seq":1,"line":["alive"]}"#,
        r#"{"seq":1,"line":{"alive":null}}"#,
        r#"{"seq":1,"line":"Alive"}"#,
        r#"{"seq":1,"line":"ready","offset":null}"#,
        r#"{"seq":1,"line":"ready","offset":"0"}"#,
        r#"{"seq":1,"line":"progress","least":0,"greatest":0,"states":{"done":1},"changed":[[1,"done",0]]}"#,
        r#"{"seq":1,"line":"progress","least":0,"greatest":0,"states":{"ready":1}}"#,
        r#"{"seq":1,"line":"progress","least":0,"greatest":0,"states":[["done",1]]}"#,
        r#"{"seq":1,"line":"progress","least":0,"greatest":0,"states":{},"changed":[{"index":1,"state":{"done":null},"offset":0}]}"#,
        r#"{"seq":1,"line":"result","result":{"code":0},"tag":"00"}"#,
    ] {
        let said = second(bad);
        assert_eq!(said.all.len(), 1, "{bad}");
        assert!(matches!(said.end, Err(LineError::NotJson(_))), "{bad}: {:?}", said.end);
    }
    let upper = challenge.replacen(&CHALLENGE.to_string(), &"0A".repeat(16), 1);
    assert!(matches!(read(upper.as_bytes()).end, Err(LineError::NotJson(_))));
}

#[test]
fn a_flipped_bit_anywhere_is_an_error_and_no_line() {
    let lines = encoded();
    let stream = lines.concat();
    let expected = said(&every_line());
    let mut start = 0;
    for (place, line) in lines.iter().enumerate() {
        for at in start..start + line.len() {
            let mut bad = stream.clone();
            bad[at] ^= 1 << (at % 8);
            let found = read_lines(NONCE, &bad, &[bad.len()]);
            // Without its line end the last line is not complete.
            assert!(found.end.is_err() || at + 1 == stream.len(), "byte {at}");
            assert_eq!(found.all, expected[..place], "byte {at}");
        }
        start += line.len();
    }
}

#[test]
fn a_cut_line_is_no_line() {
    let lines = encoded();
    let stream = lines.concat();
    for len in 0..stream.len() {
        let mut whole = 0;
        let mut sum = 0;
        while sum + lines[whole].len() <= len {
            sum += lines[whole].len();
            whole += 1;
        }
        let found = read_lines(NONCE, &stream[..len], &[len]);
        assert_eq!(found, Said { all: said(&every_line()[..whole]), end: Ok(()) }, "cut at {len}");
    }
}

#[test]
fn lost_repeated_and_moved_lines_are_told() {
    let lines = encoded();
    for place in 1..lines.len() - 1 {
        let mut lost = lines.clone();
        lost.remove(place);
        let expected = LineError::Sequence { expected: place as u64, found: place as u64 + 1 };
        assert_eq!(read(&lost.concat()), Said { all: said(&every_line()[..place]), end: Err(expected) });
        let mut twice = lines.clone();
        twice.insert(place, lines[place].clone());
        let expected = LineError::Sequence { expected: place as u64 + 1, found: place as u64 };
        assert_eq!(read(&twice.concat()), Said { all: said(&every_line()[..=place]), end: Err(expected) });
        let mut moved = lines.clone();
        moved.swap(place, place + 1);
        assert!(matches!(read(&moved.concat()).end, Err(LineError::Sequence { .. })));
    }
}

#[test]
fn lines_of_another_connection_or_password_are_not_believed() {
    let stream = encoded().concat();
    assert_eq!(read_lines(Nonce([7; 16]), &stream, &[stream.len()]).end, Err(LineError::BadMac));
    let other = encoded_with(&Keyring::new(Password::new("another password").unwrap()), &every_line());
    assert_eq!(read(&other[0]), Said { all: vec![], end: Err(LineError::BadMac) });
    let mixed = [&encoded()[0][..], &other[1]].concat();
    assert_eq!(read(&mixed).end, Err(LineError::BadMac));
    // Wire 2 without a password cannot verify anything.
    let mut reader = LineReader::new(Keyring::wire_1_only(Password::new("nimbus").unwrap()), NONCE);
    assert_eq!(reader.push(&stream), Err(LineError::BadMac));
}

#[test]
fn the_first_line_is_the_challenge_and_no_other_is() {
    let lines = encoded();
    assert_eq!(read(&lines[1]).end, Err(LineError::Malformed("the first line is no challenge")));
    let challenge = |seq: u32, hex: &str| {
        signed(&format!("{{\"seq\":{seq},\"line\":\"challenge\",\"challenge\":\"{}\"}}", hex.repeat(16)))
    };
    assert_eq!(challenge(0, "06"), lines[0], "the forgery is good");
    for second in [challenge(1, "06"), challenge(1, "07")] {
        let found = read(&[&lines[0][..], &second].concat());
        assert_eq!(found.end, Err(LineError::Malformed("a second challenge")));
        assert_eq!(found.all, said(&every_line()[..1]));
    }
    assert_eq!(read(&challenge(1, "06")).end, Err(LineError::Sequence { expected: 0, found: 1 }));
    assert_eq!(read(&challenge(0, "07")).end, Err(LineError::BadMac), "a code under another challenge's key");
}

#[test]
fn a_refusal_needs_no_line_end() {
    let refusal = Report::refusal(Code::ACCESS_DENIED, "as a 0.2 node says it");
    let mut reader = LineReader::new(keys(), NONCE);
    assert_eq!(reader.finish(), None);
    reader.push(refusal.encode().as_bytes()).unwrap();
    assert_eq!(reader.finish(), Some(refusal.clone()));
    // After the challenge nothing is believed that has no code.
    let mut reader = LineReader::new(keys(), NONCE);
    let challenge = LineWriter::new(keys().line_key(&NONCE, &CHALLENGE).unwrap())
        .encode(&Line::Challenge { challenge: CHALLENGE });
    reader.push(&challenge).unwrap();
    reader.push(refusal.encode().as_bytes()).unwrap();
    assert_eq!(reader.finish(), None);
}

#[test]
fn a_refusal_is_heard_before_the_challenge_only() {
    let refusal = Report::refusal(Code::ACCESS_DENIED, "bad signature");
    let bytes = format!("{}\n", refusal.encode());
    assert_eq!(read(bytes.as_bytes()).all, [FromNode::Refusal(refusal)]);
    let late = [&encoded()[0][..], bytes.as_bytes()].concat();
    assert_eq!(read(&late), Said { all: said(&every_line()[..1]), end: Err(LineError::BadMac) });
    // One that ends in what looks like a code is held for a line, and for a bad one.
    let fake = format!("{{\"code\":508}} {}\n", base64(&[0; 32]));
    assert!(matches!(read(fake.as_bytes()).end, Err(LineError::NotJson(_))));
    for garbage in ["\n", "HTTP/1.1 400 Bad Request\r\n", "{}\n", "null\n", "{\"code\":508\n", "\u{0}\n"] {
        assert!(matches!(read(garbage.as_bytes()).end, Err(LineError::NotJson(_))), "{garbage:?}");
    }
}

#[test]
fn garbage_between_lines_is_told() {
    let lines = encoded();
    for garbage in [&b"\n"[..], b"x\n", b" \n", b"\r\n", b"{}\n", b"\xff\xff\n"] {
        let found = read(&[&lines[0][..], &lines[1], garbage, &lines[2]].concat());
        assert_eq!(found, Said { all: said(&every_line()[..2]), end: Err(LineError::BadMac) }, "{garbage:?}");
    }
    let crlf = [&lines[0][..lines[0].len() - 1], b"\r\n"].concat();
    assert!(read(&crlf).end.is_err(), "a line has one form");
}

#[test]
fn authentic_nonsense_is_told() {
    for bad in [
        "{}",
        "null",
        "[]",
        "{\"seq\":1}",
        "{\"line\":\"alive\"}",
        "{\"seq\":1,\"line\":\"later\"}",
        "{\"seq\":-1,\"line\":\"alive\"}",
        "{\"seq\":1.0,\"line\":\"alive\"}",
        "{\"seq\":\"1\",\"line\":\"alive\"}",
        "{\"seq\":1,\"line\":\"ready\"}",
        "{\"seq\":1,\"line\":\"ready\",\"offset\":-1}",
        "{\"seq\":1,\"line\":\"progress\",\"least\":0,\"greatest\":0,\"states\":{\"lazy\":1}}",
        "{\"seq\":1,\"line\":\"progress\",\"least\":0,\"greatest\":0,\"states\":{\"done\":-1}}",
        "{\"seq\":1,\"line\":\"result\",\"result\":\"{}\",\"tag\":\"00\"}",
        "{\"seq\":1,\"line\":\"result\",\"result\":{},\"tag\":\"0000000000000000000000000000000000000000000000000000000000000000\"}",
        "{\"seq\":1,\"line\":\"alive\",\"a\":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}",
    ] {
        let found = read(&[&encoded()[0][..], &signed(bad)].concat());
        assert!(matches!(found.end, Err(LineError::NotJson(_))), "{bad}: {:?}", found.end);
    }
    let change = "{\"index\":1,\"state\":\"done\",\"offset\":1}";
    let changes = vec![change; limits::PROGRESS_CHANGES + 1].join(",");
    let long = format!(
        "{{\"seq\":1,\"line\":\"progress\",\"least\":0,\"greatest\":0,\"states\":{{}},\"changed\":[{changes}]}}"
    );
    assert!(matches!(read(&[&encoded()[0][..], &signed(&long)].concat()).end, Err(LineError::NotJson(_))));
    // Keys in another order, blanks and unknown keys are as good: the code covers the bytes as they are.
    let free = signed("{ \"later\": [1], \"line\" : \"alive\", \"seq\":1 }");
    assert_eq!(read(&[&encoded()[0][..], &free].concat()).all[1..], said(&[Line::Alive]));
}

#[test]
fn lines_are_bounded() {
    let limit = limits::LINE_BYTES;
    for first in [Vec::new(), encoded()[0].clone()] {
        let room = [&first[..], &vec![b'x'; limit]].concat();
        assert_eq!(read(&room).end, Ok(()), "a line may be that long");
        assert_eq!(read(&[&room[..], b"x"].concat()).end, Err(LineError::TooLong));
        assert_eq!(read(&[&room[..], b"\n"].concat()).end, Err(LineError::TooLong));
    }
    let pad = |to: usize| {
        let bare = signed("{\"seq\":1,\"line\":\"alive\",\"a\":\"\"}").len();
        signed(&format!("{{\"seq\":1,\"line\":\"alive\",\"a\":\"{}\"}}", "x".repeat(to - bare)))
    };
    assert_eq!(read(&[&encoded()[0][..], &pad(limit)].concat()).all.len(), 2);
    assert_eq!(read(&[&encoded()[0][..], &pad(limit + 1)].concat()).end, Err(LineError::TooLong));
}

#[test]
fn the_largest_result_fits_a_line() {
    let big = with(report(), |it| {
        it.host = Some("\u{1}".repeat(limits::HOST_BYTES));
        it.file = Some("\u{1}".repeat(limits::FILENAME_BYTES));
        it.id = Some("\u{1}".repeat(limits::ID_BYTES));
        it.message = "\u{1}".repeat(10 * limits::MESSAGE_BYTES);
    });
    let key = keys().result_key(&TransferId([3; 16])).unwrap();
    let lines = [Line::Challenge { challenge: CHALLENGE }, Line::Result(SealedReport::seal(&big, &key))];
    assert_eq!(read(&encoded_with(&keys(), &lines).concat()), Said { all: said(&lines), end: Ok(()) });
}

#[test]
fn sealed_reports_are_opened_by_the_holders_of_the_password_only() {
    let transfer = TransferId([3; 16]);
    let key = keys().result_key(&transfer).unwrap();
    let sealed = SealedReport::seal(&report(), &key);
    assert_eq!(sealed.open(&key), Ok(report()));
    for other in [
        keys().result_key(&TransferId([4; 16])).unwrap(),
        Keyring::new(Password::new("another password").unwrap()).result_key(&transfer).unwrap(),
    ] {
        assert_eq!(sealed.open(&other), Err(LineError::BadMac));
    }
    let mut json = serde_json::to_value(&sealed).unwrap();
    json["result"] = serde_json::json!(json["result"].as_str().unwrap().replace("\"code\":0", "\"code\":1"));
    let forged: SealedReport = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(forged.open(&key), Err(LineError::BadMac));
    json["tag"] = serde_json::json!("00".repeat(32));
    let forged: SealedReport = serde_json::from_value(json).unwrap();
    assert_eq!(forged.open(&key), Err(LineError::BadMac));
    // Relayed, it is the same, byte for byte.
    let relayed: SealedReport = serde_json::from_str(&serde_json::to_string(&sealed).unwrap()).unwrap();
    assert_eq!(relayed, sealed);
}

fn proof_outcome(bytes: &[u8], size: usize) -> Result<Option<usize>, HeaderError> {
    let mut reader = ProofReader::new(&keys(), &NONCE, &CHALLENGE).unwrap();
    let mut used = 0;
    for chunk in bytes.chunks(size) {
        let (count, done) = reader.push(chunk)?;
        used += count;
        if done {
            return Ok(Some(used));
        }
    }
    Ok(None)
}

#[test]
fn proofs() {
    let line = proof::line(&keys(), &NONCE, &CHALLENGE).unwrap();
    assert_eq!(line.len(), PROOF_BYTES);
    let stream = [&line[..], b"payload"].concat();
    for size in 1..=stream.len() {
        assert_eq!(proof_outcome(&stream, size), Ok(Some(PROOF_BYTES)), "and not one byte more");
        assert_eq!(proof_outcome(&line[..PROOF_BYTES - 1], size), Ok(None));
    }
    for at in 0..line.len() {
        for bit in 0..8 {
            let mut bad = line.clone();
            bad[at] ^= 1 << bit;
            for size in [1, 7, bad.len()] {
                assert_eq!(proof_outcome(&bad, size), Err(HeaderError::BadSignature), "byte {at} bit {bit}");
            }
        }
    }
    let others = [
        proof::line(&keys(), &CHALLENGE, &NONCE),
        proof::line(&keys(), &NONCE, &NONCE),
        proof::line(&keys(), &Nonce([0; 16]), &CHALLENGE),
        proof::line(&Keyring::new(Password::new("another password").unwrap()), &NONCE, &CHALLENGE),
    ];
    for other in others {
        assert_eq!(proof_outcome(&other.unwrap(), 64), Err(HeaderError::BadSignature));
    }
    assert_eq!(proof_outcome(b"GET / HTTP/1.1\r\n", 64), Err(HeaderError::BadSignature), "told at once");
    assert_eq!(
        proof::line(&Keyring::wire_1_only(Password::new("nimbus").unwrap()), &NONCE, &CHALLENGE),
        None
    );
}
