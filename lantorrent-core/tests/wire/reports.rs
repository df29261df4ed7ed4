//! Results: the stream of JSON objects of wire 1, and reports as values.

use lantorrent_core::wire::{Code, LineError, Report, limits};

use super::support::read_reports;

use crate::with::with;

fn report() -> Report {
    with(Report::refusal(Code::CANNOT_OPEN, "no"), |it| {
        it.host = Some("10.0.0.7".into());
        it.port = Some(2893);
        it.file = Some("/srv/\"}{\\ a\u{1}ä".into());
        it.id = Some("id".into());
        it.index = Some(3);
        it.by = Some(2);
    })
}

#[test]
fn reports_are_read_again() {
    let text = report().encode();
    assert_eq!(Report::parse(text.as_bytes()), Ok(report()));
    assert!(!report().is_own());
    assert!(with(report(), |it| it.by = Some(3)).is_own());
    assert!(
        !with(report(), |it| {
            it.by = None;
            it.index = None;
        })
        .is_own()
    );
}

#[test]
fn objects_run_together_and_garbage_between_them_is_told() {
    let one = report().encode();
    let stream = format!("{one}{one}\r\n\n  {one}\n");
    assert_eq!(read_reports(stream.as_bytes(), &[stream.len()]).all, [report(), report(), report()]);
    for garbage in ["x", "]", "null", "[]", "\"{\"", "\0"] {
        let said = read_reports(format!("{one}{garbage}{one}").as_bytes(), &[2 * one.len() + garbage.len()]);
        assert_eq!(said.all, [report()], "{garbage}");
        assert!(matches!(said.end, Err(LineError::NotJson(_))), "{garbage}: {:?}", said.end);
    }
    for cut in 1..one.len() {
        let said = read_reports(&one.as_bytes()[..cut], &[cut]);
        assert_eq!((said.all.len(), said.end), (0, Ok(())), "half a report is none");
    }
}

#[test]
fn values_of_a_report_are_checked() {
    for bad in [
        "{}",
        "{\"code\":null}",
        "{\"code\":-1}",
        "{\"code\":65536}",
        "{\"code\":0.5}",
        "{\"code\":0,\"port\":65536}",
        "{\"code\":0,\"port\":-1}",
        "{\"code\":0,\"host\":7}",
        "{\"code\":0,\"index\":-1}",
        "{\"code\":0,\"code\":500}",
        "{\"code\":0,\"message\":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}",
        "{\"code\":0,\"message\":\"\u{0}\"}",
        "{\"code\":0}}",
    ] {
        assert!(matches!(Report::parse(bad.as_bytes()), Err(LineError::NotJson(_))), "{bad}");
    }
    assert!(Report::parse(b"{\"code\":0,\"message\":\"\xff\"}").is_err());
    let bare = Report::parse(b"{\"code\":999,\"port\":\"2893\",\"unknown\":{}}").unwrap();
    assert_eq!((bare.code, bare.port, bare.host), (Code(999), Some(2893), None));
}

#[test]
fn the_largest_report_fits_a_line_and_messages_are_cut() {
    // U+0001 grows most: six characters in JSON, seven when that JSON is put into another.
    let big = with(report(), |it| {
        it.host = Some("\u{1}".repeat(limits::HOST_BYTES));
        it.file = Some("\u{1}".repeat(limits::FILENAME_BYTES));
        it.id = Some("\u{1}".repeat(limits::ID_BYTES));
        it.message = "\u{1}".repeat(10 * limits::MESSAGE_BYTES);
    });
    let text = big.encode();
    let read = Report::parse(text.as_bytes()).unwrap();
    assert_eq!(read.message.len(), limits::MESSAGE_BYTES);
    assert!(serde_json::to_string(&text).unwrap().len() + 256 < limits::LINE_BYTES);
    // Cut between characters.
    let umlauts = with(report(), |it| it.message = format!("x{}", "ä".repeat(1000)));
    let read = Report::parse(umlauts.encode().as_bytes()).unwrap();
    assert_eq!(read.message.len(), limits::MESSAGE_BYTES - 1);
    assert_eq!(Report::refusal(Code::UNKNOWN, &"ä".repeat(1000)).message.len(), limits::MESSAGE_BYTES);
}

#[test]
fn what_is_longer_than_a_limit_is_no_report() {
    for (key, most) in [
        ("message", limits::MESSAGE_BYTES),
        ("host", limits::HOST_BYTES),
        ("id", limits::ID_BYTES),
        ("file", limits::FILENAME_BYTES),
    ] {
        let report = |len| format!("{{\"code\":0,\"{key}\":\"{}\"}}", "x".repeat(len));
        assert!(Report::parse(report(most).as_bytes()).is_ok(), "{key}");
        assert!(matches!(Report::parse(report(most + 1).as_bytes()), Err(LineError::Malformed(_))), "{key}");
        // 0.2 puts whatever Python says into a message.
        let bare = Report::parse_bare(report(most + 1).as_bytes());
        assert_eq!(bare.is_ok(), key == "message", "{key}: {bare:?}");
        assert!(bare.is_err() || bare.unwrap().message.len() == most);
    }
    for none in [r#"{"code":508,"message":null,"md5sum":null}"#, r#"{"code":508}"#] {
        assert_eq!(Report::parse(none.as_bytes()).unwrap().message, "", "{none}");
    }
    assert!(Report::parse(b"[0,null,null,null,null]").is_err());
}

#[test]
fn an_object_that_never_ends_is_cut_off() {
    let endless = [b"{\"message\":\"".to_vec(), vec![b'x'; limits::LINE_BYTES]].concat();
    for sizes in [vec![endless.len()], vec![1; endless.len()]] {
        assert_eq!(read_reports(&endless, &sizes).end, Err(LineError::TooLong));
    }
    let deep = "{\"a\":".repeat(limits::JSON_DEPTH + 1);
    assert!(matches!(read_reports(deep.as_bytes(), &[deep.len()]).end, Err(LineError::NotJson(_))));
}
