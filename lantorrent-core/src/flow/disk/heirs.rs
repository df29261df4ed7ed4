//! Copies of a file: made when it is whole, and one of them goes on in its stead if it fails before that.

use super::{Disk, Files};
use crate::flow::Tell;
use crate::flow::ring::Ring;
use crate::flow::wake::Shared;
use crate::session::{FileFault, FileInput};

impl<F: Files> Disk<F> {
    /// Gives all copies of a file what they are to have, now that it has everything. An error is that of the file itself;
    /// what is wrong with a copy is only told.
    pub(super) fn make_copies(
        &mut self,
        file: usize,
        size: u64,
        ring: &impl Shared<Ring<F::Backing>>,
        tell: &mut Tell<'_, FileInput>,
    ) -> Result<(), FileFault> {
        let copies = self.copies.of(file);
        if copies.is_empty() {
            return Ok(());
        }
        if let Err(fault) = self.files.seal(file, size) {
            self.bequeath(file, ring, tell);
            return Err(fault);
        }
        let wanted = || !ring.look(Ring::is_closed);
        for copy in copies {
            let result = if self.open[copy] { self.files.copy(copy, file, size, &wanted) } else { Ok(()) };
            self.copies.remove(copy);
            if let Err(fault) = result {
                self.lose(copy, fault, ring, tell);
            }
        }
        Ok(())
    }

    /// Has one of the copies of a file that goes take over, with what all that are written have.
    pub(super) fn bequeath(
        &mut self,
        file: usize,
        ring: &impl Shared<Ring<F::Backing>>,
        tell: &mut Tell<'_, FileInput>,
    ) {
        if !self.open[file] {
            return;
        }
        let upto = self.has.unwrap_or(self.resumed[file]);
        for heir in self.copies.of(file) {
            let id = &self.header.node.requests[heir].id;
            let (is_closed, is_to_go) = ring.look(|ring| (ring.is_closed(), ring.is_to_be_removed(id)));
            if is_closed {
                break;
            }
            if is_to_go || !self.open[heir] {
                continue;
            }
            match self.files.take_over(heir, file, upto, &|| !ring.look(Ring::is_closed)) {
                Ok(()) => {
                    self.resumed[heir] = upto;
                    self.copies.succeed(heir);
                    break;
                }
                Err(fault) => self.lose(heir, fault, ring, tell),
            }
        }
    }

    /// A copy that has not become one. Its turn to be placed may still come.
    fn lose(
        &mut self,
        copy: usize,
        fault: FileFault,
        ring: &impl Shared<Ring<F::Backing>>,
        tell: &mut Tell<'_, FileInput>,
    ) {
        self.discard(copy, ring);
        self.lost.push((copy, fault.clone()));
        tell(FileInput::WriteFailed(copy, fault));
    }
}
