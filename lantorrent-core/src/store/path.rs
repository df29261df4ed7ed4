//! What a path from a peer must look like, before anything is asked of the file system.

use std::path::PathBuf;

use super::{Placement, StoreError, Target};

/// What the name of a file ends in while it is not whole.
pub const PARTIAL_SUFFIX: &str = ".lantorrent";

/// What the name of a file's journal ends in, instead. It is there as long as the partial file is.
pub const JOURNAL_SUFFIX: &str = ".lantorrent-journal";

/// What the name of a journal ends in, instead, that is to take the place of one about blocks of another size, until it
/// says as much as that one.
pub const NEXT_JOURNAL_SUFFIX: &str = ".lantorrent-next";

const PATH_LIMIT: usize = 4096;
const NAME_LIMIT: usize = 255;

/// The names in the path of `target`, from the top, without empty ones and `.`. There is at least one.
pub(super) fn names<'a>(target: &Target<'a>) -> Result<Vec<&'a str>, StoreError> {
    let path = target.path;
    let suffix = match target.placement {
        // The longest one, even where no journal is wanted: whether a name is accepted should not depend on that.
        Placement::Rename => JOURNAL_SUFFIX.len(),
        Placement::InPlace => 0,
    };
    let limit = |part, length, limit| {
        let start = || path.chars().take(64).collect();
        if length > limit { Err(StoreError::TooLong { start: start(), part, length, limit }) } else { Ok(()) }
    };
    let refuse = |why| Err(StoreError::NotAllowed { path: PathBuf::from(path), why });

    // First, so that the other messages stay short.
    limit("all of it, with what is added until the file is whole,", path.len() + suffix, PATH_LIMIT)?;
    if path.is_empty() {
        return refuse("it is empty");
    }
    if path.contains('\0') {
        return refuse("there is a zero byte in it");
    }
    if !path.starts_with('/') {
        return refuse("it is not absolute");
    }
    let all: Vec<&str> = path.split('/').collect();
    if all.contains(&"..") {
        return refuse("there is a `..` in it");
    }
    if matches!(all.last(), Some(&("" | "."))) {
        return refuse("it names a folder, not a file");
    }
    let names: Vec<&str> = all.into_iter().filter(|name| !matches!(*name, "" | ".")).collect();
    for name in &names {
        limit("a name in it", name.len(), NAME_LIMIT)?;
    }
    let last = names[names.len() - 1];
    limit("its last name, with what is added until the file is whole,", last.len() + suffix, NAME_LIMIT)?;
    // Else a file that is whole would be taken for what somebody left unfinished, and overwritten.
    if [PARTIAL_SUFFIX, JOURNAL_SUFFIX, NEXT_JOURNAL_SUFFIX].iter().any(|suffix| last.ends_with(suffix)) {
        return refuse(
            "names that end in `.lantorrent`, `.lantorrent-journal` or `.lantorrent-next` are for files that are not \
             whole",
        );
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, placement: Placement) -> Result<Vec<&str>, StoreError> {
        names(&Target { path, placement, length: None, resume: None })
    }

    #[test]
    fn dots_and_doubled_slashes_mean_nothing() {
        for path in ["/a/b", "//a//b", "/./a/./b", "/a/.//./b"] {
            assert_eq!(check(path, Placement::Rename).unwrap(), ["a", "b"], "{path}");
        }
        assert_eq!(check("/a/.../..b", Placement::Rename).unwrap(), ["a", "...", "..b"]);
    }

    #[test]
    fn other_forms_are_refused() {
        for path in [
            "",
            "a",
            "./a",
            "../a",
            "/",
            "/a/",
            "/a/.",
            "/a/..",
            "/../a",
            "/a/../b",
            "/a\0b",
            "/\0",
            "/a.lantorrent",
            "/a.lantorrent-journal",
            "/a.lantorrent-next",
        ] {
            for placement in [Placement::Rename, Placement::InPlace] {
                let error = check(path, placement).unwrap_err();
                assert!(matches!(error, StoreError::NotAllowed { .. }), "{path:?}: {error}");
            }
        }
    }

    #[test]
    fn lengths_are_limited_with_the_suffix() {
        let too_long = |path: &str, placement| matches!(check(path, placement), Err(ref error @ StoreError::TooLong { .. }) if error.to_string().len() < 300);
        let name = |length| format!("/a/{}", "x".repeat(length));
        assert!(!too_long(&name(236), Placement::Rename));
        assert!(too_long(&name(237), Placement::Rename));
        assert!(too_long(&name(250), Placement::Rename));
        assert!(!too_long(&name(250), Placement::InPlace));
        assert!(!too_long(&name(255), Placement::InPlace));
        assert!(too_long(&name(256), Placement::InPlace));
        assert!(too_long(&format!("{}/b", name(256)), Placement::Rename), "a folder on the way");
        let path = |length: usize| "/x".repeat(length / 2);
        assert!(too_long(&path(5000), Placement::InPlace));
        assert!(too_long(&path(4098), Placement::InPlace));
        assert!(!too_long(&path(4096), Placement::InPlace));
        assert!(too_long(&path(4096), Placement::Rename));
        assert!(!too_long(&path(4076), Placement::Rename));
        // Characters of several bytes: what counts is bytes, and the message cuts between characters.
        assert!(too_long(&format!("/{}", "ü".repeat(128)), Placement::InPlace));
        assert!(too_long(&"/ü".repeat(2000), Placement::InPlace));
    }
}
