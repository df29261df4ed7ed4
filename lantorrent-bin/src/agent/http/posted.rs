//! What is posted: a request for a file, or a list of them.

use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::answer::Answer;
use crate::api::NewRequest;

/// Requests in one list.
pub(super) const MOST: usize = 10_000;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Posted {
    One(NewRequest),
    Many(Vec<NewRequest>),
}

impl Posted {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Answer> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let mut place = None;
        let parsed = json.deserialize_any(Shape { place: &mut place });
        let parsed = parsed.and_then(|posted| json.end().map(|()| posted));
        parsed.map_err(|error| {
            let what = if error.is_data() { "no request for a file, nor a list of them" } else { "no JSON" };
            Answer::problem_at(400, format!("what was posted is {what}: {error}"), place)
        })
    }
}

/// Reads either form, and knows the place in the list while it reads one.
struct Shape<'a> {
    place: &'a mut Option<usize>,
}

impl<'de> Visitor<'de> for Shape<'_> {
    type Value = Posted;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `source` and `destination`, or a list of such")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Posted, A::Error> {
        One.visit_map(map).map(Posted::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Posted, A::Error> {
        let mut requests = Vec::new();
        loop {
            *self.place = Some(requests.len());
            let Some(request) = list.next_element_seed(One)? else { break };
            if requests.len() == MOST {
                return Err(A::Error::custom(format_args!("more than {MOST} requests; post them in parts")));
            }
            requests.push(request);
        }
        *self.place = None;
        Ok(Posted::Many(requests))
    }
}

/// One request. What serde derives takes a list of values for it as well, in which nobody sees what is what.
struct One;

impl<'de> DeserializeSeed<'de> for One {
    type Value = NewRequest;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<NewRequest, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for One {
    type Value = NewRequest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `source` and `destination`")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<NewRequest, A::Error> {
        NewRequest::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::super::chance::{Random, mutate};
    use super::*;

    fn request(source: &str) -> NewRequest {
        let (source, destination) = (source.into(), "/d".into());
        NewRequest { source, destination, host: None, port: None, id: None }
    }

    fn refused(body: &str) -> serde_json::Value {
        let answer = Posted::parse(body.as_bytes()).unwrap_err();
        assert_eq!(answer.status, 400);
        serde_json::from_slice(answer.body()).unwrap()
    }

    #[test]
    fn one_and_many() {
        let one = r#"{"source":"/a","destination":"/d"}"#;
        assert_eq!(Posted::parse(one.as_bytes()).unwrap(), Posted::One(request("/a")));
        let many = format!(" [{one}, {{\"destination\":\"/d\",\"host\":null,\"source\":\"/b\"}}]\n");
        assert_eq!(Posted::parse(many.as_bytes()).unwrap(), Posted::Many(vec![request("/a"), request("/b")]));
        assert_eq!(Posted::parse(b"[]").unwrap(), Posted::Many(Vec::new()));
    }

    #[test]
    fn ports() {
        for (text, port) in
            [("null", None), ("1", Some(1)), ("65535.0", Some(65535)), ("2.893e3", Some(2893))]
        {
            let body = format!(r#"{{"source":"/a","destination":"/d","port":{text}}}"#);
            assert_eq!(
                Posted::parse(body.as_bytes()).unwrap(),
                Posted::One(NewRequest { port, ..request("/a") })
            );
        }
    }

    #[test]
    fn mistakes_have_their_place() {
        let problem = refused("{\"source\":\"/a\",\n\"sorce\":1}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("sorce") && detail.contains("line 2 column"), "{detail}");
        assert!(problem.get("index").is_none());

        let problem = refused(r#"[{"source":"/a","destination":"/d"},{"source":"/b"}]"#);
        assert_eq!(problem["index"], 1);
        assert!(problem["detail"].as_str().unwrap().contains("destination"), "{problem}");
    }

    #[test]
    fn what_is_none() {
        for body in [
            "",
            "{",
            "{}",
            "null",
            "1",
            "\"x\"",
            r#"["/a","/d"]"#,
            r#"[["/a","/d",null,null,null]]"#,
            r#"{"source":"/a","destination":"/d"} x"#,
            r#"{"source":"/a","source":"/b","destination":"/d"}"#,
            r#"{"source":"/a","destination":"/d","port":70000}"#,
            r#"{"source":"/a","destination":"/d","port":"2893"}"#,
            r#"{"source":"/a","destination":"/d","port":2893.5}"#,
            r#"{"source":"/a","destination":"/d","port":-1}"#,
            r#"{"source":"/a","destination":"/d","port":1e300}"#,
            "{\"source\":\"\\ud800\",\"destination\":\"/d\"}",
        ] {
            refused(body);
        }
        refused(&"[".repeat(100_000));
        assert!(Posted::parse(b"{\"source\":\"\xff\",\"destination\":\"/d\"}").is_err());
    }

    #[test]
    fn a_list_has_an_end() {
        let list = |count: usize| {
            let one = r#"{"source":"","destination":""}"#;
            format!("[{}]", vec![one; count].join(","))
        };
        assert!(matches!(Posted::parse(list(MOST).as_bytes()), Ok(Posted::Many(all)) if all.len() == MOST));
        let problem = refused(&list(MOST + 1));
        assert!(problem["detail"].as_str().unwrap().contains("more than 10000"), "{problem}");
    }

    #[test]
    fn any_bytes_are_read_or_refused() {
        let whole = br#"[{"source":"/a","destination":"/d","port":2893},{"source":"/a","destination":"/d"}]"#;
        for seed in 0..5_000 {
            let bytes = mutate(whole, &mut Random::new(seed));
            if let Err(answer) = Posted::parse(&bytes) {
                assert_eq!(answer.status, 400, "seed {seed}");
            }
        }
    }
}
