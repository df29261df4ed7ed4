//! What a peer of next year says: headers, lines and frames of this version, with what it does not know in between, all
//! signed anew by a holder of the password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use lantorrent_core::wire::{Extension, HEAD_BYTES, Nonce, TAG_BYTES};
use sha2::Sha256;

use crate::random::Random;

/// The feature that such a peer has.
pub(crate) const FEATURE: &str = "later";

fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn position(bytes: &[u8], of: &[u8]) -> Option<usize> {
    bytes.windows(of.len()).position(|window| window == of)
}

/// A header with keys that nobody knows yet, and a list of features if it has none. `used`: what else it has to have.
/// None for bytes that are no header of wire 2, or are not signed with that password.
pub(crate) fn header(password: &str, bytes: &[u8], used: Option<&str>) -> Option<Vec<u8>> {
    let end = position(bytes, b"\nEOH : ")? + 1;
    let (text, line) = bytes.split_at(end);
    let key = hmac_sha256(password.as_bytes(), b"lantorrent 2 header\0");
    let signature = BASE64.decode(line["EOH : ".len()..].trim_ascii_end()).ok()?;
    if signature != hmac_sha256(&key, text) {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    let list = |key: &str, name: Option<&str>| match name {
        Some(name) if !text.contains(&format!(r#""{key}":["#)) => format!(r#""{key}":["{name}"],"#),
        _ => String::new(),
    };
    let keys = [
        r#"{"later":{"of":[1.5,null,{"deep":"\u00e4"}]},"#.to_owned(),
        list("features", Some(FEATURE)),
        list("use", used),
    ];
    let text = keys.concat() + &text[1..].replace(r#"{"host":"#, r#"{"later":-1,"host":"#);
    let signature = BASE64.encode(hmac_sha256(&key, text.as_bytes()));
    Some(format!("{text}EOH : {signature}\r\n").into_bytes())
}

/// The lines of one connection behind the challenge, each with keys that nobody knows yet, and lines of an unknown kind.
#[derive(Debug)]
pub(crate) struct Lines {
    key: Vec<u8>,
    seq: u64,
    accepted: bool,
    random: Random,
}

impl Lines {
    pub(crate) fn new(password: &str, nonce: Nonce, challenge: Nonce) -> Self {
        let context = [&b"lantorrent 2 line\0"[..], &nonce.0, &challenge.0].concat();
        let key = hmac_sha256(password.as_bytes(), &context);
        Self {
            key,
            seq: 1,
            accepted: false,
            random: Random::new(u64::from_be_bytes(nonce.0[..8].try_into().unwrap())),
        }
    }

    /// Whole lines, with their ends. What is not authentic comes out as it is.
    pub(crate) fn push(&mut self, lines: &[u8]) -> Vec<u8> {
        lines.split_inclusive(|&byte| byte == b'\n').flat_map(|line| self.line(line)).collect()
    }

    fn line(&mut self, line: &[u8]) -> Vec<u8> {
        let Some(json) = self.verified(line) else { return line.to_vec() };
        let rest = json.split_once(',').map_or("}", |(_, rest)| rest).to_owned();
        let mut out = Vec::new();
        while self.accepted && self.random.below(3) == 0 {
            out.extend(self.sign(r#""line":"later","offset":{"not":"a number"}}"#));
        }
        self.accepted |= rest.starts_with(r#""line":"accepted""#);
        out.extend(self.sign(&format!(r#""later":[[],1e3,"ready"],{rest}"#)));
        out
    }

    fn verified<'a>(&self, line: &'a [u8]) -> Option<&'a str> {
        let text = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
        let (json, code) = text.rsplit_once(' ')?;
        (BASE64.decode(code).ok()? == hmac_sha256(&self.key, json.as_bytes())).then_some(json)
    }

    fn sign(&mut self, rest: &str) -> Vec<u8> {
        let json = format!(r#"{{"seq":{},{rest}"#, self.seq);
        self.seq += 1;
        format!("{json} {}\n", BASE64.encode(hmac_sha256(&self.key, json.as_bytes()))).into_bytes()
    }
}

/// Some frame that this version does not know, of either kind.
pub(crate) fn extension(random: &mut Random, most: usize) -> Extension {
    let kind = 0x80 | random.next() as u8;
    let fields = ([random.next() as u8, 0, random.next() as u8], random.next(), random.next());
    let len = if most == 0 { 0 } else { random.below(most) };
    let data: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
    Extension::new(kind, fields, &data).unwrap()
}

/// Cuts a payload of wire 2 into its frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    pending: Vec<u8>,
}

impl Frames {
    /// Takes bytes, and returns the frames that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.pending.extend_from_slice(bytes);
        let mut frames = Vec::new();
        let mut start = 0;
        while let Some(head) = self.pending.get(start..start + HEAD_BYTES) {
            let len = u32::from_be_bytes(head[4..8].try_into().unwrap()) as usize;
            let end = start + HEAD_BYTES + len + TAG_BYTES;
            let Some(frame) = self.pending.get(start..end) else { break };
            frames.push(frame.to_vec());
            start = end;
        }
        self.pending.drain(..start);
        frames
    }
}

/// Whether a frame is one that is to be forwarded although it is not known.
pub(crate) fn is_forwarded(frame: &[u8]) -> bool {
    frame[0] >= 0xc0
}

/// Whether this version does not know it.
pub(crate) fn is_extension(frame: &[u8]) -> bool {
    frame[0] >= 0x80
}
