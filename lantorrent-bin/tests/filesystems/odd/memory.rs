//! What the file system holds.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::time::SystemTime;

use fuser::{Errno, FileAttr, FileType, INodeNo};

use super::Call;

/// Bytes of a block.
pub(super) const BLOCK: u64 = 4096;

#[derive(Debug)]
pub(super) enum Content {
    Folder(BTreeMap<OsString, (OsString, u64)>),
    File(Vec<u8>),
    Link(OsString),
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) mode: u16,
    pub(super) links: u32,
    pub(super) mtime: SystemTime,
}

pub(super) struct State {
    pub(super) nodes: BTreeMap<u64, Node>,
    /// A number that is in use no more, by what the file is called now.
    pub(super) moved: BTreeMap<u64, u64>,
    pub(super) next: u64,
    pub(super) refusals: BTreeMap<Call, usize>,
    pub(super) hanging: BTreeSet<Call>,
    /// Answers that are never given.
    pub(super) held: Vec<Box<dyn Any + Send>>,
}

pub(super) type Answer<T> = Result<T, Errno>;

impl State {
    pub(super) fn new() -> Self {
        let root = Node {
            content: Content::Folder(BTreeMap::new()),
            mode: 0o755,
            links: 2,
            mtime: SystemTime::now(),
        };
        Self {
            nodes: BTreeMap::from([(1, root)]),
            moved: BTreeMap::new(),
            next: 2,
            refusals: BTreeMap::new(),
            hanging: BTreeSet::new(),
            held: Vec::new(),
        }
    }

    pub(super) fn node(&mut self, ino: INodeNo) -> Answer<&mut Node> {
        let ino = u64::from(ino);
        let ino = self.moved.get(&ino).copied().unwrap_or(ino);
        self.nodes.get_mut(&ino).ok_or(Errno::ENOENT)
    }

    pub(super) fn folder(&mut self, ino: INodeNo) -> Answer<&mut BTreeMap<OsString, (OsString, u64)>> {
        match &mut self.node(ino)?.content {
            Content::Folder(entries) => Ok(entries),
            _ => Err(Errno::ENOTDIR),
        }
    }

    pub(super) fn file(&mut self, ino: INodeNo) -> Answer<&mut Vec<u8>> {
        match &mut self.node(ino)?.content {
            Content::File(bytes) => Ok(bytes),
            _ => Err(Errno::EISDIR),
        }
    }

    pub(super) fn used(&self) -> u64 {
        let size =
            |node: &Node| if let Content::File(bytes) = &node.content { bytes.len() as u64 } else { 0 };
        self.nodes.values().map(size).sum()
    }

    /// As seen under the number by which it is asked for.
    pub(super) fn attr(&mut self, ino: INodeNo) -> Answer<FileAttr> {
        let node = self.node(ino)?;
        let (kind, size) = match &node.content {
            Content::Folder(_) => (FileType::Directory, BLOCK),
            Content::File(bytes) => (FileType::RegularFile, bytes.len() as u64),
            Content::Link(to) => (FileType::Symlink, to.len() as u64),
        };
        let (mtime, uid) = (node.mtime, rustix::process::getuid().as_raw());
        Ok(FileAttr {
            ino,
            size,
            blocks: size.div_ceil(512),
            atime: mtime,
            mtime,
            ctime: mtime,
            crtime: mtime,
            kind,
            perm: node.mode,
            nlink: node.links,
            uid,
            gid: rustix::process::getgid().as_raw(),
            rdev: 0,
            blksize: BLOCK as u32,
            flags: 0,
        })
    }
}
