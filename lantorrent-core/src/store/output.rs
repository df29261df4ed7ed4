//! One file being written, from the first byte to its name.

mod copy;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{OFlags, fcntl_setfl, fstat};

use super::digests::Digests;
use super::identity::Identity;
use super::in_place::{Medium, Opened, too_small};
use super::lock::Lock;
use super::partial::{Partial, resize};
use super::recorder::Recorder;
use super::resume::{self, Start};
use super::route::Route;
use super::sparse::{self, Run};
use super::writer::Writer;
use super::{
    Durability, LONGEST, Placement, Remains, Resume, StoreError, Target, hole, space, sync_file, sync_folder,
};
use crate::digest::Digest;

/// A destination, open and locked. Dropped before [`finish`](Self::finish) or [`keep`](Self::keep), it is
/// [discarded](Self::discard).
///
/// Writing takes `&self`, and the calls may come from several threads; they are carried out one after the other.
/// After one that failed, `finish` fails too. The lock lasts until the last [`read_back`](Self::read_back) is dropped.
///
/// To be gone on with after an interruption, and for [`digests`](Self::digests), one thread writes block after block:
/// [`begin`](Self::begin) once, then for each the data and, after that, a [`note`](Self::note).
#[derive(Debug)]
pub struct Output {
    // Above all others, because its thread uses them.
    early: Early,
    digests: Arc<Digests>,
    resumed: u64,
    block_size: u32,
    copy_of: Option<usize>,
    // Above `file`, whose closing gives up the lock: a partial file is removed while it is locked.
    place: Place,
    file: Arc<File>,
    medium: Medium,
    route: Route,
    state: Mutex<State>,
}

/// Who makes the file durable while it grows.
#[derive(Debug)]
enum Early {
    Nobody,
    /// And writes its journal.
    Journal(Recorder),
    /// There is no journal.
    Data(Recorder),
}

impl Early {
    fn recorder(&self) -> Option<&Recorder> {
        match self {
            Self::Nobody => None,
            Self::Journal(recorder) | Self::Data(recorder) => Some(recorder),
        }
    }
}

#[derive(Debug)]
enum Place {
    Rename(Partial),
    InPlace {
        /// The folder, when the file was not there before.
        made_in: Option<File>,
        _lock: Option<Lock>,
    },
}

#[derive(Debug)]
struct State {
    /// The length of the file or device, in bytes.
    length: u64,
    /// Whether something could not be written.
    failed: bool,
    /// Its length is final, and all of it is as durable as it is to be.
    sealed: bool,
}

impl Output {
    pub(super) fn from_partial(
        (partial, file): (Partial, Arc<File>),
        target: &Target<'_>,
        originals: &[&Self],
        wanted: &dyn Fn() -> bool,
    ) -> Result<Self, StoreError> {
        let route = partial.route().clone();
        let mut this = Self::new(file, Place::Rename(partial), Medium::File, route, 0)?;
        if matches!(&this.place, Place::Rename(partial) if partial.is_ours_alone()) {
            this.copy_of = this.can_share_with(originals);
        }
        this.go_on(target, wanted)?;
        Ok(this)
    }

    /// Takes up what somebody left, or takes it away.
    fn go_on(&mut self, target: &Target<'_>, wanted: &dyn Fn() -> bool) -> Result<(), StoreError> {
        let path = self.route.path();
        let Place::Rename(partial) = &mut self.place else { return Ok(()) };
        let Start { digests, resumed, renewed } = if self.copy_of.is_some() {
            resume::start_anew(partial, path, target)?
        } else {
            resume::start(partial, &self.file, path, target, wanted)?
        };
        if let Some(file) = renewed {
            settle(&file, path)?;
            self.file = file;
        }
        // Asked only now: what is of no use takes no room any more. On error the new file goes.
        let needed = target.length.filter(|_| self.copy_of.is_none()).unwrap_or(0).saturating_sub(resumed);
        let fits = space::check_length(path, target.length.unwrap_or(0));
        if let Err(error) = fits.and_then(|()| space::check(partial.folder(), path, needed)) {
            if resumed > 0 {
                partial.keep();
            }
            return Err(error);
        }
        self.digests = Arc::new(digests);
        if let Some(Resume { block_size, durability, .. }) = target.resume {
            self.block_size = block_size.max(1);
            if self.digests.journal_file().is_some() {
                let (digests, file) = (Arc::clone(&self.digests), Arc::clone(&self.file));
                let writer = Writer::new(digests, file, partial.folder(), durability);
                self.early = Early::Journal(Recorder::new(writer));
            }
        }
        self.resumed = resumed;
        let is_ours_alone = partial.is_ours_alone();
        let there = self.file.metadata().map_or(resumed, |metadata| metadata.len());
        self.state().length = if is_ours_alone { resumed } else { there.max(resumed) };
        Ok(())
    }

    pub(super) fn in_place(opened: Opened, route: Route) -> Result<Self, StoreError> {
        let place = Place::InPlace { made_in: opened.made_in, _lock: opened.lock };
        Self::new(Arc::new(File::from(opened.file)), place, opened.medium, route, opened.length)
    }

    fn new(
        file: Arc<File>,
        place: Place,
        medium: Medium,
        route: Route,
        length: u64,
    ) -> Result<Self, StoreError> {
        settle(&file, route.path())?;
        Ok(Self {
            early: Early::Nobody,
            digests: Arc::new(Digests::new(None)),
            resumed: 0,
            block_size: 1,
            copy_of: None,
            place,
            file,
            medium,
            route,
            state: Mutex::new(State { length, failed: false, sealed: false }),
        })
    }

    /// Bytes at the beginning that somebody wrote before, and that were read again and agree with the journal: whole
    /// blocks, or the whole file where its length is known.
    pub fn resumed(&self) -> u64 {
        self.resumed
    }

    /// Writing begins at `from`, which is [`resumed`](Self::resumed) or a multiple of the block size before that. What
    /// the journal says beyond is forgotten. To be called at most once, before anything is noted; without it the notes go
    /// on where the resumed bytes end.
    pub fn begin(&self, from: u64) {
        debug_assert!(from <= self.resumed, "{from} of {}", self.resumed);
        // Rounded up: the last block of the file may be a short one.
        let blocks = from.min(self.resumed).div_ceil(self.block_size.into());
        if let Err(error) = self.digests.rewind(blocks) {
            resume::warn_in_vain(self.path(), &error);
        }
    }

    /// The digests of all blocks that were noted, and of those that were there before.
    pub fn digests(&self) -> Arc<Digests> {
        Arc::clone(&self.digests)
    }

    /// Says that the next block was written and that `digest` is BLAKE3 of its data; or that the next `blocks` blocks
    /// were, which all have that digest, as those of a hole do.
    ///
    /// Waits for the disk when more than 64 MiB would be missing in the journal otherwise.
    pub fn note(&self, digest: &Digest, blocks: u64) {
        self.digests.note(digest, blocks);
        if let Early::Journal(recorder) = &self.early {
            // A hole counts as one block, however long it is: it costs neither the disk nor whoever receives it again more
            // than that.
            recorder.noted(self.block_size.into());
        }
    }

    /// Has what is written go to the disk in the background from here on, 16 MiB at a time, so that
    /// [`finish`](Self::finish) with [`Durability::Sync`] has little to wait for; but then [`write_at`](Self::write_at)
    /// waits while 64 MiB are on their way. What has a journal does so by itself.
    pub fn sync_early(&mut self) {
        if matches!(self.early, Early::Nobody) && self.medium != Medium::Null {
            self.early = Early::Data(Recorder::new(Writer::without_journal(Arc::clone(&self.file))));
        }
    }

    fn path(&self) -> &Path {
        self.route.path()
    }

    /// How the file gets to its path.
    pub fn placement(&self) -> Placement {
        match self.place {
            Place::Rename(_) => Placement::Rename,
            Place::InPlace { .. } => Placement::InPlace,
        }
    }

    /// For reading again, at any offset, what was written. None for `/dev/null`.
    pub fn read_back(&self) -> Option<Arc<File>> {
        (self.medium != Medium::Null).then(|| Arc::clone(&self.file))
    }

    /// Writes all of `data`.
    pub fn write_at(&self, data: &[u8], offset: u64) -> Result<(), StoreError> {
        self.change(offset, data.len() as u64, |_| self.file.write_all_at(data, offset))?;
        if let Early::Data(recorder) = &self.early {
            recorder.noted(data.len() as u64);
        }
        Ok(())
    }

    /// Writes all of `data`, whose place is a multiple of 4 KiB, but for a file leaves out zeros: what it had there is
    /// freed.
    pub fn write_sparsely_at(&self, data: &[u8], offset: u64) -> Result<(), StoreError> {
        if self.medium != Medium::File {
            return self.write_at(data, offset);
        }
        for run in sparse::runs(data) {
            match run {
                Run::Data(range) => self.write_at(&data[range.clone()], offset + range.start as u64)?,
                Run::Zeros(range) => self.zero(offset + range.start as u64, range.len() as u64)?,
            }
        }
        Ok(())
    }

    /// Makes `span` bytes read as zeros: as a hole where the file system can, else by writing them.
    pub fn zero(&self, offset: u64, span: u64) -> Result<(), StoreError> {
        self.change(offset, span, |length| match self.medium {
            Medium::Null => Ok(()),
            Medium::Device => hole::zero_device(&self.file, offset, span),
            Medium::File => {
                let end = offset + span;
                hole::punch(&self.file, offset, end.min(length).saturating_sub(offset))?;
                // Who reads back must find zeros, not the end.
                if end > length { hole::extend(&self.file, length, end) } else { Ok(()) }
            }
        })
    }

    /// Gives the file exactly `size` bytes and its name. Unless this returns `Ok`, the file is not whole; of a renamed
    /// one nothing is left then, and what was at the path before is still there. A file is whole only where its path, resolved
    /// anew, leads to it ([`StoreError::Elsewhere`]). [`Remains`] tells the exceptions.
    ///
    /// Returns what the file can be told by later, see [`Roots::check_placed`](super::Roots::check_placed).
    pub fn finish(mut self, size: u64, durability: Durability) -> Result<Identity, StoreError> {
        self.complete(size, durability).map_err(|error| self.give_up(error))
    }

    /// Gives the file up because of an error, and has that say what is left. Of a renamed one that is nothing.
    pub fn give_up(mut self, error: StoreError) -> StoreError {
        error.leaving(match &mut self.place {
            Place::Rename(partial) => partial.remove(),
            Place::InPlace { .. } => Remains::InPlace,
        })
    }

    /// Gives the file up. A partial file is removed, if it is still ours; what was written in place stays as it is.
    pub fn discard(self) {
        drop(self);
    }

    /// Lets go of the file, so that somebody else may take it up at once and go on with it. Where that is not
    /// possible, because there is no journal or nothing in it, the file is [discarded](Self::discard).
    pub fn keep(mut self) {
        let (Place::Rename(partial), Early::Journal(recorder)) = (&mut self.place, &self.early) else {
            return;
        };
        recorder.complete();
        if self.digests.recorded() > 0 {
            // Who reads it back goes on doing so, and compares what he finds with the digests.
            partial.let_go();
        }
    }

    /// Gives the file exactly `size` bytes, and waits for the disk if it is to: all of [`finish`](Self::finish) but the
    /// name. For who wants to have it copied before anybody else can change it.
    pub fn seal(&self, size: u64, durability: Durability) -> Result<(), StoreError> {
        if self.state().sealed {
            return Ok(());
        }
        let result = self.settle(size, durability);
        let mut state = self.state();
        // A failed sync is final: the next one would say that all is well.
        (state.sealed, state.failed) = (result.is_ok(), result.is_err());
        result
    }

    fn settle(&self, size: u64, durability: Durability) -> Result<(), StoreError> {
        let fail = |cause: io::Error| StoreError::writing(self.path(), size, cause);
        if let Some(recorder) = self.early.recorder() {
            recorder.stop();
            self.durable_so_far().map_err(fail)?;
        }
        let State { length, failed, .. } = *self.state();
        if failed {
            return Err(fail(io::Error::other("something before could not be written")));
        }
        match self.medium {
            Medium::Null => return Ok(()),
            Medium::Device if size > length => return Err(too_small(self.path(), size, length)),
            Medium::Device => {}
            Medium::File if size > LONGEST => return Err(beyond_all_files(self.path(), size)),
            Medium::File => resize(&self.file, size).map_err(fail)?,
        }
        match durability {
            Durability::Sync => sync_file(&self.file).map(|_| ()).map_err(fail),
            Durability::NoSync => Ok(()),
        }
    }

    fn complete(&mut self, size: u64, durability: Durability) -> Result<Identity, StoreError> {
        self.seal(size, durability)?;
        let path = self.route.path();
        let fail = |cause: io::Error| StoreError::writing(path, size, cause);
        match &mut self.place {
            Place::Rename(partial) => {
                // Before anything is replaced in a folder that is not meant any more.
                partial.check_folder()?;
                partial.check_name()?;
                partial.place().map_err(fail)?;
                if durability == Durability::Sync {
                    partial.sync_name().map_err(fail)?;
                }
            }
            Place::InPlace { made_in, .. } => {
                // Whole it may be, but under no name. (A device is itself under any.)
                if self.medium == Medium::File
                    && fstat(&self.file).map_err(|errno| fail(errno.into()))?.st_nlink == 0
                    // Some file systems count no names.
                    && self.route.check(&self.file, Placement::InPlace).is_err()
                {
                    return Err(fail(io::Error::other("somebody removed or replaced the file")));
                }
                if let (Some(folder), Durability::Sync) = (made_in, durability) {
                    sync_folder(folder).map_err(fail)?;
                }
            }
        }
        self.route.check(&self.file, self.placement())
    }

    /// Carries out a change of `span` bytes, given the length that there is.
    fn change(
        &self,
        offset: u64,
        span: u64,
        how: impl FnOnce(u64) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        let end = offset.saturating_add(span);
        let result = if end > LONGEST {
            Err(beyond_all_files(self.path(), end))
        } else if self.medium == Medium::Device && end > state.length {
            Err(too_small(self.path(), end, state.length))
        } else {
            self.durable_so_far()
                .and_then(|()| how(state.length))
                .map_err(|cause| StoreError::writing(self.path(), end, cause))
        };
        state.sealed = false;
        match result {
            Ok(()) => state.length = state.length.max(end),
            Err(_) => state.failed = true,
        }
        result
    }

    /// What could not be synced in the background is lost, even if a later sync succeeds.
    fn durable_so_far(&self) -> io::Result<()> {
        self.early.recorder().and_then(Recorder::fault).map_or(Ok(()), Err)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Who panicked while holding it did so in the middle of a change: `failed` says no more than that.
        self.state.lock().unwrap_or_else(|poisoned: PoisonError<_>| {
            let mut state = poisoned.into_inner();
            state.failed = true;
            state
        })
    }
}

/// Takes away the flags that were for opening only.
fn settle(file: &File, path: &Path) -> Result<(), StoreError> {
    fcntl_setfl(file, OFlags::empty()).map_err(|errno| StoreError::opening(path, errno))
}

/// No file can have `size` bytes.
pub(super) fn beyond_all_files(path: &Path, size: u64) -> StoreError {
    let (path, available, remains) = (path.to_owned(), Some(LONGEST), Remains::Open);
    StoreError::NoSpace { path, needed: size, available, quota: false, remains }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_has_no_journal_goes_to_the_disk_early_too() {
        let file = tempfile::tempfile().unwrap();
        let opened = Opened { file: file.into(), lock: None, medium: Medium::File, length: 0, made_in: None };
        let route = Route::to_single(Path::new("a"), "a".into());
        let mut output = Output::in_place(opened, route).unwrap();
        let mut writer = Writer::without_journal(Arc::clone(&output.file));
        writer.replace_sync(|_| Err(io::Error::from_raw_os_error(5)));
        output.early = Early::Data(Recorder::new(writer));
        // One that is there stays.
        output.sync_early();
        let block = vec![1; 1 << 20];
        for offset in (0..16).map(|block| block << 20) {
            output.write_at(&block, offset).unwrap();
        }
        while output.early.recorder().unwrap().fault().is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(output.write_at(&block, 16 << 20).is_err(), "what was written is lost");
        assert!(output.finish(17 << 20, Durability::Sync).is_err());
    }

    #[test]
    fn what_cannot_be_made_durable_is_as_bad_as_what_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let create = || {
            let resume = Resume { version: b"v", block_size: 1 << 24, durability: Durability::Sync };
            let path = folder.path().join("a");
            let opened = Partial::open(Route::below(folder.path(), &[], "a", path.clone())).unwrap();
            let target = Target {
                path: path.to_str().unwrap(),
                placement: Placement::Rename,
                length: None,
                resume: Some(resume),
            };
            let mut output = Output::from_partial(opened, &target, &[], &|| true).unwrap();
            let Place::Rename(partial) = &output.place else { panic!() };
            let (digests, file) = (Arc::clone(&output.digests), Arc::clone(&output.file));
            let mut writer = Writer::new(digests, file, partial.folder(), Durability::Sync);
            writer.replace_sync(|_| Err(io::Error::from_raw_os_error(5)));
            output.early = Early::Journal(Recorder::new(writer));
            output.write_at(b"hello", 0).unwrap();
            output.note(&[1; 32], 1);
            while output.early.recorder().unwrap().fault().is_none() {
                thread::sleep(Duration::from_millis(1));
            }
            output
        };
        let is_fault =
            |error: StoreError| assert!(error.to_string().contains("Input/output error"), "{error}");
        let output = create();
        is_fault(output.write_at(b"more", 5).unwrap_err());
        is_fault(output.zero(9, 10).unwrap_err());
        is_fault(output.finish(19, Durability::Sync).unwrap_err());
        is_fault(create().finish(5, Durability::NoSync).unwrap_err());
        create().keep();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "there was nothing to keep");
    }
}
