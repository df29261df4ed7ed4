//! What takes root: small disks and disks that are files. A plain user's machine says that it skips them; in CI that
//! would be a hole, and is a failure.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Runs a command and gives what it printed, or None after saying that the test is skipped.
pub(crate) fn run(command: &str, arguments: &[&str]) -> Option<String> {
    match Command::new(command).args(arguments).output() {
        Ok(output) if output.status.success() => {
            Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        other => {
            assert!(std::env::var_os("CI").is_none(), "{command} {arguments:?} must work in CI: {other:?}");
            println!("skipped: {command} {arguments:?} does not work here: {other:?}");
            None
        }
    }
}

/// A folder where something is mounted, a tmpfs as a rule, for as long as this lives.
pub(crate) struct SmallDisk(pub(crate) TempDir);

impl SmallDisk {
    /// With that many bytes.
    pub(crate) fn new(size: usize) -> Option<Self> {
        Self::on(tempfile::tempdir().unwrap(), size as u64)
    }

    /// With that many bytes, on this folder.
    pub(crate) fn on(folder: TempDir, size: u64) -> Option<Self> {
        let size = format!("size={size}");
        run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", folder.path().to_str().unwrap()])?;
        Some(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &[self.0.path().to_str().unwrap()]);
    }
}
