//! Which paths may be written.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;

use super::confine::{LOOK, open_beneath};
use super::output::beyond_all_files;
use super::partial::{Partial, file_type};
use super::{LONGEST, Output, Placement, StoreError, Target, in_place, path};

/// The folders below which files may be written, and the single files and devices that may be written.
///
/// A folder is opened once: renamed or mounted over later, it stays the folder that it was. A request is matched with
/// the roots by its names, so it has to name a root as the configuration does.
#[derive(Debug)]
pub struct Roots(Vec<Root>);

#[derive(Debug)]
struct Root {
    path: PathBuf,
    names: Vec<OsString>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Folder(OwnedFd),
    /// Opened anew by its path each time, which the operator chose: device nodes come and go.
    Single,
}

impl Roots {
    /// Takes the configured roots. Each must be absolute and be there; symlinks are followed.
    pub fn open(roots: &[PathBuf]) -> Result<Self, StoreError> {
        roots.iter().map(|root| Root::open(root)).collect::<Result<_, _>>().map(Self)
    }

    /// Opens what is to be written for `request`, if it may be written. On error nothing is left behind.
    pub fn create(&self, request: &Target<'_>) -> Result<Output, StoreError> {
        let names = path::names(request)?;
        // One form for all messages, and for finding the names beside it.
        let path = PathBuf::from(format!("/{}", names.join("/")));
        let refuse = |why| Err(StoreError::NotAllowed { path: path.clone(), why });
        let wanted = request.length;
        if let Some(length) = wanted.filter(|&length| length > LONGEST) {
            return Err(beyond_all_files(&path, length));
        }
        let Some(root) = self.find(&names) else {
            return refuse("it is outside the folders that this node may write to");
        };
        match (&root.kind, request.placement) {
            (Kind::Single, Placement::Rename) => refuse(
                "it is allowed by itself, without the folder that a partial file would be in; ask for it with \
                 rename: false",
            ),
            (Kind::Single, Placement::InPlace) => {
                let open = |flags| open(&root.path, flags, Mode::empty());
                Output::in_place(in_place::open_existing(open, &path, wanted)?, &path)
            }
            (Kind::Folder(folder), placement) => {
                let [parents @ .., name] = &names[root.names.len()..] else {
                    return Err(StoreError::NotAFile { path, what: "a folder" });
                };
                let parents = if parents.is_empty() { ".".to_owned() } else { parents.join("/") };
                match placement {
                    Placement::Rename => {
                        Output::from_partial(Partial::open(folder, &parents, name, &path)?, &path, wanted)
                    }
                    Placement::InPlace => Output::in_place(
                        in_place::open_in_root(folder, &parents, name, &path, wanted)?,
                        &path,
                    ),
                }
            }
        }
    }

    /// The root that says most about the path.
    fn find(&self, names: &[&str]) -> Option<&Root> {
        self.0.iter().filter(|root| root.covers(names)).max_by_key(|root| root.names.len())
    }
}

impl Root {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let bad = |why: String| StoreError::BadRoot { root: path.to_owned(), why };
        let failed = |errno: Errno| {
            let hint = match errno {
                Errno::NOENT => "make it, or take it out of the list",
                Errno::ACCESS | Errno::PERM => "give this user access to it, or take it out of the list",
                _ => "put it right, or take it out of the list",
            };
            bad(format!("{}; {hint}", std::io::Error::from(errno)))
        };
        if !path.is_absolute() {
            return Err(bad("it is not absolute; write it from the / on".into()));
        }
        let mut names = Vec::new();
        for component in path.components() {
            match component {
                Component::Normal(name) => names.push(name.to_owned()),
                Component::ParentDir => return Err(bad("there is a `..` in it; write it without".into())),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        let fd = open(path, LOOK, Mode::empty()).map_err(failed)?;
        let kind = match file_type(&fstat(&fd).map_err(failed)?) {
            FileType::Directory => {
                // Now rather than at the first request: without it no request can be granted.
                match open_beneath(&fd, ".", LOOK | OFlags::DIRECTORY) {
                    Ok(_) => Kind::Folder(fd),
                    Err(cause @ (Errno::NOSYS | Errno::PERM)) => {
                        return Err(StoreError::CannotConfine { cause: cause.into() });
                    }
                    Err(errno) => return Err(failed(errno)),
                }
            }
            _ => Kind::Single,
        };
        Ok(Self { path: path.to_owned(), names, kind })
    }

    fn covers(&self, names: &[&str]) -> bool {
        let fits = match self.kind {
            Kind::Folder(_) => names.len() >= self.names.len(),
            Kind::Single => names.len() == self.names.len(),
        };
        fits && self.names.iter().zip(names).all(|(own, name)| own.as_bytes() == name.as_bytes())
    }
}
