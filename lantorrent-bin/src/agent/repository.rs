//! The folders below which files may be asked for.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use lantorrent_core::store::{look_beneath, read_beneath};
use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;

use super::clerk::{Refusal, RefusalKind};
use crate::exit::Failure;
use crate::text::clean;

/// What a file is opened for.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    /// To look at it and nothing else: not even a device notices.
    Look,
    Read,
}

impl Purpose {
    fn flags(self) -> OFlags {
        match self {
            Self::Look => OFlags::PATH | OFlags::CLOEXEC,
            // `NONBLOCK`, because there may be a FIFO or a terminal where a file was a moment ago.
            Self::Read => OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY,
        }
    }
}

/// Linux takes no longer path.
const PATH_BYTES: usize = 4095;
/// Folders, single files and devices that may be sent. A request names them as the configuration does; from there on
/// nothing leads outside ([`look_beneath`]).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Repository(Vec<Root>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Root {
    path: PathBuf,
    names: Vec<Vec<u8>>,
}

impl Repository {
    /// Takes the configured roots. Each must be there and be readable.
    pub(crate) fn new(roots: &[PathBuf]) -> Result<Self, Failure> {
        roots.iter().map(|root| Root::new(root)).collect::<Result<_, _>>().map(Self)
    }

    /// Opens a file or a disk for reading, if it may be sent.
    pub(crate) fn open(&self, source: &str) -> Result<File, Refusal> {
        let source = normal(source)?;
        let refused = |errno| refusal(&source, errno);
        let names: Vec<&str> = source.split('/').skip(1).collect();
        let root = self.root_of(&names).ok_or_else(|| self.outside(&source))?;
        let beneath = names[root.names.len()..].join("/");
        check_type(&source, &root.open(&beneath, Purpose::Look).map_err(refused)?)?;
        let file = root.open(&beneath, Purpose::Read).map_err(refused)?;
        // It may be another one by now.
        check_type(&source, &file)?;
        Ok(File::from(file))
    }

    /// The root that says most about the path.
    fn root_of(&self, names: &[&str]) -> Option<&Root> {
        self.0.iter().filter(|root| root.covers(names)).max_by_key(|root| root.names.len())
    }

    fn outside(&self, source: &str) -> Refusal {
        let source = clean(source);
        let detail = if self.0.is_empty() {
            format!(
                "{source} cannot be asked for, nor can anything: no repository is configured; put `repository = \
                 FOLDER, ...` into [agent] of lt.ini, with the folders whose files may be sent"
            )
        } else {
            format!(
                "{source} is outside the repository; put it into one of the folders named by `repository` in [agent] \
                 of lt.ini, or add its folder there"
            )
        };
        Refusal { kind: RefusalKind::Forbidden, detail, index: None }
    }
}

impl Root {
    fn new(path: &Path) -> Result<Self, Failure> {
        let failed = |what: &dyn std::fmt::Display| {
            let what = format_args!("the repository {} cannot be used: {what}", path.display());
            Failure::usage(what, "put `repository` in [agent] of lt.ini right")
        };
        let mut names = Vec::new();
        for component in path.components() {
            match component {
                Component::Normal(name) => names.push(name.as_bytes().to_owned()),
                Component::ParentDir => return Err(failed(&"there is a `..` in it")),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        let root = Self { path: path.to_owned(), names };
        // Now rather than at the first request.
        root.open("", Purpose::Look).map_err(|errno| failed(&io::Error::from(errno)))?;
        Ok(root)
    }

    fn covers(&self, names: &[&str]) -> bool {
        names.len() >= self.names.len()
            && self.names.iter().zip(names).all(|(own, name)| own == name.as_bytes())
    }

    /// Opens what is at `beneath` in the root, or the root itself. That is found anew each time, since disks are mounted
    /// and unmounted; its path is the operator's.
    fn open(&self, beneath: &str, purpose: Purpose) -> Result<OwnedFd, Errno> {
        let root = open(&self.path, Purpose::Look.flags(), Mode::empty())?;
        let is_folder = FileType::from_raw_mode(fstat(&root)?.st_mode) == FileType::Directory;
        match (is_folder, beneath, purpose) {
            (true, "", _) => look_beneath(&root, "."),
            (true, beneath, Purpose::Look) => look_beneath(&root, beneath),
            (true, beneath, Purpose::Read) => read_beneath(&root, beneath),
            (false, "", _) => open(&self.path, purpose.flags(), Mode::empty()),
            (false, ..) => Err(Errno::NOTDIR),
        }
    }
}

/// The path in its one form, without empty names and `.`, so that a file has no two names for being written in two
/// ways.
pub(crate) fn normal(source: &str) -> Result<String, Refusal> {
    let malformed = |why: &str| {
        let start: String = source.chars().take(64).collect();
        let detail =
            format!("the source {} {why}; give the absolute path of a file in the repository", clean(&start));
        Err(Refusal { kind: RefusalKind::Malformed, detail, index: None })
    };
    if source.len() > PATH_BYTES {
        return malformed("is longer than any path");
    }
    if !source.starts_with('/') {
        return malformed("is not absolute");
    }
    if source.contains('\0') {
        return malformed("has a zero byte in it");
    }
    let names: Vec<&str> = source.split('/').collect();
    if names.contains(&"..") {
        return malformed("has a `..` in it");
    }
    if matches!(names.last(), Some(&("" | "."))) {
        return malformed("is a folder");
    }
    let names: Vec<&str> = names.into_iter().filter(|name| !matches!(*name, "" | ".")).collect();
    Ok(format!("/{}", names.join("/")))
}

fn check_type(source: &str, file: &OwnedFd) -> Result<(), Refusal> {
    let what = match fstat(file).map(|stat| FileType::from_raw_mode(stat.st_mode)) {
        Ok(FileType::RegularFile | FileType::BlockDevice) => return Ok(()),
        Ok(FileType::Directory) => "is a folder",
        Ok(_) => "is neither a file nor a disk",
        Err(errno) => return Err(refusal(source, errno)),
    };
    let detail = format!("{} {what}; ask for a file or a disk", clean(source));
    Err(Refusal { kind: RefusalKind::Unusable, detail, index: None })
}

fn refusal(source: &str, errno: Errno) -> Refusal {
    let (kind, advice) = match errno {
        Errno::XDEV => (
            RefusalKind::Forbidden,
            "a symlink on the way leads out of the repository, as absolute ones always do; make it a relative one, or \
             ask for the file by its own name",
        ),
        Errno::NOENT | Errno::NOTDIR => {
            (RefusalKind::Missing, "put the file there first, or ask for another")
        }
        Errno::ACCESS | Errno::PERM => (RefusalKind::Unusable, "let the agent's user read it"),
        _ => (RefusalKind::Unusable, "look at the disk that it is on"),
    };
    let detail = format!("cannot open {}: {}; {advice}", clean(source), io::Error::from(errno));
    Refusal { kind, detail, index: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use tempfile::TempDir;

    fn folder() -> (TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().to_str().unwrap().to_owned();
        fs::create_dir(format!("{path}/in")).unwrap();
        fs::create_dir(format!("{path}/in/sub")).unwrap();
        fs::write(format!("{path}/in/a.img"), "a").unwrap();
        fs::write(format!("{path}/in/sub/b.img"), "b").unwrap();
        fs::write(format!("{path}/secret"), "s").unwrap();
        (folder, path)
    }

    fn kind(repository: &Repository, source: &str) -> Option<RefusalKind> {
        repository.open(source).err().map(|refusal| refusal.kind)
    }

    #[test]
    fn files_below_a_root_are_opened() {
        let (_folder, path) = folder();
        let roots = [format!("{path}/in").into(), format!("{path}/secret").into()];
        let repository = Repository::new(&roots).unwrap();
        symlink("../a.img", format!("{path}/in/sub/up")).unwrap();
        for source in ["in/a.img", "in/sub/b.img", "in/sub/up", "in//./sub/b.img", "secret"] {
            assert_eq!(kind(&repository, &format!("{path}/{source}")), None, "{source}");
        }
        let text = io::read_to_string(repository.open(&format!("{path}/in/sub/up")).unwrap()).unwrap();
        assert_eq!(text, "a");
    }

    #[test]
    fn nothing_leads_outside() {
        let (_folder, path) = folder();
        let inside = format!("{path}/in");
        let repository = Repository::new(&[PathBuf::from(&inside)]).unwrap();
        symlink("../secret", format!("{inside}/relative")).unwrap();
        symlink(format!("{path}/secret"), format!("{inside}/absolute")).unwrap();
        symlink("..", format!("{inside}/folder")).unwrap();
        symlink("/proc/self/root", format!("{inside}/magic")).unwrap();
        for link in ["relative", "absolute", "folder/secret", "folder/in/a.img", "magic/etc/passwd"] {
            assert_eq!(
                kind(&repository, &format!("{inside}/{link}")),
                Some(RefusalKind::Forbidden),
                "{link}"
            );
        }
        for (source, refused) in [
            (format!("{path}/secret"), RefusalKind::Forbidden),
            (format!("{path}/inside/a.img"), RefusalKind::Forbidden),
            (format!("{inside}/../secret"), RefusalKind::Malformed),
            (format!("{inside}/sub/.."), RefusalKind::Malformed),
            ("in/a.img".into(), RefusalKind::Malformed),
            (String::new(), RefusalKind::Malformed),
            ("/".into(), RefusalKind::Malformed),
            (format!("{inside}/a\0b"), RefusalKind::Malformed),
            (format!("{inside}/{}", "x/".repeat(3000)), RefusalKind::Malformed),
            (format!("{inside}/{}", "x".repeat(300)), RefusalKind::Unusable),
        ] {
            assert_eq!(kind(&repository, &source), Some(refused), "{source}");
        }
    }

    #[test]
    fn what_cannot_be_sent() {
        let (_folder, path) = folder();
        let inside = format!("{path}/in");
        let repository = Repository::new(&[PathBuf::from(&inside)]).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            format!("{inside}/fifo"),
            FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        symlink("loop", format!("{inside}/loop")).unwrap();
        for (source, refused) in [
            ("sub", RefusalKind::Unusable),
            ("fifo", RefusalKind::Unusable),
            ("loop", RefusalKind::Unusable),
            ("gone", RefusalKind::Missing),
            ("a.img/b", RefusalKind::Missing),
        ] {
            assert_eq!(kind(&repository, &format!("{inside}/{source}")), Some(refused), "{source}");
        }
    }

    #[test]
    fn without_a_root_there_is_advice() {
        let refusal = Repository::default().open("/etc/passwd").unwrap_err();
        assert_eq!(refusal.kind, RefusalKind::Forbidden);
        assert!(refusal.detail.contains("lt.ini"), "{}", refusal.detail);
        assert!(Repository::new(&["/there/is/nothing".into()]).is_err());
        assert!(Repository::new(&["/tmp/../tmp".into()]).is_err());
    }
}
