//! Files that are written beside their path and renamed.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::os::unix::net::UnixListener;

use lantorrent_core::store::{Durability, Placement, Remains, StoreError};
use rustix::fs::{FileType, FlockOperation, Mode, flock, mknodat};

use crate::{Bench, refused};

#[test]
fn a_file_appears_whole() {
    let bench = Bench::new();
    for durability in [Durability::Sync, Durability::NoSync] {
        let _ = fs::remove_file(bench.at("a"));
        let output = bench.create("a", Placement::Rename, Some(11)).unwrap();
        assert_eq!(output.placement(), Placement::Rename);
        assert_eq!(bench.names(), ["a.lantorrent"]);
        // In any order.
        output.write_at(b"world", 6).unwrap();
        output.write_at(b"hello ", 0).unwrap();
        let back = output.read_back().unwrap();
        let mut found = [0; 11];
        back.read_exact_at(&mut found, 0).unwrap();
        assert_eq!(&found, b"hello world");
        output.finish(11, durability).unwrap();
        assert_eq!(bench.names(), ["a"]);
        assert_eq!(fs::read(bench.at("a")).unwrap(), b"hello world");
        assert_eq!(fs::metadata(bench.at("a")).unwrap().mode() & 0o7133, 0, "no odd permissions");
        // Who still reads may go on.
        back.read_exact_at(&mut found, 0).unwrap();
    }
}

#[test]
fn the_length_is_what_finish_says() {
    let bench = Bench::new();
    let output = bench.rename("a").unwrap();
    output.write_at(b"hello", 0).unwrap();
    output.finish(3, Durability::Sync).unwrap();
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"hel");
    let output = bench.rename("a").unwrap();
    output.write_at(b"hello", 0).unwrap();
    output.finish(7, Durability::Sync).unwrap();
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"hello\0\0");
    bench.rename("empty").unwrap().finish(0, Durability::Sync).unwrap();
    assert_eq!(fs::read(bench.at("empty")).unwrap(), b"");
}

#[test]
fn the_old_file_stays_until_the_new_one_is_whole() {
    let bench = Bench::new();
    fs::write(bench.at("a"), "old").unwrap();
    let output = bench.rename("a").unwrap();
    output.write_at(b"new", 0).unwrap();
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"old");
    output.finish(3, Durability::Sync).unwrap();
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"new");
}

#[test]
fn discard_and_drop_leave_nothing() {
    let bench = Bench::new();
    fs::write(bench.at("a"), "old").unwrap();
    for discard in [lantorrent_core::store::Output::discard, drop] {
        let output = bench.rename("a").unwrap();
        output.write_at(b"new", 0).unwrap();
        let reader = output.read_back();
        discard(output);
        assert_eq!(bench.names(), ["a"]);
        assert_eq!(fs::read(bench.at("a")).unwrap(), b"old");
        // Somebody who still reads the one before is in nobody's way.
        bench.rename("a").unwrap().discard();
        drop(reader);
    }
}

#[test]
fn a_panic_leaves_nothing() {
    let bench = Bench::new();
    let output = bench.rename("a").unwrap();
    let thread = std::thread::spawn(move || {
        output.write_at(b"new", 0).unwrap();
        panic!("on purpose");
    });
    assert!(thread.join().is_err());
    assert!(bench.names().is_empty());
}

#[test]
fn one_path_is_written_once_at_a_time() {
    let bench = Bench::new();
    let output = bench.rename("a").unwrap();
    refused!(bench.rename("a"), StoreError::InUse { .. });
    output.write_at(b"one", 0).unwrap();
    bench.rename("b").unwrap().discard();
    output.finish(3, Durability::NoSync).unwrap();
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"one");
    bench.rename("a").unwrap().discard();
}

#[test]
fn a_stale_partial_is_taken_over_and_a_locked_one_is_not() {
    let bench = Bench::new();
    fs::write(bench.at("a.lantorrent"), "a long leftover of a killed process").unwrap();
    let lock = File::open(bench.at("a.lantorrent")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    refused!(bench.rename("a"), StoreError::InUse { .. });
    assert!(fs::metadata(bench.at("a.lantorrent")).unwrap().len() > 0, "it is not ours to empty");
    drop(lock);
    let output = bench.rename("a").unwrap();
    output.write_at(b"x", 2).unwrap();
    output.finish(3, Durability::Sync).unwrap();
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"\0\0x");
    assert_eq!(bench.names(), ["a"]);
}

#[test]
fn only_a_plain_file_is_taken_for_a_partial() {
    let bench = Bench::new();
    let partial = bench.at("a.lantorrent");
    let refuse = |what: &str| {
        let error = refused!(bench.rename("a"), StoreError::NotAFile { .. });
        assert!(error.contains("a.lantorrent") && error.contains(what), "{error}");
    };

    fs::write(bench.at("victim"), "precious").unwrap();
    symlink("victim", &partial).unwrap();
    refuse("symlink");
    fs::remove_file(&partial).unwrap();

    fs::hard_link(bench.at("victim"), &partial).unwrap();
    refuse("several names");
    assert_eq!(fs::read(bench.at("victim")).unwrap(), b"precious");
    fs::remove_file(&partial).unwrap();

    fs::create_dir(&partial).unwrap();
    refuse("folder");
    fs::remove_dir(&partial).unwrap();

    mknodat(rustix::fs::CWD, &partial, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    refuse("FIFO");
    fs::remove_file(&partial).unwrap();

    let socket = UnixListener::bind(&partial).unwrap();
    refuse("socket");
    drop(socket);
    assert_eq!(bench.names(), ["a.lantorrent", "victim"], "none of them was removed");
}

#[test]
fn only_a_file_is_replaced() {
    let bench = Bench::new();
    mknodat(rustix::fs::CWD, bench.at("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let error = refused!(bench.rename("fifo"), StoreError::NotAFile { .. });
    assert!(error.contains("rename: false"), "{error}");
    assert_eq!(bench.names(), ["fifo"]);
}

#[test]
fn a_replaced_partial_is_not_passed_off_as_ours() {
    let bench = Bench::new();
    fs::write(bench.at("a"), "old").unwrap();
    let output = bench.rename("a").unwrap();
    output.write_at(b"new", 0).unwrap();
    fs::write(bench.at("other"), "stranger").unwrap();
    fs::rename(bench.at("other"), bench.at("a.lantorrent")).unwrap();
    let error = refused!(output.finish(3, Durability::Sync), StoreError::CannotWrite { .. });
    assert!(error.contains("left alone"), "{error}");
    assert_eq!(fs::read(bench.at("a.lantorrent")).unwrap(), b"stranger");
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"old");
    fs::remove_file(bench.at("a.lantorrent")).unwrap();

    let output = bench.rename("a").unwrap();
    fs::remove_file(bench.at("a.lantorrent")).unwrap();
    fs::write(bench.at("a.lantorrent"), "stranger").unwrap();
    output.discard();
    assert_eq!(fs::read(bench.at("a.lantorrent")).unwrap(), b"stranger");
    fs::remove_file(bench.at("a.lantorrent")).unwrap();

    let output = bench.rename("a").unwrap();
    fs::remove_file(bench.at("a.lantorrent")).unwrap();
    refused!(output.finish(0, Durability::NoSync), StoreError::CannotWrite { .. });
    assert_eq!(bench.names(), ["a"]);
}

#[test]
fn a_rename_that_fails_leaves_nothing() {
    let bench = Bench::new();
    let output = bench.rename("a").unwrap();
    output.write_at(b"new", 0).unwrap();
    fs::create_dir(bench.at("a")).unwrap();
    let error = refused!(output.finish(3, Durability::Sync), StoreError::CannotWrite { .. });
    assert!(error.contains("nothing of it is left"), "{error}");
    assert_eq!(bench.names(), ["a"]);
}

#[test]
fn what_no_disk_can_hold_is_refused() {
    let bench = Bench::new();
    for placement in [Placement::Rename, Placement::InPlace] {
        for length in [1 << 60, i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX] {
            let error = refused!(
                bench.create("a", placement, Some(length)),
                StoreError::NoSpace { available: Some(_), .. }
            );
            assert!(error.contains(&length.to_string()), "{error}");
            assert!(bench.names().is_empty());
        }
    }
    for size in [i64::MAX as u64 + 1, u64::MAX] {
        let output = bench.rename("a").unwrap();
        refused!(output.finish(size, Durability::Sync), StoreError::NoSpace { .. });
        assert!(bench.names().is_empty());
    }
    let output = bench.rename("a").unwrap();
    refused!(output.write_at(b"xy", i64::MAX as u64), StoreError::NoSpace { .. });
    refused!(output.write_at(b"xy", u64::MAX), StoreError::NoSpace { .. });
    refused!(output.zero(u64::MAX, u64::MAX), StoreError::NoSpace { .. });
    refused!(output.finish(3, Durability::Sync), StoreError::CannotWrite { .. });
    assert!(bench.names().is_empty());
}

#[test]
fn whoever_wins_a_race_has_a_whole_file() {
    let bench = Bench::new();
    let content = |thread: u8| vec![thread; 1000 * usize::from(thread)];
    std::thread::scope(|scope| {
        for thread in 1..=4 {
            let (bench, content) = (&bench, content(thread));
            scope.spawn(move || {
                for round in 0..300 {
                    let output = match bench.rename("a") {
                        Ok(output) => output,
                        Err(StoreError::InUse { .. }) => continue,
                        Err(error) => panic!("{error}"),
                    };
                    output.write_at(&content, 0).unwrap();
                    if round % 3 == 0 {
                        output.discard();
                        continue;
                    }
                    // The next one may be through before this one has looked whether the file is its own.
                    match output.finish(content.len() as u64, Durability::NoSync) {
                        Ok(_)
                        | Err(
                            StoreError::CannotWrite { remains: Remains::Foreign, .. }
                            | StoreError::Elsewhere { .. },
                        ) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    assert_eq!(bench.names(), ["a"]);
    let found = fs::read(bench.at("a")).unwrap();
    assert_eq!(found, content(found[0]));
}
