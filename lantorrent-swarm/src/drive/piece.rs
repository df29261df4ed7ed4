//! What is done with a piece whose blocks are all there, beside the loop.

use sha1::{Digest, Sha1};

use super::pool::Buffer;
use crate::BLOCK;
use crate::files::{Content, FilesError};
use crate::swarm::{BlockSum, Verdict};

/// What became of a piece.
pub(super) struct Checked {
    pub(super) verdict: Verdict,
    pub(super) sums: Vec<BlockSum>,
    /// Why it could not be written.
    pub(super) error: Option<FilesError>,
}

/// Hashes the piece, and writes it if it is right.
pub(super) fn check(content: &Content, piece: u32, blocks: &[Buffer], compare: bool) -> Checked {
    let geometry = content.info().geometry();
    let length = |number: usize| geometry.block(piece, number as u32).length as usize;
    let data: Vec<&[u8]> = blocks
        .iter()
        .enumerate()
        .map(|(number, block)| &block[..length(number).min(BLOCK as usize)])
        .collect();
    let mut hash = Sha1::new();
    for block in &data {
        hash.update(block);
    }
    let right = content.info().piece_hash(piece) == Some(hash.finalize().into());
    let sums =
        if right && !compare { Vec::new() } else { data.iter().map(|block| BlockSum::of(block)).collect() };
    let written = right.then(|| content.write(piece, &data));
    let verdict = match &written {
        None => Verdict::Wrong,
        Some(Ok(())) => Verdict::Stored,
        Some(Err(_)) => Verdict::NotStored,
    };
    Checked { verdict, sums, error: written.and_then(Result::err) }
}
