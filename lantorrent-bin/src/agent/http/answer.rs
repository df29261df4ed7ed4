//! What is answered, and its form on the wire. Refusals are answers too: problem+json, RFC 9457.

use serde::Serialize;

use crate::api::Problem;
use crate::time::Timestamp;

pub(super) const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// An answer to a request of HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    media: Option<&'static str>,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Answer {
    pub(super) fn empty(status: u16) -> Self {
        Self { status, media: None, headers: Vec::new(), body: Vec::new() }
    }

    pub(super) fn text(media: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status: 200, media: Some(media), headers: Vec::new(), body: body.into() }
    }

    pub(super) fn json(status: u16, value: &impl Serialize) -> Self {
        Self { status, media: Some(JSON), headers: Vec::new(), body: encode(value) }
    }

    /// A refusal. The detail says what happened, and what to do.
    pub(super) fn problem(status: u16, detail: impl Into<String>) -> Self {
        Self::problem_at(status, detail, None)
    }

    /// The same, with the place in the list of what was posted.
    pub(super) fn problem_at(status: u16, detail: impl Into<String>, index: Option<usize>) -> Self {
        let problem = Problem { title: phrase(status).into(), status, detail: detail.into(), index };
        Self { status, media: Some(PROBLEM), headers: Vec::new(), body: encode(&problem) }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Bytes of its body.
    pub(super) fn len(&self) -> usize {
        self.body.len()
    }

    #[cfg(test)]
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// As it goes over the wire.
    pub(super) fn encode(&self, now: Timestamp, form: Form, next: Next) -> Vec<u8> {
        use std::fmt::Write;
        let mut head =
            format!("HTTP/1.1 {} {}\r\nDate: {}\r\n", self.status, phrase(self.status), now.http());
        let mut line = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = write!(head, "{name}: {value}\r\n");
        };
        if let Some(media) = self.media {
            line("Content-Type", media);
            line("X-Content-Type-Options", "nosniff");
        }
        // 204 ends with its head, and may not say how long its body is.
        if self.status != 204 {
            line("Content-Length", &self.body.len().to_string());
        }
        // How things stand changes by the second.
        line("Cache-Control", "no-store");
        let connection = match next {
            Next::Request => "keep-alive",
            Next::Close => "close",
        };
        line("Connection", connection);
        for (name, value) in &self.headers {
            line(name, value);
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        if form == Form::Whole {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

/// Whether the body is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Whole,
    /// What HEAD asks for.
    HeadAlone,
}

/// What comes behind an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Request,
    Close,
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    // Only a map whose keys are no text, or an error of a `Serialize` of our own, could fail: api.rs has neither.
    serde_json::to_vec(value).expect("what is answered has a form in JSON")
}

fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        431 => "Request Header Fields Too Large",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(answer: &Answer, form: Form, next: Next) -> String {
        String::from_utf8(answer.encode(Timestamp(0), form, next)).unwrap()
    }

    #[test]
    fn a_problem_on_the_wire() {
        let answer = Answer::problem_at(403, "no", Some(3)).with("Allow", "GET");
        let text = encode(&answer, Form::Whole, Next::Close);
        let body = r#"{"title":"Forbidden","status":403,"detail":"no","index":3}"#;
        let (head, rest) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(rest, body);
        let lines: Vec<&str> = head.split("\r\n").collect();
        assert_eq!(lines[..2], ["HTTP/1.1 403 Forbidden", "Date: Thu, 01 Jan 1970 00:00:00 GMT"]);
        let length = format!("Content-Length: {}", body.len());
        for line in
            [length.as_str(), "Content-Type: application/problem+json", "Connection: close", "Allow: GET"]
        {
            assert!(lines.contains(&line), "{line} is missing in {head}");
        }
    }

    #[test]
    fn a_head_alone_says_how_long_the_body_would_be() {
        let text = encode(&Answer::text("text/plain", "12345"), Form::HeadAlone, Next::Request);
        assert!(text.contains("Content-Length: 5\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    }

    #[test]
    fn no_content_has_no_length() {
        let text = encode(&Answer::empty(204), Form::Whole, Next::Request);
        assert!(!text.contains("Content-Length") && text.ends_with("\r\n\r\n"), "{text}");
    }
}
