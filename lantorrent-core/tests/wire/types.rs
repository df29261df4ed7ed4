//! Of which type, and in which spelling, the values of a header may come.

use lantorrent_core::wire::{Header, HeaderError, SourceHint, Wire};
use serde_json::{Value, json};

use super::headers::{header_2, signed, value_1, value_2};
use super::support::{header, signed_1, signed_2};

/// Reads the example of `wire` with another value at that place.
fn put(wire: Wire, pointer: &str, new: Value) -> Result<Header, HeaderError> {
    let mut value = if wire == Wire::One { value_1() } else { value_2() };
    *value.pointer_mut(pointer).unwrap() = new;
    header(&signed(wire, &value))
}

#[test]
fn values_are_of_the_type_that_the_page_names() {
    let array = json!(["/srv/a", "a", true]);
    for (pointer, bad) in [
        ("/requests/0", array.clone()),
        ("/requests", json!([null])),
        ("/source", json!([80, 5, "x"])),
        ("/source", json!("x")),
        ("/verb", json!({"send": null})),
        ("/verb", json!(["send"])),
        ("/transfer", json!("0A".repeat(16))),
        ("/nonce", json!("0A".repeat(16))),
        ("/to", json!(["10.0.0.7", 2893])),
        ("/sparse", json!("true")),
        ("/source/mtime", json!(-1)),
        ("/source/mtime", json!(1.5)),
        ("/source/size", json!(-1)),
        ("/source/id", json!("")),
        ("/source/id", Value::Null),
        ("/source/id", json!("x".repeat(256))),
    ] {
        let result = put(Wire::Two, pointer, bad.clone());
        assert!(matches!(result, Err(HeaderError::Invalid(_))), "{pointer} = {bad}: {result:?}");
    }
    for wire in [Wire::One, Wire::Two] {
        for (pointer, bad) in [
            ("/destinations/0", json!(["h", 1])),
            ("/destinations/0", json!("h")),
            ("/destinations/0", Value::Null),
            ("/destinations/0/port", json!([])),
            ("/destinations/0/port", json!(true)),
            ("/destinations/0/host", json!(1)),
            ("/destinations/0/requests/0", array.clone()),
            ("/destinations/0/requests", json!({})),
        ] {
            let result = put(wire, pointer, bad.clone());
            assert!(matches!(result, Err(HeaderError::Destination(_))), "{pointer} = {bad}: {result:?}");
        }
        let text = format!("[{}]\n", if wire == Wire::One { value_1() } else { value_2() });
        let sign = if wire == Wire::One { signed_1 } else { signed_2 };
        assert!(matches!(header(&sign(text.as_bytes())), Err(HeaderError::Invalid(_))), "an array of one");
    }
    let strings = put(Wire::Two, "/source", json!({"size": "80", "mtime": "5", "id": "x"}));
    assert_eq!(strings, Ok(header_2()));
    let unknown = put(Wire::Two, "/source", json!({"size": null, "id": "x"})).unwrap();
    assert_eq!(unknown.envelope.unwrap().source, Some(SourceHint::new("x".into())));
    // An id is whatever its maker likes.
    assert_eq!(put(Wire::Two, "/requests/0/id", json!("")).unwrap().node.requests[0].id, "");
}

#[test]
fn blanks_around_a_signature_are_spaces_tabs_and_returns() {
    let whole = String::from_utf8(signed(Wire::Two, &value_2())).unwrap();
    let (text, line) = whole.split_at(whole.rfind("EOH").unwrap());
    let code = line.strip_prefix("EOH : ").unwrap().trim_end();
    for good in
        [format!("EOH:{code}\n"), format!("EOH \t: \t {code} \t \r\n"), format!("EOH\r:\r{code}\r\r\n")]
    {
        assert_eq!(header(format!("{text}{good}").as_bytes()), Ok(header_2()), "{good:?}");
    }
    for bad in [format!("EOH\x0c: {code}\n"), format!("EOH : {code}\x0b\n"), format!("EOH = {code}\n")] {
        assert_eq!(header(format!("{text}{bad}").as_bytes()), Err(HeaderError::BadSignature), "{bad:?}");
    }
}
