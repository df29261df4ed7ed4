//! Roots and folders that are renamed, replaced or missing: a file counts only where its path leads.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use lantorrent_core::store::{Durability, Output, Placement, Roots, StoreError, Target};

use crate::resume::{BLOCK, WISH, beside, content, interrupt};
use crate::{Bench, refused, text};

const PLACEMENTS: [Placement; 2] = [Placement::Rename, Placement::InPlace];

/// Renames a folder, and makes another in its place.
fn replace(folder: &Path) {
    fs::rename(folder, folder.with_extension("old")).unwrap();
    fs::create_dir(folder).unwrap();
}

/// Fails because the path does not lead to the file. Both places are named.
fn elsewhere(output: Output, path: &Path, place: &Path) {
    let error = refused!(output.finish(3, Durability::Sync), StoreError::Elsewhere { .. });
    assert!(error.contains(path.to_str().unwrap()), "{error}");
    assert!(error.contains(&format!("{:?}", place.to_str().unwrap())), "{error}");
}

fn written(output: Output) -> Output {
    output.write_at(b"new", 0).unwrap();
    output
}

#[test]
fn a_root_that_was_replaced_before_is_the_one_that_is_written() {
    for placement in PLACEMENTS {
        let bench = Bench::new();
        replace(&bench.root());
        written(bench.create("a", placement, None).unwrap()).finish(3, Durability::Sync).unwrap();
        assert_eq!(fs::read(bench.at("a")).unwrap(), b"new");
    }
}

#[test]
fn a_root_that_is_missing_is_named_and_used_when_it_is_there_again() {
    for placement in PLACEMENTS {
        let bench = Bench::new();
        let path = bench.text("a");
        let target = Target { path: &path, placement, length: None, resume: None };
        let away = bench.outside.path().join("away");
        fs::rename(bench.root(), &away).unwrap();
        let error = refused!(bench.create("a", placement, None), StoreError::NoRoot { .. });
        assert!(error.contains(&format!("{path:?}")), "{error}");
        assert!(error.contains(&format!("its root {:?}", text(&bench.root()))), "{error}");
        refused!(bench.roots.probe(&target), StoreError::NoRoot { .. });
        assert_eq!(bench.roots.clean(Duration::ZERO), 0);
        fs::write(bench.root(), "a file").unwrap();
        refused!(bench.create("a", placement, None), StoreError::NoRoot { .. });
        fs::remove_file(bench.root()).unwrap();
        fs::rename(&away, bench.root()).unwrap();
        bench.roots.probe(&target).unwrap();
        written(bench.create("a", placement, None).unwrap()).finish(3, Durability::Sync).unwrap();
        assert_eq!(bench.names(), ["a"]);
    }
}

#[test]
fn a_root_may_come_after_its_node() {
    let outside = tempfile::tempdir().unwrap();
    let (folder, single) = (outside.path().join("folder"), outside.path().join("single"));
    let roots = Roots::open(&[folder.clone(), single.clone()]).unwrap();
    assert_eq!(roots.missing().collect::<Vec<_>>(), [&folder, &single]);
    let (a, alone) = (text(&folder.join("a")), text(&single));
    let target = |path, placement| Target { path, placement, length: None, resume: None };
    for placement in PLACEMENTS {
        refused!(roots.create(&target(&a, placement)), StoreError::NoRoot { .. });
        roots.create(&target(&alone, placement)).map(drop).unwrap_err();
    }
    fs::create_dir(&folder).unwrap();
    fs::write(&single, "old").unwrap();
    assert_eq!(roots.missing().count(), 0);
    for placement in PLACEMENTS {
        written(roots.create(&target(&a, placement)).unwrap()).finish(3, Durability::Sync).unwrap();
    }
    written(roots.create(&target(&alone, Placement::InPlace)).unwrap()).finish(3, Durability::Sync).unwrap();
    assert_eq!((fs::read(&a).unwrap(), fs::read(&single).unwrap()), (b"new".to_vec(), b"new".to_vec()));
    // And nothing is allowed beside it.
    refused!(roots.create(&target(&format!("{alone}/a"), Placement::Rename)), StoreError::NotAllowed { .. });
}

#[test]
fn a_root_that_is_replaced_meanwhile_is_a_failure_and_nothing_is_deleted() {
    let bench = Bench::new();
    fs::write(bench.at("a"), "before").unwrap();
    let output = written(bench.rename("a").unwrap());
    let old = bench.outside.path().join("root.old");
    replace(&bench.root());
    fs::write(bench.at("a"), "another").unwrap();
    elsewhere(output, &bench.at("a"), &old.join("a.lantorrent"));
    assert_eq!(fs::read(old.join("a.lantorrent")).unwrap(), b"new");
    assert_eq!(fs::read(old.join("a")).unwrap(), b"before");
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"another");
}

#[test]
fn a_file_in_place_is_one_only_where_its_path_leads() {
    for there in [false, true] {
        let bench = Bench::new();
        if there {
            fs::write(bench.at("a"), "before").unwrap();
        }
        let output = written(bench.in_place("a").unwrap());
        let old = bench.outside.path().join("root.old");
        replace(&bench.root());
        elsewhere(output, &bench.at("a"), &old.join("a"));
        assert_eq!(fs::read(old.join("a")).unwrap(), b"new");
        assert_eq!(bench.names().len(), 0);

        // Only the file is replaced, and still has a name.
        let output = written(bench.in_place("b").unwrap());
        fs::rename(bench.at("b"), bench.at("c")).unwrap();
        fs::write(bench.at("b"), "another").unwrap();
        elsewhere(output, &bench.at("b"), &bench.at("c"));
        assert_eq!(fs::read(bench.at("b")).unwrap(), b"another");
        assert_eq!(fs::read(bench.at("c")).unwrap(), b"new");
    }
}

#[test]
fn a_folder_on_the_way_is_looked_for_anew() {
    for placement in PLACEMENTS {
        let bench = Bench::new();
        fs::create_dir_all(bench.at("x/y")).unwrap();
        let suffix = if placement == Placement::Rename { ".lantorrent" } else { "" };

        let output = written(bench.create("x/y/a", placement, None).unwrap());
        fs::rename(bench.at("x"), bench.at("z")).unwrap();
        elsewhere(output, &bench.at("x/y/a"), &bench.at(&format!("z/y/a{suffix}")));

        let output = written(bench.create("z/y/b", placement, None).unwrap());
        replace(&bench.at("z/y"));
        elsewhere(output, &bench.at("z/y/b"), &bench.at(&format!("z/y.old/b{suffix}")));
        assert_eq!(fs::read_dir(bench.at("z/y")).unwrap().count(), 0);

        // One that leads to the same folder by another way is none that was replaced.
        let output = written(bench.create("z/y/c", placement, None).unwrap());
        fs::rename(bench.at("z/y"), bench.at("z/here")).unwrap();
        symlink("here", bench.at("z/y")).unwrap();
        output.finish(3, Durability::Sync).unwrap();
        assert_eq!(fs::read(bench.at("z/y/c")).unwrap(), b"new");

        let output = written(bench.create("z/y/d", placement, None).unwrap());
        fs::remove_file(bench.at("z/y")).unwrap();
        symlink("../..", bench.at("z/y")).unwrap();
        elsewhere(output, &bench.at("z/y/d"), &bench.at(&format!("z/here/d{suffix}")));
    }
}

#[test]
fn a_root_that_is_a_link_is_followed_each_time() {
    for placement in PLACEMENTS {
        let bench = Bench::new();
        let link = bench.outside.path().join("current");
        let (one, two) = (bench.at("one"), bench.at("two"));
        fs::create_dir(&one).unwrap();
        fs::create_dir(&two).unwrap();
        let switch = |to: &Path| {
            let _ = fs::remove_file(&link);
            symlink(to, &link).unwrap();
        };
        switch(&one);
        let roots = Roots::open(std::slice::from_ref(&link)).unwrap();
        let path = text(&link.join("a"));
        let create =
            || written(roots.create(&Target { path: &path, placement, length: None, resume: None }).unwrap());
        create().finish(3, Durability::Sync).unwrap();
        assert!(one.join("a").is_file());
        switch(&two);
        create().finish(3, Durability::Sync).unwrap();
        assert!(two.join("a").is_file());
        fs::remove_file(one.join("a")).unwrap();
        let output = create();
        switch(&one);
        let suffix = if placement == Placement::Rename { ".lantorrent" } else { "" };
        elsewhere(output, &link.join("a"), &two.join(format!("a{suffix}")));
        assert!(!one.join("a").exists());
    }
}

#[test]
fn each_copy_is_looked_for() {
    let bench = Bench::new();
    fs::create_dir(bench.at("x")).unwrap();
    let (path, other) = (bench.text("a"), bench.text("x/b"));
    let target = |path| Target { path, placement: Placement::Rename, length: None, resume: None };
    let original = written(bench.roots.create(&target(&path)).unwrap());
    let copy = bench.roots.create_like(&target(&other), &[&original], &|| true).unwrap();
    copy.write_at(b"new", 0).unwrap();
    replace(&bench.at("x"));
    elsewhere(copy, &bench.at("x/b"), &bench.at("x.old/b.lantorrent"));
    original.finish(3, Durability::Sync).unwrap();
    assert!(bench.at("a").is_file());
}

#[test]
fn what_was_interrupted_is_gone_on_with_only_where_the_path_leads() {
    let bench = Bench::new();
    let content = content(4 * BLOCK);
    interrupt(&bench, "a", &content);
    replace(&bench.root());
    let output = WISH.create(&bench, "a").unwrap();
    assert_eq!(output.resumed(), 0, "it is in the other folder");
    output.discard();
    assert_eq!(bench.names().len(), 0);
    let old = bench.outside.path().join("root.old");
    assert!(old.join("a.lantorrent").is_file() && old.join("a.lantorrent-journal").is_file());
    fs::remove_dir(bench.root()).unwrap();
    fs::rename(old, bench.root()).unwrap();
    assert!(WISH.create(&bench, "a").unwrap().resumed() > 0);
}

#[test]
fn what_is_old_is_removed_only_where_the_root_leads() {
    let bench = Bench::new();
    interrupt(&bench, "a", &content(2 * BLOCK));
    replace(&bench.root());
    interrupt(&bench, "b", &content(2 * BLOCK));
    assert_eq!(bench.roots.clean(Duration::ZERO), 1);
    let (target, old) = (bench.text("a"), bench.outside.path().join("root.old"));
    let target = Target { path: &target, placement: Placement::Rename, length: None, resume: None };
    bench.roots.remove(&target, b"1").unwrap();
    assert!(beside(&bench, "b").iter().all(|path| !path.exists()));
    assert!(old.join("a.lantorrent").is_file() && old.join("a.lantorrent-journal").is_file());
}

#[test]
fn what_was_placed_can_be_asked_for_again() {
    for placement in PLACEMENTS {
        let bench = Bench::new();
        let path = bench.text("a");
        let target = Target { path: &path, placement, length: None, resume: None };
        let output = written(bench.roots.create(&target).unwrap());
        let identity = output.finish(3, Durability::Sync).unwrap();
        bench.roots.check_placed(&target, identity).unwrap();
        fs::rename(bench.at("a"), bench.at("b")).unwrap();
        let error = refused!(bench.roots.check_placed(&target, identity), StoreError::Elsewhere { .. });
        assert!(error.contains("nowhere"), "{error}");
        fs::write(bench.at("a"), "another").unwrap();
        refused!(bench.roots.check_placed(&target, identity), StoreError::Elsewhere { .. });
        fs::rename(bench.at("b"), bench.at("a")).unwrap();
        bench.roots.check_placed(&target, identity).unwrap();
    }
}
