//! The calls of the kernel.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::{Duration, SystemTime};

use fuser::{
    AccessFlags, BsdFileFlags, Errno, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyLseek, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::Call;
use super::memory::{BLOCK, Content, Node};
use super::program::Program;

/// Nothing is kept by the kernel: each question comes here.
const NOW: Duration = Duration::ZERO;

/// Ends the call here if it is one that is refused or hangs.
macro_rules! refuse {
    ($self:ident, $call:expr, $reply:ident) => {
        let mut state = $self.state();
        if state.hanging.contains(&$call) {
            return state.held.push(Box::new($reply));
        }
        if let Some((_, errno)) = $self.oddity.refuses.iter().find(|(call, _)| *call == $call) {
            *state.refusals.entry($call).or_default() += 1;
            return $reply.error(*errno);
        }
        drop(state);
    };
}

/// Gives the answer, or the reason why there is none.
macro_rules! answer {
    ($answer:expr, $reply:ident, $value:pat => $done:expr) => {
        match $answer {
            Ok($value) => $done,
            Err(errno) => $reply.error(errno),
        }
    };
}

impl Filesystem for Program {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Without these the kernel keeps the locks itself.
        if self.oddity.refuses.iter().any(|(call, _)| *call == Call::Lock) {
            let locks = InitFlags::FUSE_POSIX_LOCKS | InitFlags::FUSE_FLOCK_LOCKS;
            config.add_capabilities(locks).map_err(|flags| std::io::Error::other(format!("no {flags:?}")))?;
        }
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        answer!(self.find(parent, name), reply, attr => reply.entry(&NOW, &attr, Generation(0)));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let attr = self.state().attr(ino);
        answer!(attr, reply, attr => reply.attr(&NOW, &attr));
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        if mode.is_some() {
            refuse!(self, Call::Chmod, reply);
        }
        let length = self.state().file(ino).map_or(0, |bytes| bytes.len() as u64);
        if size.is_some_and(|size| size > length) {
            refuse!(self, Call::Extend, reply);
        }
        if atime.is_some() || mtime.is_some() {
            refuse!(self, Call::Utimes, reply);
        }
        if let Some(Err(errno)) = size.map(|size| self.resize(ino, size)) {
            return reply.error(errno);
        }
        let mut state = self.state();
        if let (Some(mode), Ok(node)) = (mode, state.node(ino)) {
            node.mode = (mode & 0o7777) as u16;
        }
        answer!(state.attr(ino), reply, attr => reply.attr(&NOW, &attr));
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match self.state().node(ino) {
            Ok(Node { content: Content::Link(to), .. }) => reply.data(to.as_encoded_bytes()),
            Ok(_) => reply.error(Errno::EINVAL),
            Err(errno) => reply.error(errno),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let made = self.make(parent, name, Content::Folder(BTreeMap::new()), mode & !umask);
        answer!(made, reply, attr => reply.entry(&NOW, &attr, Generation(0)));
    }

    fn symlink(&self, _: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let made = self.make(parent, name, Content::Link(target.as_os_str().to_owned()), 0o777);
        answer!(made, reply, attr => reply.entry(&NOW, &attr, Generation(0)));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        refuse!(self, Call::Unlink, reply);
        answer!(self.remove(parent, name, false), reply, () => reply.ok());
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer!(self.remove(parent, name, true), reply, () => reply.ok());
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        refuse!(self, Call::Rename, reply);
        let is_exclusive = flags.contains(RenameFlags::RENAME_NOREPLACE);
        let renamed = self.rename_entry((parent, name), (newparent, newname), is_exclusive);
        answer!(renamed, reply, () => reply.ok());
    }

    fn link(&self, _: &Request, ino: INodeNo, newparent: INodeNo, newname: &OsStr, reply: ReplyEntry) {
        refuse!(self, Call::Link, reply);
        let (mut state, key) = (self.state(), self.oddity.names.key(newname));
        let linked = state.folder(newparent).and_then(|entries| {
            if entries.contains_key(&key) {
                return Err(Errno::EEXIST);
            }
            entries.insert(key, (newname.to_owned(), u64::from(ino)));
            Ok(())
        });
        let linked =
            linked.and_then(|()| state.node(ino).map(|node| node.links += 1)).and_then(|()| state.attr(ino));
        answer!(linked, reply, attr => reply.entry(&NOW, &attr, Generation(0)));
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _: i32,
        reply: ReplyCreate,
    ) {
        let made = self.make(parent, name, Content::File(Vec::new()), mode & !umask);
        answer!(made, reply, attr => reply.created(&NOW, &attr, Generation(0), FileHandle(0), FopenFlags::empty()));
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        refuse!(self, Call::Read, reply);
        let mut state = self.state();
        answer!(state.file(ino), reply, bytes => {
            let from = (offset as usize).min(bytes.len());
            reply.data(&bytes[from..(from + size as usize).min(bytes.len())]);
        });
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        refuse!(self, Call::Write, reply);
        answer!(self.store(ino, offset, data), reply, written => reply.written(written));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        refuse!(self, Call::Fsync, reply);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        refuse!(self, Call::FsyncFolder, reply);
        reply.ok();
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let mut state = self.state();
        let entries = match state.folder(ino) {
            Ok(entries) => entries.values().cloned().collect::<Vec<_>>(),
            Err(errno) => return reply.error(errno),
        };
        let dots = [".", ".."].map(|name| (OsString::from(name), u64::from(ino)));
        for (place, (name, ino)) in dots.into_iter().chain(entries).enumerate().skip(offset as usize) {
            let Ok(attr) = state.attr(INodeNo(ino)) else { continue };
            if reply.add(INodeNo(ino), place as u64 + 1, attr.kind, &name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        refuse!(self, Call::Statfs, reply);
        let room = self.oddity.room.map_or(1 << 40, |(room, _)| room);
        let free = room.saturating_sub(self.state().used()) / BLOCK;
        let longest = self.oddity.longest.unwrap_or(255) as u32;
        reply.statfs(room / BLOCK, free, free, 1 << 20, 1 << 20, BLOCK as u32, longest, BLOCK as u32);
    }

    fn access(&self, _: &Request, _: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        refuse!(self, Call::Access, reply);
        reply.ok();
    }

    fn setlk(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _: LockOwner,
        _: u64,
        _: u64,
        _: i32,
        _: u32,
        _: bool,
        reply: ReplyEmpty,
    ) {
        refuse!(self, Call::Lock, reply);
        reply.ok();
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        refuse!(self, Call::Fallocate, reply);
        let end = offset + length;
        let size = self.state().file(ino).map(|bytes| bytes.len() as u64);
        let done = match (size, mode) {
            (Ok(size), 0) if end > size => self.resize(ino, end),
            (Ok(_), 0) => Ok(()),
            (Ok(_), _) => Err(Errno::EOPNOTSUPP),
            (Err(errno), _) => Err(errno),
        };
        answer!(done, reply, () => reply.ok());
    }

    fn lseek(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        refuse!(self, Call::Lseek, reply);
        let mut state = self.state();
        let length = state.file(ino).map_or(0, |bytes| i64::try_from(bytes.len()).unwrap());
        match whence {
            // All of it is data, and the hole is its end.
            3 | 4 if offset >= length => reply.error(Errno::ENXIO),
            4 => reply.offset(length),
            _ => reply.offset(offset),
        }
    }
}
