//! Which paths are allowed.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::slice::from_ref;

use lantorrent_core::store::{Durability, Placement, Roots, StoreError, Target};

use crate::{Bench, refused, text};

const BOTH: [Placement; 2] = [Placement::Rename, Placement::InPlace];

#[test]
fn roots_that_cannot_be_used_are_named() {
    let bench = Bench::new();
    let with_dots = bench.root().join("../root");
    for (root, hint) in
        [(Path::new("relative"), "from the /"), (Path::new(""), "from the /"), (&with_dots, "without")]
    {
        let error = refused!(Roots::open(&[bench.root(), root.to_owned()]), StoreError::BadRoot { .. });
        assert!(error.contains(&format!("{root:?}")) && error.contains(hint), "{error}");
    }
}

#[test]
fn without_roots_nothing_is_allowed() {
    let roots = Roots::open(&[]).unwrap();
    for placement in BOTH {
        let target = Target { path: "/tmp/a", placement, length: None, resume: None };
        refused!(roots.create(&target), StoreError::NotAllowed { .. });
    }
}

#[test]
fn what_is_outside_is_not_allowed() {
    let bench = Bench::new();
    fs::create_dir(bench.outside.path().join("root2")).unwrap();
    let root = text(&bench.root());
    for placement in BOTH {
        for path in [
            text(&bench.outside.path().join("a")),
            text(&bench.outside.path().join("root2/a")),
            format!("{root}/../a"),
            format!("{root}/b/../../a"),
            format!("{root}/a/"),
            format!("{root}/"),
            format!("{root}/a\0"),
            format!(".{root}/a"),
            root[1..].to_owned() + "/a",
            "a".to_owned(),
            String::new(),
            "/".to_owned(),
            "/etc/lantorrent-test".to_owned(),
        ] {
            let target = Target { path: &path, placement, length: None, resume: None };
            refused!(bench.roots.create(&target), StoreError::NotAllowed { .. });
        }
    }
    assert!(bench.names().is_empty());
}

#[test]
fn dots_and_doubled_slashes_name_the_same_file() {
    let bench = Bench::new();
    let root = text(&bench.root());
    for (index, path) in [
        format!("{root}//a0"),
        format!("/{root}/a1"),
        format!("/.{root}/././a2"),
        format!("{}/a3", root.replace('/', "//./")),
    ]
    .iter()
    .enumerate()
    {
        let placement = BOTH[index % 2];
        let output = bench.roots.create(&Target { path, placement, length: None, resume: None }).unwrap();
        output.finish(index as u64, Durability::NoSync).unwrap();
        assert_eq!(fs::metadata(bench.at(&format!("a{index}"))).unwrap().len(), index as u64);
    }
}

#[test]
fn long_paths_are_refused_and_not_repeated() {
    let bench = Bench::new();
    for placement in BOTH {
        let error = refused!(bench.create(&"x/".repeat(2500), placement, None), StoreError::TooLong { .. });
        assert!(error.len() < 300, "{error}");
        refused!(bench.create(&"x".repeat(256), placement, None), StoreError::TooLong { .. });
    }
    let name = "x".repeat(250);
    refused!(bench.rename(&name), StoreError::TooLong { .. });
    bench.in_place(&name).unwrap().finish(1, Durability::NoSync).unwrap();
    assert_eq!(bench.names(), [OsStr::new(&name)]);
}

#[test]
fn symlinks_may_lead_anywhere_inside() {
    let bench = Bench::new();
    fs::create_dir_all(bench.at("b/c")).unwrap();
    symlink("b/c", bench.at("folder")).unwrap();
    symlink("../../file", bench.at("b/c/link")).unwrap();
    fs::write(bench.at("file"), "old").unwrap();

    bench.rename("folder/new").unwrap().finish(1, Durability::Sync).unwrap();
    assert!(bench.at("b/c/new").is_file());

    let output = bench.in_place("folder/link").unwrap();
    output.write_at(b"new!", 0).unwrap();
    output.finish(4, Durability::Sync).unwrap();
    assert_eq!(fs::read(bench.at("file")).unwrap(), b"new!");
    assert!(bench.at("b/c/link").is_symlink());

    // The last name of a file that is renamed is replaced, whatever it was a link to.
    bench.rename("folder/link").unwrap().finish(2, Durability::Sync).unwrap();
    assert!(bench.at("b/c/link").is_file() && !bench.at("b/c/link").is_symlink());
    assert_eq!(fs::read(bench.at("file")).unwrap(), b"new!");
}

#[test]
fn symlinks_that_lead_out_are_not_allowed() {
    let bench = Bench::new();
    let outside = bench.outside.path();
    fs::write(outside.join("victim"), "precious").unwrap();
    symlink(outside, bench.at("absolute")).unwrap();
    symlink("..", bench.at("parent")).unwrap();
    symlink("../root", bench.at("out_and_back")).unwrap();
    symlink("parent", bench.at("chain")).unwrap();
    symlink("../victim", bench.at("file")).unwrap();
    symlink("../fresh", bench.at("dangling")).unwrap();

    for folder in ["absolute", "parent", "chain", "out_and_back"] {
        for placement in BOTH {
            for name in ["victim", "fresh"] {
                let path = format!("{folder}/{name}");
                let error = refused!(bench.create(&path, placement, None), StoreError::NotAllowed { .. });
                assert!(error.contains("symlink"), "{error}");
            }
        }
    }
    for name in ["file", "dangling"] {
        refused!(bench.in_place(name), StoreError::NotAllowed { .. });
    }
    bench.rename("file").unwrap().finish(0, Durability::NoSync).unwrap();
    assert_eq!(fs::read(outside.join("victim")).unwrap(), b"precious");
    assert_eq!(fs::read_dir(outside).unwrap().count(), 2, "the root and the victim");
}

#[test]
fn links_of_proc_are_no_way_out() {
    let bench = Bench::new();
    let roots = Roots::open(&["/proc".into()]).unwrap();
    let victim = fs::File::create(bench.outside.path().join("victim")).unwrap();
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&victim));
    let target = Target { path: &path, placement: Placement::InPlace, length: None, resume: None };
    refused!(roots.create(&target), StoreError::NotAllowed { .. } | StoreError::CannotOpen { .. });
}

#[test]
fn a_symlink_to_nothing_or_to_itself_is_refused() {
    let bench = Bench::new();
    symlink("nothing", bench.at("dangling")).unwrap();
    symlink("loop", bench.at("loop")).unwrap();
    refused!(bench.in_place("dangling"), StoreError::NotAFile { .. });
    refused!(bench.in_place("loop"), StoreError::CannotOpen { .. });
    assert_eq!(bench.names(), ["dangling", "loop"]);
}

#[test]
fn a_missing_folder_is_not_made() {
    let bench = Bench::new();
    fs::write(bench.at("file"), "").unwrap();
    for placement in BOTH {
        let error = refused!(bench.create("b/a", placement, None), StoreError::CannotOpen { .. });
        assert!(error.contains("folder") && error.contains("does not exist"), "{error}");
        let error = refused!(bench.create("file/a", placement, None), StoreError::CannotOpen { .. });
        assert!(error.to_lowercase().contains("not a directory") || error.contains("no folder"), "{error}");
    }
    assert_eq!(bench.names(), ["file"]);
}

#[test]
fn a_folder_is_no_file() {
    let bench = Bench::new();
    fs::create_dir(bench.at("folder")).unwrap();
    let root = text(&bench.root());
    for placement in BOTH {
        let error = refused!(bench.create("folder", placement, None), StoreError::NotAFile { .. });
        assert!(error.contains("folder"), "{error}");
        let target = Target { path: &root, placement, length: None, resume: None };
        refused!(bench.roots.create(&target), StoreError::NotAFile { .. });
    }
    assert_eq!(bench.names(), ["folder"]);
}

#[test]
fn names_that_are_no_text_do_no_harm() {
    let bench = Bench::new();
    let odd = bench.root().join(OsStr::from_bytes(b"odd\xff"));
    fs::create_dir(&odd).unwrap();
    fs::write(bench.root().join(OsStr::from_bytes(b"a\xfe.lantorrent")), "").unwrap();

    // Beside files of such names.
    bench.rename("a").unwrap().finish(1, Durability::Sync).unwrap();
    bench.in_place("b").unwrap().finish(1, Durability::Sync).unwrap();
    assert_eq!(bench.names().len(), 4);

    // As a root: it can be one, and no request can name it.
    let roots = Roots::open(from_ref(&odd)).unwrap();
    let path = format!("{}/a", odd.display());
    refused!(
        roots.create(&Target { path: &path, placement: Placement::Rename, length: None, resume: None }),
        StoreError::NotAllowed { .. }
    );

    // Through a link with a proper name.
    let link = bench.at("proper");
    symlink(&odd, &link).unwrap();
    let roots = Roots::open(from_ref(&link)).unwrap();
    let path = text(&link.join("a"));
    let output = roots
        .create(&Target { path: &path, placement: Placement::Rename, length: None, resume: None })
        .unwrap();
    output.finish(1, Durability::Sync).unwrap();
    assert!(odd.join("a").is_file());
}

#[test]
fn the_longest_root_decides() {
    let bench = Bench::new();
    let inner = bench.outside.path().join("inner");
    fs::create_dir(&inner).unwrap();
    // The outer root alone would refuse this link, which leads out of it.
    symlink("../inner", bench.at("link")).unwrap();
    refused!(bench.rename("link/a"), StoreError::NotAllowed { .. });
    let roots = Roots::open(&[bench.at("link"), bench.root()]).unwrap();
    let path = text(&bench.at("link/a"));
    let output = roots
        .create(&Target { path: &path, placement: Placement::Rename, length: None, resume: None })
        .unwrap();
    output.finish(3, Durability::NoSync).unwrap();
    assert!(inner.join("a").is_file());
}

#[test]
fn a_root_that_is_a_file_allows_just_that() {
    let bench = Bench::new();
    let file = bench.at("file");
    fs::write(&file, "old content").unwrap();
    let roots = Roots::open(from_ref(&file)).unwrap();
    let create = |path: PathBuf, placement| {
        let path = text(&path);
        roots.create(&Target { path: &path, placement, length: None, resume: None })
    };
    let error = refused!(create(file.clone(), Placement::Rename), StoreError::NotAllowed { .. });
    assert!(error.contains("rename: false"), "{error}");
    refused!(create(bench.at("file2"), Placement::InPlace), StoreError::NotAllowed { .. });
    refused!(create(bench.at("file/a"), Placement::InPlace), StoreError::NotAllowed { .. });
    let output = create(file.clone(), Placement::InPlace).unwrap();
    output.write_at(b"new", 0).unwrap();
    output.finish(3, Durability::Sync).unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"new");
    assert_eq!(bench.names(), ["file"]);
}
