//! Removing what is not wanted any more.

use std::fs;
use std::os::unix::fs::symlink;

use lantorrent_core::store::{Durability, Placement, StoreError, Target};

use crate::resume::{BLOCK, WISH, beside, content, interrupt, write};
use crate::{Bench, refused};

/// The version that the others of these tests write.
const VERSION: &[u8] = b"1";

fn remove(bench: &Bench, path: &str, placement: Placement, version: &[u8]) -> Result<(), StoreError> {
    bench.roots.remove(&Target { path, placement, length: None, resume: None }, version)
}

fn remove_partial(bench: &Bench, name: &str) -> Result<(), StoreError> {
    remove(bench, &bench.text(name), Placement::Rename, VERSION)
}

#[test]
fn what_was_left_of_that_version_goes_and_what_is_whole_stays() {
    let bench = Bench::new();
    fs::write(bench.at("a"), "whole").unwrap();
    for name in ["a", "b", "orphan"] {
        interrupt(&bench, name, &content(2 * BLOCK));
    }
    fs::write(bench.at("a.lantorrent-next"), "").unwrap();
    fs::remove_file(bench.at("orphan.lantorrent")).unwrap();
    remove_partial(&bench, "a").unwrap();
    remove_partial(&bench, "orphan").unwrap();
    assert_eq!(bench.names(), ["a", "b.lantorrent", "b.lantorrent-journal"]);
    remove_partial(&bench, "a").unwrap();
    remove_partial(&bench, "never-there").unwrap();
    remove_partial(&bench, "no-folder/a").unwrap();
    assert_eq!(fs::read_to_string(bench.at("a")).unwrap(), "whole");
}

#[test]
fn what_is_not_known_to_be_of_that_version_stays() {
    let bench = Bench::new();
    for name in ["other", "no-journal", "bad-journal", "linked", "symlink"] {
        interrupt(&bench, name, &content(2 * BLOCK));
    }
    fs::remove_file(bench.at("no-journal.lantorrent-journal")).unwrap();
    fs::write(bench.at("bad-journal.lantorrent-journal"), "notes of somebody").unwrap();
    fs::hard_link(bench.at("linked.lantorrent"), bench.at("precious")).unwrap();
    fs::rename(bench.at("symlink.lantorrent"), bench.at("target")).unwrap();
    symlink("target", bench.at("symlink.lantorrent")).unwrap();
    let before = bench.names();
    remove(&bench, &bench.text("other"), Placement::Rename, b"another version").unwrap();
    for name in ["no-journal", "bad-journal", "linked", "symlink"] {
        remove_partial(&bench, name).unwrap();
    }
    // Neither is written by halves.
    remove(&bench, &bench.text("other"), Placement::InPlace, VERSION).unwrap();
    assert_eq!(bench.names(), before);
}

#[test]
fn what_somebody_writes_is_in_use() {
    let bench = Bench::new();
    let all = content(2 * BLOCK);
    let output = WISH.create(&bench, "a").unwrap();
    output.begin(0);
    write(&output, &all, 0);
    refused!(remove_partial(&bench, "a"), StoreError::InUse { .. });
    output.finish(all.len() as u64, Durability::NoSync).unwrap();
    remove_partial(&bench, "a").unwrap();
    assert_eq!(fs::read(bench.at("a")).unwrap(), all);
}

#[test]
fn nothing_outside_the_roots_is_touched() {
    let (bench, elsewhere) = (Bench::new(), Bench::new());
    interrupt(&elsewhere, "a", &content(BLOCK));
    symlink(elsewhere.root(), bench.at("way-out")).unwrap();
    for path in [elsewhere.text("a"), bench.text("../../a"), "relative".into(), "/".into(), "/\0".into()] {
        remove(&bench, &path, Placement::Rename, VERSION).unwrap();
    }
    refused!(remove_partial(&bench, "way-out/a"), StoreError::NotAllowed { .. });
    assert!(beside(&elsewhere, "a").iter().all(|path| path.exists()));
}
