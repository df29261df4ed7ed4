//! Files that are to have what another one has: by sharing its room, or else by reading it.

use std::os::unix::fs::{FileExt, MetadataExt};

use rustix::fs::{fstat, ioctl_ficlone};

use super::{Output, Place};
use crate::store::StoreError;

impl Output {
    /// Which of the [originals](crate::store::Roots::create_like) it can share its room with, if any: nothing is to be
    /// written to it, and until [`copy`](Self::copy) or [`take_over`](Self::take_over) it has nothing.
    pub fn copy_of(&self) -> Option<usize> {
        self.copy_of
    }

    /// Finds that out by trying, with the first on the same file system: many cannot. Where it can, what the file had is
    /// lost by that.
    pub(super) fn can_share_with(&self, originals: &[&Self]) -> Option<usize> {
        let device = |this: &Self| fstat(&*this.file).ok().map(|stat| stat.st_dev);
        let own = device(self);
        let fits = |other: &&Self| matches!(other.place, Place::Rename(_)) && device(other) == own;
        let place = originals.iter().position(fits)?;
        ioctl_ficlone(&*self.file, &*originals[place].file).is_ok().then_some(place)
    }

    /// Gives this file the first `upto` bytes of `original`, of which the digests in blocks of `block_size` are known.
    /// That takes no time, unless the original has failed or cannot be shared any more: then it is read and compared, for
    /// as long as `wanted` says so.
    pub fn copy(
        &self,
        original: &Self,
        upto: u64,
        block_size: u32,
        wanted: &dyn Fn() -> bool,
    ) -> Result<(), StoreError> {
        // Where the original could not be written, what the disk has of it may not be what was read back until now.
        if original.is_sound() && ioctl_ficlone(&*self.file, &*original.file).is_ok() {
            return self.change(0, upto, |_| self.file.set_len(upto));
        }
        self.read_from(original, upto, block_size, wanted)
    }

    /// As [`copy`](Self::copy), and then goes on in the original's stead: with all that it has noted.
    pub fn take_over(
        &mut self,
        original: &Self,
        upto: u64,
        block_size: u32,
        wanted: &dyn Fn() -> bool,
    ) -> Result<(), StoreError> {
        self.copy(original, upto, block_size, wanted)?;
        let blocks = upto.div_ceil(block_size.into());
        let mut block = 0;
        while block < blocks {
            let (digest, equal) = original.digests.run(block).ok_or_else(|| self.lacks(original, upto))?;
            let equal = equal.min(blocks - block);
            self.note(&digest, equal);
            block += equal;
        }
        (self.copy_of, self.resumed) = (None, upto);
        Ok(())
    }

    fn is_sound(&self) -> bool {
        !self.state().failed && self.durable_so_far().is_ok()
    }

    fn read_from(
        &self,
        original: &Self,
        upto: u64,
        block_size: u32,
        wanted: &dyn Fn() -> bool,
    ) -> Result<(), StoreError> {
        let sparse = original.file.metadata().is_ok_and(|found| found.blocks() < upto / 512);
        let mut buffer = vec![0; block_size as usize];
        let mut offset = 0;
        while offset < upto {
            if !wanted() {
                return Err(StoreError::NotWanted { path: self.path().to_owned() });
            }
            let part = (upto - offset).min(block_size.into());
            let data = &mut buffer[..part as usize];
            let read = original.file.read_exact_at(data, offset).is_ok();
            let known = original.digests.get(offset / u64::from(block_size));
            if !read || known != Some(*blake3::hash(data).as_bytes()) {
                return Err(self.lacks(original, offset + part));
            }
            if sparse {
                self.write_sparsely_at(data, offset)?;
            } else {
                self.write_at(data, offset)?;
            }
            offset += part;
        }
        Ok(())
    }

    fn lacks(&self, original: &Self, upto: u64) -> StoreError {
        // Escaped, because it may come from anybody.
        let lost = original.path().to_string_lossy();
        let why = format!("{lost:?}, which it was to be a copy of, is lost");
        StoreError::writing(self.path(), upto, std::io::Error::other(why))
    }
}
