//! Disks in memory, each file with its own way to fail. A disk also watches over what it is told to do.

use std::cell::{Ref, RefCell, RefMut};
use std::collections::BTreeMap;
use std::rc::Rc;

use lantorrent_core::session::{FileFault, ReadBack};
use lantorrent_core::wire::{Code, Digest, SourceHint};

use super::backing::Inode;
use crate::random::Random;

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Good,
    CannotOpen,
    /// Writing at or beyond that offset fails.
    FullAt(u64),
    /// /dev/null.
    NotReadable,
    CannotPlace,
}

/// How many blocks may be written and not be durable yet.
const LAG: u64 = 8;

/// The content of which version it is: what has this in common has the same content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) source: SourceHint,
    pub(crate) length: Option<u64>,
    pub(crate) block_size: u32,
}

/// A file that has not got its name yet, and its journal.
#[derive(Debug)]
pub(crate) struct Partial {
    pub(crate) version: Option<Version>,
    pub(crate) inode: Rc<RefCell<Inode>>,
    /// What a power cut leaves.
    durable: u64,
    pub(crate) locked: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) kinds: BTreeMap<String, Kind>,
    /// What has its final name.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// What has not, yet.
    pub(crate) partials: BTreeMap<String, Partial>,
    pub(crate) micros_per_block: usize,
    /// No space is left.
    pub(crate) full: bool,
    /// Nothing works any more.
    pub(crate) broken: bool,
    /// Nothing is done until it works again.
    pub(crate) stalled: bool,
}

fn fault(code: Code, message: &str) -> FileFault {
    FileFault::new(code, message.into())
}

fn broken() -> FileFault {
    fault(Code::CANNOT_WRITE, "the disk is broken")
}

impl Disk {
    pub(crate) fn kind(&self, name: &str) -> Kind {
        self.kinds.get(name).copied().unwrap_or(Kind::Good)
    }

    pub(crate) fn is_locked(&self, name: &str) -> bool {
        self.partials.get(name).is_some_and(|partial| partial.locked)
    }

    /// Something from an earlier time.
    pub(crate) fn leave_partial(
        &mut self,
        name: &str,
        version: Version,
        data: Vec<u8>,
        digests: Vec<Digest>,
    ) {
        let durable = data.len() as u64;
        let inode = Rc::new(RefCell::new(Inode { data, digests }));
        let partial = Partial { version: Some(version), inode, durable, locked: false };
        self.partials.insert(name.into(), partial);
    }

    /// How much of a file there is that a later transfer can go on with.
    pub(crate) fn kept(&self, name: &str) -> u64 {
        self.partials.get(name).map_or(0, |partial| partial.durable)
    }

    /// Opens a file, and says how much of it is there and verified.
    pub(crate) fn open(
        &mut self,
        name: &str,
        version: Option<&Version>,
    ) -> Result<(ReadBack, u64), FileFault> {
        if self.is_locked(name) {
            return Err(fault(Code::IN_USE, "somebody else writes it"));
        }
        let kind = self.kind(name);
        if self.broken || kind == Kind::CannotOpen {
            return Err(fault(Code::CANNOT_OPEN, "no such folder"));
        }
        let found = self.partials.remove(name).filter(|partial| {
            partial.version.is_some() && partial.version.as_ref() == version && kind != Kind::NotReadable
        });
        let mut partial = found.unwrap_or_else(|| Partial {
            version: version.cloned(),
            inode: Rc::default(),
            durable: 0,
            locked: false,
        });
        partial.locked = true;
        let resumed = partial.len();
        self.partials.insert(name.into(), partial);
        Ok((if kind == Kind::NotReadable { ReadBack::Impossible } else { ReadBack::Possible }, resumed))
    }

    /// Whether it could be opened.
    pub(crate) fn probe(&self, name: &str) -> Result<(), FileFault> {
        match self.kind(name) {
            _ if self.broken => Err(broken()),
            _ if self.full => Err(fault(Code::NO_SPACE, "the disk is full")),
            Kind::CannotOpen => Err(fault(Code::CANNOT_OPEN, "no such folder")),
            _ => Ok(()),
        }
    }

    fn partial(&mut self, name: &str) -> &mut Partial {
        self.partials.get_mut(name).filter(|partial| partial.locked).expect("only what is open is touched")
    }

    /// What was found beyond that is forgotten.
    pub(crate) fn begin(&mut self, name: &str, from: u64, digests: usize) {
        let partial = self.partial(name);
        assert!(from <= partial.len(), "{name}: begun where nothing was found");
        partial.change().data.truncate(from as usize);
        partial.change().digests.truncate(digests);
        partial.durable = partial.durable.min(from);
    }

    pub(crate) fn write(
        &mut self,
        random: &mut Random,
        name: &str,
        offset: u64,
        data: &[u8],
        digests: &[Digest],
    ) -> Result<(), FileFault> {
        let full = if let Kind::FullAt(full) = self.kind(name) { full } else { u64::MAX };
        if self.broken {
            return Err(broken());
        }
        if self.full || offset + data.len() as u64 > full {
            return Err(fault(Code::NO_SPACE, "the disk is full"));
        }
        let partial = self.partial(name);
        assert_eq!(partial.len(), offset, "{name}: written without gap or overlap");
        partial.change().data.extend_from_slice(data);
        partial.change().digests.extend_from_slice(digests);
        partial.sync_at_times(random, data.len() as u64);
        Ok(())
    }

    /// What an open file leads to, whatever becomes of its name.
    pub(crate) fn inode(&self, name: &str) -> Rc<RefCell<Inode>> {
        Rc::clone(&self.partials[name].inode)
    }

    pub(crate) fn place(&mut self, name: &str, size: u64) -> Result<(), FileFault> {
        let partial = self.partial(name);
        assert_eq!(partial.len(), size, "{name}: placed when whole");
        let data = partial.look().data.clone();
        self.partials.remove(name);
        if self.kind(name) == Kind::CannotPlace {
            return Err(fault(Code::CANNOT_WRITE, "the name was taken by a folder"));
        }
        if self.broken {
            return Err(broken());
        }
        self.files.insert(name.into(), data);
        Ok(())
    }

    pub(crate) fn discard(&mut self, name: &str) {
        self.partial(name);
        self.partials.remove(name);
    }

    /// Removes what was left of a version, of whatever length.
    pub(crate) fn remove(&mut self, name: &str, version: Option<&Version>) -> Result<(), FileFault> {
        let source = |version: &Version| version.source.clone();
        let found = self.partials.get(name).and_then(|partial| partial.version.as_ref()).map(source);
        if found.is_none() || found != version.map(source) {
            return Ok(());
        }
        if self.broken {
            return Err(broken());
        }
        if self.is_locked(name) {
            return Err(fault(Code::IN_USE, "somebody else writes it"));
        }
        self.partials.remove(name);
        Ok(())
    }

    /// Lets go of a file, but keeps what can be gone on with.
    pub(crate) fn keep(&mut self, name: &str) {
        let kind = self.kind(name);
        let partial = self.partial(name);
        partial.locked = false;
        partial.durable = partial.len();
        if partial.version.is_none() || kind == Kind::NotReadable {
            self.partials.remove(name);
        }
    }

    /// Whoever wrote is gone, without a word. What was not durable may be there or not; what the journal says is.
    pub(crate) fn crash(&mut self) {
        for partial in self.partials.values_mut() {
            partial.locked = false;
            let durable = partial.durable;
            partial.change().data.truncate(durable as usize);
            let block = partial.version.as_ref().map_or(1, |version| u64::from(version.block_size));
            partial.change().digests.truncate(durable.div_ceil(block) as usize);
        }
        self.partials.retain(|_, partial| partial.version.is_some());
    }
}

impl Partial {
    fn look(&self) -> Ref<'_, Inode> {
        self.inode.borrow()
    }

    fn change(&self) -> RefMut<'_, Inode> {
        self.inode.borrow_mut()
    }

    fn len(&self) -> u64 {
        self.look().data.len() as u64
    }

    /// Some of what is written becomes durable now and then, and never much later than it is written.
    fn sync_at_times(&mut self, random: &mut Random, block: u64) {
        let block = self.version.as_ref().map_or(block, |version| u64::from(version.block_size)).max(1);
        let behind = (self.len() - self.durable) / block;
        if behind > LAG || random.chance(25) {
            let some = random.below(behind as usize + 1) as u64;
            self.durable += some * block;
        }
    }
}
