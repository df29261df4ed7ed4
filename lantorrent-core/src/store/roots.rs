//! Which paths may be written.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;

use super::confine::{LOOK, open_beneath};
use super::output::beyond_all_files;
use super::partial::{Partial, file_type};
use super::{LONGEST, Output, Placement, StoreError, Target, clean, in_place, path, probe};

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

/// Where a request leads.
enum Spot<'a> {
    /// A root that is no folder.
    Single(&'a Path),
    /// A name in the folder `parents`, below a root.
    Beneath { folder: &'a OwnedFd, parents: String, name: &'a str },
}

impl Roots {
    /// Takes the configured roots. Each must be absolute and be there; symlinks are followed.
    pub fn open(roots: &[PathBuf]) -> Result<Self, StoreError> {
        roots.iter().map(|root| Root::open(root)).collect::<Result<_, _>>().map(Self)
    }

    /// Opens what is to be written for `target`, if it may be written, and locks it. A partial file that can be gone on
    /// with is [resumed](Output::resumed), after as long as it takes to read it. On error nothing is left behind, but
    /// for such a one that there is too little space to go on with.
    pub fn create(&self, target: &Target<'_>) -> Result<Output, StoreError> {
        self.create_while(target, &|| true)
    }

    /// As [`create`](Self::create), for as long as `wanted` says so, which is asked at the beginning and then again for
    /// every few MiB of a partial file that are read. Otherwise this ends by [`StoreError::NotWanted`], and what there
    /// is stays as it was.
    pub fn create_while(&self, target: &Target<'_>, wanted: &dyn Fn() -> bool) -> Result<Output, StoreError> {
        self.create_like(target, &[], wanted)
    }

    /// As [`create_while`](Self::create_while), for a file that shall have what each of `originals` gets. Where it can share
    /// the room of one of them it is a [copy](Output::copy_of) of that: it needs no room of its own, and of what there is
    /// nothing is gone on with.
    pub fn create_like(
        &self,
        target: &Target<'_>,
        originals: &[&Output],
        wanted: &dyn Fn() -> bool,
    ) -> Result<Output, StoreError> {
        let (path, spot) = self.find(target)?;
        if !wanted() {
            return Err(StoreError::NotWanted { path });
        }
        match (spot, target.placement) {
            (Spot::Single(own), _) => Output::in_place(
                in_place::open_existing(|flags| open(own, flags, Mode::empty()), &path, target.length)?,
                &path,
            ),
            (Spot::Beneath { folder, parents, name }, Placement::Rename) => {
                let opened = Partial::open(folder, &parents, name, &path)?;
                Output::from_partial(opened, &path, target, originals, wanted)
            }
            (Spot::Beneath { folder, parents, name }, Placement::InPlace) => {
                Output::in_place(in_place::open_in_root(folder, &parents, name, &path, target.length)?, &path)
            }
        }
    }

    /// Whether [`create`](Self::create) could succeed now. Leaves everything as it is, but keeps others off the file
    /// for that moment.
    pub fn probe(&self, target: &Target<'_>) -> Result<(), StoreError> {
        let (path, spot) = self.find(target)?;
        match (spot, target.placement) {
            (Spot::Single(own), _) => {
                in_place::open_existing(|flags| open(own, flags, Mode::empty()), &path, target.length)
                    .map(drop)
            }
            (Spot::Beneath { folder, parents, name }, Placement::Rename) => {
                probe::probe(folder, &parents, name, &path, target)
            }
            (Spot::Beneath { folder, parents, name }, Placement::InPlace) => {
                in_place::probe_in_root(folder, &parents, name, &path, target.length)
            }
        }
    }

    /// Removes what there is of the file that somebody could [resume](super::Resume) for `version`, with its journal. A
    /// finished file stays, and so does what is about another version or has no valid journal. Where a file with that
    /// placement cannot be, or is never written by halves, there is nothing to remove.
    ///
    /// # Errors
    /// Somebody is writing it, or the system refuses to remove it.
    pub fn remove(&self, target: &Target<'_>, version: &[u8]) -> Result<(), StoreError> {
        match (self.find(target), target.placement) {
            (Ok((path, Spot::Beneath { folder, parents, name })), Placement::Rename) => {
                clean::remove(folder, &parents, name, &path, version)
            }
            _ => Ok(()),
        }
    }

    /// Removes partial files that nobody has gone on with, or locked, for longer than `older_than`, with their
    /// journals; and journals without a file. Says how many. What has no valid journal is not touched.
    ///
    /// Looks into all folders below the roots, but not through symlinks nor into other file systems.
    pub fn clean(&self, older_than: Duration) -> usize {
        let folders = self.0.iter().filter_map(|root| match &root.kind {
            Kind::Folder(folder) => Some(folder),
            Kind::Single => None,
        });
        folders.map(|folder| clean::clean(folder, older_than)).sum()
    }

    /// Where the path of `target` leads, and the path in the one form for all messages.
    fn find<'a>(&'a self, target: &Target<'a>) -> Result<(PathBuf, Spot<'a>), StoreError> {
        let names = path::names(target)?;
        let path = PathBuf::from(format!("/{}", names.join("/")));
        if let Some(length) = target.length.filter(|&length| length > LONGEST) {
            return Err(beyond_all_files(&path, length));
        }
        let Some(root) = self.root_of(&names) else {
            return Err(StoreError::NotAllowed {
                path,
                why: "it is outside the folders that this node may write to",
            });
        };
        let spot = match (&root.kind, target.placement) {
            (Kind::Single, Placement::Rename) => {
                return Err(StoreError::NotAllowed {
                    path,
                    why: "it is allowed by itself, without the folder that a partial file would be in; ask for it \
                          with rename: false",
                });
            }
            (Kind::Single, Placement::InPlace) => Spot::Single(&root.path),
            (Kind::Folder(folder), _) => {
                let [parents @ .., name] = &names[root.names.len()..] else {
                    return Err(StoreError::NotAFile { path, what: "a folder" });
                };
                let parents = if parents.is_empty() { ".".to_owned() } else { parents.join("/") };
                Spot::Beneath { folder, parents, name }
            }
        };
        Ok((path, spot))
    }

    /// The root that says most about the path.
    fn root_of(&self, names: &[&str]) -> Option<&Root> {
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
