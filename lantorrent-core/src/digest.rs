//! The digest of a block, which frames carry and journals keep.

/// h: the BLAKE3 of one block's data.
pub type Digest = [u8; 32];

/// h of a block's data.
pub fn digest(data: &[u8]) -> Digest {
    *blake3::hash(data).as_bytes()
}

/// h of a block of `len` zeros.
pub fn zero_digest(len: u64) -> Digest {
    let mut hasher = blake3::Hasher::new();
    hash_zeros(&mut hasher, len);
    *hasher.finalize().as_bytes()
}

/// Adds `len` zeros to what `hasher` has seen.
pub(crate) fn hash_zeros(hasher: &mut blake3::Hasher, len: u64) {
    // Several chunks of BLAKE3, which it hashes side by side.
    static ZEROS: [u8; 16 << 10] = [0; 16 << 10];
    let mut left = len;
    while left > 0 {
        let part = left.min(ZEROS.len() as u64);
        hasher.update(&ZEROS[..part as usize]);
        left -= part;
    }
}

/// Whether there is nothing but zeros.
pub(crate) fn is_zero(data: &[u8]) -> bool {
    static ZEROS: [u8; 4096] = [0; 4096];
    // Compared as wholes, which the compiler leaves to what is fastest here; most data differs in its first bytes.
    data.chunks(ZEROS.len()).all(|chunk| *chunk == ZEROS[..chunk.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_hashed_like_any_other_data() {
        for len in [0, 1, (16 << 10) - 1, 16 << 10, 100_000] {
            assert_eq!(zero_digest(len), digest(&vec![0; len as usize]), "{len}");
        }
    }
}
