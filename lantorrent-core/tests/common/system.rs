//! What takes root: small disks and disks that are files. A plain user's machine says that it skips them; in CI that
//! would be a hole, and is a failure.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::{NamedTempFile, TempDir};

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

/// A folder where something is mounted, a tmpfs as a rule, for as long as this lives or until it is unmounted.
pub(crate) struct SmallDisk(pub(crate) TempDir, Cell<bool>);

impl SmallDisk {
    /// With that many bytes.
    pub(crate) fn new(size: usize) -> Option<Self> {
        Self::on(tempfile::tempdir().unwrap(), size as u64)
    }

    /// With that many bytes, on this folder.
    pub(crate) fn on(folder: TempDir, size: u64) -> Option<Self> {
        let size = format!("size={size}");
        run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", folder.path().to_str().unwrap()])?;
        Some(Self::mounted(folder))
    }

    /// With a file system of that kind, as `mkfs` names it, and with those options of `mount`.
    pub(crate) fn formatted(kind: &str, size: u64, options: &str) -> Option<Self> {
        let (image, folder) = (NamedTempFile::new().unwrap(), tempfile::tempdir().unwrap());
        image.as_file().set_len(size).unwrap();
        let (device, at) = (image.path().to_str().unwrap(), folder.path().to_str().unwrap());
        run(&format!("mkfs.{kind}"), &["-q", device])?;
        // The mount keeps the image, whose name goes here.
        run("mount", &["-o", &format!("loop,{options}"), device, at])?;
        Some(Self::mounted(folder))
    }

    /// What is mounted on that folder already.
    pub(crate) fn mounted(folder: TempDir) -> Self {
        Self(folder, Cell::new(true))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes it away, whether or not it is in use.
    pub(crate) fn unmount(&self) {
        if self.1.replace(false) {
            // Lazily: what another test starts at this moment holds files of it until it has begun.
            run("umount", &["-l", self.0.path().to_str().unwrap()]);
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.unmount();
    }
}

/// A block device in a file, for as long as this lives.
pub(crate) struct LoopDevice {
    pub(crate) path: PathBuf,
    _folder: TempDir,
}

impl LoopDevice {
    /// Full of sevens.
    pub(crate) fn new(size: usize) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let backing = folder.path().join("backing");
        fs::write(&backing, vec![7; size]).unwrap();
        let path = run("losetup", &["--find", "--show", backing.to_str().unwrap()])?.into();
        Some(Self { path, _folder: folder })
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        run("losetup", &["--detach", self.path.to_str().unwrap()]);
    }
}
