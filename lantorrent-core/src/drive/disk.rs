//! The files of one transfer: opens them, writes the payload, gives them their names. Every call may wait for the disk, so
//! whoever makes them does nothing else meanwhile.

mod heirs;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::TELL;
use super::copies::Copies;
use super::hub::Hub;
use super::orders::{DiskOrder, Work};
use super::placed::Placed;
use super::request::{fault, source_version, target, version};
use super::ring::{Backing, Item, Next};
use super::shelf::Shelf;
use crate::session::{FileFault, FileInput, Opened, ReadBack};
use crate::store::{Durability, Output, Roots, StoreError};
use crate::wire::{Code, Digest, Header, Request, Wire, zero_digest};

/// How soon to try a file again that is in use.
pub(super) const RETRY: Duration = Duration::from_millis(10);
/// How long to wait for files that are in use. A transfer whose results are out takes a moment to let go of its files,
/// and its source may be here again before that.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);
/// How soon to look again whether a transfer that is in the way has lost its upstream.
pub(super) const CONTEST: Duration = Duration::from_millis(50);
/// The same where somebody was just asked to let go of them, who first has to bring to the disk what there is.
pub(super) const PATIENCE_WITH_SUPERSEDED: Duration = Duration::from_secs(10);

/// A node's files, and how they are treated.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) roots: Arc<Roots>,
    pub(super) placed: Arc<Placed>,
    pub(super) durability: Durability,
    /// How long, all in all, to wait for files that are in use.
    pub(super) patience: Duration,
}

/// Tells the session of a disk what has happened.
pub(super) type Tell = Box<dyn Fn(FileInput) + Send>;

/// What comes after some work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// There may be more.
    More,
    /// The same again after [`RETRY`]: a file is in use.
    Again,
    /// Nothing comes any more, and all files are let go.
    Over,
}

pub(super) struct Disk {
    hub: Arc<Hub>,
    tell: Tell,
    files: Files,
    header: Header,
    version: Option<Vec<u8>>,
    /// Zeros are to take no room.
    sparse: bool,
    outputs: Vec<Option<Output>>,
    copies: Copies,
    /// Up to where all files that are written have the payload, once it has begun.
    has: Option<u64>,
    /// Why copies could not be made whose turn to be placed is still to come.
    lost: Vec<(usize, FileFault)>,
    backing: Option<usize>,
    told: Instant,
    patient_until: Instant,
    /// What could not be done yet.
    again: Option<DiskOrder>,
    // Made on the first hole: most files have none.
    zero_block: Option<Digest>,
}

/// Whether something is to be tried again because a file is in use.
pub(super) fn is_worth_waiting<T>(result: &Result<T, StoreError>, until: Instant) -> bool {
    matches!(result, Err(StoreError::InUse { .. })) && Instant::now() < until
}

impl Disk {
    pub(super) fn new(hub: Arc<Hub>, tell: Tell, files: Files, header: Header) -> Self {
        let told = Instant::now();
        Self {
            hub,
            tell,
            version: version(&header),
            sparse: header.envelope.as_ref().is_some_and(|envelope| envelope.sparse),
            outputs: header.node.requests.iter().map(|_| None).collect(),
            copies: Copies::new(header.node.requests.len()),
            has: None,
            lost: Vec::new(),
            backing: None,
            told,
            patient_until: told + files.patience,
            again: None,
            zero_block: None,
            files,
            header,
        }
    }

    fn tell(&self, input: FileInput) {
        (self.tell)(input);
    }

    /// Works until it is told to leave.
    pub(super) fn run(mut self) {
        loop {
            let work = self.again.take().map_or_else(|| self.hub.disk_work(), Work::Order);
            match self.carry_out(work) {
                Then::More => {}
                Then::Again => thread::sleep(RETRY),
                Then::Over => return,
            }
        }
    }

    /// Does one thing, if there is something to do.
    #[cfg(feature = "event")]
    pub(super) fn try_one(&mut self) -> Option<Then> {
        let work = self.again.take().map(Work::Order).or_else(|| self.hub.try_disk_work())?;
        Some(self.carry_out(work))
    }

    fn carry_out(&mut self, work: Work<DiskOrder>) -> Then {
        match work {
            Work::Order(DiskOrder::Open(file)) => return self.open(file),
            Work::Order(DiskOrder::Begin(from)) => self.begin(from),
            Work::Order(DiskOrder::Place(file, size)) => self.place(file, size),
            Work::Order(DiskOrder::Discard(file)) => self.discard(file),
            Work::Order(DiskOrder::Keep(file)) => self.keep(file),
            Work::Order(DiskOrder::Remove(request)) => return self.remove(request),
            Work::Order(DiskOrder::Leave) | Work::Over => {
                // Files that have no name by now are kept for who can go on with them.
                (0..self.outputs.len()).for_each(|file| self.keep(file));
                return Then::Over;
            }
            Work::Payload(Next::Item(item)) => self.write(&item),
            Work::Payload(Next::End { size, .. }) => self.tell(FileInput::Written(size)),
            // The ring keeps everything until the disk has it.
            Work::Payload(Next::File { .. } | Next::Gone | Next::Wait) => {}
        }
        Then::More
    }

    fn open(&mut self, file: usize) -> Then {
        let Some(request) = self.header.node.requests.get(file) else { return Then::More };
        let wanted = || !self.hub.is_closed() && !self.hub.is_to_be_removed(&request.id);
        if !wanted() {
            return Then::More;
        }
        let target = target(&self.header, request, self.version.as_deref(), self.files.durability);
        // What this transfer itself holds will not become free.
        let ours = self.header.node.requests[..file].iter().any(|other| other.filename == request.filename);
        let patient_until = if ours { self.told } else { self.patient_until };
        // Reading a large partial file again takes minutes, for which nobody waits who has stopped the transfer.
        let originals = self.originals();
        let likes: Vec<&Output> = originals.iter().filter_map(|&file| self.outputs[file].as_ref()).collect();
        let result = self.files.roots.create_like(&target, &likes, &wanted);
        if is_worth_waiting(&result, patient_until) {
            self.again = Some(DiskOrder::Open(file));
            return Then::Again;
        }
        let result = match result {
            Ok(output) => Ok(match output.copy_of() {
                Some(place) => self.take_in_copy(file, output, originals[place]),
                None => self.take_in(file, output),
            }),
            Err(error) => Err(fault(&error)),
        };
        self.tell(FileInput::Opened(file, result));
        Then::More
    }

    /// The files that others can be copies of. On wire 1 nobody could tell whether one that failed is what was received.
    fn originals(&self) -> Vec<usize> {
        let written = |&file: &usize| self.outputs[file].is_some() && self.copies.original_of(file).is_none();
        match self.header.wire() {
            Wire::One => Vec::new(),
            Wire::Two => (0..self.outputs.len()).filter(written).collect(),
        }
    }

    /// What is to be a copy has what its original has, and those who are behind are served from there.
    fn take_in_copy(&mut self, file: usize, output: Output, original: usize) -> Opened {
        self.copies.add(file, original);
        self.outputs[file] = Some(output);
        let resumed = self.outputs[original].as_ref().map_or(0, Output::resumed);
        Opened { read_back: ReadBack::Possible, resumed }
    }

    fn take_in(&mut self, file: usize, mut output: Output) -> Opened {
        if self.files.durability == Durability::Sync {
            output.sync_early();
        }
        let resumed = output.resumed();
        if resumed > 0 {
            self.hub.has_resumed(resumed, output.digests());
        }
        self.outputs[file] = Some(output);
        let read_back = if self.use_for_children(file) { ReadBack::Possible } else { ReadBack::Impossible };
        Opened { read_back, resumed }
    }

    /// Children that fall behind are served from the first file that can be read. Returns whether this one can be.
    fn use_for_children(&mut self, file: usize) -> bool {
        if self.copies.original_of(file).is_some() {
            return false;
        }
        let Some(output) = &self.outputs[file] else { return false };
        let Some(handle) = output.read_back() else { return false };
        if self.backing.is_none() {
            let digests = (self.header.wire() == Wire::Two).then(|| output.digests());
            self.hub.set_backing(Backing::Written(Shelf { file: handle, digests }));
            self.backing = Some(file);
        }
        true
    }

    fn begin(&mut self, from: u64) {
        self.has = Some(from);
        let written = self.outputs.iter().flatten().filter(|output| output.copy_of().is_none());
        written.for_each(|output| output.begin(from));
    }

    fn write(&mut self, item: &Item) {
        let upto = match item {
            Item::Data(block) => block.offset + u64::from(block.len),
            Item::Hole { offset, span } => offset + span,
        };
        let notes = self.notes(item);
        for file in 0..self.outputs.len() {
            let Some(output) = self.outputs[file].as_ref().filter(|output| output.copy_of().is_none()) else {
                continue;
            };
            match self.write_item(output, item) {
                Ok(()) => {
                    notes.iter().flatten().for_each(|(digest, blocks)| output.note(digest, *blocks));
                }
                Err(error) => {
                    // Who takes over comes behind it in this loop, and has not had the item yet.
                    self.bequeath(file);
                    self.discard(file);
                    self.tell(FileInput::WriteFailed(file, fault(&error)));
                }
            }
        }
        self.has = Some(upto);
        // Only now may a child be sent there: what was written is noted by now.
        self.hub.disk_has(upto);
        if self.told.elapsed() >= TELL {
            self.told = Instant::now();
            self.tell(FileInput::Written(upto));
        }
    }

    fn write_item(&self, output: &Output, item: &Item) -> Result<(), StoreError> {
        match item {
            Item::Data(block) if self.sparse => output.write_sparsely_at(block.data(), block.offset),
            Item::Data(block) => output.write_at(block.data(), block.offset),
            Item::Hole { offset, span } => output.zero(*offset, *span),
        }
    }

    /// What the files' journals say of an item: digests, each of so many blocks. Nothing on wire 1.
    fn notes(&mut self, item: &Item) -> [Option<(Digest, u64)>; 2] {
        let block_size = u64::from(self.header.block_size);
        match item {
            Item::Data(block) => [block.digest.map(|digest| (digest, 1)), None],
            Item::Hole { span, .. } => {
                let (whole, rest) = (span / block_size, span % block_size);
                let zero_block = *self.zero_block.get_or_insert_with(|| zero_digest(block_size));
                [(whole > 0).then_some((zero_block, whole)), (rest > 0).then(|| (zero_digest(rest), 1))]
            }
        }
    }

    fn place(&mut self, file: usize, size: u64) {
        if let Some(result) = self.finish(file, size) {
            self.tell(FileInput::Placed(file, result));
        }
    }

    /// None where there is nothing to say any more.
    fn finish(&mut self, file: usize, size: u64) -> Option<Result<(), FileFault>> {
        if let Some(place) = self.lost.iter().position(|(lost, _)| *lost == file) {
            return Some(Err(self.lost.swap_remove(place).1));
        }
        if self.copies.original_of(file).is_some() {
            // Its original went without leaving it anything.
            self.discard(file);
            let message = "the file it was to be a copy of was given up".into();
            return Some(Err(FileFault { code: Code::CANNOT_WRITE, message }));
        }
        // Before it has its name: from then on anybody may change it.
        let sealed = self.make_copies(file, size);
        let output = self.outputs.get_mut(file)?.take()?;
        let result = match sealed {
            Ok(()) => output.finish(size, self.files.durability),
            Err(error) => Err(output.give_up(error)),
        };
        if let (Ok(identity), Some(envelope)) = (&result, &self.header.envelope) {
            self.files.placed.add(envelope.transfer, &self.header.node.requests[file].id, *identity);
        }
        Some(result.map(drop).map_err(|error| fault(&error)))
    }

    /// Removes what this session writes for a request, and what others have left.
    fn remove(&mut self, request: Request) -> Then {
        if let Some(own) = self.header.node.requests.iter().position(|own| own.id == request.id) {
            self.bequeath(own);
            self.discard(own);
        }
        let result = source_version(&self.header).map_or(Ok(()), |version| {
            let target = target(&self.header, &request, None, self.files.durability);
            self.files.roots.remove(&target, &version)
        });
        if is_worth_waiting(&result, self.patient_until) && !self.hub.is_closed() {
            self.again = Some(DiskOrder::Remove(request));
            return Then::Again;
        }
        self.tell(FileInput::Removed(request.id, result.map_err(|error| fault(&error))));
        Then::More
    }

    fn discard(&mut self, file: usize) {
        if let Some(output) = self.let_go(file) {
            output.discard();
        }
    }

    /// Lets go of a file, but not of what was received.
    fn keep(&mut self, file: usize) {
        if let Some(output) = self.let_go(file) {
            output.keep();
        }
    }

    fn let_go(&mut self, file: usize) -> Option<Output> {
        let output = self.outputs.get_mut(file).and_then(Option::take)?;
        self.copies.remove(file);
        if self.backing == Some(file) {
            self.backing = None;
            self.find_backing();
        }
        Some(output)
    }

    /// Another file takes over for children that fall behind, or none can: what they need then stays in memory.
    fn find_backing(&mut self) {
        for file in 0..self.outputs.len() {
            if self.use_for_children(file) {
                return;
            }
        }
        self.hub.keep_for_children();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc;

    use super::super::ring::Ring;
    use super::*;
    use crate::wire::Destination;

    #[test]
    fn files_are_not_opened_for_a_transfer_that_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let roots = Arc::new(Roots::open(&[folder.path().to_owned()]).unwrap());
        let filename = folder.path().join("a").to_str().unwrap().to_owned();
        let node = Destination {
            host: "127.0.0.1".into(),
            port: 1,
            index: 0,
            requests: vec![Request { filename, id: "a".into(), rename: true }],
            degree: None,
            block_size: None,
        };
        let header = Header {
            node,
            length: Some(1),
            block_size: 4096,
            degree: 1,
            destinations: Vec::new(),
            envelope: None,
        };
        let hub = Arc::new(Hub::new(Ring::for_node(2)));
        let (told, heard) = mpsc::channel();
        let tell: Tell = Box::new(move |input| told.send(input).unwrap());
        let (placed, durability) = (Arc::default(), Durability::NoSync);
        let files = Files { roots, placed, durability, patience: Duration::from_secs(60) };
        let disk = Disk::new(Arc::clone(&hub), tell, files, header);
        hub.order_disk(DiskOrder::Open(0));
        hub.close();
        hub.order_disk(DiskOrder::Leave);
        disk.run();
        assert!(heard.recv().is_err(), "nobody wants to know");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
