//! Removing what was never gone on with, and asking without leaving a trace.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use lantorrent_core::store::{Placement, Roots, StoreError, Target};
use rustix::fs::{FlockOperation, flock};

use crate::resume::{BLOCK, WISH, beside, content, interrupt};
use crate::{Bench, refused, text};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn age(path: &Path, by: Duration) {
    File::open(path).unwrap().set_modified(SystemTime::now() - by).unwrap();
}

/// A partial file and its journal, of that age.
fn stale(bench: &Bench, name: &str, by: Duration) {
    interrupt(bench, name, &content(2 * BLOCK));
    for path in beside(bench, name) {
        age(&path, by);
    }
}

#[test]
fn only_what_is_old_and_free_and_has_a_journal_is_removed() {
    let bench = Bench::new();
    fs::create_dir_all(bench.at("sub/sub")).unwrap();
    stale(&bench, "old", 2 * DAY);
    stale(&bench, "sub/sub/old", 2 * DAY);
    stale(&bench, "orphan", 2 * DAY);
    fs::remove_file(bench.at("orphan.lantorrent")).unwrap();

    stale(&bench, "new", DAY / 2);
    stale(&bench, "new-file", 2 * DAY);
    age(&bench.at("new-file.lantorrent"), DAY / 2);
    stale(&bench, "new-journal", 2 * DAY);
    age(&bench.at("new-journal.lantorrent-journal"), DAY / 2);
    stale(&bench, "new-orphan", DAY / 2);
    fs::remove_file(bench.at("new-orphan.lantorrent")).unwrap();
    stale(&bench, "locked", 2 * DAY);
    let lock = File::open(bench.at("locked.lantorrent")).unwrap();
    flock(&lock, FlockOperation::LockShared).unwrap();
    stale(&bench, "in-use", 2 * DAY);
    let output = WISH.create(&bench, "in-use").unwrap();
    for path in beside(&bench, "in-use") {
        age(&path, 2 * DAY);
    }
    stale(&bench, "no-journal", 2 * DAY);
    fs::remove_file(bench.at("no-journal.lantorrent-journal")).unwrap();
    stale(&bench, "bad-journal", 2 * DAY);
    fs::write(bench.at("bad-journal.lantorrent-journal"), "notes of somebody").unwrap();
    age(&bench.at("bad-journal.lantorrent-journal"), 2 * DAY);
    stale(&bench, "linked", 2 * DAY);
    fs::hard_link(bench.at("linked.lantorrent"), bench.at("precious")).unwrap();
    stale(&bench, "linked-journal", 2 * DAY);
    fs::hard_link(bench.at("linked-journal.lantorrent-journal"), bench.at("precious-too")).unwrap();
    stale(&bench, "symlink", 2 * DAY);
    fs::rename(bench.at("symlink.lantorrent"), bench.at("target")).unwrap();
    symlink("target", bench.at("symlink.lantorrent")).unwrap();
    fs::write(bench.at("whole"), "x").unwrap();
    age(&bench.at("whole"), 2 * DAY);
    // Out of the root, and round in a circle.
    let elsewhere = Bench::new();
    stale(&elsewhere, "old", 2 * DAY);
    symlink(elsewhere.root(), bench.at("way-out")).unwrap();
    symlink(".", bench.at("sub/circle")).unwrap();

    // Somebody was killed while he made another journal.
    for name in ["old", "new", "in-use"] {
        fs::write(bench.at(&format!("{name}.lantorrent-next")), "").unwrap();
    }

    let before = bench.names();
    assert_eq!(bench.roots.clean(DAY), 3);
    let gone =
        ["old.lantorrent", "old.lantorrent-journal", "old.lantorrent-next", "orphan.lantorrent-journal"];
    let expected: Vec<_> = before.into_iter().filter(|name| !gone.iter().any(|gone| name == gone)).collect();
    assert_eq!(bench.names(), expected);
    assert_eq!(fs::read_dir(bench.at("sub/sub")).unwrap().count(), 0);
    assert_eq!(elsewhere.names().len(), 2);
    assert_eq!(bench.roots.clean(DAY), 0);
    assert_eq!(bench.roots.clean(Duration::MAX), 0);

    drop((lock, output));
    assert_eq!(bench.roots.clean(DAY), 1, "the one that was locked");
}

#[test]
fn a_root_that_is_no_folder_is_nothing_to_clean() {
    let roots = Roots::open(&["/dev/null".into()]).unwrap();
    assert_eq!(roots.clean(Duration::ZERO), 0);
}

#[test]
fn cleaning_and_writing_do_not_meet() {
    let bench = Bench::new();
    let all = content(2 * BLOCK);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..300 {
                let output = match WISH.create(&bench, "a") {
                    Ok(output) => output,
                    Err(StoreError::InUse { .. }) => continue,
                    Err(error) => panic!("{error}"),
                };
                crate::resume::write(&output, &all, output.resumed() as usize / BLOCK);
                output.keep();
            }
        });
        while !writer.is_finished() {
            bench.roots.clean(Duration::ZERO);
        }
    });
    bench.roots.clean(Duration::ZERO);
    assert!(bench.names().is_empty(), "{:?}", bench.names());
}

/// All that can be seen of the root.
fn picture(bench: &Bench) -> Vec<(String, u64, SystemTime, Vec<u8>)> {
    let mut paths: Vec<_> = bench.names().into_iter().map(|name| bench.root().join(name)).collect();
    paths.push(bench.root());
    let picture = |path: &std::path::PathBuf| {
        let metadata = fs::symlink_metadata(path).unwrap();
        let content = fs::read(path).unwrap_or_default();
        (text(path), metadata.ino(), metadata.modified().unwrap(), content)
    };
    paths.iter().map(picture).collect()
}

fn probe(bench: &Bench, name: &str, placement: Placement, length: Option<u64>) -> Result<(), StoreError> {
    let path = bench.text(name);
    let before = picture(bench);
    let result = bench.roots.probe(&Target { path: &path, placement, length, resume: Some(WISH.resume) });
    assert!(before == picture(bench), "{name} was changed by asking");
    result
}

#[test]
fn asking_leaves_no_trace() {
    let bench = Bench::new();
    fs::write(bench.at("there"), "x").unwrap();
    stale(&bench, "half", DAY);
    fs::write(bench.at("dead.lantorrent"), "whatever").unwrap();
    fs::create_dir(bench.at("folder")).unwrap();
    fs::create_dir(bench.at("taken.lantorrent")).unwrap();
    symlink("nowhere", bench.at("link")).unwrap();
    fs::write(bench.at("two.lantorrent"), "x").unwrap();
    fs::hard_link(bench.at("two.lantorrent"), bench.at("names")).unwrap();
    for placement in [Placement::Rename, Placement::InPlace] {
        for name in ["new", "there", "half", "dead"] {
            probe(&bench, name, placement, None).unwrap();
            probe(&bench, name, placement, Some(10)).unwrap();
            refused!(probe(&bench, name, placement, Some(1 << 61)), StoreError::NoSpace { .. });
            refused!(probe(&bench, name, placement, Some(u64::MAX)), StoreError::NoSpace { .. });
        }
        refused!(probe(&bench, "folder", placement, None), StoreError::NotAFile { .. });
        refused!(probe(&bench, "missing/a", placement, None), StoreError::CannotOpen { .. });
        refused!(probe(&bench, "../a", placement, None), StoreError::NotAllowed { .. });
        refused!(probe(&bench, "a.lantorrent-journal", placement, None), StoreError::NotAllowed { .. });
    }
    refused!(probe(&bench, "taken", Placement::Rename, None), StoreError::NotAFile { .. });
    refused!(probe(&bench, "two", Placement::Rename, None), StoreError::NotAFile { .. });
    refused!(probe(&bench, "link", Placement::InPlace, None), StoreError::NotAFile { .. });
    probe(&bench, "link", Placement::Rename, None).unwrap();

    let (half, there) = (WISH.create(&bench, "half").unwrap(), bench.in_place("there").unwrap());
    refused!(probe(&bench, "half", Placement::Rename, None), StoreError::InUse { .. });
    refused!(probe(&bench, "there", Placement::InPlace, None), StoreError::InUse { .. });
    half.keep();
    there.discard();
    probe(&bench, "half", Placement::Rename, None).unwrap();
    assert_eq!(WISH.resumed(&bench, "half"), 2 * BLOCK as u64, "nothing is in the way of going on");
}

#[test]
fn a_folder_that_may_not_be_written_is_told_apart() {
    let bench = Bench::new();
    fs::create_dir(bench.at("closed")).unwrap();
    fs::set_permissions(bench.at("closed"), fs::Permissions::from_mode(0o555)).unwrap();
    // Root may do all.
    if File::create(bench.at("closed/x")).is_ok() {
        println!("skipped: this user writes wherever he wants");
        return;
    }
    for placement in [Placement::Rename, Placement::InPlace] {
        refused!(probe(&bench, "closed/a", placement, None), StoreError::CannotOpen { .. });
    }
}

#[test]
fn devices_are_asked_as_they_are_opened() {
    let roots = Roots::open(&["/dev".into(), "/dev/null".into()]).unwrap();
    let probe = |path, placement| roots.probe(&Target { path, placement, length: None, resume: None });
    probe("/dev/null", Placement::InPlace).unwrap();
    refused!(probe("/dev/zero", Placement::InPlace), StoreError::NotAFile { .. });
    refused!(probe("/dev/null", Placement::Rename), StoreError::NotAllowed { .. });
}
