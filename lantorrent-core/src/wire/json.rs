//! Reading JSON from a peer: objects and nothing that passes for one, depth, and where a value ends in a stream of them.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use super::limits;

/// Follows JSON text byte by byte, just far enough to know its nesting and the end of a top-level object.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scanner {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

pub(crate) enum Step {
    /// In the middle of the text.
    Inside,
    /// This byte closed the outermost object or array.
    Closed,
    /// Nested deeper than allowed, or closed more often than opened.
    Broken,
}

impl Scanner {
    pub(crate) fn step(&mut self, byte: u8) -> Step {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return Step::Inside;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => {
                self.depth += 1;
                if self.depth > limits::JSON_DEPTH {
                    return Step::Broken;
                }
            }
            b'}' | b']' => {
                let Some(depth) = self.depth.checked_sub(1) else { return Step::Broken };
                self.depth = depth;
                if depth == 0 {
                    return Step::Closed;
                }
            }
            _ => {}
        }
        Step::Inside
    }
}

/// A struct that is read from a JSON object alone. What serde derives takes an array of the values as well.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

/// Parses one JSON object from `text`, refusing one that nests too deeply before the parser sees it.
pub(crate) fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, serde_json::Error> {
    let mut scanner = Scanner::default();
    if text.iter().any(|&byte| matches!(scanner.step(byte), Step::Broken)) {
        return Err(serde_json::Error::custom("nested too deeply"));
    }
    serde_json::from_slice(text).map(|Object(value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Text {
        #[serde(rename = "text")]
        _text: Option<serde_json::Value>,
    }

    #[test]
    fn depth_is_limited_and_strings_do_not_count() {
        let nested = |n: usize| format!("{{\"text\":{}{}}}", "[".repeat(n - 1), "]".repeat(n - 1));
        assert!(parse::<Text>(nested(limits::JSON_DEPTH).as_bytes()).is_ok());
        assert!(parse::<Text>(nested(limits::JSON_DEPTH + 1).as_bytes()).is_err());
        assert!(parse::<Text>(nested(1_000_000).as_bytes()).is_err());
        let text = format!("{{\"text\":\"{}\\\"{{\"}}", "[".repeat(100));
        assert!(parse::<Text>(text.as_bytes()).is_ok());
    }

    #[test]
    fn an_array_is_no_object() {
        assert!(parse::<Text>(b"{}").is_ok());
        for other in ["[null]", "[]", "null", "\"text\"", "1"] {
            assert!(parse::<Text>(other.as_bytes()).is_err(), "{other}");
        }
    }
}
