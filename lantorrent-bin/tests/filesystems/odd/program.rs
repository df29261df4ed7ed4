//! What changes names and files, in the ways in which the file system is odd.

use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use fuser::{Errno, FileAttr, INodeNo};

use super::Oddity;
use super::memory::{Answer, Content, Node, State};

/// The file system itself.
pub(super) struct Program {
    pub(super) oddity: Oddity,
    pub(super) state: Arc<Mutex<State>>,
}

impl Program {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn check(&self, name: &OsStr) -> Answer<()> {
        match name {
            _ if name.len() > self.oddity.longest.unwrap_or(255) => Err(Errno::ENAMETOOLONG),
            _ if !self.oddity.names.allows(name) => Err(Errno::EINVAL),
            _ => Ok(()),
        }
    }

    pub(super) fn find(&self, parent: INodeNo, name: &OsStr) -> Answer<FileAttr> {
        self.check(name)?;
        let mut state = self.state();
        let entry = state.folder(parent)?.get(&self.oddity.names.key(name)).map(|(_, ino)| *ino);
        state.attr(INodeNo(entry.ok_or(Errno::ENOENT)?))
    }

    pub(super) fn make(
        &self,
        parent: INodeNo,
        name: &OsStr,
        content: Content,
        mode: u32,
    ) -> Answer<FileAttr> {
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
    pub(super) fn remove(&self, parent: INodeNo, name: &OsStr, is_folder: bool) -> Answer<()> {
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

    pub(super) fn rename_entry(
        &self,
        from: (INodeNo, &OsStr),
        to: (INodeNo, &OsStr),
        is_exclusive: bool,
    ) -> Answer<()> {
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

    pub(super) fn resize(&self, ino: INodeNo, size: u64) -> Answer<()> {
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

    pub(super) fn store(&self, ino: INodeNo, offset: u64, data: &[u8]) -> Answer<u32> {
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
