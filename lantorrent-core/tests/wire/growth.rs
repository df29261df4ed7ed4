//! What a later version may send: this one ignores it, and nothing else changes. PROTOCOL.md, "Growth".

use lantorrent_core::wire::{
    Extension, Features, Frame, FromNode, HEAD_BYTES, HeaderError, Line, LineError, PayloadError, Wire,
    limits,
};
use serde_json::{Value, json};

use super::frames::{self, BLOCK, LENGTH, Made, forged, head, made, said, transfer};
use super::headers::{header_2, signed, value_2};
use super::lines::{CHALLENGE, NONCE};
use super::support::{Feed, chunkings, header, read_lines, read_payload};

fn extension(kind: u8, data: &[u8]) -> Made {
    let fields = ([0xff, 1, 0x80], u64::MAX, 7);
    made(Frame::Extension(Extension::new(kind, fields, data).unwrap()), &[])
}

#[test]
fn extension_frames_come_through_as_they_are_and_change_nothing_else() {
    let others = [
        extension(0x80, b""),
        extension(0xbf, b"x"),
        extension(0xc0, &[7; BLOCK + 1]),
        extension(0xff, b"y"),
    ];
    let mut stream = Vec::new();
    for frame in transfer() {
        stream.extend(others.iter().cloned().chain([frame]));
    }
    stream.extend(others);
    let bytes = frames::bytes(&stream);
    for length in [Some(LENGTH), None] {
        for sizes in chunkings(bytes.len()).filter(|sizes| sizes.len() != 2 || sizes[0] % 7 == 0) {
            for feed in [Feed::Push, Feed::Slots] {
                let payload = read_payload(frames::reader(length), BLOCK, &bytes, &sizes, feed);
                assert_eq!((payload.frames, payload.end), (said(&stream), Ok(())), "{sizes:?}");
            }
        }
    }
}

#[test]
fn an_extension_keeps_every_byte_of_its_head() {
    for kind in [0x80, 0xbf, 0xc0, 0xff] {
        let mut bytes = head(kind, 3, u64::MAX, 1 << 63);
        bytes[1..4].copy_from_slice(&[0x55, 0xaa, 0xff]);
        let payload = frames::read(None, &forged(bytes, b"abc"));
        let [(frame @ Frame::Extension(found), _)] = &payload.frames[..] else { panic!("{payload:?}") };
        assert_eq!((found.head(), found.data(), found.kind()), (&bytes, &b"abc"[..], kind));
        assert_eq!(found.is_forwarded(), kind >= 0xc0);
        assert_eq!(found.size(), HEAD_BYTES + 3 + 32);
        assert_eq!(made(frame.clone(), &[]).bytes, forged(bytes, b"abc"), "forwarded byte for byte");
    }
}

#[test]
fn an_extension_is_bounded_and_verified() {
    let most = vec![1; limits::EXTENSION_BYTES];
    let whole = forged(head(0x80, most.len() as u32, 0, 0), &most);
    assert_eq!(frames::read(None, &whole).frames.len(), 1);
    for (kind, len) in [(0x80, limits::EXTENSION_BYTES as u32 + 1), (0xc0, u32::MAX)] {
        let payload = frames::read(None, &head(kind, len, 0, 0));
        let wrong = Err(PayloadError::Malformed { offset: 0, what: "an extension of a wrong size" });
        assert_eq!(payload.end, wrong, "from the head alone");
    }
    let good = extension(0xc0, b"data").bytes;
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            let payload = frames::read(None, &bad);
            assert!(payload.frames.is_empty() && payload.end.is_err(), "byte {at} bit {bit}");
        }
    }
    assert_eq!(Extension::new(0x7f, ([0; 3], 0, 0), b""), None);
    assert_eq!(Extension::new(0x80, ([0; 3], 0, 0), &vec![0; limits::EXTENSION_BYTES + 1]), None);
}

/// How a node's lines are read, all but the first of which are these.
fn lines(after_challenge: &[Line]) -> super::support::Said<FromNode> {
    let challenge = Line::Challenge { challenge: CHALLENGE };
    let bytes =
        super::lines::encoded_with(&super::support::keys(), &[&[challenge], after_challenge].concat());
    let bytes = bytes.concat();
    read_lines(NONCE, &bytes, &[bytes.len()])
}

fn later() -> Line {
    Line::Unknown { kind: "later".into() }
}

#[test]
fn unknown_lines_are_told_from_accepted_on_and_count() {
    let all = [Line::ACCEPTED, later(), later(), Line::Ready { offset: 0 }, later(), Line::Alive];
    let heard = lines(&all);
    assert_eq!((heard.all.len(), heard.end), (all.len() + 1, Ok(())));
    assert_eq!(heard.all[2], FromNode::Line(later()));
    for early in [vec![later()], vec![Line::Alive, later()]] {
        let heard = lines(&early);
        assert_eq!(heard.all.len(), early.len());
        assert!(matches!(heard.end, Err(LineError::NotJson(_))), "{:?}", heard.end);
    }
}

#[test]
fn an_unknown_line_is_verified_like_any_other() {
    let bytes = super::lines::encoded_with(
        &super::support::keys(),
        &[Line::Challenge { challenge: CHALLENGE }, Line::ACCEPTED, later(), later()],
    );
    let start = bytes[..2].concat();
    let mut bad = bytes[2].clone();
    for at in 0..bad.len() - 1 {
        bad[at] ^= 1;
        let stream = [&start[..], &bad].concat();
        assert!(read_lines(NONCE, &stream, &[stream.len()]).end.is_err(), "byte {at}");
        bad[at] ^= 1;
    }
    let lost = [&start[..], &bytes[3]].concat();
    let heard = read_lines(NONCE, &lost, &[lost.len()]);
    assert_eq!(heard.end, Err(LineError::Sequence { expected: 2, found: 3 }));
}

#[test]
fn accepted_tells_features_and_refuses_what_are_none() {
    let features = Features::new(["b", "a-1"]).unwrap();
    let accepted = Line::Accepted { features };
    assert_eq!(lines(std::slice::from_ref(&accepted)).all[1], FromNode::Line(accepted));
    let heard = |json: &str| {
        let challenge = super::lines::encoded().swap_remove(0);
        let stream = [challenge, super::lines::signed(json)].concat();
        read_lines(NONCE, &stream, &[stream.len()])
    };
    for good in ["null", "[]"] {
        let said = heard(&format!(r#"{{"seq":1,"line":"accepted","features":{good}}}"#));
        assert_eq!(said.all[1], FromNode::Line(Line::ACCEPTED), "{good}");
    }
    for bad in [r#"["A"]"#, r#"["a","a"]"#, r#"[""]"#, "7", "{}"] {
        let said = heard(&format!(r#"{{"seq":1,"line":"accepted","features":{bad}}}"#));
        assert!(matches!(said.end, Err(LineError::NotJson(_))), "{bad}: {:?}", said.end);
    }
}

#[test]
fn a_header_tells_features_and_refuses_what_are_none() {
    let with = |key: &str, names: Value| {
        let mut value = value_2();
        value[key] = names;
        header(&signed(Wire::Two, &value))
    };
    let many: Vec<String> = (0..=limits::FEATURES).map(|at| at.to_string()).collect();
    for key in ["features", "use"] {
        for none in [json!([]), Value::Null] {
            let mut expected = header_2();
            let envelope = expected.envelope.as_mut().unwrap();
            let list = if key == "use" { &mut envelope.features_in_use } else { &mut envelope.features };
            *list = Features::default();
            assert_eq!(with(key, none), Ok(expected));
        }
        for bad in
            [json!(["A"]), json!(["a", "a"]), json!([""]), json!("a"), json!({}), json!([1]), json!(many)]
        {
            let result = with(key, bad.clone());
            assert!(matches!(result, Err(HeaderError::Invalid(_))), "{key} = {bad}: {result:?}");
        }
    }
}
