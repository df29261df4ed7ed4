//! The proof line: the sender's answer to a node's challenge. PROTOCOL.md, "Challenge and proof".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::error::HeaderError;
use super::id::Nonce;
use super::keys::Keyring;

const PREFIX: &[u8] = b"PROOF : ";
/// Bytes of a proof line: the prefix, 44 of base64, and a line feed.
pub const PROOF_BYTES: usize = PREFIX.len() + 44 + 1;

/// The line that answers `challenge` for the header that has `nonce`. None where wire 2 has no password.
pub fn line(keys: &Keyring, nonce: &Nonce, challenge: &Nonce) -> Option<Vec<u8>> {
    let proof = keys.proof(nonce, challenge)?;
    Some([PREFIX, BASE64.encode(proof).as_bytes(), b"\n"].concat())
}

/// Collects a proof line from the bytes that follow a header.
#[derive(Debug)]
pub struct ProofReader {
    expected: [u8; 32],
    line: Vec<u8>,
}

impl ProofReader {
    /// Expects the proof for the header with `nonce` under `challenge`. None where wire 2 has no password.
    pub fn new(keys: &Keyring, nonce: &Nonce, challenge: &Nonce) -> Option<Self> {
        Some(Self { expected: keys.proof(nonce, challenge)?, line: Vec::with_capacity(PROOF_BYTES) })
    }

    /// Takes bytes, and says how many of them were the line's and whether it is complete and right.
    ///
    /// # Errors
    /// The line is not a proof, or the proof of somebody without the password.
    pub fn push(&mut self, input: &[u8]) -> Result<(usize, bool), HeaderError> {
        let wanted = PROOF_BYTES - self.line.len();
        let used = wanted.min(input.len());
        self.line.extend_from_slice(&input[..used]);
        if self.line.len() < PROOF_BYTES {
            // A stranger that says something else is told so at once.
            let known = self.line.len().min(PREFIX.len());
            return if self.line[..known] == PREFIX[..known] {
                Ok((used, false))
            } else {
                Err(HeaderError::BadSignature)
            };
        }
        let text = self.line.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(b"\n"));
        let proof = text.and_then(|text| BASE64.decode(text).ok()).ok_or(HeaderError::BadSignature)?;
        if super::keys::equal(&proof, &self.expected) {
            Ok((used, true))
        } else {
            Err(HeaderError::BadSignature)
        }
    }
}
