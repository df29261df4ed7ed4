//! Where things are: `LANTORRENT_HOME`, and lt.ini under it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// The folder that holds etc/lt.ini and, unless told otherwise, logs and files.
pub(crate) struct Home(PathBuf);

impl Home {
    /// From the environment: `LANTORRENT_HOME`, or .lantorrent under `HOME`.
    pub(crate) fn find() -> Result<Self, Failure> {
        let set = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
        let path = set("LANTORRENT_HOME")
            .map(PathBuf::from)
            .or_else(|| set("HOME").map(|home| Path::new(&home).join(".lantorrent")))
            .ok_or_else(|| {
                Failure::usage("neither LANTORRENT_HOME nor HOME is set", "set LANTORRENT_HOME to a folder")
            })?;
        absolute(&path).map(Self)
    }

    /// That folder, whatever the environment says.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where lt.ini is unless the command line says otherwise.
    pub(crate) fn config(&self) -> PathBuf {
        self.0.join("etc/lt.ini")
    }
}

/// The path from the root of the file system on. It need not exist.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        Failure::usage(
            format_args!("cannot use the path `{}`: {error}", path.display()),
            "give a path that begins with /",
        )
    })
}
