//! The files of the node: what is written to them is checked, and the input decides what fails.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::super::Script;
use super::{BLOCK, FILES, LENGTH, fault};
use crate::flow::{Block, Files, Item, Made, Note, Pool, Refused};
use crate::session::FileFault;
use crate::wire::{Code, RawWriter, Request, Sum, Wire, digest};

/// What an open file leads to, whatever becomes of its name.
pub(super) type Backing = Rc<RefCell<Vec<u8>>>;

/// How the calls of one step fare.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Luck {
    #[default]
    Good,
    /// What is opened cannot be read back.
    NotReadable,
    /// What is opened has so many blocks already.
    Resumed(usize),
    /// What is opened can become a copy.
    Copy,
    /// What is opened or removed is in use.
    InUse,
    /// This file, or any if none is named, fails.
    Fault(Option<usize>, u8),
}

impl Luck {
    pub(super) fn from_script(script: &mut Script<'_>) -> Self {
        let kind = script.byte();
        match kind % 8 {
            0 | 1 => Self::Good,
            2 => Self::NotReadable,
            3 => Self::Resumed(usize::from(kind >> 3)),
            4 => Self::Copy,
            5 => Self::InUse,
            6 => Self::Fault(None, script.byte()),
            _ => Self::Fault(Some(usize::from(kind >> 3) % FILES), script.byte()),
        }
    }
}

struct File {
    is_open: bool,
    is_readable: bool,
    data: Backing,
}

pub(super) struct FuzzFiles {
    wire: Wire,
    content: Rc<[u8]>,
    files: [File; FILES],
    pub(super) luck: Luck,
    /// What the payload sums up to, once that is known.
    pub(super) sum: Option<Sum>,
}

impl FuzzFiles {
    pub(super) fn new(wire: Wire, content: Rc<[u8]>) -> Self {
        let closed = || File { is_open: false, is_readable: false, data: Rc::default() };
        Self { wire, content, files: std::array::from_fn(|_| closed()), luck: Luck::Good, sum: None }
    }

    pub(super) fn are_closed(&self) -> bool {
        self.files.iter().all(|file| !file.is_open)
    }

    /// What a call for that file comes to.
    fn outcome(&self, file: usize) -> Result<(), FileFault> {
        match self.luck {
            Luck::Fault(which, code) if which.is_none_or(|which| which == file) => Err(fault(code)),
            _ => Ok(()),
        }
    }

    fn opened(&self, file: usize) -> &File {
        let file = &self.files[file];
        assert!(file.is_open, "only open files are used");
        file
    }

    fn close(&mut self, file: usize) {
        self.opened(file);
        self.files[file].is_open = false;
    }

    fn in_use() -> Refused {
        Refused::InUse(FileFault { code: Code::IN_USE, message: "made up".into() })
    }

    /// Whether the file is what the source has, or on wire 1, where it can be changed on its way, what it sums up to.
    fn check(&self, data: &[u8], size: u64) {
        assert_eq!((data.len(), size), (LENGTH, LENGTH as u64));
        if self.wire == Wire::Two {
            assert!(*data == *self.content, "a file that is not the source's");
            return;
        }
        let mut md5 = RawWriter::default();
        md5.update(data);
        assert_eq!(Some(Sum::Md5(md5.sum())), self.sum, "a file that is not what was summed up");
    }
}

impl Files for FuzzFiles {
    type Backing = Backing;

    fn open(
        &mut self,
        file: usize,
        originals: &[usize],
        wanted: &dyn Fn() -> bool,
    ) -> Result<Made<Backing>, Refused> {
        assert!(wanted() && !self.files[file].is_open);
        self.outcome(file).map_err(Refused::Fault)?;
        if matches!(self.luck, Luck::InUse) {
            return Err(Self::in_use());
        }
        let copy_of = originals.first().copied().filter(|_| matches!(self.luck, Luck::Copy));
        let resumed = match self.luck {
            Luck::Resumed(blocks) if self.wire == Wire::Two => LENGTH.min(blocks * BLOCK as usize),
            _ => 0,
        };
        let data = Rc::new(RefCell::new(self.content[..resumed].to_vec()));
        let is_readable = !matches!(self.luck, Luck::NotReadable);
        let backing = is_readable.then(|| Rc::clone(&data));
        self.files[file] = File { is_open: true, is_readable, data };
        Ok(Made { resumed: resumed as u64, backing, copy_of })
    }

    fn begin(&mut self, file: usize, from: u64) {
        let mut data = self.opened(file).data.borrow_mut();
        assert!(data.len() as u64 >= from, "it begins behind what there is");
        data.truncate(from as usize);
    }

    fn write(&mut self, file: usize, item: &Item, notes: &[Note]) -> Result<(), FileFault> {
        self.outcome(file)?;
        let mut data = self.opened(file).data.borrow_mut();
        let (start, end) = item.range();
        assert_eq!(data.len() as u64, start, "a gap, or something twice");
        match item {
            Item::Data(block) => data.extend(block.data()),
            Item::Hole { .. } => data.resize(end as usize, 0),
        }
        if self.wire == Wire::Two {
            let truth = &self.content[start as usize..end as usize];
            assert!(data[start as usize..] == *truth, "a block that the source did not send, at {start}");
            let noted = notes.iter().flat_map(|(digest, blocks)| vec![*digest; *blocks as usize]);
            assert!(noted.eq(truth.chunks(BLOCK as usize).map(digest)), "the digests of other blocks");
        }
        Ok(())
    }

    fn backing(&self, file: usize) -> Option<Backing> {
        let file = self.opened(file);
        file.is_readable.then(|| Rc::clone(&file.data))
    }

    fn seal(&mut self, file: usize, size: u64) -> Result<(), FileFault> {
        self.check(&self.opened(file).data.borrow(), size);
        self.outcome(file)
    }

    fn copy(
        &mut self,
        copy: usize,
        original: usize,
        size: u64,
        _wanted: &dyn Fn() -> bool,
    ) -> Result<(), FileFault> {
        self.outcome(copy)?;
        self.take_over(copy, original, size, &|| true)
    }

    fn take_over(
        &mut self,
        heir: usize,
        original: usize,
        upto: u64,
        _wanted: &dyn Fn() -> bool,
    ) -> Result<(), FileFault> {
        self.outcome(heir)?;
        let data = self.opened(original).data.borrow()[..upto as usize].to_vec();
        *self.opened(heir).data.borrow_mut() = data;
        Ok(())
    }

    fn place(&mut self, file: usize, size: u64) -> Result<(), FileFault> {
        self.check(&self.opened(file).data.borrow(), size);
        self.close(file);
        self.outcome(file)
    }

    fn discard(&mut self, file: usize) {
        self.close(file);
    }

    fn keep(&mut self, file: usize) {
        self.close(file);
    }

    fn remove(&mut self, _request: &Request) -> Result<(), Refused> {
        match self.luck {
            Luck::InUse => Err(Self::in_use()),
            Luck::Fault(_, code) => Err(Refused::Fault(fault(code))),
            _ => Ok(()),
        }
    }
}

/// Reads back at most one block.
pub(super) fn read_back(backing: &Backing, offset: u64, len: u64, wire: Wire) -> Result<Item, String> {
    let data = backing.borrow();
    let end = data.len().min((offset + len.min(BLOCK.into())) as usize);
    let part = data.get(offset as usize..end).filter(|part| !part.is_empty()).ok_or("it is not there")?;
    let mut buffer = Pool::new(BLOCK, 1).take();
    buffer[..part.len()].copy_from_slice(part);
    let digest = (wire == Wire::Two).then(|| digest(part));
    Ok(Item::Data(Arc::new(Block { buffer, offset, len: part.len() as u32, digest })))
}
