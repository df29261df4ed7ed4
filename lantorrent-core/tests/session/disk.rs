//! Disks in memory, each file with its own way to fail. A disk also watches over what it is told to do.

use std::collections::BTreeMap;

use lantorrent_core::session::{FileFault, ReadBack};
use lantorrent_core::wire::Code;

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

#[derive(Debug, Default)]
pub(crate) struct Disk {
    pub(crate) kinds: BTreeMap<String, Kind>,
    /// What has its final name.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// What has not, yet.
    pub(crate) partials: BTreeMap<String, Vec<u8>>,
    pub(crate) micros_per_block: usize,
}

fn fault(code: Code, message: &str) -> FileFault {
    FileFault { code, message: message.into() }
}

impl Disk {
    pub(crate) fn kind(&self, name: &str) -> Kind {
        self.kinds.get(name).copied().unwrap_or(Kind::Good)
    }

    pub(crate) fn open(&mut self, name: &str) -> Result<ReadBack, FileFault> {
        if self.partials.contains_key(name) {
            return Err(fault(Code::IN_USE, "somebody else writes it"));
        }
        let kind = self.kind(name);
        if kind == Kind::CannotOpen {
            return Err(fault(Code::CANNOT_OPEN, "no such folder"));
        }
        self.partials.insert(name.into(), Vec::new());
        Ok(if kind == Kind::NotReadable { ReadBack::Impossible } else { ReadBack::Possible })
    }

    pub(crate) fn write(&mut self, name: &str, offset: u64, data: &[u8]) -> Result<(), FileFault> {
        if let Kind::FullAt(full) = self.kind(name)
            && offset + data.len() as u64 > full
        {
            return Err(fault(Code::NO_SPACE, "the disk is full"));
        }
        let file = self.partials.get_mut(name).expect("only what is open is written");
        assert_eq!(file.len() as u64, offset, "{name}: written without gap or overlap");
        file.extend_from_slice(data);
        Ok(())
    }

    pub(crate) fn place(&mut self, name: &str, size: u64) -> Result<(), FileFault> {
        let file = self.partials.remove(name).expect("only what is open is placed, and only once");
        assert_eq!(file.len() as u64, size, "{name}: placed when whole");
        if self.kind(name) == Kind::CannotPlace {
            return Err(fault(Code::CANNOT_WRITE, "the name was taken by a folder"));
        }
        self.files.insert(name.into(), file);
        Ok(())
    }

    pub(crate) fn discard(&mut self, name: &str) {
        assert!(self.partials.remove(name).is_some(), "{name}: discarded, and was not open");
    }
}
