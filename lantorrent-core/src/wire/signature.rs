//! The signature of a transfer's source over the end of its payload, so that a relay can delay a file and not change it.
//! PROTOCOL.md, "Root".

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::id::{TransferId, from_hex, to_hex};
use crate::digest::{Digest, digest};

const LABEL: &[u8] = b"lantorrent 2 end\0";

/// The key by which the source of one transfer signs its end. It is never printed, and never leaves the source.
#[derive(Clone, PartialEq, Eq)]
pub struct TransferKey(SigningKey);

impl TransferKey {
    /// The key that these 256 random bits make.
    pub fn new(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The public half, which every node of the transfer is told.
    pub fn signer(&self) -> Signer {
        Signer(self.0.verifying_key().to_bytes())
    }

    /// The transfer whose key it is.
    pub fn transfer(&self) -> TransferId {
        self.signer().transfer()
    }

    /// Signs the end of a file of `size` bytes in blocks of `block_size` with that root.
    pub fn sign(&self, size: u64, block_size: u32, root: Digest) -> SignedRoot {
        let text = text(&self.transfer(), size, block_size, &root);
        SignedRoot { root, signature: self.0.sign(&text).to_bytes() }
    }
}

impl fmt::Debug for TransferKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransferKey(…)")
    }
}

/// The public half of a [`TransferKey`], written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "a number of the wire, and nothing else")]
pub struct Signer(pub [u8; 32]);

impl Signer {
    /// The transfer whose end it signs: no relay can put another key in its place without naming another transfer.
    pub fn transfer(&self) -> TransferId {
        let mut id = [0; 16];
        id.copy_from_slice(&digest(&self.0)[..16]);
        TransferId(id)
    }

    /// Whether this signer has signed the end of a file of `size` bytes in blocks of `block_size` with that root.
    pub fn has_signed(&self, size: u64, block_size: u32, signed: &SignedRoot) -> bool {
        let text = text(&self.transfer(), size, block_size, &signed.root);
        let signature = Signature::from_bytes(&signed.signature);
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| key.verify_strict(&text, &signature).is_ok())
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({self})")
    }
}

impl FromStr for Signer {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        from_hex(text).map(Self).ok_or("not 64 lower-case hex digits")
    }
}

impl Serialize for Signer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The root of a file, and its source's signature over the end of the payload.
#[derive(Clone, Copy, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the data of an END has these two parts")]
pub struct SignedRoot {
    /// The BLAKE3 over the h of all blocks in order.
    pub root: Digest,
    /// An ed25519 signature, which covers transfer, size, block size and root.
    pub signature: [u8; 64],
}

impl SignedRoot {
    /// Bytes of it in an END.
    pub(super) const BYTES: usize = 32 + 64;

    /// The data of an END.
    pub(super) fn encode(&self) -> Vec<u8> {
        [&self.root[..], &self.signature].concat()
    }

    /// None where `data` has another length.
    pub(super) fn decode(data: &[u8]) -> Option<Self> {
        let (root, signature) = data.split_first_chunk()?;
        Some(Self { root: *root, signature: signature.try_into().ok()? })
    }
}

impl fmt::Debug for SignedRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedRoot({})", to_hex(&self.root))
    }
}

/// What is signed.
fn text(transfer: &TransferId, size: u64, block_size: u32, root: &Digest) -> Vec<u8> {
    [LABEL, &transfer.0, &size.to_be_bytes(), &block_size.to_be_bytes(), root].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 12_299;
    const BLOCK: u32 = 4096;

    #[test]
    fn a_signature_covers_transfer_size_block_size_and_root() {
        let key = TransferKey::new(&[7; 32]);
        let signed = key.sign(SIZE, BLOCK, [9; 32]);
        let signer = key.signer();
        assert!(signer.has_signed(SIZE, BLOCK, &signed));
        assert!(!signer.has_signed(SIZE + 1, BLOCK, &signed));
        assert!(!signer.has_signed(SIZE, BLOCK * 2, &signed));
        assert!(!signer.has_signed(SIZE, BLOCK, &SignedRoot { root: [8; 32], ..signed }));
        assert!(!TransferKey::new(&[8; 32]).signer().has_signed(SIZE, BLOCK, &signed));
        for at in 0..64 {
            let mut signature = signed.signature;
            signature[at] ^= 1;
            assert!(!signer.has_signed(SIZE, BLOCK, &SignedRoot { signature, ..signed }), "{at}");
        }
    }

    #[test]
    fn a_key_that_is_no_point_or_a_weak_one_has_signed_nothing() {
        let mut small_order = [0; 32];
        small_order[0] = 1;
        let mut no_point = [0; 32];
        no_point[0] = 2;
        for signer in [Signer(small_order), Signer(no_point), Signer([0xff; 32])] {
            for signature in [[0; 64], TransferKey::new(&[7; 32]).sign(SIZE, BLOCK, [9; 32]).signature] {
                assert!(!signer.has_signed(SIZE, BLOCK, &SignedRoot { root: [9; 32], signature }));
            }
            // The neutral element, and zero: what a weak key takes for a signature of anything.
            let mut signature = [0; 64];
            signature[0] = 1;
            assert!(!signer.has_signed(SIZE, BLOCK, &SignedRoot { root: [9; 32], signature }), "{signer}");
        }
    }

    #[test]
    fn the_transfer_follows_from_the_key() {
        let key = TransferKey::new(&[7; 32]);
        assert_eq!(key.transfer().0[..], digest(&key.signer().0)[..16]);
        assert_ne!(key.transfer(), TransferKey::new(&[8; 32]).transfer());
    }

    #[test]
    fn the_signing_half_is_not_printed() {
        assert_eq!(format!("{:?}", TransferKey::new(&[7; 32])), "TransferKey(…)");
    }

    #[test]
    fn a_signer_is_text_and_back() {
        let signer = TransferKey::new(&[7; 32]).signer();
        assert_eq!(signer.to_string().parse(), Ok(signer));
        assert_eq!(signer.to_string().len(), 64);
        assert!(signer.to_string().to_uppercase().parse::<Signer>().is_err());
        assert!("00".repeat(31).parse::<Signer>().is_err());
    }
}
