//! The file under the database, for reading and writing.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use lantorrent_core::store::{resize, sync_file};
use redb::StorageBackend;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// Which of its two latest commits a database is to be opened at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Latest {
    /// The one that its header names.
    Named,
    /// The newer one, if all of it is there.
    Whole,
}

/// Where in redb's header flags stand, and that by which it names a commit that was whole before it was named.
const FLAGS: u64 = 9;
const TWO_PHASE: u8 = 4;

impl Latest {
    /// Hides from redb, in what was read at `offset`, that a commit was named only when it was whole: then it looks at
    /// both.
    pub(super) fn show(self, offset: u64, bytes: &mut [u8]) {
        let place = FLAGS.checked_sub(offset).and_then(|place| usize::try_from(place).ok());
        if self == Self::Whole
            && let Some(flags) = place.and_then(|place| bytes.get_mut(place))
        {
            *flags &= !TWO_PHASE;
        }
    }
}

/// The file itself. Whoever opens it has locked it.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) file: Arc<File>,
    pub(super) latest: Latest,
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)?;
        self.latest.show(offset, out);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let before = self.file.metadata()?.len();
        resize(&self.file, len)?;
        // Space is taken when the file grows: so a full disk is found here, and not in the middle of a commit; and what
        // the file has got is enough to record how transfers end.
        match len.checked_sub(before).filter(|&more| more > 0) {
            Some(more) => reserve(&self.file, before, more).or_else(|error| {
                resize(&self.file, before)?;
                Err(error)
            }),
            None => Ok(()),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        sync_file(&self.file).map(|_| ())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}

fn reserve(file: &File, offset: u64, len: u64) -> io::Result<()> {
    loop {
        match fallocate(file, FallocateFlags::empty(), offset, len) {
            Err(Errno::INTR) => {}
            // Not every file system can, nor does every sandbox let it.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM | Errno::ACCESS) => {
                return Ok(());
            }
            result => return Ok(result?),
        }
    }
}

/// Writes all of the file again and waits for the disk. After a write or a sync has failed, nobody knows which of its
/// pages the kernel takes for written although they are not.
pub(super) fn refresh(file: &File) -> io::Result<()> {
    const CHUNK: usize = 1 << 20;
    let mut chunk = vec![0; CHUNK];
    let mut offset = 0;
    loop {
        let len = match file.read_at(&mut chunk, offset) {
            Ok(0) => return sync_file(file).map(|_| ()),
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        file.write_all_at(&chunk[..len], offset)?;
        offset += len as u64;
    }
}
