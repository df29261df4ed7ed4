//! Results: what became of one request. In wire 1 bare JSON objects, in wire 2 the content of `result` lines.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bounded::Number;
use super::error::LineError;
use super::json::{Scanner, Step};
use super::{Code, limits, line};

/// What became of one request. PROTOCOL.md, "Results".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Report {
    /// How it ended.
    pub code: Code,
    /// The node's host, as its header named it. None in a refusal, as are all others that a header would name.
    pub host: Option<String>,
    /// The node's port.
    #[serde(default, deserialize_with = "port")]
    pub port: Option<u16>,
    /// The file that was asked for.
    pub file: Option<String>,
    /// The request's id.
    pub id: Option<String>,
    /// What happened, in words. Cut to [`limits::MESSAGE_BYTES`] when it is written.
    #[serde(default, serialize_with = "message", deserialize_with = "text")]
    pub message: String,
    /// Wire 1: the MD5 of the file, empty unless it is whole.
    #[serde(default, deserialize_with = "text")]
    pub md5sum: String,
    /// Wire 2: the root of the file, where it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Wire 2: the node that the report is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u32>,
    /// Wire 2: the node that made the report; none if the source did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<u32>,
}

fn port<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u16>, D::Error> {
    let Some(Number(port)) = Option::deserialize(deserializer)? else { return Ok(None) };
    u16::try_from(port).map(Some).map_err(serde::de::Error::custom)
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn message<S: Serializer>(message: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(cut(message, limits::MESSAGE_BYTES))
}

/// The longest start of `text` that has at most `bytes` bytes.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    // `floor_char_boundary` is younger than the oldest compiler that must do.
    let end = (0..=bytes.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

impl Report {
    /// A refusal: says why nothing was done, and nothing of who asked for what.
    pub fn refusal(code: Code, message: &str) -> Self {
        Self {
            code,
            host: None,
            port: None,
            file: None,
            id: None,
            message: cut(message, limits::MESSAGE_BYTES).into(),
            md5sum: String::new(),
            root: None,
            index: None,
            by: None,
        }
    }

    /// Whether the node itself made it.
    pub fn is_own(&self) -> bool {
        self.by.is_some() && self.by == self.index
    }

    /// What was said of a node, and what others say now. Who was lost on the way may have become whole before it
    /// could not be reached any more.
    pub(crate) fn followed_by(&self, later: &Self) -> Self {
        // What the node said itself was true then, and that it is gone since does not make it whole.
        if self.is_own() && !later.code.is_provisional() {
            return self.clone();
        }
        if !self.code.is_provisional() {
            return later.clone();
        }
        let message = format!("{}; later: {}", self.message, later.message);
        Self { message: cut(&message, limits::MESSAGE_BYTES).into(), ..self.clone() }
    }

    /// One JSON object, without a line end.
    #[expect(clippy::missing_panics_doc, reason = "a report is always plain JSON")]
    pub fn encode(&self) -> String {
        // Strings and numbers: nothing in it can fail to become JSON.
        serde_json::to_string(self).expect("a report is plain JSON")
    }

    /// Reads one JSON object: a report of wire 2 that its maker has tagged.
    ///
    /// # Errors
    /// [`LineError::NotJson`], and [`LineError::Malformed`] for a value longer than [`limits`].
    pub fn parse(text: &[u8]) -> Result<Self, LineError> {
        let report: Self = line::values(text)?;
        report.check_lengths()?;
        Ok(report)
    }

    /// Reads one JSON object: a report of wire 1, or a refusal. 0.2 puts whatever Python says into a message, so that a
    /// long one is cut.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), but for the message.
    pub fn parse_bare(text: &[u8]) -> Result<Self, LineError> {
        let report: Self = line::values(text)?;
        let report = Self { message: cut(&report.message, limits::MESSAGE_BYTES).into(), ..report };
        report.check_lengths()?;
        Ok(report)
    }

    fn check_lengths(&self) -> Result<(), LineError> {
        let long = |text: &Option<String>, most| text.as_ref().is_some_and(|text| text.len() > most);
        if self.message.len() > limits::MESSAGE_BYTES
            || long(&self.host, limits::HOST_BYTES)
            || long(&self.file, limits::FILENAME_BYTES)
            || long(&self.id, limits::ID_BYTES)
        {
            return Err(LineError::Malformed("a value in a report is longer than its limit"));
        }
        Ok(())
    }
}

/// Reads reports of wire 1 as a stream of JSON objects: some 0.2 nodes write them without a line end.
#[derive(Debug, Default)]
pub struct ReportReader {
    text: Vec<u8>,
    scanner: Scanner,
}

impl ReportReader {
    /// Takes bytes and returns how many were used up to the end of the next report, and that report.
    ///
    /// # Errors
    /// [`LineError::TooLong`] and [`LineError::NotJson`]; the stream cannot be followed after that.
    pub fn push(&mut self, input: &[u8]) -> Result<(usize, Option<Report>), LineError> {
        for (place, &byte) in input.iter().enumerate() {
            if self.text.is_empty() && b" \t\r\n".contains(&byte) {
                continue;
            }
            if self.text.is_empty() && byte != b'{' {
                return Err(LineError::NotJson("it does not begin with '{'".into()));
            }
            if self.text.len() == limits::LINE_BYTES {
                return Err(LineError::TooLong);
            }
            self.text.push(byte);
            match self.scanner.step(byte) {
                Step::Inside => {}
                Step::Broken => return Err(LineError::NotJson("it nests too deeply".into())),
                Step::Closed => {
                    let report = Report::parse_bare(&std::mem::take(&mut self.text))?;
                    return Ok((place + 1, Some(report)));
                }
            }
        }
        Ok((input.len(), None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_run_together() {
        let stream = b" {\"code\": 508, \"md5sum\": \"\", \"id\": null, \"host\": null, \"file\": null, \"message\": \"}{\", \"port\": null}{\"code\":0,\"host\":\"a\",\"port\":\"2893\",\"file\":\"/x\",\"id\":\"1\"}\r\n";
        let mut reader = ReportReader::default();
        let (used, first) = reader.push(stream).unwrap();
        assert_eq!(first.unwrap().message, "}{");
        let (more, second) = reader.push(&stream[used..]).unwrap();
        assert_eq!(second.unwrap().port, Some(2893));
        assert_eq!(reader.push(&stream[used + more..]).unwrap(), (2, None));
    }

    #[test]
    fn what_is_no_report() {
        assert!(matches!(ReportReader::default().push(b"HTTP/1.1 400"), Err(LineError::NotJson(_))));
        assert!(matches!(ReportReader::default().push(b"{\"code\":-1}"), Err(LineError::NotJson(_))));
        let endless = [&b"{\"message\":\""[..], &vec![b'x'; limits::LINE_BYTES]].concat();
        assert_eq!(ReportReader::default().push(&endless), Err(LineError::TooLong));
    }
}
