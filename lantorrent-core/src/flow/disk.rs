//! What the disk does for a transfer: opens its files, writes the payload to them, gives them their names. One step is one
//! thing, which may wait for the disk, so a driver steps this where nothing else waits for it.

mod heirs;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::copies::Copies;
use super::ring::{DiskOrder, DiskWork, Item, Ring};
use super::wake::{Epoch, Shared};
use super::{TELL, Tell};
use crate::session::{FileFault, FileInput, FileOutput, Opened, ReadBack};
use crate::wire::{Code, Digest, Header, Request, Wire, zero_digest};

/// How soon to try a file again that is in use.
pub const RETRY: Duration = Duration::from_millis(10);

/// What came of a step.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskStep {
    /// One thing is done: step again.
    Moved,
    /// There is nothing to do, as of that epoch.
    Idle(Epoch),
    /// A file is in use: step again then.
    Until(Instant),
    /// Nothing comes any more, and all files are let go.
    Over,
}

/// The digest of so many blocks, each.
pub type Note = (Digest, u64);

/// A file that takes the payload.
#[derive(Debug)]
pub struct Made<B> {
    /// How much of it is there already, verified.
    pub resumed: u64,
    /// The handle by which it can be read back, if it can.
    pub backing: Option<B>,
    /// Which of the originals it can be made a copy of, when that is whole: nothing is written to it.
    pub copy_of: Option<usize>,
}

/// Why a file cannot be had.
#[derive(Debug)]
pub enum Refused {
    /// It is in use, and may not be for long.
    InUse(FileFault),
    /// Any other reason.
    Fault(FileFault),
}

impl From<Refused> for FileFault {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::InUse(fault) | Refused::Fault(fault) => fault,
        }
    }
}

/// The files of one transfer, by the place of their request. Every call may wait for the disk; `wanted` says whether there
/// is still a reason to.
pub trait Files {
    /// The handle by which a file is read back.
    type Backing: Clone;

    /// Opens a file, as a copy of one of `originals` where it can share their room.
    fn open(
        &mut self,
        file: usize,
        originals: &[usize],
        wanted: &dyn Fn() -> bool,
    ) -> Result<Made<Self::Backing>, Refused>;

    /// The payload begins at this offset: what a file has beyond is not believed.
    fn begin(&mut self, file: usize, from: u64);

    /// Writes an item, and notes the digests of its blocks; there are none on wire 1.
    fn write(&mut self, file: usize, item: &Item, notes: &[Note]) -> Result<(), FileFault>;

    /// The handle by which an open file is read back, if it can be.
    fn backing(&self, file: usize) -> Option<Self::Backing>;

    /// Has a file keep what it has, before copies of it are made. Where that fails, [`place`](Self::place) does.
    fn seal(&mut self, file: usize, size: u64) -> Result<(), FileFault>;

    /// Makes `copy` what `original` is.
    fn copy(
        &mut self,
        copy: usize,
        original: usize,
        size: u64,
        wanted: &dyn Fn() -> bool,
    ) -> Result<(), FileFault>;

    /// Has a copy go on in its original's stead, with the first `upto` bytes of it.
    fn take_over(
        &mut self,
        heir: usize,
        original: usize,
        upto: u64,
        wanted: &dyn Fn() -> bool,
    ) -> Result<(), FileFault>;

    /// Gives a file its name. Either way it is open no more.
    fn place(&mut self, file: usize, size: u64) -> Result<(), FileFault>;

    /// Removes an open file.
    fn discard(&mut self, file: usize);

    /// Closes a file, with what a later transfer can go on with.
    fn keep(&mut self, file: usize);

    /// Removes what others have left of the file of a request.
    fn remove(&mut self, request: &Request) -> Result<(), Refused>;
}

/// The disk of one transfer: opens its files, writes the payload to them, and gives them their names.
#[derive(Debug)]
pub struct Disk<F> {
    files: F,
    header: Header,
    open: Vec<bool>,
    copies: Copies,
    /// Up to where all files that are written have the payload, once it has begun.
    has: Option<u64>,
    /// How much of a file there was when it was opened.
    resumed: Vec<u64>,
    /// Why copies could not be made whose turn to be placed is still to come.
    lost: Vec<(usize, FileFault)>,
    backing: Option<usize>,
    told: Instant,
    /// Until when files are waited for that are in use.
    patient_until: Instant,
    /// What could not be done yet.
    again: Option<DiskOrder>,
    // Made on the first hole: most files have none.
    zero_block: Option<Digest>,
}

impl<F: Files> Disk<F> {
    /// For the requests of that header. Files in use are waited for as long as `patience`, all in all.
    pub fn new(now: Instant, header: Header, files: F, patience: Duration) -> Self {
        let count = header.node.requests.len();
        Self {
            files,
            open: vec![false; count],
            copies: Copies::new(count),
            has: None,
            resumed: vec![0; count],
            lost: Vec::new(),
            backing: None,
            told: now,
            patient_until: now + patience,
            again: None,
            zero_block: None,
            header,
        }
    }

    /// Its files, for a driver that has to lend them something before each step.
    pub fn files(&mut self) -> &mut F {
        &mut self.files
    }

    /// Does one thing, if there is something to do.
    pub fn step(
        &mut self,
        now: Instant,
        ring: &impl Shared<Ring<F::Backing>>,
        tell: &mut Tell<'_, FileInput>,
    ) -> DiskStep {
        let work = match self.again.take() {
            Some(order) => DiskWork::Order(order),
            None => match ring.quietly(super::ring::Ring::disk_work) {
                Ok(work) => work,
                Err(epoch) => return DiskStep::Idle(epoch),
            },
        };
        match work {
            DiskWork::Order(order) => return self.obey(now, order, ring, tell),
            DiskWork::Write(item) => self.write(now, &item, ring, tell),
            DiskWork::End(size) => tell(FileInput::Written(size)),
        }
        DiskStep::Moved
    }

    fn obey(
        &mut self,
        now: Instant,
        order: DiskOrder,
        ring: &impl Shared<Ring<F::Backing>>,
        tell: &mut Tell<'_, FileInput>,
    ) -> DiskStep {
        match order {
            DiskOrder::File(FileOutput::Open(file)) => return self.open(now, file, ring, tell),
            DiskOrder::Begin(from) => {
                self.has = Some(from);
                self.written().for_each(|file| self.files.begin(file, from));
            }
            DiskOrder::File(FileOutput::Place(file, size)) => {
                if let Some(result) = self.place(file, size, ring, tell) {
                    tell(FileInput::Placed(file, result));
                }
            }
            DiskOrder::File(FileOutput::Discard(file)) => self.discard(file, ring),
            DiskOrder::File(FileOutput::Keep(file)) => self.keep(file, ring),
            DiskOrder::File(FileOutput::Remove(request)) => return self.remove(now, request, ring, tell),
            DiskOrder::Leave => {
                // Files that have no name by now are kept for a transfer that can go on with them.
                (0..self.open.len()).for_each(|file| self.keep(file, ring));
                return DiskStep::Over;
            }
        }
        DiskStep::Moved
    }

    /// The open files that are written, and are no copies to be.
    fn written(&self) -> impl Iterator<Item = usize> + use<F> {
        let files = (0..self.open.len()).filter(|&file| self.is_written(file));
        files.collect::<Vec<usize>>().into_iter()
    }

    fn is_written(&self, file: usize) -> bool {
        self.open[file] && self.copies.original_of(file).is_none()
    }

    fn open(
        &mut self,
        now: Instant,
        file: usize,
        ring: &impl Shared<Ring<F::Backing>>,
        tell: &mut Tell<'_, FileInput>,
    ) -> DiskStep {
        let Some(request) = self.header.node.requests.get(file) else { return DiskStep::Moved };
        let wanted = || ring.look(|ring| !ring.is_closed() && !ring.is_to_be_removed(&request.id));
        if !wanted() {
            return DiskStep::Moved;
        }
        // What this transfer itself holds will not become free.
        let ours = self.header.node.requests[..file].iter().any(|other| other.filename == request.filename);
        // On wire 1 nothing says whether a file that failed is what was received.
        let originals = if self.header.wire() == Wire::One { Vec::new() } else { self.written().collect() };
        // Reading a large partial file again takes minutes, for which nothing waits once the transfer has stopped.
        let result = match self.files.open(file, &originals, &wanted) {
            Err(Refused::InUse(_)) if !ours && now < self.patient_until => {
                self.again = Some(DiskOrder::File(FileOutput::Open(file)));
                return DiskStep::Until(now + RETRY);
            }
            Ok(made) => Ok(self.take_in(file, made, ring)),
            Err(refused) => Err(refused.into()),
        };
        tell(FileInput::Opened(file, result));
        DiskStep::Moved
    }

    fn take_in(
        &mut self,
        file: usize,
        made: Made<F::Backing>,
        ring: &impl Shared<Ring<F::Backing>>,
    ) -> Opened {
        self.open[file] = true;
        // A copy is to have what its original has, and children that are behind are served from there.
        if let Some(original) = made.copy_of {
            self.copies.add(file, original);
            return Opened { read_back: ReadBack::Possible, resumed: self.resumed[original] };
        }
        let resumed = made.resumed;
        self.resumed[file] = resumed;
        if resumed > 0
            && let Some(backing) = made.backing
        {
            ring.quietly(|ring| ring.has_resumed(resumed, backing));
        }
        let read_back =
            if self.use_for_children(file, ring) { ReadBack::Possible } else { ReadBack::Impossible };
        Opened { read_back, resumed }
    }

    /// Children that fall behind are served from the first file that can be read. Returns whether this one can be.
    fn use_for_children(&mut self, file: usize, ring: &impl Shared<Ring<F::Backing>>) -> bool {
        if !self.is_written(file) {
            return false;
        }
        let Some(backing) = self.files.backing(file) else { return false };
        if self.backing.is_none() {
            ring.change(|ring| ring.set_backing(backing));
            self.backing = Some(file);
        }
        true
    }

    fn write(
        &mut self,
        now: Instant,
        item: &Item,
        ring: &impl Shared<Ring<F::Backing>>,
        tell: &mut Tell<'_, FileInput>,
    ) {
        let notes = self.notes(item);
        // An heir comes behind its original in this loop, and has not had the item yet.
        for file in 0..self.open.len() {
            if !self.is_written(file) {
                continue;
            }
            if let Err(fault) = self.files.write(file, item, &notes) {
                self.bequeath(file, ring, tell);
                self.discard(file, ring);
                tell(FileInput::WriteFailed(file, fault));
            }
        }
        let upto = item.range().1;
        self.has = Some(upto);
        // Only now may a child be sent there: what was written is noted by now.
        ring.change(|ring| ring.disk_has(upto));
        if now.saturating_duration_since(self.told) >= TELL {
            self.told = now;
            tell(FileInput::Written(upto));
        }
    }

    /// What the files' journals say of an item.
    fn notes(&mut self, item: &Item) -> Vec<Note> {
        let block_size = u64::from(self.header.block_size);
        match item {
            _ if self.header.wire() == Wire::One => Vec::new(),
            Item::Data(block) => block.digest.map(|digest| (digest, 1)).into_iter().collect(),
            Item::Hole { span, .. } => {
                let (whole, rest) = (span / block_size, span % block_size);
                let zero_block = *self.zero_block.get_or_insert_with(|| zero_digest(block_size));
                let whole = (whole > 0).then_some((zero_block, whole));
                whole.into_iter().chain((rest > 0).then(|| (zero_digest(rest), 1))).collect()
            }
        }
    }

    /// None where there is nothing to say any more.
    fn place(
        &mut self,
        file: usize,
        size: u64,
        ring: &impl Shared<Ring<F::Backing>>,
        tell: &mut Tell<'_, FileInput>,
    ) -> Option<Result<(), FileFault>> {
        if let Some(place) = self.lost.iter().position(|(lost, _)| *lost == file) {
            return Some(Err(self.lost.swap_remove(place).1));
        }
        if self.copies.original_of(file).is_some() {
            // Its original went without leaving it anything.
            self.discard(file, ring);
            let message = "the file it was to be a copy of was given up".into();
            return Some(Err(FileFault { code: Code::CANNOT_WRITE, message }));
        }
        if !*self.open.get(file)? {
            return None;
        }
        // Before it has its name: from then on anything may change it.
        let sealed = self.make_copies(file, size, ring, tell);
        self.open[file] = false;
        Some(match (sealed, self.files.place(file, size)) {
            (Err(fault), Ok(())) => Err(fault),
            (_, placed) => placed,
        })
    }

    /// Removes what this session writes for a request, and what others have left.
    fn remove(
        &mut self,
        now: Instant,
        request: Request,
        ring: &impl Shared<Ring<F::Backing>>,
        tell: &mut Tell<'_, FileInput>,
    ) -> DiskStep {
        if let Some(own) = self.header.node.requests.iter().position(|own| own.id == request.id) {
            self.bequeath(own, ring, tell);
            self.discard(own, ring);
        }
        let result = match self.files.remove(&request) {
            Err(Refused::InUse(_)) if now < self.patient_until && !ring.look(Ring::is_closed) => {
                self.again = Some(DiskOrder::File(FileOutput::Remove(request)));
                return DiskStep::Until(now + RETRY);
            }
            result => result.map_err(FileFault::from),
        };
        tell(FileInput::Removed(request.id, result));
        DiskStep::Moved
    }

    fn discard(&mut self, file: usize, ring: &impl Shared<Ring<F::Backing>>) {
        if self.let_go(file) {
            self.files.discard(file);
            self.find_backing(file, ring);
        }
    }

    /// Lets go of a file, but not of what was received.
    fn keep(&mut self, file: usize, ring: &impl Shared<Ring<F::Backing>>) {
        if self.let_go(file) {
            self.files.keep(file);
            self.find_backing(file, ring);
        }
    }

    fn let_go(&mut self, file: usize) -> bool {
        let Some(open) = self.open.get_mut(file).filter(|open| **open) else { return false };
        *open = false;
        self.copies.remove(file);
        true
    }

    /// Where `gone` was the backing file another one takes over; or none can, and what children need stays in memory.
    fn find_backing(&mut self, gone: usize, ring: &impl Shared<Ring<F::Backing>>) {
        if self.backing != Some(gone) {
            return;
        }
        self.backing = None;
        if !(0..self.open.len()).any(|file| self.use_for_children(file, ring)) {
            ring.quietly(super::ring::Ring::retire_backing);
        }
    }
}
