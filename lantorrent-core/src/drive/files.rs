//! The files of one transfer, in the store: what the data plane's disk works with.

use std::sync::Arc;
use std::time::Duration;

use super::backing::BackingFile;
use super::hooks::{Account, Hooks};
use super::placed::Placed;
use super::request::{fault, source_version, target, version};
use crate::flow::{Files, Item, Made, Note, Refused};
use crate::session::FileFault;
use crate::store::{Durability, Output, Roots, StoreError};
use crate::wire::{Header, Request, Wire};

/// Where a node's files are, and how they are treated.
#[derive(Debug)]
pub(super) struct Storage {
    pub(super) roots: Arc<Roots>,
    pub(super) placed: Arc<Placed>,
    pub(super) durability: Durability,
    pub(super) hooks: Hooks,
    /// Hears which files arrive. None where none can.
    pub(super) account: Option<Arc<Account>>,
    /// How long, all in all, to wait for files that are in use.
    pub(super) patience: Duration,
}

/// The files of one transfer, in the store.
#[derive(Debug)]
pub(super) struct NodeFiles {
    storage: Storage,
    header: Header,
    version: Option<Vec<u8>>,
    /// Zeros are to take no room.
    sparse: bool,
    outputs: Vec<Option<Output>>,
    /// Where they are.
    paths: Vec<String>,
    /// Why a file could not be sealed that is still to be given up.
    unsealed: Option<(usize, StoreError)>,
}

impl NodeFiles {
    pub(super) fn new(storage: Storage, header: Header) -> Self {
        Self {
            version: version(&header),
            sparse: header.envelope.as_ref().is_some_and(|envelope| envelope.sparse),
            outputs: header.node.requests.iter().map(|_| None).collect(),
            paths: header.node.requests.iter().map(|request| request.filename.clone()).collect(),
            unsealed: None,
            storage,
            header,
        }
    }

    fn output(&self, file: usize) -> Option<&Output> {
        self.outputs.get(file).and_then(Option::as_ref)
    }

    fn handle(&self, output: &Output) -> Option<BackingFile> {
        let digests = (self.header.wire() == Wire::Two).then(|| output.digests());
        output.read_back().map(|file| BackingFile { file, digests })
    }

    fn write_item(&self, output: &Output, item: &Item) -> Result<(), StoreError> {
        match item {
            Item::Data(block) if self.sparse => output.write_sparsely_at(block.data(), block.offset),
            Item::Data(block) => output.write_at(block.data(), block.offset),
            Item::Hole { offset, span } => output.zero(*offset, *span),
        }
    }

    fn finish(&mut self, file: usize, size: u64) -> Option<Result<(), StoreError>> {
        let output = self.outputs.get_mut(file)?.take()?;
        if let Some((_, error)) = self.unsealed.take_if(|(unsealed, _)| *unsealed == file) {
            return Some(Err(output.give_up(error)));
        }
        let result = output.finish(size, self.storage.durability);
        if let (Ok(identity), Some(envelope)) = (&result, &self.header.envelope) {
            self.storage.placed.add(envelope.transfer, &self.header.node.requests[file].id, *identity);
        }
        if let (Ok(_), Some(account)) = (&result, &self.storage.account) {
            account.arrived(&self.paths[file], size);
        }
        Some(result.map(drop))
    }
}

fn refused(error: &StoreError) -> Refused {
    match error {
        StoreError::InUse { .. } => Refused::InUse(fault(error)),
        _ => Refused::Fault(fault(error)),
    }
}

impl Files for NodeFiles {
    type Backing = BackingFile;

    fn open(
        &mut self,
        file: usize,
        originals: &[usize],
        wanted: &dyn Fn() -> bool,
    ) -> Result<Made<BackingFile>, Refused> {
        let request = &self.header.node.requests[file];
        let path = self.storage.hooks.path(&self.header, request).map_err(Refused::Fault)?;
        let target = target(&self.header, request, &path, self.version.as_deref(), self.storage.durability);
        let likes: Vec<&Output> = originals.iter().filter_map(|&original| self.output(original)).collect();
        let mut output =
            self.storage.roots.create_like(&target, &likes, wanted).map_err(|error| refused(&error))?;
        let copy_of = output.copy_of().map(|place| originals[place]);
        if copy_of.is_none() && self.storage.durability == Durability::Sync {
            output.sync_early();
        }
        let made = Made { resumed: output.resumed(), backing: self.handle(&output), copy_of };
        self.outputs[file] = Some(output);
        self.paths[file] = path.into_owned();
        Ok(made)
    }

    fn begin(&mut self, file: usize, from: u64) {
        if let Some(output) = self.output(file) {
            output.begin(from);
        }
    }

    fn write(&mut self, file: usize, item: &Item, notes: &[Note]) -> Result<(), FileFault> {
        let Some(output) = self.output(file) else { return Ok(()) };
        self.write_item(output, item).map_err(|error| fault(&error))?;
        for (digest, blocks) in notes {
            output.note(digest, *blocks);
        }
        Ok(())
    }

    fn backing(&self, file: usize) -> Option<BackingFile> {
        self.output(file).and_then(|output| self.handle(output))
    }

    fn seal(&mut self, file: usize, size: u64) -> Result<(), FileFault> {
        let Some(output) = self.output(file) else { return Ok(()) };
        let Err(error) = output.seal(size, self.storage.durability) else { return Ok(()) };
        let fault = fault(&error);
        // What is left of the file is known, and told, once it is given up.
        self.unsealed = Some((file, error));
        Err(fault)
    }

    fn copy(
        &mut self,
        copy: usize,
        original: usize,
        size: u64,
        wanted: &dyn Fn() -> bool,
    ) -> Result<(), FileFault> {
        let (Some(copy), Some(original)) = (self.output(copy), self.output(original)) else { return Ok(()) };
        copy.copy(original, size, self.header.block_size, wanted).map_err(|error| fault(&error))
    }

    fn take_over(
        &mut self,
        heir: usize,
        original: usize,
        upto: u64,
        wanted: &dyn Fn() -> bool,
    ) -> Result<(), FileFault> {
        let Some(mut output) = self.outputs[heir].take() else { return Ok(()) };
        let Some(original) = self.output(original) else { return Ok(()) };
        let result = output.take_over(original, upto, self.header.block_size, wanted);
        if result.is_ok() && self.storage.durability == Durability::Sync {
            output.sync_early();
        }
        self.outputs[heir] = Some(output);
        result.map_err(|error| fault(&error))
    }

    fn place(&mut self, file: usize, size: u64) -> Result<(), FileFault> {
        self.finish(file, size).unwrap_or(Ok(())).map_err(|error| fault(&error))
    }

    fn discard(&mut self, file: usize) {
        if let Some(output) = self.outputs.get_mut(file).and_then(Option::take) {
            output.discard();
        }
    }

    fn keep(&mut self, file: usize) {
        if let Some(output) = self.outputs.get_mut(file).and_then(Option::take) {
            output.keep();
        }
    }

    fn remove(&mut self, request: &Request) -> Result<(), Refused> {
        let Some(version) = source_version(&self.header) else { return Ok(()) };
        // What is refused was never written.
        let Ok(path) = self.storage.hooks.path(&self.header, request) else { return Ok(()) };
        let target = target(&self.header, request, &path, None, self.storage.durability);
        self.storage.roots.remove(&target, &version).map_err(|error| refused(&error))
    }
}
