//! A session's files on the disk of its host.

use std::rc::Rc;

use lantorrent_core::flow::{Files, Item, Made, Note, Refused};
use lantorrent_core::session::{FileFault, ReadBack};
use lantorrent_core::wire::{Code, Header, Request};

use super::backing::Backing;
use super::disk::{Disk, Kind, Version};
use crate::random::Random;

#[derive(Debug)]
pub(crate) struct SimFiles {
    names: Vec<String>,
    version: Option<Version>,
    block_size: u64,
    /// What the source sends, where the wire lets nobody change it.
    truth: Option<Rc<Vec<u8>>>,
    /// The host's, and its chance, for as long as something is done with them.
    pub(crate) disk: Disk,
    pub(crate) random: Random,
    /// Whether something was written since this was last asked for.
    pub(crate) wrote: bool,
}

impl SimFiles {
    pub(crate) fn new(header: &Header, truth: Option<Rc<Vec<u8>>>) -> Self {
        let source = header.envelope.as_ref().and_then(|envelope| envelope.source.clone());
        let version =
            source.map(|source| Version { source, length: header.length, block_size: header.block_size });
        Self {
            names: header.node.requests.iter().map(|request| request.filename.clone()).collect(),
            version,
            block_size: header.block_size.into(),
            truth,
            disk: Disk::default(),
            random: Random::new(0),
            wrote: false,
        }
    }

    fn refused(fault: FileFault) -> Refused {
        if fault.code == Code::IN_USE { Refused::InUse(fault) } else { Refused::Fault(fault) }
    }
}

impl Files for SimFiles {
    type Backing = Backing;

    fn open(
        &mut self,
        file: usize,
        _originals: &[usize],
        wanted: &dyn Fn() -> bool,
    ) -> Result<Made<Backing>, Refused> {
        assert!(wanted(), "nothing is opened that is not wanted");
        let name = &self.names[file];
        let (read_back, resumed) = self.disk.open(name, self.version.as_ref()).map_err(Self::refused)?;
        let inode = self.disk.inode(name);
        Ok(Made {
            resumed,
            backing: (read_back == ReadBack::Possible).then_some(Backing::Inode(inode)),
            copy_of: None,
        })
    }

    fn begin(&mut self, file: usize, from: u64) {
        self.disk.begin(&self.names[file], from, from.div_ceil(self.block_size) as usize);
    }

    fn write(&mut self, file: usize, item: &Item, notes: &[Note]) -> Result<(), FileFault> {
        self.wrote = true;
        let (start, end) = item.range();
        let zeros;
        let bytes = match item {
            Item::Data(block) => block.data(),
            Item::Hole { span, .. } => {
                zeros = vec![0; *span as usize];
                &zeros
            }
        };
        if let Some(truth) = &self.truth {
            let part = truth.get(start as usize..end as usize);
            assert!(part == Some(bytes), "a frame that the source did not make, at {start}");
        }
        let digests: Vec<_> =
            notes.iter().flat_map(|(digest, blocks)| vec![*digest; *blocks as usize]).collect();
        self.disk.write(&mut self.random, &self.names[file], start, bytes, &digests)
    }

    fn backing(&self, file: usize) -> Option<Backing> {
        let name = &self.names[file];
        (self.disk.kind(name) != Kind::NotReadable).then(|| Backing::Inode(self.disk.inode(name)))
    }

    fn seal(&mut self, _file: usize, _size: u64) -> Result<(), FileFault> {
        unreachable!("no file is a copy here")
    }

    fn copy(
        &mut self,
        _copy: usize,
        _original: usize,
        _size: u64,
        _wanted: &dyn Fn() -> bool,
    ) -> Result<(), FileFault> {
        unreachable!("no file is a copy here")
    }

    fn take_over(
        &mut self,
        _heir: usize,
        _original: usize,
        _upto: u64,
        _wanted: &dyn Fn() -> bool,
    ) -> Result<(), FileFault> {
        unreachable!("no file is a copy here")
    }

    fn place(&mut self, file: usize, size: u64) -> Result<(), FileFault> {
        self.disk.place(&self.names[file], size)
    }

    fn discard(&mut self, file: usize) {
        self.disk.discard(&self.names[file]);
    }

    fn keep(&mut self, file: usize) {
        self.disk.keep(&self.names[file]);
    }

    fn remove(&mut self, request: &Request) -> Result<(), Refused> {
        self.disk.remove(&request.filename, self.version.as_ref()).map_err(Self::refused)
    }
}
