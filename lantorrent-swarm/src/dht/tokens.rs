//! What proves that who announces has asked before, from the same address.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use sha1::{Digest, Sha1};

use crate::entropy::Entropy;

/// How long a secret is used; its tokens are good for as long again (BEP 5).
const ROTATION: Duration = Duration::from_secs(5 * 60);

/// Hands tokens out and knows them again, without keeping them.
#[derive(Debug)]
pub(super) struct Tokens {
    secrets: [[u8; 20]; 2],
    since: Instant,
}

impl Tokens {
    pub(super) fn new(now: Instant, entropy: &mut Entropy) -> Self {
        Self { secrets: [entropy.bytes(), entropy.bytes()], since: now }
    }

    /// Changes the secret if it is time.
    pub(super) fn rotate(&mut self, now: Instant, entropy: &mut Entropy) {
        if now.saturating_duration_since(self.since) >= ROTATION {
            self.secrets = [entropy.bytes(), self.secrets[0]];
            self.since = now;
        }
    }

    pub(super) fn token(&self, address: IpAddr) -> Vec<u8> {
        sign(&self.secrets[0], address)
    }

    pub(super) fn is_good(&self, token: &[u8], address: IpAddr) -> bool {
        // Who could measure how far the comparison comes would gain an announcement from an address that is not its own.
        let equals =
            |secret| sign(secret, address).iter().zip(token).fold(0, |all, (a, b)| all | (a ^ b)) == 0;
        token.len() == LENGTH && self.secrets.iter().fold(false, |good, secret| good | equals(secret))
    }
}

const LENGTH: usize = 8;

fn sign(secret: &[u8; 20], address: IpAddr) -> Vec<u8> {
    let hash = match address {
        IpAddr::V4(address) => Sha1::new().chain_update(secret).chain_update(address.octets()),
        IpAddr::V6(address) => Sha1::new().chain_update(secret).chain_update(address.octets()),
    };
    hash.finalize()[..LENGTH].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::Seed;

    #[test]
    fn a_token_is_good_for_its_address_and_for_a_while() {
        let start = Instant::now();
        let mut entropy = Entropy::new(Seed([1; 32]));
        let mut tokens = Tokens::new(start, &mut entropy);
        let [one, other] = ["10.0.0.1", "fe80::1"].map(|text| text.parse().unwrap());
        let token = tokens.token(one);
        assert!(tokens.is_good(&token, one));
        assert!(
            !tokens.is_good(&token, other) && !tokens.is_good(&token[1..], one) && !tokens.is_good(b"", one)
        );
        tokens.rotate(start + ROTATION / 2, &mut entropy);
        tokens.rotate(start + ROTATION, &mut entropy);
        assert!(tokens.is_good(&token, one));
        assert_ne!(tokens.token(one), token);
        tokens.rotate(start + ROTATION * 2, &mut entropy);
        assert!(!tokens.is_good(&token, one));
    }
}
