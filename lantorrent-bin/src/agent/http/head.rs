//! The head of a request of HTTP/1: its request line and headers, RFC 9112. Bytes in, values out.

use super::answer::Answer;

/// Bytes of a head.
pub(super) const BYTES: usize = 16 << 10;
/// Headers in a head.
pub(super) const HEADERS: usize = 64;

/// What a head says that anybody here looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) method: String,
    /// As it came, percent-encoded.
    pub(super) path: String,
    /// What stands behind the question mark.
    pub(super) query: String,
    /// Whom the client thinks that it speaks to.
    pub(super) host: Option<String>,
    pub(super) origin: Option<String>,
    pub(super) authorization: Option<String>,
    pub(super) accept: Option<String>,
    pub(super) content_type: Option<String>,
    /// Bytes of the body. None if nothing is said.
    pub(super) length: Option<u64>,
    /// The client sends the body once it is told to go on.
    pub(super) expects_continue: bool,
    /// Whether another request may follow on this connection.
    pub(super) persists: bool,
}

/// Reads the head at the start of `bytes`, and says how many bytes it has; None while more has to come. What comes of
/// the first bytes does not depend on whether more stand behind them already.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, Answer> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(&bytes[..bytes.len().min(BYTES)]) {
        Ok(httparse::Status::Complete(used)) => Ok(Some((understand(&request)?, used))),
        Ok(httparse::Status::Partial) if bytes.len() >= BYTES => {
            Err(Answer::problem(431, format!("the head of the request is longer than {BYTES} bytes")))
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(error) => Err(malformed(error)),
    }
}

fn malformed(error: httparse::Error) -> Answer {
    match error {
        httparse::Error::TooManyHeaders => {
            Answer::problem(431, format!("the request has more than {HEADERS} headers"))
        }
        httparse::Error::Version => Answer::problem(505, "only HTTP/1.0 and HTTP/1.1 are spoken here"),
        _ => Answer::problem(400, format!("this is no request of HTTP: {error}")),
    }
}

fn understand(request: &httparse::Request<'_, '_>) -> Result<Head, Answer> {
    // httparse calls a request complete when it has all three.
    let (method, target) = (request.method.unwrap_or_default(), request.path.unwrap_or_default());
    let is_1_1 = request.version == Some(1);
    let (authority, path, query) = split(target)?;
    let mut head = Head { method: method.into(), path, query, persists: is_1_1, ..Head::default() };
    let mut is_coded = None;
    for header in request.headers.iter() {
        let value = String::from_utf8_lossy(header.value.trim_ascii()).into_owned();
        let name = header.name.to_ascii_lowercase();
        match name.as_str() {
            "host" => once(&mut head.host, &name, value)?,
            "origin" => once(&mut head.origin, &name, value)?,
            "authorization" => once(&mut head.authorization, &name, value)?,
            "content-type" => once(&mut head.content_type, &name, value)?,
            "content-length" => once(&mut head.length, &name, length(&value)?)?,
            "transfer-encoding" => is_coded = Some(value),
            "expect" => head.expects_continue = expectation(&value)?,
            "accept" => append(&mut head.accept, &value),
            "connection" => head.persists = persists(&value, head.persists),
            _ => {}
        }
    }
    if let Some(coding) = is_coded {
        return Err(coded(&coding, head.length));
    }
    if is_1_1 && head.host.is_none() {
        return Err(Answer::problem(400, "a request of HTTP/1.1 needs the header Host"));
    }
    if authority.is_some() {
        head.host = authority;
    }
    // Who speaks HTTP/1.0 does not know that it would have to wait.
    head.expects_continue &= is_1_1;
    Ok(head)
}

/// The authority, if there is one, the path and the query of a request's target.
fn split(target: &str) -> Result<(Option<String>, String, String), Answer> {
    let (authority, rest) = match target.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("http://") => {
            let rest = &target[7..];
            let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            (Some(authority.to_owned()), if path.is_empty() { "/" } else { path })
        }
        _ => (None, target),
    };
    if !rest.starts_with('/') || rest.contains('#') {
        return Err(Answer::problem(400, "the target of the request is no path such as /v1/requests"));
    }
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    Ok((authority, path.into(), query.into()))
}

/// Keeps a value that may be there twice only if it is the same: which of two counts would be a guess, and what stands
/// between us and the client may guess otherwise.
fn once<T: PartialEq>(place: &mut Option<T>, name: &str, value: T) -> Result<(), Answer> {
    if place.as_ref().is_some_and(|there| *there != value) {
        return Err(Answer::problem(400, format!("the header {name} is there twice, with different values")));
    }
    *place = Some(value);
    Ok(())
}

fn append(list: &mut Option<String>, value: &str) {
    *list = Some(match list.take() {
        Some(before) => format!("{before}, {value}"),
        None => value.to_owned(),
    });
}

fn length(value: &str) -> Result<u64, Answer> {
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Answer::problem(400, "Content-Length is no number"));
    }
    // More than 64 bits can say is more than anybody takes.
    Ok(value.parse().unwrap_or(u64::MAX))
}

fn coded(coding: &str, length: Option<u64>) -> Answer {
    if length.is_some() {
        return Answer::problem(
            400,
            "the request has both Content-Length and Transfer-Encoding; give the first alone",
        );
    }
    if coding.eq_ignore_ascii_case("chunked") {
        return Answer::problem(411, "a body in chunks is not taken; say how long it is with Content-Length");
    }
    Answer::problem(501, "no Transfer-Encoding is known here; send the body as it is, with Content-Length")
}

fn expectation(value: &str) -> Result<bool, Answer> {
    if value.eq_ignore_ascii_case("100-continue") {
        return Ok(true);
    }
    Err(Answer::problem(417, "of Expect only 100-continue is known here"))
}

/// Whether the connection goes on after what one header Connection says. `close` has the last word.
fn persists(value: &str, before: bool) -> bool {
    let says = |word: &str| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word));
    !says("close") && (before || says("keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::super::chance::{Random, mutate, noise};
    use super::*;

    fn read(text: &str) -> Result<Head, u16> {
        let parsed = parse(text.as_bytes()).map_err(|answer| answer.status)?;
        let (head, used) = parsed.expect("the head is whole");
        assert_eq!(used, text.len());
        Ok(head)
    }

    /// A request with these lines behind its request line.
    fn with(lines: &str) -> Result<Head, u16> {
        read(&format!("POST /v1/requests HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n"))
    }

    #[test]
    fn a_request() {
        let text = "GET /v1/requests/7?wait=3&a=%20 HTTP/1.1\r\nHOST:  localhost:2894 \r\nAccept: a/b\r\nX-Other: 1\r\n\
                    accept: */*\r\nauthorization: Bearer 12\r\nOrigin: null\r\n\r\n";
        let expected = Head {
            method: "GET".into(),
            path: "/v1/requests/7".into(),
            query: "wait=3&a=%20".into(),
            host: Some("localhost:2894".into()),
            origin: Some("null".into()),
            authorization: Some("Bearer 12".into()),
            accept: Some("a/b, */*".into()),
            persists: true,
            ..Head::default()
        };
        assert_eq!(read(text), Ok(expected));
    }

    #[test]
    fn targets() {
        let target = |target: &str| {
            let head = read(&format!("GET {target} HTTP/1.1\r\nHost: other\r\n\r\n"))?;
            Ok((head.host.unwrap_or_default(), head.path, head.query))
        };
        let parts = |host: &str, path: &str, query: &str| Ok((host.into(), path.into(), query.into()));
        assert_eq!(target("/?"), parts("other", "/", ""));
        assert_eq!(target("//x?y?z"), parts("other", "//x", "y?z"));
        // What the request line says goes before Host.
        assert_eq!(target("HTTP://h:1/p?q"), parts("h:1", "/p", "q"));
        assert_eq!(target("http://h"), parts("h", "/", ""));
        for bad in ["*", "x", "https://h/", "ftp://h/", "/a#b", "h:80", "http://h?q"] {
            assert_eq!(target(bad), Err(400), "{bad}");
        }
    }

    #[test]
    fn what_is_refused() {
        for (text, status) in [
            ("\x16\x03\x01\x02\0", 400),
            ("GET /\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", 400),
            ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
            ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
        ] {
            assert_eq!(read(text).unwrap_err(), status, "{text:?}");
        }
    }

    #[test]
    fn how_long_the_body_is() {
        let length = |lines: &str| with(lines).map(|head| head.length);
        assert_eq!(length(""), Ok(None));
        assert_eq!(length("Content-Length: 0\r\n"), Ok(Some(0)));
        assert_eq!(length("Content-Length: 12\r\ncontent-length: 12\r\n"), Ok(Some(12)));
        assert_eq!(length("Content-Length: 99999999999999999999999\r\n"), Ok(Some(u64::MAX)));
        for bad in ["", "-1", "+1", "0x1", "1, 1", "1 1", "1.0", "\u{661}"] {
            assert_eq!(length(&format!("Content-Length: {bad}\r\n")), Err(400), "{bad}");
        }
        assert_eq!(length("Content-Length: 1\r\nContent-Length: 2\r\n"), Err(400));
        assert_eq!(length("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), Err(400));
        assert_eq!(length("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"), Err(400));
        assert_eq!(length("Transfer-Encoding: Chunked\r\n"), Err(411));
        assert_eq!(length("Transfer-Encoding: gzip, chunked\r\n"), Err(501));
    }

    #[test]
    fn whether_the_connection_goes_on() {
        let persists = |version: &str, value: &str| {
            let text = format!("GET / HTTP/{version}\r\nHost: a\r\nConnection: {value}\r\n\r\n");
            read(&text).unwrap().persists
        };
        assert!(persists("1.1", "") && persists("1.1", "TE, upgrade"));
        assert!(!persists("1.1", "TE, Close") && !persists("1.1", "close, keep-alive"));
        assert!(!persists("1.0", "") && persists("1.0", "Keep-Alive"));
        assert!(read("GET / HTTP/1.0\r\n\r\n").is_ok());
    }

    #[test]
    fn expectations() {
        assert!(with("Expect: 100-Continue\r\n").unwrap().expects_continue);
        assert_eq!(with("Expect: 200-ok\r\n"), Err(417));
        assert!(!read("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").unwrap().expects_continue);
    }

    #[test]
    fn limits() {
        let lines = "a: b\r\n".repeat(HEADERS - 1);
        assert!(with(&lines).is_ok());
        assert_eq!(with(&format!("{lines}a: b\r\n")), Err(431));

        let fits = |fill: usize| format!("GET /{} HTTP/1.0\r\n\r\n", "x".repeat(fill));
        let most = BYTES - fits(0).len();
        assert!(read(&fits(most)).is_ok());
        assert_eq!(read(&fits(most + 1)), Err(431));
        // The whole of it may come at once, or not at all.
        assert_eq!(parse(&fits(most + 1).as_bytes()[..BYTES]).unwrap_err().status, 431);
        assert_eq!(parse(&fits(most + 1).as_bytes()[..BYTES - 1]), Ok(None));
    }

    /// Any bytes get an answer, and the same in whatever pieces they come.
    #[test]
    fn pieces_do_not_matter() {
        let whole = "POST /v1/requests?a=b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\
                     Content-Type: application/json\r\nTransfer-Encoding: x\r\nConnection: close\r\n\r\n{}";
        for seed in 0..5_000 {
            let mut random = Random::new(seed);
            let bytes = match seed % 4 {
                0 => noise(&mut random),
                _ => mutate(whole.as_bytes(), &mut random),
            };
            let at_once = parse(&bytes);
            let in_pieces = (0..=bytes.len()).find_map(|upto| parse(&bytes[..upto]).transpose());
            assert_eq!(at_once.transpose(), in_pieces, "seed {seed}: {:?}", String::from_utf8_lossy(&bytes));
        }
    }
}
