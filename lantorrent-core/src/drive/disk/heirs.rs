//! Copies of a file: made when it is whole, and one of them goes on in its stead if it fails before that.

use super::{Disk, fault};
use crate::session::FileInput;
use crate::store::{Durability, StoreError};

impl Disk {
    /// Gives all copies of a file what they are to have, now that it has everything. An error is that of the file itself;
    /// what is wrong with a copy is only told.
    pub(super) fn make_copies(&mut self, file: usize, size: u64) -> Result<(), StoreError> {
        let copies = self.copies.of(file);
        let original = self.outputs.get(file).and_then(Option::as_ref);
        let Some(original) = original.filter(|_| !copies.is_empty()) else { return Ok(()) };
        if let Err(error) = original.seal(size, self.files.durability) {
            self.bequeath(file);
            return Err(error);
        }
        let block_size = self.header.block_size;
        let wanted = || !self.hub.is_closed();
        let make = |copy: &usize| {
            let output = self.outputs[*copy].as_ref()?;
            Some((*copy, output.copy(original, size, block_size, &wanted).err()?))
        };
        let failed: Vec<(usize, StoreError)> = copies.iter().filter_map(make).collect();
        for copy in copies {
            self.copies.remove(copy);
        }
        for (copy, error) in failed {
            self.lose(copy, &error);
        }
        Ok(())
    }

    /// Has one of the copies of a file that goes take over, with what all that are written have.
    pub(super) fn bequeath(&mut self, file: usize) {
        let Some(original) = self.outputs[file].take() else { return };
        let upto = self.has.unwrap_or_else(|| original.resumed());
        for heir in self.copies.of(file) {
            let wanted = || !self.hub.is_closed();
            if !wanted() {
                break;
            }
            if self.hub.is_to_be_removed(&self.header.node.requests[heir].id) {
                continue;
            }
            let Some(output) = self.outputs[heir].as_mut() else { continue };
            match output.take_over(&original, upto, self.header.block_size, &wanted) {
                Ok(()) => {
                    if self.files.durability == Durability::Sync {
                        output.sync_early();
                    }
                    self.copies.succeed(heir);
                    break;
                }
                Err(error) => self.lose(heir, &error),
            }
        }
        self.outputs[file] = Some(original);
    }

    /// A copy that has not become one. Its turn to be placed may still come.
    fn lose(&mut self, copy: usize, error: &StoreError) {
        self.discard(copy);
        let fault = fault(error);
        self.lost.push((copy, fault.clone()));
        self.tell(FileInput::WriteFailed(copy, fault));
    }
}
