//! One step after the other: first the data is durable, then the journal says so.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::digests::Digests;
use super::{Durability, Synced, sync_file, sync_folder};

/// How often the journal itself goes to the disk, at most. What a power failure takes of it is received again.
const JOURNAL_SYNC: Duration = Duration::from_secs(1);

/// Makes one file durable, and writes its journal if it has one. There is only one for a file.
pub(super) struct Writer {
    /// None: there is no journal.
    digests: Option<Arc<Digests>>,
    file: Arc<File>,
    sync: fn(&File) -> io::Result<Synced>,
    /// The folder, until the names in it are durable.
    folder: Option<Arc<File>>,
    synced: Instant,
}

/// What went wrong.
pub(super) enum Trouble {
    /// The data may never get to the disk, whatever comes. The kernel says so once and then forgets it.
    File(io::Error),
    /// The data is there, only the journal does not say so.
    Journal(io::Error),
}

impl Writer {
    pub(super) fn new(
        digests: Arc<Digests>,
        file: Arc<File>,
        folder: &Arc<File>,
        durability: Durability,
    ) -> Self {
        let (digests, synced) = (Some(digests), Instant::now());
        match durability {
            Durability::Sync => {
                Self { digests, file, sync: sync_file, folder: Some(Arc::clone(folder)), synced }
            }
            Durability::NoSync => Self { digests, file, sync: |_| Ok(Synced::Unknown), folder: None, synced },
        }
    }

    /// For a file that has no journal.
    pub(super) fn without_journal(file: Arc<File>) -> Self {
        Self { digests: None, file, sync: sync_file, folder: None, synced: Instant::now() }
    }

    /// For disks that are slow or broken.
    #[cfg(test)]
    pub(super) fn replace_sync(&mut self, sync: fn(&File) -> io::Result<Synced>) {
        self.sync = sync;
    }

    /// Makes all that was noted so far durable and has the journal say so.
    pub(super) fn step(&mut self) -> Result<(), Trouble> {
        let Some(digests) = &self.digests else { return self.sync_data() };
        // Taken before the sync: what is noted from here on may or may not be covered by that.
        let Some((batch, journal)) = digests.batch() else { return Ok(()) };
        self.sync_data()?;
        batch.write(&journal).map_err(Trouble::Journal)?;
        digests.commit(batch);
        if self.synced.elapsed() < JOURNAL_SYNC && self.folder.is_none() {
            return Ok(());
        }
        self.sync_journal()
    }

    /// Makes the journal durable, and once the names of it and of the file.
    pub(super) fn sync_journal(&mut self) -> Result<(), Trouble> {
        let journal = self.digests.as_ref().and_then(|digests| digests.journal_file());
        let Some(journal) = journal else { return Ok(()) };
        // Where the disk does not say whether they are durable, a warning has told that; whoever resumes reads all again.
        (self.sync)(&journal).map_err(Trouble::Journal)?;
        if let Some(folder) = self.folder.take() {
            sync_folder(&folder).map_err(Trouble::Journal)?;
        }
        self.synced = Instant::now();
        Ok(())
    }

    fn sync_data(&self) -> Result<(), Trouble> {
        (self.sync)(&self.file).map_err(Trouble::File)?;
        Ok(())
    }
}
