//! Two names for one file, where a file system takes them for the same: as one that ignores case does.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, statat};
use rustix::io::Errno;

use super::StoreError;

/// Refuses a name that the folder does not list although something has it, if there is a name that differs by no more than
/// case, or dots and blanks at its end: what is asked for would take the place of another file.
///
/// Where names differ otherwise, as in the form of their Unicode, it cannot be told whether they were meant to: that is a
/// warning.
pub(super) fn refuse_other_name(folder: &File, name: &str, path: &Path) -> Result<(), StoreError> {
    let Some(there) = other_name(folder, name) else { return Ok(()) };
    let shown = path.with_file_name(&there);
    if is_variant(&there, name) {
        return Err(StoreError::OtherName { path: path.to_owned(), there: shown });
    }
    // Escaped, because they may come from anybody.
    let (path, shown) = (path.to_string_lossy(), shown.to_string_lossy());
    log::warn!("{path:?} replaces {shown:?}: their file system takes both names for one");
    Ok(())
}

/// What is listed in place of the name by which something can be found.
fn other_name(folder: &File, name: &str) -> Option<String> {
    let find = || statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    let inode = find().ok()?.st_ino;
    let (mut same_inode, mut variant) = (None, None);
    for entry in Dir::read_from(folder).ok()? {
        let entry = entry.ok()?;
        let listed = entry.file_name().to_bytes();
        if listed == name.as_bytes() {
            return None;
        }
        let listed = Path::new(std::ffi::OsStr::from_bytes(listed)).to_string_lossy();
        if is_variant(&listed, name) {
            variant = Some(listed.into_owned());
        } else if entry.ino() == inode {
            same_inode = Some(listed.into_owned());
        }
    }
    // It may have been removed meanwhile.
    if find().is_err_and(|errno| errno == Errno::NOENT) { None } else { variant.or(same_inode) }
}

fn is_variant(one: &str, other: &str) -> bool {
    let folded = |name: &str| name.trim_end_matches(['.', ' ']).to_lowercase();
    folded(one) == folded(other)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_name_that_is_listed_is_no_other() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "").unwrap();
        fs::write(folder.path().join("A"), "").unwrap();
        let open = File::open(folder.path()).unwrap();
        for name in ["a", "A", "gone"] {
            assert_eq!(other_name(&open, name), None, "{name}");
        }
        // Not listed, as another name of an ignorant file system would not be.
        assert_eq!(other_name(&open, "./a").as_deref(), Some("a"));
    }

    #[test]
    fn variants_differ_by_case_or_dots() {
        for (one, other) in [("a.img", "A.IMG"), ("a.img", "a.img."), ("É", "é"), ("a", "A. .")] {
            assert!(is_variant(one, other), "{one} {other}");
        }
        for (one, other) in [("a.img", "b.img"), (".a", "a"), ("caf\u{e9}", "cafe\u{301}")] {
            assert!(!is_variant(one, other), "{one} {other}");
        }
    }
}
