//! What a name in a torrent must look like, so that it leads to one file below one folder.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{FileEntry, Kind, MetainfoError};
use crate::bencode::Value;

/// Bytes that a name may have: as many as Linux takes.
const NAME_LIMIT: usize = 255;

/// Bytes that a path may have, the torrent's own name included. Linux takes 4096, with the folder that all goes to.
const PATH_LIMIT: usize = 4000;

/// The name as one component of a path.
pub(super) fn component(name: &[u8]) -> Result<&Path, MetainfoError> {
    let why = match name {
        b"" => "it is empty",
        b"." | b".." => "it is a `.` or `..`",
        [b'/', ..] => "it begins at the root",
        _ if name.contains(&b'/') => "there is a slash in it",
        _ if name.contains(&0) => "there is a zero byte in it",
        _ if cfg!(not(unix)) && (name.contains(&b'\\') || name.contains(&b':')) => {
            "there is a backslash or colon in it"
        }
        _ if name.len() > NAME_LIMIT => {
            let why = "it is longer than the 255 bytes that Linux takes";
            return Err(MetainfoError::Name { name: shown(&name[..64]), why });
        }
        _ => match system_name(name) {
            Some(name) => return Ok(Path::new(name)),
            None => "it is not UTF-8",
        },
    };
    Err(MetainfoError::Name { name: shown(name), why })
}

/// The same bytes as a name of the system. On Unix any bytes are one.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other systems have no name for some bytes")]
fn system_name(name: &[u8]) -> Option<&OsStr> {
    Some(std::os::unix::ffi::OsStrExt::from_bytes(name))
}

#[cfg(not(unix))]
fn system_name(name: &[u8]) -> Option<&OsStr> {
    str::from_utf8(name).ok().map(OsStr::new)
}

/// What an error shows of a name.
fn shown(name: &[u8]) -> PathBuf {
    match system_name(name) {
        Some(name) => PathBuf::from(name),
        None => String::from_utf8_lossy(name).into_owned().into(),
    }
}

/// The path of these names below `folder`.
pub(super) fn below(folder: &Path, names: Value<'_>) -> Result<PathBuf, MetainfoError> {
    let missing = MetainfoError::Missing { key: "path", expected: "list of names" };
    let mut path = folder.to_owned();
    for name in names.list().ok_or_else(|| missing.clone())? {
        path.push(component(name.bytes().ok_or_else(|| missing.clone())?)?);
        if path.as_os_str().len() > PATH_LIMIT {
            let name = shown(&path.as_os_str().as_encoded_bytes()[..64]);
            let why = "all of it is longer than the 4000 bytes that are taken";
            return Err(MetainfoError::Name { name, why });
        }
    }
    if path == folder {
        return Err(MetainfoError::Name { name: path, why: "a file in the folder has no name" });
    }
    Ok(path)
}

/// Refuses two files of one name, and a file that has the name of another's folder.
pub(super) fn distinct(files: &[FileEntry]) -> Result<(), MetainfoError> {
    let mut paths: Vec<&Path> =
        files.iter().filter(|file| file.kind != Kind::Padding).map(|file| file.path.as_path()).collect();
    // Compared component by component: what is in a folder follows right behind the folder's own name.
    paths.sort_unstable();
    match paths.windows(2).find(|pair| pair[1].starts_with(pair[0])) {
        None => Ok(()),
        Some(pair) => {
            let again = if pair[0] == pair[1] { "a file" } else { "a folder" };
            Err(MetainfoError::Twice { path: pair[0].to_owned(), again })
        }
    }
}
