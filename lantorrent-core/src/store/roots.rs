//! Which paths may be written.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;

use super::confine::{LOOK, open_beneath};
use super::identity::Identity;
use super::output::beyond_all_files;
use super::partial::{Partial, file_type};
use super::route::{Route, open_root};
use super::{LONGEST, Output, Placement, StoreError, Target, clean, in_place, path, probe};

/// The folders below which files may be written, and the single files and devices that may be written.
///
/// None is kept open. What a root's path leads to when a file is asked for is where that is written: a disk that is
/// mounted later is used, and while a root is missing its requests fail. A request is matched with the roots by its
/// names, so it has to name a root as the configuration does.
#[derive(Debug)]
pub struct Roots(Vec<Root>);

#[derive(Debug)]
struct Root {
    path: PathBuf,
    names: Vec<OsString>,
    kind: Kind,
}

/// What a root was when it was configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    /// A file or a device.
    Single,
    /// Nothing, yet. Whatever is there when a file is asked for.
    Absent,
}

impl Roots {
    /// Takes the configured roots. Each must be absolute; symlinks are followed. Requests below one that is not there fail
    /// until it is, see [`missing`](Self::missing).
    pub fn open(roots: &[PathBuf]) -> Result<Self, StoreError> {
        roots.iter().map(|root| Root::open(root)).collect::<Result<_, _>>().map(Self)
    }

    /// The roots that are not there.
    pub fn missing(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|root| root.path.as_path()).filter(|path| !path.exists())
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
        let route = self.find(target)?;
        if !wanted() {
            return Err(StoreError::NotWanted { path: route.path().to_owned() });
        }
        match target.placement {
            Placement::Rename => Output::from_partial(Partial::open(route)?, target, originals, wanted),
            Placement::InPlace => Output::in_place(in_place::open(&route, target.length)?, route),
        }
    }

    /// Whether [`create`](Self::create) could succeed now. Leaves everything as it is, but keeps others off the file
    /// for that moment.
    pub fn probe(&self, target: &Target<'_>) -> Result<(), StoreError> {
        let route = self.find(target)?;
        match target.placement {
            Placement::Rename => probe::probe(&route, target),
            Placement::InPlace => in_place::probe(&route, target.length),
        }
    }

    /// Refuses unless the path of `target` leads to the file that was [finished](Output::finish) there.
    ///
    /// # Errors
    /// [`StoreError::Elsewhere`] if it leads to something else, or nowhere.
    pub fn check_placed(&self, target: &Target<'_>, placed: Identity) -> Result<(), StoreError> {
        self.find(target)?.check_known(placed, target.placement)
    }

    /// Removes what there is of the file that somebody could [resume](super::Resume) for `version`, with its journal. A
    /// finished file stays, and so does what is about another version or has no valid journal. Where a file with that
    /// placement cannot be, or is never written by halves, there is nothing to remove.
    ///
    /// # Errors
    /// Somebody is writing it, or the system refuses to remove it.
    pub fn remove(&self, target: &Target<'_>, version: &[u8]) -> Result<(), StoreError> {
        match (self.find(target), target.placement) {
            (Ok(route), Placement::Rename) => clean::remove(&route, version),
            _ => Ok(()),
        }
    }

    /// Removes partial files that nobody has gone on with, or locked, for longer than `older_than`, with their
    /// journals; and journals without a file. Says how many. What has no valid journal is not touched.
    ///
    /// Looks into all folders below the roots, but not through symlinks nor into other file systems.
    pub fn clean(&self, older_than: Duration) -> usize {
        let folders = self.0.iter().filter(|root| root.kind != Kind::Single);
        let open = folders.filter_map(|root| open_root(&root.path).ok());
        open.map(|folder| clean::clean(folder, older_than)).sum()
    }

    /// Where the path of `target` leads.
    fn find(&self, target: &Target<'_>) -> Result<Route, StoreError> {
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
        match (root.kind(), target.placement) {
            (Kind::Single, Placement::Rename) => Err(StoreError::NotAllowed {
                path,
                why: "it is allowed by itself, without the folder that a partial file would be in; ask for it \
                      with rename: false",
            }),
            (Kind::Single, Placement::InPlace) => Ok(Route::to_single(&root.path, path)),
            (Kind::Folder | Kind::Absent, _) => match &names[root.names.len()..] {
                [parents @ .., name] => Ok(Route::below(&root.path, parents, name, path)),
                [] => Err(StoreError::NotAFile { path, what: "a folder" }),
            },
        }
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
        let fd = match open(path, LOOK, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(Self { path: path.to_owned(), names, kind: Kind::Absent }),
            Err(errno) => return Err(failed(errno)),
        };
        let kind = match file_type(&fstat(&fd).map_err(failed)?) {
            FileType::Directory => {
                // Now rather than at the first request: without it no request can be granted.
                open_beneath(&fd, ".", LOOK | OFlags::DIRECTORY).map_err(failed)?;
                Kind::Folder
            }
            _ => Kind::Single,
        };
        Ok(Self { path: path.to_owned(), names, kind })
    }

    fn kind(&self) -> Kind {
        match self.kind {
            Kind::Absent if self.path.exists() && !self.path.is_dir() => Kind::Single,
            kind => kind,
        }
    }

    fn covers(&self, names: &[&str]) -> bool {
        let fits = match self.kind() {
            Kind::Folder | Kind::Absent => names.len() >= self.names.len(),
            Kind::Single => names.len() == self.names.len(),
        };
        fits && self.names.iter().zip(names).all(|(own, name)| own.as_bytes() == name.as_bytes())
    }
}
