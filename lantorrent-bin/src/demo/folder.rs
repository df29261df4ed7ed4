//! A temporary folder that goes away with its owner.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::config::{absolute, variable};
use crate::exit::Failure;

/// A folder that nobody else can enter, removed with all that is in it when dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Result<Self, Failure> {
        let parent = variable("TMPDIR").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
        let parent = absolute(&parent)?;
        let cannot = |error: String| {
            Failure::local(
                format_args!("cannot make a folder in {}: {error}", parent.display()),
                "set TMPDIR to a folder with room for all the copies",
            )
        };
        let random = getrandom::u64().map_err(|error| cannot(error.to_string()))?;
        let path = parent.join(format!("lantorrent-demo-{random:016x}"));
        // Fails if the name is taken: what is there belongs to somebody else.
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| cannot(error.to_string()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            log::warn!("cannot remove {}: {error}", self.0.display());
        }
    }
}
