//! The limit, as it is put.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::answer::Answer;
use crate::api::Limit;

pub(super) fn parse(body: &[u8]) -> Result<Limit, Answer> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let parsed = json.deserialize_map(Shape).and_then(|limit| json.end().map(|()| limit));
    parsed.map_err(|error| Answer::problem(400, format!("what was put is no limit: {error}")))
}

/// What serde derives takes a list of values for it as well, in which nobody sees what is what.
struct Shape;

impl<'de> Visitor<'de> for Shape {
    type Value = Limit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `limit`")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Limit, A::Error> {
        Limit::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::super::chance::{Random, mutate};
    use super::*;

    #[test]
    fn what_is_a_limit() {
        for (text, limit) in [
            ("null", None),
            ("1024", Some(1024)),
            ("1e6", Some(1_000_000)),
            ("2048.0", Some(2048)),
            ("9007199254740991", Some((1 << 53) - 1)),
        ] {
            let body = format!(" {{\"limit\": {text}}}\n");
            assert_eq!(parse(body.as_bytes()).unwrap(), Limit { limit }, "{text}");
        }
    }

    #[test]
    fn what_is_none() {
        for body in [
            "",
            "{}",
            "null",
            "1024",
            "[1024]",
            r#"{"limit":1023}"#,
            r#"{"limit":0}"#,
            r#"{"limit":-1}"#,
            r#"{"limit":1024.5}"#,
            r#"{"limit":9007199254740992}"#,
            r#"{"limit":1e300}"#,
            r#"{"limit":"10M"}"#,
            r#"{"limit":true}"#,
            r#"{"limit":null,"limit":1024}"#,
            r#"{"limit":1024,"burst":1}"#,
            r#"{"limit":1024} x"#,
        ] {
            assert_eq!(parse(body.as_bytes()).unwrap_err().status, 400, "{body}");
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused() {
        for seed in 0..2_000 {
            let bytes = mutate(br#"{"limit":104857600}"#, &mut Random::new(seed));
            if let Err(answer) = parse(&bytes) {
                assert_eq!(answer.status, 400, "seed {seed}");
            }
        }
    }
}
