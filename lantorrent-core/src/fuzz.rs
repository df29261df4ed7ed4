//! What the fuzz targets run. A panic is a finding.
//!
//! Each function takes any bytes. They are here and not in the fuzz crate so that `cargo test` replays the committed
//! corpora with them on any toolchain, and because they sign what they make up: bytes that never get past the
//! authentication would exercise nothing behind it.

mod session;
mod wire;

pub use session::session;
pub use wire::{footer, frames, header, lines};

/// The input as a source of decisions: how long, which kind, where to cut. When it is used up every answer is 0.
struct Script<'a> {
    rest: &'a [u8],
}

impl<'a> Script<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// The next bytes, fewer than `count` at the end.
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Flips bits of one byte of `bytes`, or none.
    fn damage(&mut self, bytes: &mut [u8]) {
        let at = usize::from(self.word());
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= self.byte();
        }
    }
}

/// Cuts `bytes` in three ways: not at all, into single bytes, and as `seed` has it. A reader has to come to the same
/// outcome with each.
fn chunkings(bytes: &[u8], seed: u16) -> [Vec<&[u8]>; 3] {
    let mut seeded = Vec::new();
    let mut rest = bytes;
    let mut state = u32::from(seed);
    while !rest.is_empty() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Small pieces as often as large ones.
        let most = if state >> 31 == 0 { 4 } else { 200 };
        let (chunk, behind) = rest.split_at(((state >> 16) % most + 1).min(rest.len() as u32) as usize);
        seeded.push(chunk);
        rest = behind;
    }
    [vec![bytes], bytes.chunks(1).collect(), seeded]
}

/// Runs `read` on every chunking and returns the outcome, which must be the same for all.
fn invariant<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    seed: u16,
    mut read: impl FnMut(&[&[u8]]) -> T,
) -> T {
    let [whole, bytewise, seeded] = chunkings(bytes, seed);
    let outcome = read(&whole);
    assert_eq!(read(&bytewise), outcome, "byte by byte");
    assert_eq!(read(&seeded), outcome, "in chunks");
    outcome
}
