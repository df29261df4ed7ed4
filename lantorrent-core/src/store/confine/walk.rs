//! The walk from name to name, for systems without `openat2`. Each name is opened by itself, in the folder before and
//! without following it; what a symlink says is taken apart in the same way. It grants nothing that the kernel would not.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{
    FileType, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, Stat, StatxFlags, fstat, fstatfs, openat,
    readlinkat, statx,
};
use rustix::io::Errno;

use super::{ATTEMPTS, LOOK};
use crate::store::partial::file_type;

/// Symlinks that are followed on one way, as many as the kernel follows.
const MOST_LINKS: usize = 40;
/// Linux takes no longer path.
const PATH_LIMIT: usize = 4096;
/// `ST_NOSYMFOLLOW`: symlinks of that mount are not to be followed.
const NO_SYMLINK_MOUNT: u64 = 0x2000;

/// As `openat2` does with these flags, of which [`ResolveFlags::BENEATH`] is always one.
pub(super) fn walk(
    folder: impl AsFd,
    path: &Path,
    flags: OFlags,
    mode: Mode,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let path = path.as_os_str().as_bytes();
    if path.is_empty() {
        return Err(Errno::NOENT);
    }
    if path.len() >= PATH_LIMIT {
        return Err(Errno::NAMETOOLONG);
    }
    let mut walk = Walk::at(folder.as_fd(), resolve)?;
    walk.go_by(path)?;
    while let Some(name) = walk.ahead.pop_front() {
        if !walk.ahead.is_empty() {
            walk.enter(name)?;
        } else if let Some(end) = walk.open_last(&name, flags, mode)? {
            return Ok(end);
        }
    }
    // It ends in `.` or `..`, by which a folder is named that was walked to.
    openat(walk.here(), ".", flags | OFlags::CLOEXEC, mode)
}

struct Walk {
    /// Where it begins.
    start: OwnedFd,
    /// Where it stands, unless there.
    at: Option<OwnedFd>,
    /// The folders by which it came here. A `..` goes there anew and leaves out the last: no folder's own `..` counts, as
    /// that may have been moved out meanwhile.
    names: Vec<OsString>,
    /// The names that are to come. An empty one at the end: what is before it has to be a folder.
    ahead: VecDeque<OsString>,
    links: usize,
    resolve: ResolveFlags,
    mount: Option<Mount>,
}

/// What a mount is told by: its number where the kernel says it, else the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mount {
    Number(u64),
    Device(u64),
}

impl Walk {
    fn at(folder: impl AsFd, resolve: ResolveFlags) -> Result<Self, Errno> {
        let start = openat(folder, ".", LOOK | OFlags::DIRECTORY, Mode::empty())?;
        let crosses = !resolve.contains(ResolveFlags::NO_XDEV);
        let mount = if crosses { None } else { Some(Mount::of(&start)?) };
        let (names, ahead) = (Vec::new(), VecDeque::new());
        Ok(Self { start, at: None, names, ahead, links: 0, resolve, mount })
    }

    fn here(&self) -> &OwnedFd {
        self.at.as_ref().unwrap_or(&self.start)
    }

    /// Puts the names of a path before those that are to come.
    fn go_by(&mut self, path: &[u8]) -> Result<(), Errno> {
        if path.starts_with(b"/") {
            return Err(Errno::XDEV);
        }
        let names = path.split(|&byte| byte == b'/');
        let mut names: Vec<&[u8]> = names.filter(|name| !name.is_empty()).collect();
        // A path that ends in a slash goes on to the folder itself.
        if path.ends_with(b"/") && self.ahead.is_empty() {
            names.push(b".");
        }
        for name in names.into_iter().rev() {
            self.ahead.push_front(OsStr::from_bytes(name).to_owned());
        }
        Ok(())
    }

    /// Goes to where a name leads that is not the last one.
    fn enter(&mut self, name: OsString) -> Result<(), Errno> {
        match name.as_bytes() {
            b"." => Ok(()),
            b".." => self.back(),
            _ => match self.descend(&name) {
                Ok(()) => {
                    self.names.push(name);
                    Ok(())
                }
                // It is none, or a symlink.
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    let found = openat(self.here(), &name, LOOK | OFlags::NOFOLLOW, Mode::empty())?;
                    self.check_mount(&found)?;
                    let stat = fstat(&found)?;
                    match file_type(&stat) {
                        FileType::Symlink => self.follow(&found, &stat),
                        _ => Err(Errno::NOTDIR),
                    }
                }
                Err(errno) => Err(errno),
            },
        }
    }

    /// Goes to a folder in this one, and through no symlink.
    fn descend(&mut self, name: &OsStr) -> Result<(), Errno> {
        let folder = openat(self.here(), name, LOOK | OFlags::NOFOLLOW | OFlags::DIRECTORY, Mode::empty())?;
        self.check_mount(&folder)?;
        self.at = Some(folder);
        Ok(())
    }

    fn back(&mut self) -> Result<(), Errno> {
        self.names.pop().ok_or(Errno::XDEV)?;
        self.at = None;
        let names = std::mem::take(&mut self.names);
        let came = names.iter().try_for_each(|name| self.descend(name));
        self.names = names;
        came
    }

    /// Opens what the last name is. None if that was a symlink, or stands for a folder that was walked to.
    fn open_last(&mut self, name: &OsStr, flags: OFlags, mode: Mode) -> Result<Option<OwnedFd>, Errno> {
        match name.as_bytes() {
            b"." => return Ok(None),
            b".." => return self.back().map(|()| None),
            _ => {}
        }
        let exclusive = flags.contains(OFlags::CREATE | OFlags::EXCL);
        if flags.contains(OFlags::NOFOLLOW) || exclusive {
            return self.open_here(name, flags, mode).map(Some);
        }
        for _ in 0..ATTEMPTS {
            match openat(self.here(), name, LOOK | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(found) => {
                    let stat = fstat(&found)?;
                    if file_type(&stat) == FileType::Symlink {
                        self.check_mount(&found)?;
                        return self.follow(&found, &stat).map(|()| None);
                    }
                }
                Err(Errno::NOENT) if flags.contains(OFlags::CREATE) => {}
                Err(errno) => return Err(errno),
            }
            match self.open_here(name, flags, mode) {
                // It was replaced by a symlink a moment ago.
                Err(Errno::LOOP) => {}
                Ok(found) if file_type(&fstat(&found)?) == FileType::Symlink => {}
                result => return result.map(Some),
            }
        }
        Err(Errno::LOOP)
    }

    fn open_here(&self, name: &OsStr, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
        loop {
            match openat(self.here(), name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, mode) {
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
                Ok(file) => {
                    self.check_mount(&file)?;
                    return Ok(file);
                }
            }
        }
    }

    /// Goes on by what a symlink says, which is open.
    fn follow(&mut self, link: &OwnedFd, stat: &Stat) -> Result<(), Errno> {
        if self.resolve.contains(ResolveFlags::NO_SYMLINKS) || self.links == MOST_LINKS {
            return Err(Errno::LOOP);
        }
        self.links += 1;
        self.check_owner(stat)?;
        // In /proc there are those that lead elsewhere than they say. Nowhere is one followed by the kernel here.
        if fstatfs(link).is_ok_and(|system| {
            u64::try_from(system.f_type) == Ok(PROC_SUPER_MAGIC as u64)
                || u64::try_from(system.f_flags).unwrap_or(0) & NO_SYMLINK_MOUNT != 0
        }) {
            return Err(Errno::LOOP);
        }
        let target = OsString::from_vec(readlinkat(link, "", Vec::new())?.into_bytes());
        if target.is_empty() {
            return Err(Errno::NOENT);
        }
        self.go_by(target.as_bytes())
    }

    /// As `fs.protected_symlinks` has it: in a folder that everybody may write to and nobody clear, a symlink is for its
    /// owner.
    fn check_owner(&self, link: &Stat) -> Result<(), Errno> {
        let folder = fstat(self.here())?;
        let mode = Mode::from_raw_mode(folder.st_mode);
        let is_open_to_all = mode.contains(Mode::SVTX | Mode::WOTH);
        let is_trusted = link.st_uid == rustix::process::geteuid().as_raw() || link.st_uid == folder.st_uid;
        if is_open_to_all && !is_trusted { Err(Errno::ACCESS) } else { Ok(()) }
    }

    fn check_mount(&self, file: &OwnedFd) -> Result<(), Errno> {
        match self.mount {
            Some(mount) if Mount::of(file)? != mount => Err(Errno::XDEV),
            _ => Ok(()),
        }
    }
}

impl Mount {
    fn of(file: &OwnedFd) -> Result<Self, Errno> {
        if let Some(number) = Self::by_statx(file).or_else(|| Self::by_fdinfo(file)) {
            return Ok(Self::Number(number));
        }
        fstat(file).map(|stat| Self::Device(stat.st_dev))
    }

    /// From Linux 5.8 on.
    fn by_statx(file: &OwnedFd) -> Option<u64> {
        let found = statx(file, "", rustix::fs::AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
        StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::MNT_ID).then_some(found.stx_mnt_id)
    }

    fn by_fdinfo(file: &OwnedFd) -> Option<u64> {
        let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).ok()?;
        text.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()
    }
}
