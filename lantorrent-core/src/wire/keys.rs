//! Keys: one for each purpose, all from the password. PROTOCOL.md, "Keys".

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use thiserror::Error;

use super::id::{Nonce, TransferId, hex};

/// A shared secret. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Vec<u8>);

impl Password {
    /// Takes the secret as bytes. All machines of a site have the same one. A peer that has seen a header can try
    /// passwords on it as fast as it computes HMAC-SHA256, so use 256 random bits, not what a person can remember.
    ///
    /// # Errors
    /// [`PasswordError::Empty`]. No other secret is refused for being weak.
    pub fn new(secret: impl Into<Vec<u8>>) -> Result<Self, PasswordError> {
        let secret = secret.into();
        if secret.is_empty() { Err(PasswordError::Empty) } else { Ok(Self(secret)) }
    }
}

/// Why a password cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// There is nothing in it.
    #[error("the password is empty: use 256 random bits")]
    Empty,
    /// The password of wire 1, with which a 0.2 node signs whatever it is sent, is that of wire 2.
    #[error("wire 1 has the password of wire 2 and gives it away: use another one")]
    SameForBothWires,
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> M {
    // HMAC takes a key of any length.
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC accepts every key");
    for part in parts {
        mac.update(part);
    }
    mac
}

pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    mac::<Hmac<Sha256>>(key, parts).finalize().into_bytes().into()
}

pub(crate) fn hmac_sha256_is(key: &[u8], parts: &[&[u8]], expected: &[u8]) -> bool {
    mac::<Hmac<Sha256>>(key, parts).verify_slice(expected).is_ok()
}

/// Compares two secrets in constant time, by comparing what a MAC under a key of this comparison makes of them.
pub(crate) fn equal(one: &[u8], other: &[u8]) -> bool {
    hmac_sha256_is(other, &[one], &hmac_sha256(other, &[other]))
}

fn derive(password: &Password, label: &str, context: &[&[u8]]) -> [u8; 32] {
    let mut parts = vec![label.as_bytes(), &[0]];
    parts.extend(context);
    hmac_sha256(&password.0, &parts)
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(pub(crate) [u8; 32]);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

key! {
    /// Authenticates the frames of one transfer.
    FrameKey
}
key! {
    /// Authenticates the lines of one connection.
    LineKey
}
/// Names a node key: the first 8 bytes of what is derived from the nonces of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(clippy::exhaustive_structs, reason = "a number of the wire, and nothing else")]
pub struct KeyId(#[serde(with = "hex")] pub [u8; 8]);

/// Authenticates results, from the node that made them to the source: that of a whole transfer, or the key of one node,
/// from a connection of the source itself. PROTOCOL.md, "Keys".
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultKey {
    #[serde(with = "hex")]
    secret: [u8; 32],
    id: Option<KeyId>,
}

impl fmt::Debug for ResultKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResultKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl LineKey {
    pub(crate) fn sign(&self, text: &[u8]) -> [u8; 32] {
        hmac_sha256(&self.0, &[text])
    }

    pub(crate) fn verifies(&self, text: &[u8], mac: &[u8]) -> bool {
        hmac_sha256_is(&self.0, &[text], mac)
    }
}

impl ResultKey {
    /// Names it among the keys of its node. None for the key of a transfer.
    pub fn id(&self) -> Option<KeyId> {
        self.id
    }

    pub(crate) fn sign(&self, text: &[u8]) -> [u8; 32] {
        hmac_sha256(&self.secret, &[text])
    }

    pub(crate) fn verifies(&self, text: &[u8], tag: &[u8]) -> bool {
        hmac_sha256_is(&self.secret, &[text], tag)
    }
}

/// The passwords that a node or a source knows, one for each wire; a wire without one is off.
#[derive(Debug, Clone, Default)]
pub struct Keyring {
    wire_1: Option<Password>,
    wire_2: Option<Password>,
}

impl Keyring {
    /// A keyring for wire 2 alone.
    pub fn new(password: Password) -> Self {
        Self { wire_1: None, wire_2: Some(password) }
    }

    /// Turns wire 1 on, under a password of its own: a 0.2 node can be made to sign anything with it.
    ///
    /// # Errors
    /// [`PasswordError::SameForBothWires`].
    pub fn with_wire_1(mut self, password: Password) -> Result<Self, PasswordError> {
        if self.wire_2.as_ref() == Some(&password) {
            return Err(PasswordError::SameForBothWires);
        }
        self.wire_1 = Some(password);
        Ok(self)
    }

    /// A keyring for wire 1 alone.
    pub fn wire_1_only(password: Password) -> Self {
        Self { wire_1: Some(password), wire_2: None }
    }

    /// Whether there is a password for wire 1.
    pub fn has_wire_1(&self) -> bool {
        self.wire_1.is_some()
    }

    /// Whether there is a password for wire 2.
    pub fn has_wire_2(&self) -> bool {
        self.wire_2.is_some()
    }

    /// Signs a header of wire 1: HMAC-MD5 over `text` without its CR and LF. None where wire 1 is off.
    pub(crate) fn sign_wire_1(&self, text: &[u8]) -> Option<[u8; 16]> {
        let mac = wire_1_mac(self.wire_1.as_ref()?, text);
        Some(mac.finalize().into_bytes().into())
    }

    /// In constant time. None where wire 1 is off.
    pub(crate) fn verify_wire_1(&self, text: &[u8], signature: &[u8; 16]) -> Option<bool> {
        Some(wire_1_mac(self.wire_1.as_ref()?, text).verify_slice(signature).is_ok())
    }

    /// Signs a header of wire 2: HMAC-SHA256 over exactly `text`. None where wire 2 is off.
    pub(crate) fn sign_wire_2(&self, text: &[u8]) -> Option<[u8; 32]> {
        let key = derive(self.wire_2.as_ref()?, "lantorrent 2 header", &[]);
        Some(hmac_sha256(&key, &[text]))
    }

    /// In constant time. None where wire 2 is off.
    pub(crate) fn verify_wire_2(&self, text: &[u8], signature: &[u8; 32]) -> Option<bool> {
        let key = derive(self.wire_2.as_ref()?, "lantorrent 2 header", &[]);
        Some(hmac_sha256_is(&key, &[text], signature))
    }

    /// The key for the frames of `transfer`.
    pub fn frame_key(&self, transfer: &TransferId) -> Option<FrameKey> {
        Some(FrameKey(derive(self.wire_2.as_ref()?, "lantorrent 2 frame", &[&transfer.0])))
    }

    /// The key for the lines of the connection whose header has `nonce` and whose challenge is `challenge`.
    pub fn line_key(&self, nonce: &Nonce, challenge: &Nonce) -> Option<LineKey> {
        Some(LineKey(derive(self.wire_2.as_ref()?, "lantorrent 2 line", &[&nonce.0, &challenge.0])))
    }

    /// The key for the results of `transfer`, which every holder of the password has.
    pub fn result_key(&self, transfer: &TransferId) -> Option<ResultKey> {
        let secret = derive(self.wire_2.as_ref()?, "lantorrent 2 result", &[&transfer.0]);
        Some(ResultKey { secret, id: None })
    }

    /// The key for the results of the node that answered the source's own header with `nonce` by `challenge`. None where wire
    /// 2 has no password.
    pub fn node_key(&self, nonce: &Nonce, challenge: &Nonce) -> Option<ResultKey> {
        let password = self.wire_2.as_ref()?;
        let secret = derive(password, "lantorrent 2 node", &[&nonce.0, &challenge.0]);
        let name = derive(password, "lantorrent 2 node id", &[&nonce.0, &challenge.0]);
        let id = name.first_chunk().copied().map(KeyId);
        Some(ResultKey { secret, id })
    }

    /// What proves to a node that the header with `nonce` was made by who answers its `challenge`.
    pub(crate) fn proof(&self, nonce: &Nonce, challenge: &Nonce) -> Option<[u8; 32]> {
        Some(derive(self.wire_2.as_ref()?, "lantorrent 2 proof", &[&nonce.0, &challenge.0]))
    }
}

fn wire_1_mac(password: &Password, text: &[u8]) -> Hmac<md5::Md5> {
    let mut mac = mac::<Hmac<md5::Md5>>(&password.0, &[]);
    for part in text.split(|&byte| byte == b'\r' || byte == b'\n') {
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_has_its_own_key() {
        let ring = Keyring::new(Password::new("a long enough password").unwrap());
        let transfer = TransferId([7; 16]);
        let nonce = Nonce([7; 16]);
        let mut keys = vec![
            ring.frame_key(&transfer).unwrap().0,
            ring.result_key(&transfer).unwrap().secret,
            ring.node_key(&nonce, &nonce).unwrap().secret,
            ring.line_key(&nonce, &nonce).unwrap().0,
            ring.proof(&nonce, &nonce).unwrap(),
            ring.sign_wire_2(&[7; 16]).unwrap(),
        ];
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 6);
    }

    #[test]
    fn unusable_passwords_are_refused() {
        assert_eq!(Password::new(""), Err(PasswordError::Empty));
        let password = || Password::new("one for both").unwrap();
        let same = Keyring::new(password()).with_wire_1(password());
        assert_eq!(same.unwrap_err(), PasswordError::SameForBothWires);
    }

    #[test]
    fn secrets_are_not_printed() {
        let ring = Keyring::new(Password::new("hush").unwrap());
        assert!(!format!("{ring:?}").contains("hush"));
        assert!(!format!("{:?}", ring.frame_key(&TransferId([0; 16]))).contains("[0"));
    }
}
