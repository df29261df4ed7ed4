//! Unpredictable numbers, from a seed that the driver brings.

use crate::wire::{Nonce, TransferKey};

/// 256 bits from the operating system's random source; a test brings what it likes, and gets the same run again.
#[derive(Clone)]
#[expect(clippy::exhaustive_structs, reason = "random bits, and nothing else")]
pub struct Seed(pub [u8; 32]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(…)")
    }
}

/// A stream of numbers that nobody can guess without the seed.
#[derive(Debug)]
pub(super) struct Entropy {
    seed: Seed,
    drawn: u64,
}

impl Entropy {
    pub(super) fn new(seed: Seed) -> Self {
        Self { seed, drawn: 0 }
    }

    pub(super) fn nonce(&mut self) -> Nonce {
        Nonce(self.draw())
    }

    pub(super) fn key(&mut self) -> TransferKey {
        TransferKey::new(&self.draw())
    }

    fn draw<const N: usize>(&mut self) -> [u8; N] {
        self.drawn += 1;
        let mut bytes = [0; N];
        let mut hasher = blake3::Hasher::new_keyed(&self.seed.0);
        hasher.update(&self.drawn.to_be_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }
}
