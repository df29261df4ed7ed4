//! One lab at a time: two of them on the same processors would measure each other.

use std::fs::File;

use rustix::fs::{FlockOperation, flock};

/// Held while a lab runs. The kernel lets go of it when its process ends, however that happens.
pub(crate) struct Turn(#[allow(dead_code)] File); // Never read, only held.

impl Turn {
    /// Waits for it.
    pub(crate) fn take() -> Self {
        let path = std::env::temp_dir().join("lantorrent-lab.lock");
        // One that another user has made is as good, but must not be opened as if it were to be made.
        let file = File::open(&path).or_else(|_| File::create_new(&path)).or_else(|_| File::open(&path));
        let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        flock(&file, FlockOperation::LockExclusive).expect("waiting for the other labs");
        Self(file)
    }
}
