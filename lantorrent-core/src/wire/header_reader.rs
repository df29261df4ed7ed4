//! Finds the end of a header in what a connection brings, byte by byte if need be.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::error::HeaderError;
use super::header::{Header, Wire};
use super::keys::Keyring;
use super::limits;

const MARK: &[u8] = b"EOH";

/// Collects a header and its `EOH` line, and not one byte more.
///
/// ```
/// use lantorrent_core::wire::HeaderReader;
/// let mut reader = HeaderReader::default();
/// let (used, header) = reader.push(b"{}\nEOH : 6wfiiDBKSzFp6ehTYO+jhw==\r\npayload").unwrap();
/// assert_eq!(used, 35);
/// assert!(header.is_some());
/// ```
#[derive(Debug, Default)]
pub struct HeaderReader {
    text: Vec<u8>,
    line_start: usize,
    lines: usize,
}

impl HeaderReader {
    /// Takes bytes from the connection. Returns how many of them belong to the header, and the header when it is
    /// complete; what follows is payload and stays the caller's.
    ///
    /// # Errors
    /// [`HeaderError::TooLong`], as soon as a limit is passed, and [`HeaderError::BadSignature`] for an `EOH` line
    /// within them without a readable signature.
    pub fn push(&mut self, input: &[u8]) -> Result<(usize, Option<SignedHeader>), HeaderError> {
        let mut used = 0;
        while used < input.len() {
            let rest = &input[used..];
            let line_end = rest.iter().position(|&byte| byte == b'\n');
            let part = line_end.map_or(rest.len(), |end| end + 1);
            // What is beyond the limit is cut off before it is judged: how the bytes were chunked must not decide
            // which of two limits a header is said to pass.
            let kept = part.min(limits::HEADER_BYTES - self.text.len());
            self.text.extend_from_slice(&rest[..kept]);
            used += part;
            let line = &self.text[self.line_start..];
            let marked = line.starts_with(MARK);
            if marked && line.len() > limits::SIGNATURE_LINE_BYTES {
                return Err(HeaderError::TooLong("an EOH line of more than 128 bytes"));
            }
            if kept < part {
                return Err(HeaderError::TooLong("more than 4 MiB"));
            }
            if line_end.is_none() {
                break;
            }
            if marked {
                return self.finish().map(|header| (used, Some(header)));
            }
            self.line_start = self.text.len();
            self.lines += 1;
            if self.lines > limits::HEADER_LINES {
                return Err(HeaderError::TooLong("more than 256 lines"));
            }
        }
        Ok((used, None))
    }

    fn finish(&mut self) -> Result<SignedHeader, HeaderError> {
        let signature = Signature::parse(&self.text[self.line_start..]).ok_or(HeaderError::BadSignature)?;
        let mut text = std::mem::take(&mut self.text);
        text.truncate(self.line_start);
        *self = Self::default();
        Ok(SignedHeader { text, signature })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signature {
    Md5([u8; 16]),
    Sha256([u8; 32]),
}

impl Signature {
    fn parse(line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n")?;
        let rest = trim(trim(line.strip_prefix(MARK)?).strip_prefix(b":")?);
        let bytes = BASE64.decode(rest).ok()?;
        match bytes.len() {
            16 => Some(Self::Md5(bytes.try_into().ok()?)),
            32 => Some(Self::Sha256(bytes.try_into().ok()?)),
            _ => None,
        }
    }
}

/// Without the blanks around it. PROTOCOL.md, "Header text and signature line".
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r', rest @ ..] | [rest @ .., b' ' | b'\t' | b'\r'] = text {
        text = rest;
    }
    text
}

/// A header as it came, before anybody knows whether to believe it. Its text is not looked at until the signature
/// is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedHeader {
    text: Vec<u8>,
    signature: Signature,
}

impl SignedHeader {
    /// The wire, told by the length of the signature.
    pub fn wire(&self) -> Wire {
        match self.signature {
            Signature::Md5(_) => Wire::One,
            Signature::Sha256(_) => Wire::Two,
        }
    }

    /// Verifies the signature, in constant time, and then reads the header.
    ///
    /// # Errors
    /// [`HeaderError::WireOff`] and [`HeaderError::BadSignature`] before the text was looked at; after that,
    /// whatever is wrong with the text.
    pub fn verify(&self, keys: &Keyring) -> Result<Header, HeaderError> {
        let verdict = match &self.signature {
            Signature::Md5(signature) => keys.verify_wire_1(&self.text, signature),
            Signature::Sha256(signature) => keys.verify_wire_2(&self.text, signature),
        };
        match verdict {
            None => Err(HeaderError::WireOff(self.wire().number())),
            Some(false) => Err(HeaderError::BadSignature),
            Some(true) => Header::parse(self.wire(), &self.text),
        }
    }
}
