//! What is fetched: a file, or a folder of files whose names give trouble.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Some hundred pieces, the last of them short.
const FILE: usize = (4 << 20) + 12_345;
/// For URLs, for shells, for those who think that names are ASCII. Pieces go across from one file to the next.
const FILES: [(&str, usize); 5] = [
    ("a b#c%20&+=;.bin", (2 << 20) + 1),
    ("'quoted' [1] {2} $(3) `4`", 100_000),
    ("sub folder/größe 日本語 🦀.txt", 300_000),
    ("sub folder/.hidden", 3),
    ("sub folder/deeper/~tilde!", 70_000),
];
/// Transmission makes underscores of what Windows does not allow, on Linux as well, and never makes empty files.
const MORE_FILES: [(&str, usize); 2] = [("why? \"because\" <1|2> *:", 50_000), ("zero", 0)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    /// With files that Transmission takes as they are.
    TameFolder,
}

/// Its name, and the torrent's.
pub(crate) const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "package.tar",
        Kind::Folder | Kind::TameFolder => "tool 1.0 ü",
    }
}

/// Makes it in `folder`.
pub(crate) fn make(folder: &Path, kind: Kind) {
    let root = folder.join(name(kind));
    if kind == Kind::File {
        return write(&root, FILE);
    }
    let more = if kind == Kind::Folder { &MORE_FILES[..] } else { &[] };
    for (path, length) in FILES.iter().chain(more) {
        write(&root.join(path), *length);
    }
}

fn write(path: &Path, length: usize) {
    // Neither compressible nor twice the same, and no two runs differ. (A generator by Marsaglia.)
    let mut state = 0x9E37_79B9_7F4A_7C15 ^ length as u64;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    });
    fs::create_dir_all(path.parent().expect("a folder around it")).expect("a folder for content");
    fs::write(path, bytes.take(length).collect::<Vec<u8>>()).expect("content");
}

/// What differs between two copies, one in each folder. Besides the copy there may be what a program keeps for itself.
pub(crate) fn difference(source: &Path, copy: &Path, kind: Kind) -> Option<String> {
    let (source, copy) = (read(&source.join(name(kind))), read(&copy.join(name(kind))));
    let wrong = |path: &&PathBuf| source.get(*path) != copy.get(*path);
    let path = source.keys().chain(copy.keys()).find(wrong)?;
    let length = |files: &BTreeMap<PathBuf, Vec<u8>>| files.get(path).map(Vec::len);
    Some(format!(
        "{}: {:?} bytes in the source, {:?} in the copy",
        path.display(),
        length(&source),
        length(&copy)
    ))
}

/// All files below a path, by their paths from there.
fn read(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        if let Ok(entries) = fs::read_dir(&path) {
            left.extend(entries.flatten().map(|entry| entry.path()));
        } else if let Ok(bytes) = fs::read(&path) {
            files.insert(path.strip_prefix(root).expect("a path below").to_owned(), bytes);
        }
    }
    files
}
