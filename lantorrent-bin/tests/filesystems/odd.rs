//! A small file system in memory that is odd in one chosen way: it refuses a call, mistakes names for one another, is
//! full, numbers its files anew, or hangs.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use fuser::{
    AccessFlags, BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, InitFlags, KernelConfig, LockOwner, MountOption, OpenFlags, RenameFlags,
    ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyLseek, ReplyStatfs,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use tempfile::TempDir;

/// Nothing is kept by the kernel: each question comes here.
const NOW: Duration = Duration::ZERO;
const BLOCK: u64 = 4096;

/// What can be asked of a file system, and refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Access,
    Chmod,
    Fallocate,
    /// Locks of whole files, and of records.
    Lock,
    Fsync,
    FsyncFolder,
    Link,
    Lseek,
    Read,
    Rename,
    Statfs,
    /// Making a file longer without writing to it.
    Extend,
    Unlink,
    Utimes,
    Write,
}

/// Which names are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Names {
    #[default]
    Exact,
    /// `A` and `a`.
    IgnoreCase,
    /// A letter with its accent, as one character or as two.
    IgnoreForm,
    /// None with a character or an end that Windows has no names for.
    Windows,
}

impl Names {
    fn key(self, name: &OsStr) -> OsString {
        match self {
            Self::Exact => name.to_owned(),
            Self::IgnoreCase | Self::Windows => name.to_string_lossy().to_lowercase().into(),
            Self::IgnoreForm => name.to_string_lossy().replace("e\u{301}", "\u{e9}").into(),
        }
    }

    fn allows(self, name: &OsStr) -> bool {
        let name = name.to_string_lossy();
        self != Self::Windows
            || !name.contains([':', '?', '*', '"', '<', '>', '|', '\\']) && !name.ends_with(['.', ' '])
    }
}

/// In which way it is odd.
#[derive(Debug, Clone, Default)]
pub(crate) struct Oddity {
    pub(crate) refuses: Vec<(Call, Errno)>,
    pub(crate) names: Names,
    /// Bytes of a name; 255 if it is not said.
    pub(crate) longest: Option<usize>,
    /// Bytes of all files together, and what is said when they are used up.
    pub(crate) room: Option<(u64, Errno)>,
    /// A file that is renamed is another from then on, by its number.
    pub(crate) renumbers: bool,
}

/// Mounted for as long as this lives.
pub(crate) struct Odd {
    session: Option<BackgroundSession>,
    folder: TempDir,
    state: Arc<Mutex<State>>,
}

impl Odd {
    /// None, after saying that the test is skipped, where nothing can be mounted.
    pub(crate) fn mount(oddity: Oddity) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let state = Arc::new(Mutex::new(State::new()));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("odd".into()), MountOption::Dev];
        match fuser::spawn_mount(Program { oddity, state: Arc::clone(&state) }, folder.path(), &config) {
            Ok(session) => Some(Self { session: Some(session), folder, state }),
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "FUSE must work in CI: {error}");
                println!("skipped: FUSE does not work here: {error}");
                None
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// How often it has refused that.
    pub(crate) fn refusals(&self, call: Call) -> usize {
        self.state.lock().unwrap().refusals.get(&call).copied().unwrap_or_default()
    }

    /// From now on it never answers that call.
    pub(crate) fn hang(&self, call: Call) {
        self.state.lock().unwrap().hanging.insert(call);
    }

    /// All that hangs ends in an error.
    pub(crate) fn release(&self) {
        let mut state = self.state.lock().unwrap();
        state.hanging.clear();
        state.held.clear();
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        self.release();
        if let Some(session) = self.session.take() {
            let _ = std::process::Command::new("umount").arg("-l").arg(self.folder.path()).status();
            drop(session);
        }
    }
}

#[derive(Debug)]
enum Content {
    Folder(BTreeMap<OsString, (OsString, u64)>),
    File(Vec<u8>),
    Link(OsString),
}

#[derive(Debug)]
struct Node {
    content: Content,
    mode: u16,
    links: u32,
    mtime: SystemTime,
}

struct State {
    nodes: BTreeMap<u64, Node>,
    /// A number that is in use no more, by what the file is called now.
    moved: BTreeMap<u64, u64>,
    next: u64,
    refusals: BTreeMap<Call, usize>,
    hanging: BTreeSet<Call>,
    /// Answers that are never given.
    held: Vec<Box<dyn Any + Send>>,
}

type Answer<T> = Result<T, Errno>;

impl State {
    fn new() -> Self {
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

    fn node(&mut self, ino: INodeNo) -> Answer<&mut Node> {
        let ino = u64::from(ino);
        let ino = self.moved.get(&ino).copied().unwrap_or(ino);
        self.nodes.get_mut(&ino).ok_or(Errno::ENOENT)
    }

    fn folder(&mut self, ino: INodeNo) -> Answer<&mut BTreeMap<OsString, (OsString, u64)>> {
        match &mut self.node(ino)?.content {
            Content::Folder(entries) => Ok(entries),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn file(&mut self, ino: INodeNo) -> Answer<&mut Vec<u8>> {
        match &mut self.node(ino)?.content {
            Content::File(bytes) => Ok(bytes),
            _ => Err(Errno::EISDIR),
        }
    }

    fn used(&self) -> u64 {
        let size =
            |node: &Node| if let Content::File(bytes) = &node.content { bytes.len() as u64 } else { 0 };
        self.nodes.values().map(size).sum()
    }

    /// As seen under the number by which it is asked for.
    fn attr(&mut self, ino: INodeNo) -> Answer<FileAttr> {
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

struct Program {
    oddity: Oddity,
    state: Arc<Mutex<State>>,
}

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

impl Program {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn check(&self, name: &OsStr) -> Answer<()> {
        match name {
            _ if name.len() > self.oddity.longest.unwrap_or(255) => Err(Errno::ENAMETOOLONG),
            _ if !self.oddity.names.allows(name) => Err(Errno::EINVAL),
            _ => Ok(()),
        }
    }

    fn find(&self, parent: INodeNo, name: &OsStr) -> Answer<FileAttr> {
        self.check(name)?;
        let mut state = self.state();
        let entry = state.folder(parent)?.get(&self.oddity.names.key(name)).map(|(_, ino)| *ino);
        state.attr(INodeNo(entry.ok_or(Errno::ENOENT)?))
    }

    fn make(&self, parent: INodeNo, name: &OsStr, content: Content, mode: u32) -> Answer<FileAttr> {
        self.check(name)?;
        let mut state = self.state();
        let key = self.oddity.names.key(name);
        if state.folder(parent)?.contains_key(&key) {
            return Err(Errno::EEXIST);
        }
        let ino = state.next;
        state.next += 1;
        state.folder(parent)?.insert(key, (name.to_owned(), ino));
        let mode = (mode & 0o7777) as u16;
        state.nodes.insert(ino, Node { content, mode, links: 1, mtime: SystemTime::now() });
        state.attr(INodeNo(ino))
    }

    /// The content stays for those that have it open.
    fn remove(&self, parent: INodeNo, name: &OsStr, is_folder: bool) -> Answer<()> {
        let mut state = self.state();
        let key = self.oddity.names.key(name);
        let (_, ino) = state.folder(parent)?.get(&key).cloned().ok_or(Errno::ENOENT)?;
        match state.folder(INodeNo(ino)) {
            Ok(_) if !is_folder => return Err(Errno::EISDIR),
            Ok(entries) if !entries.is_empty() => return Err(Errno::ENOTEMPTY),
            Err(_) if is_folder => return Err(Errno::ENOTDIR),
            _ => {}
        }
        state.folder(parent)?.remove(&key);
        state.node(INodeNo(ino))?.links -= 1;
        Ok(())
    }

    fn rename_entry(&self, from: (INodeNo, &OsStr), to: (INodeNo, &OsStr), is_exclusive: bool) -> Answer<()> {
        self.check(to.1)?;
        let mut state = self.state();
        let (from_key, to_key) = (self.oddity.names.key(from.1), self.oddity.names.key(to.1));
        let (_, mut ino) = state.folder(from.0)?.get(&from_key).cloned().ok_or(Errno::ENOENT)?;
        let there = state.folder(to.0)?.get(&to_key).map(|(_, ino)| *ino);
        if let Some(there) = there.filter(|there| *there != ino) {
            if is_exclusive {
                return Err(Errno::EEXIST);
            }
            state.node(INodeNo(there))?.links -= 1;
        }
        state.folder(from.0)?.remove(&from_key);
        if self.oddity.renumbers {
            let new = state.next;
            state.next += 1;
            let node = state.nodes.remove(&ino).ok_or(Errno::ENOENT)?;
            state.nodes.insert(new, node);
            state.moved.values_mut().filter(|number| **number == ino).for_each(|number| *number = new);
            state.moved.insert(ino, new);
            ino = new;
        }
        state.folder(to.0)?.insert(to_key, (to.1.to_owned(), ino));
        Ok(())
    }

    fn resize(&self, ino: INodeNo, size: u64) -> Answer<()> {
        let mut state = self.state();
        let (used, now) = (state.used(), state.file(ino)?.len() as u64);
        if let Some((room, errno)) = self.oddity.room
            && size > now
            && used - now + size > room
        {
            return Err(errno);
        }
        state.file(ino)?.resize(size as usize, 0);
        Ok(())
    }

    fn store(&self, ino: INodeNo, offset: u64, data: &[u8]) -> Answer<u32> {
        let end = offset + data.len() as u64;
        if end > self.state().file(ino)?.len() as u64 {
            self.resize(ino, end)?;
        }
        let mut state = self.state();
        state.file(ino)?[offset as usize..end as usize].copy_from_slice(data);
        state.node(ino)?.mtime = SystemTime::now();
        Ok(data.len() as u32)
    }
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
        let length = state.file(ino).map_or(0, |bytes| bytes.len() as i64);
        match whence {
            // All of it is data, and the hole is its end.
            3 | 4 if offset >= length => reply.error(Errno::ENXIO),
            4 => reply.offset(length),
            _ => reply.offset(offset),
        }
    }
}
