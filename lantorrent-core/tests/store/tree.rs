//! Many files below one folder.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use lantorrent_core::store::{Permissions, Remains, StoreError, Tree, What};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::{Bench, refused};

fn tree(bench: &Bench) -> Tree {
    Tree::open(&bench.root()).unwrap()
}

fn path(path: &str) -> &Path {
    Path::new(path)
}

#[test]
fn files_are_made_with_their_folders_and_found_again() {
    let bench = Bench::new();
    let tree = tree(&bench);
    let below = path("a/b/c.img");
    assert_eq!(tree.find(below).unwrap(), None);
    let file = tree.make(below, Permissions::Data).unwrap();
    tree.set_length(&file, below, 10_000).unwrap();
    tree.write_at(&file, below, &[b"", b"out of", b"", b" order", b""], 5000).unwrap();
    tree.write_at(&file, below, &[], 0).unwrap();
    tree.sync(&file, below).unwrap();
    for folder in ["", "a", "a/b"] {
        tree.sync_folder(if folder.is_empty() { path(".") } else { path(folder) }, Remains::Open).unwrap();
    }
    let content = fs::read(bench.at("a/b/c.img")).unwrap();
    assert_eq!((content.len(), &content[5000..5012]), (10_000, &b"out of order"[..]));
    let found = tree.find(below).unwrap().unwrap();
    assert_eq!((found.what, found.length), (What::File, 10_000));
    assert_eq!(tree.find(path("a/b")).unwrap().unwrap().what, What::Folder);
    assert_eq!(tree.find(path("a/b/c.img/d")).unwrap(), None, "there is nothing in a file");

    // Again: what is there stays.
    let again = tree.make(below, Permissions::Data).unwrap();
    tree.set_length(&again, below, 5006).unwrap();
    assert_eq!(&fs::read(bench.at("a/b/c.img")).unwrap()[5000..], b"out of");
    let mut text = [0; 6];
    tree.read(below).unwrap().read_exact_at(&mut text, 5000).unwrap();
    assert_eq!(&text, b"out of");
}

#[test]
fn many_blocks_at_once() {
    let bench = Bench::new();
    let tree = tree(&bench);
    let file = tree.make(path("a"), Permissions::Data).unwrap();
    let all: Vec<u8> = (0..30_000_u32).map(|at| (at % 251) as u8).collect();
    let blocks: Vec<&[u8]> = all.chunks(11).collect();
    tree.write_at(&file, path("a"), &blocks, 3).unwrap();
    assert_eq!(fs::read(bench.at("a")).unwrap()[3..], all);
}

#[test]
fn names_are_bytes() {
    let bench = Bench::new();
    let tree = tree(&bench);
    let odd = Path::new(OsStr::from_bytes(b"gr\xf6\xdfe/\xff"));
    drop(tree.make(odd, Permissions::Data).unwrap());
    assert!(bench.root().join(odd).is_file());
    tree.rename(odd, path("plain")).unwrap();
    assert_eq!(bench.names(), [OsStr::from_bytes(b"gr\xf6\xdfe"), OsStr::new("plain")]);
}

#[test]
fn programs_may_be_executed_by_those_who_may_read_them() {
    let bench = Bench::new();
    let tree = tree(&bench);
    drop(tree.make(path("run"), Permissions::Program).unwrap());
    drop(tree.make(path("data"), Permissions::Data).unwrap());
    let mode = |name| fs::metadata(bench.at(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("data") & 0o111, 0);
    assert_eq!(mode("run") & 0o111, mode("data") >> 2 & 0o111);
}

#[test]
fn no_link_is_followed() {
    let bench = Bench::new();
    let outside = bench.outside.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "theirs").unwrap();
    fs::create_dir(bench.at("inside")).unwrap();
    fs::write(bench.at("inside/file"), "ours").unwrap();
    symlink(&outside, bench.at("out")).unwrap();
    symlink("inside", bench.at("in")).unwrap();
    symlink("inside/file", bench.at("link")).unwrap();
    symlink("nowhere", bench.at("dangling")).unwrap();
    let tree = tree(&bench);
    for name in ["out/file", "in/file", "link", "dangling", "out", "in", "out/new/file", "dangling/new"] {
        for result in
            [tree.read(path(name)), tree.write(path(name)), tree.make(path(name), Permissions::Data)]
        {
            let text = refused!(result, StoreError::NotAFile { .. });
            assert!(text.contains("symlink"), "{name}: {text}");
        }
        refused!(tree.open_folder(path(name)), StoreError::NotAFile { .. });
        assert!(tree.rename(path("inside/file"), &path(name).join("x")).is_err(), "{name}");
    }
    assert_eq!(tree.find(path("link")).unwrap().unwrap().what, What::Other);
    for behind in ["in/file", "in/further/file", "dangling/file"] {
        assert_eq!(tree.find(path(behind)).unwrap(), None, "nothing is behind a link");
    }
    refused!(tree.make_folder(path("in/new")), StoreError::NotAFile { .. });
    assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "theirs");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn no_path_leads_out() {
    let bench = Bench::new();
    fs::write(bench.outside.path().join("file"), "theirs").unwrap();
    let tree = tree(&bench);
    let absolute = bench.outside.path().join("file");
    for name in [path("../file"), &absolute, path("../new")] {
        refused!(tree.read(name), StoreError::NotAllowed { .. });
        refused!(tree.make(name, Permissions::Data), StoreError::NotAllowed { .. });
        assert!(tree.remove(name).is_err() && tree.make_folder(name).is_err());
    }
    assert_eq!(fs::read_dir(bench.outside.path()).unwrap().count(), 2);
}

#[test]
fn what_is_no_file_is_left_alone() {
    let bench = Bench::new();
    fs::create_dir(bench.at("folder")).unwrap();
    fs::write(bench.at("one"), "shared").unwrap();
    fs::hard_link(bench.at("one"), bench.at("two")).unwrap();
    mknodat(CWD, bench.at("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let tree = tree(&bench);
    for name in ["folder", "fifo"] {
        refused!(tree.read(path(name)), StoreError::NotAFile { .. });
        refused!(tree.make(path(name), Permissions::Data), StoreError::NotAFile { .. });
    }
    tree.read(path("one")).unwrap();
    refused!(tree.write(path("one")), StoreError::NotAFile { .. });
    let text = refused!(tree.make_folder(path("one/below")), StoreError::NotAFile { .. });
    assert!(text.contains("no folder"), "{text}");
    assert_eq!(fs::read_to_string(bench.at("two")).unwrap(), "shared");
}

#[test]
fn one_at_a_time() {
    let bench = Bench::new();
    let tree = tree(&bench);
    let file = tree.make(path("a"), Permissions::Data).unwrap();
    let _lock = tree.lock(&file, path("a")).unwrap();
    let other = tree.write(path("a")).unwrap();
    refused!(tree.lock(&other, path("a")), StoreError::InUse { .. });
    tree.rename(path("a"), path("b")).unwrap();
    drop(file);
    refused!(tree.lock(&other, path("a")), StoreError::InUse { .. });
    let _lock = tree.lock(&other, path("b")).unwrap();
    tree.make_folder(path("folder")).unwrap();
    let folder = tree.open_folder(path("folder")).unwrap();
    let _lock = tree.lock(&folder, path("folder")).unwrap();
    refused!(tree.lock(&tree.open_folder(path("folder")).unwrap(), path("folder")), StoreError::InUse { .. });
}

#[test]
fn files_and_folders_are_renamed_and_removed() {
    let bench = Bench::new();
    let tree = tree(&bench);
    let make = |name: &str| drop(tree.make(path(name), Permissions::Data).unwrap());
    make("new/a");
    make("old/a");
    make("file");
    // A folder that holds something is nobody's to replace.
    refused!(tree.rename(path("new"), path("old")), StoreError::CannotWrite { .. });
    tree.rename(path("new/a"), path("old/a")).unwrap();
    tree.rename(path("old"), path("new")).unwrap();
    assert_eq!(bench.names(), ["file", "new"]);
    tree.remove(path("file")).unwrap();
    tree.remove(path("file")).unwrap();
    assert!(tree.remove(path("new")).is_err(), "no folder");
    tree.remove_empty_folder(path("new")).unwrap();
    assert_eq!(bench.names(), ["new"], "something is in it");
    tree.remove(path("new/a")).unwrap();
    tree.remove_empty_folder(path("new")).unwrap();
    tree.remove_empty_folder(path("new")).unwrap();
    assert!(bench.names().is_empty());
    make("new");
    assert!(tree.remove_empty_folder(path("new")).is_err() && tree.remove_empty_folder(path("..")).is_err());
    let gone: PathBuf = bench.at("gone");
    assert!(Tree::open(&gone).unwrap_err().to_string().contains("gone"));
    let space = tree.check_space(u64::MAX).unwrap_err();
    assert!(matches!(space, StoreError::NoSpace { .. }), "{space}");
}
