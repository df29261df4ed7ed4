//! Where things are: `LANTORRENT_HOME`, and lt.ini under it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// The users of this machine, for where nothing else says which folder is theirs.
const USERS: &str = "/etc/passwd";

/// The folder that holds etc/lt.ini and, unless told otherwise, logs and files. There may be none: [`path`](Self::path) then fails.
pub(crate) struct Home(Option<PathBuf>);

impl Home {
    /// `LANTORRENT_HOME`, or .lantorrent in the user's home: that is `HOME`, or what the system has for the user where that is
    /// not set, as systemd does for a service without `User=`, or is no absolute path.
    pub(crate) fn find() -> Result<Self, Failure> {
        if let Some(path) = variable("LANTORRENT_HOME") {
            return absolute(Path::new(&path)).map(Some).map(Self);
        }
        let home = variable("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        // The standard library asks the system only where `HOME` is not set at all.
        let home = home.or_else(std::env::home_dir).filter(|home| home.is_absolute()).or_else(|| {
            let users = std::fs::read(USERS).unwrap_or_default();
            home_of(rustix::process::getuid().as_raw(), &users)
        });
        Ok(Self(home.map(|home| home.join(".lantorrent"))))
    }

    /// That folder, whatever the environment says.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(Some(path))
    }

    /// The folder, if there is any.
    pub(crate) fn known(&self) -> Option<&Path> {
        self.0.as_deref()
    }

    /// The folder, for what cannot do without.
    pub(crate) fn path(&self) -> Result<&Path, Failure> {
        self.known().ok_or_else(|| {
            Failure::usage(
                "neither LANTORRENT_HOME nor HOME is set, and the system knows no home of this user",
                "set LANTORRENT_HOME to a folder",
            )
        })
    }

    /// Where lt.ini is unless the command line says otherwise.
    pub(crate) fn config(&self) -> Result<PathBuf, Failure> {
        Ok(self.path()?.join("etc/lt.ini"))
    }
}

/// An environment variable. An empty one says as little as none.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The home of a user, as /etc/passwd has it.
fn home_of(user: u32, users: &[u8]) -> Option<PathBuf> {
    let user = user.to_string();
    let fields = users.split(|&byte| byte == b'\n').map(|line| line.split(|&byte| byte == b':'));
    let mut fields = fields.map(Iterator::collect::<Vec<_>>);
    let entry = fields.find(|fields| fields.len() >= 7 && fields[2] == user.as_bytes())?;
    Some(PathBuf::from(OsStr::from_bytes(entry[5]))).filter(|home| home.is_absolute())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_of_a_user() {
        let users = b"root:x:0:0:root:/root:/bin/sh\n#\n\nbad:x:7\nodd:x:8:8::srv:/bin/sh\n\
                      lt:x:9:9:LAN:/var/lib/lt:/usr/sbin/nologin";
        assert_eq!(home_of(0, users).as_deref(), Some(Path::new("/root")));
        assert_eq!(home_of(9, users).as_deref(), Some(Path::new("/var/lib/lt")));
        for user in [7, 8, 10] {
            assert_eq!(home_of(user, users), None, "{user}");
        }
    }
}
