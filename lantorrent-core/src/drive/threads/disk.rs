//! The thread that touches files: opens them, writes the payload, gives them their names.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use super::super::hub::{DiskOrder, Hub, Work};
use super::super::ring::{Backing, Item, Next};
use super::TELL;
use super::control::Happening;
use crate::session::{FileFault, Input, ReadBack};
use crate::store::{Durability, Output, Placement, Roots, StoreError, Target};
use crate::wire::{Code, Header};

/// How long, all in all, to wait for files that are in use. A transfer whose results are out takes a moment to let go
/// of its files, and its source may be here again before that.
const PATIENCE: Duration = Duration::from_millis(500);
/// How soon to try such a file again.
const RETRY: Duration = Duration::from_millis(10);

/// A code of the wire for what the store says. The message is the store's own.
fn fault(error: &StoreError) -> FileFault {
    let code = match error {
        StoreError::NotAllowed { .. } => Code::NOT_ALLOWED,
        StoreError::InUse { .. } => Code::IN_USE,
        StoreError::NoSpace { .. } => Code::NO_SPACE,
        StoreError::CannotWrite { .. } => Code::CANNOT_WRITE,
        StoreError::TooLong { .. }
        | StoreError::NotAFile { .. }
        | StoreError::CannotOpen { .. }
        | StoreError::BadRoot { .. }
        | StoreError::CannotConfine { .. } => Code::CANNOT_OPEN,
    };
    FileFault { code, message: error.to_string() }
}

pub(super) struct Disk {
    hub: Arc<Hub>,
    happenings: SyncSender<Happening>,
    roots: Arc<Roots>,
    durability: Durability,
    header: Header,
    files: Vec<Option<Output>>,
    backing: Option<usize>,
    told: Instant,
    patient_until: Instant,
}

impl Disk {
    pub(super) fn new(
        hub: Arc<Hub>,
        happenings: SyncSender<Happening>,
        roots: Arc<Roots>,
        durability: Durability,
        header: Header,
    ) -> Self {
        let files = header.node.requests.iter().map(|_| None).collect();
        let told = Instant::now();
        let patient_until = told + PATIENCE;
        Self { hub, happenings, roots, durability, header, files, backing: None, told, patient_until }
    }

    /// A send fails only when the session is over, and then nobody wants to know.
    fn tell(&self, input: Input<'static>) {
        let _ = self.happenings.send(input.into());
    }

    /// Works until it is told to leave. Files that have no name by then are removed.
    pub(super) fn run(mut self) {
        loop {
            match self.hub.disk_work() {
                Work::Order(DiskOrder::Open(file)) => self.open(file),
                Work::Order(DiskOrder::Place(file, size)) => self.place(file, size),
                Work::Order(DiskOrder::Discard(file)) => self.discard(file),
                Work::Order(DiskOrder::Leave) | Work::Over => return,
                Work::Payload(Next::Item(item)) => self.write(&item),
                Work::Payload(Next::End { size, .. }) => self.tell(Input::Written(size)),
                // The ring keeps everything until the disk has it.
                Work::Payload(Next::File { .. } | Next::Gone | Next::Wait) => {}
            }
        }
    }

    fn open(&mut self, file: usize) {
        let Some(request) = self.header.node.requests.get(file) else { return };
        let target = Target {
            path: &request.filename,
            placement: if request.rename { Placement::Rename } else { Placement::InPlace },
            length: self.header.length,
            resume: None,
        };
        // What this transfer itself holds will not become free.
        let ours = self.header.node.requests[..file].iter().any(|other| other.filename == request.filename);
        let patient_until = if ours { self.told } else { self.patient_until };
        let result = self.create(&target, patient_until).map_err(|error| fault(&error)).map(|output| {
            let read_back = output.read_back();
            self.files[file] = Some(output);
            self.use_for_children(file, read_back)
        });
        self.tell(Input::Opened(file, result));
    }

    fn create(&self, target: &Target<'_>, patient_until: Instant) -> Result<Output, StoreError> {
        loop {
            match self.roots.create(target) {
                Err(StoreError::InUse { .. }) if Instant::now() < patient_until => thread::sleep(RETRY),
                result => return result,
            }
        }
    }

    /// Children that fall behind are served from the first file that can be read.
    fn use_for_children(&mut self, file: usize, read_back: Option<Arc<File>>) -> ReadBack {
        let Some(handle) = read_back else { return ReadBack::Impossible };
        if self.backing.is_none() {
            self.backing = Some(file);
            self.hub.set_backing(Backing::Written(handle));
        }
        ReadBack::Possible
    }

    fn write(&mut self, item: &Item) {
        let upto = match item {
            Item::Data(block) => block.offset + u64::from(block.len),
            Item::Hole { offset, span } => offset + span,
        };
        for file in 0..self.files.len() {
            let Some(output) = &self.files[file] else { continue };
            let result = match item {
                Item::Data(block) => output.write_at(block.data(), block.offset),
                Item::Hole { offset, span } => output.zero(*offset, *span),
            };
            if let Err(error) = result {
                self.discard(file);
                self.tell(Input::WriteFailed(file, fault(&error)));
            }
        }
        self.hub.disk_has(upto);
        if self.told.elapsed() >= TELL {
            self.told = Instant::now();
            self.tell(Input::Written(upto));
        }
    }

    fn place(&mut self, file: usize, size: u64) {
        let Some(output) = self.files.get_mut(file).and_then(Option::take) else { return };
        let result = output.finish(size, self.durability).map_err(|error| fault(&error));
        self.tell(Input::Placed(file, result));
    }

    fn discard(&mut self, file: usize) {
        let Some(output) = self.files.get_mut(file).and_then(Option::take) else { return };
        if self.backing == Some(file) {
            self.backing = None;
            self.find_backing();
        }
        output.discard();
    }

    /// Another file takes over for children that fall behind, or none can: what they need then stays in memory.
    fn find_backing(&mut self) {
        for file in 0..self.files.len() {
            let Some(handle) = self.files[file].as_ref().and_then(Output::read_back) else { continue };
            self.use_for_children(file, Some(handle));
            return;
        }
        self.hub.keep_for_children();
    }
}
