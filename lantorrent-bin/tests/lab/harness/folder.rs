//! Where a lab has its files.

use std::fs;
use std::path::Path;

use tempfile::{Builder, TempDir};

use super::system::SmallDisk;
use super::{Scale, leftovers};

/// For what is small beside the files, in bytes.
const LOGS: u64 = 64 << 20;

/// In memory where there is room for it, as otherwise the disk of this machine would be what is measured. Goes with
/// all that is in it when dropped.
pub(crate) enum Folder {
    Memory(SmallDisk),
    Disk(TempDir),
}

impl Folder {
    /// With room for the file on every node. None after saying that the test is skipped, where nothing can be mounted.
    pub(crate) fn new(scale: Scale) -> Option<Self> {
        let folder = Builder::new().prefix(&leftovers::prefix()).tempdir().expect("a folder for the lab");
        // The source's own, a copy on every node, and something to spare for journals and logs.
        let needed = (scale.nodes as u64 + 2) * scale.size + LOGS;
        // The programs need some memory too.
        if available_memory() < needed + needed / 2 {
            return Some(Self::Disk(folder));
        }
        SmallDisk::on(folder, needed).map(Self::Memory)
    }

    /// A disk of that many bytes in `self`.
    pub(crate) fn small_disk(&self, bytes: u64) -> Option<Self> {
        let folder =
            Builder::new().prefix("disk-").tempdir_in(self.path()).expect("a folder for a small disk");
        SmallDisk::on(folder, bytes).map(Self::Memory)
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Memory(disk) => disk.path(),
            Self::Disk(folder) => folder.path(),
        }
    }
}

/// In bytes, as the kernel estimates it.
fn available_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}
