//! What tells a file from every other one.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Stat, fstat, fstatfs, major, minor, statat};
use rustix::io::Errno;
use rustix::path::Arg;
use serde::{Deserialize, Serialize};

use super::partial::file_type;

/// What tells a file from every other one, whatever its name: the file system and the inode, or the number of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "a file or a device")]
pub enum Identity {
    /// A regular file, or a folder.
    File {
        /// The number of its file system.
        device: u64,
        /// Its number there; 0 where that is another one each time, or none at all, as with some servers of FUSE.
        inode: u64,
    },
    /// The number of a block device, through whichever node it is reached.
    Block(u64),
    /// The same of a character device.
    Character(u64),
}

impl Identity {
    fn of(stat: &Stat) -> Self {
        match file_type(stat) {
            FileType::BlockDevice => Self::Block(stat.st_rdev),
            FileType::CharacterDevice => Self::Character(stat.st_rdev),
            _ => Self::File { device: stat.st_dev, inode: stat.st_ino },
        }
    }

    /// Looks twice, as a number that changes is none.
    fn found(look: impl Fn() -> Result<Stat, Errno>) -> io::Result<Self> {
        let (first, second) = (Self::of(&look()?), Self::of(&look()?));
        Ok(match first {
            Self::File { device, .. } if first != second => Self::File { device, inode: 0 },
            _ => first,
        })
    }

    /// Whether no other file has it at the same time. Else it says no more than the file system.
    pub fn is_unique(&self) -> bool {
        !matches!(self, Self::File { inode: 0, .. })
    }

    /// That of an open file.
    pub fn of_file(file: impl AsFd) -> io::Result<Self> {
        Self::found(|| fstat(&file))
    }

    /// That of what the path leads to.
    pub fn of_path(path: &Path) -> io::Result<Self> {
        Self::found(|| statat(CWD, path, AtFlags::empty()))
    }
}

/// Whether the name is that of the open file.
pub(super) fn is_named(folder: impl AsFd, name: impl Arg + Copy, file: impl AsFd) -> bool {
    are_one(&file, || fstat(&file), || statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW))
}

/// Whether both are one file.
pub(super) fn is_same(file: impl AsFd, other: impl AsFd) -> bool {
    are_one(&file, || fstat(&file), || fstat(&other))
}

/// Where numbers do not tell, files are told by length and time.
fn are_one(
    file: impl AsFd,
    one: impl Fn() -> Result<Stat, Errno>,
    other: impl Fn() -> Result<Stat, Errno>,
) -> bool {
    let (Ok(own), Ok(found)) = (Identity::found(&one), Identity::found(&other)) else { return false };
    let (Identity::File { device, .. }, Identity::File { device: there, .. }) = (own, found) else {
        return own == found;
    };
    if own == found && own.is_unique() {
        return true;
    }
    let looks = |stat: Stat| (file_type(&stat), stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
    device == there
        && (own == found || has_invented_numbers(file))
        && one().map(looks).ok() == other().map(looks).ok()
}

/// Some servers of FUSE, and CIFS where its server has no numbers, make them of names: a renamed file has another one.
fn has_invented_numbers(file: impl AsFd) -> bool {
    const FUSE: u32 = 0x6573_5546;
    const CIFS: u32 = 0xff53_4d42;
    const SMB2: u32 = 0xfe53_4d42;
    // As wide as a word of the machine.
    let is = |magic: u32, kind: &[u8]| kind.starts_with(&magic.to_le_bytes());
    match fstatfs(&file) {
        Ok(found) => [FUSE, CIFS, SMB2].iter().any(|magic| is(*magic, &found.f_type.to_le_bytes())),
        // A server of FUSE need not know the question. Then the file system is on no device.
        Err(_) => fstat(&file).is_ok_and(|stat| major(stat.st_dev) == 0),
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::File { device, inode } => {
                write!(f, "inode {inode} on device {}:{}", major(device), minor(device))
            }
            Self::Block(number) => write!(f, "block device {}:{}", major(number), minor(number)),
            Self::Character(number) => write!(f, "character device {}:{}", major(number), minor(number)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs::{self, File};

    use super::*;

    #[test]
    fn a_number_that_changes_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("a")).unwrap();
        let count = Cell::new(7);
        let changing = Identity::found(|| {
            count.set(count.get() + 1);
            let mut stat = fstat(&file)?;
            stat.st_ino = count.get();
            Ok(stat)
        });
        assert!(matches!(changing.unwrap(), Identity::File { inode: 0, .. }));
        assert!(!matches!(Identity::of_file(&file).unwrap(), Identity::File { inode: 0, .. }));
        assert_eq!(Identity::of_file(&file).unwrap(), Identity::of_path(&folder.path().join("a")).unwrap());
    }

    #[test]
    fn a_name_is_that_of_the_open_file_or_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let (open, file) = (File::open(folder.path()).unwrap(), File::create(at("a")).unwrap());
        assert!(is_named(&open, "a", &file) && !is_named(&open, "b", &file));
        fs::rename(at("a"), at("b")).unwrap();
        fs::write(at("a"), "").unwrap();
        assert!(!is_named(&open, "a", &file) && is_named(&open, "b", &file));
    }
}
