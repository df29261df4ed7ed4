//! Lines as bytes: a sequence number in each, and an authentication code behind it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::error::LineError;
use super::id::Nonce;
use super::keys::{Keyring, LineKey};
use super::limits;
use super::line::{self, Line};
use super::report::Report;

#[derive(Serialize)]
struct Numbered<'a> {
    seq: u64,
    #[serde(flatten)]
    line: &'a Line,
}

#[derive(Deserialize)]
struct Number {
    seq: u64,
}

/// Writes the lines of one connection, the challenge first.
#[derive(Debug)]
pub struct LineWriter {
    key: LineKey,
    seq: u64,
}

impl LineWriter {
    /// A writer for the connection that `key` belongs to.
    pub fn new(key: LineKey) -> Self {
        Self { key, seq: 0 }
    }

    /// The bytes of the next line.
    #[expect(clippy::missing_panics_doc, reason = "a line is always plain JSON")]
    pub fn encode(&mut self, line: &Line) -> Vec<u8> {
        // Strings, numbers and maps with string keys: nothing in it can fail to become JSON.
        let mut bytes = serde_json::to_vec(&Numbered { seq: self.seq, line }).expect("a line is plain JSON");
        let mac = BASE64.encode(self.key.sign(&bytes));
        self.seq += 1;
        bytes.push(b' ');
        bytes.extend_from_slice(mac.as_bytes());
        bytes.push(b'\n');
        bytes
    }
}

/// What a node said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "each wire has its own, and there are two wires")]
pub enum FromNode {
    /// An authentic line.
    Line(Line),
    /// Instead of a challenge: why the header was refused. Anybody could have written it.
    Refusal(Report),
}

/// Reads and verifies the lines of one connection. The first authentic one is the challenge, which also gives the key.
#[derive(Debug)]
pub struct LineReader {
    keys: Keyring,
    nonce: Nonce,
    key: Option<LineKey>,
    /// Whether `accepted` has come. Before that no line is ignored.
    accepted: bool,
    seq: u64,
    text: Vec<u8>,
}

impl LineReader {
    /// A reader for the connection whose header had `nonce`.
    pub fn new(keys: Keyring, nonce: Nonce) -> Self {
        Self { keys, nonce, key: None, accepted: false, seq: 0, text: Vec::new() }
    }

    /// The nonce of the header that is being answered.
    pub fn nonce(&self) -> Nonce {
        self.nonce
    }

    /// Takes bytes and returns how many were used up to the end of the next line, and that line.
    ///
    /// # Errors
    /// Whatever is wrong with the line; the connection cannot be followed after that.
    pub fn push(&mut self, input: &[u8]) -> Result<(usize, Option<FromNode>), LineError> {
        let end = input.iter().position(|&byte| byte == b'\n');
        let used = end.map_or(input.len(), |end| end + 1);
        if self.text.len() + used > limits::LINE_BYTES {
            return Err(LineError::TooLong);
        }
        self.text.extend_from_slice(&input[..used]);
        if end.is_none() {
            return Ok((used, None));
        }
        let text = std::mem::take(&mut self.text);
        self.read(&text[..text.len() - 1]).map(|line| (used, Some(line)))
    }

    /// The connection has ended. Returns the refusal that came without a line end, as a 0.2 node writes it to anybody
    /// whose header it cannot verify.
    pub fn finish(&self) -> Option<Report> {
        if self.key.is_none() { Report::parse_bare(&self.text).ok() } else { None }
    }

    fn read(&mut self, text: &[u8]) -> Result<FromNode, LineError> {
        let Some((json, mac)) = split(text) else {
            // Only who was not let in hears something without a code.
            return match self.key {
                None => Report::parse_bare(text).map(FromNode::Refusal),
                Some(_) => Err(LineError::BadMac),
            };
        };
        if let Some(key) = &self.key
            && !key.verifies(json, &mac)
        {
            return Err(LineError::BadMac);
        }
        if !(json.starts_with(b"{") && json.ends_with(b"}")) {
            return Err(LineError::NotJson("something stands beside the object of a line".into()));
        }
        let Number { seq } = line::values(json)?;
        let line = Line::parse(json)?;
        if self.key.is_none() {
            self.first(json, &mac, &line)?;
        } else if matches!(line, Line::Challenge { .. }) {
            return Err(LineError::Malformed("a second challenge"));
        }
        if seq != self.seq {
            return Err(LineError::Sequence { expected: self.seq, found: seq });
        }
        if matches!(line, Line::Unknown { .. }) && !self.accepted {
            return Err(unknown_kind());
        }
        self.seq += 1;
        self.accepted |= matches!(line, Line::Accepted { .. });
        Ok(FromNode::Line(line))
    }

    /// The challenge: it makes the key that it is then verified with.
    fn first(&mut self, json: &[u8], mac: &[u8], line: &Line) -> Result<(), LineError> {
        let challenge = match line {
            Line::Challenge { challenge } => challenge,
            Line::Unknown { .. } => return Err(unknown_kind()),
            _ => return Err(LineError::Malformed("the first line is no challenge")),
        };
        let key = self.keys.line_key(&self.nonce, challenge).filter(|key| key.verifies(json, mac));
        self.key = Some(key.ok_or(LineError::BadMac)?);
        Ok(())
    }
}

fn unknown_kind() -> LineError {
    LineError::NotJson("a line of an unknown kind".into())
}

/// Divides a line into its JSON and its code.
fn split(text: &[u8]) -> Option<(&[u8], Vec<u8>)> {
    let space = text.iter().rposition(|&byte| byte == b' ')?;
    let mac = BASE64.decode(&text[space + 1..]).ok().filter(|mac| mac.len() == 32)?;
    Some((&text[..space], mac))
}
