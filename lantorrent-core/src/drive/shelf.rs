//! Files that blocks can be read from again, for children that are behind what is in memory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::store::Digests;
use crate::wire::{Digest, Wire, digest};

/// A file that blocks can be read from again.
#[derive(Debug, Clone)]
pub(super) struct Shelf {
    pub(super) file: Arc<File>,
    /// What each block has to be. None where nobody could say: on wire 1, and at the source, whose file is the truth.
    pub(super) digests: Option<Arc<Digests>>,
}

impl Shelf {
    /// Reads a block that was written, and returns its digest, if it has one on that wire. What is not as it was received
    /// is sent to nobody.
    pub(super) fn read(
        &self,
        wire: Wire,
        block_size: u64,
        offset: u64,
        data: &mut [u8],
    ) -> Result<Option<Digest>, String> {
        self.file.read_exact_at(data, offset).map_err(|error| format!("the file cannot be read: {error}"))?;
        if wire == Wire::One {
            return Ok(None);
        }
        let found = digest(data);
        match &self.digests {
            Some(digests) if digests.get(offset / block_size) != Some(found) => {
                Err("the file is not what was written".to_owned())
            }
            _ => Ok(Some(found)),
        }
    }
}
