//! Files that are written where they stand.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;

use lantorrent_core::store::{Durability, Placement, Roots, StoreError, Target};
use rustix::fs::{FileType, FlockOperation, Mode, flock, mknodat};

use crate::{Bench, refused};

#[test]
fn a_file_is_made_where_there_is_none() {
    let bench = Bench::new();
    let output = bench.create("a", Placement::InPlace, Some(5)).unwrap();
    assert_eq!(output.placement(), Placement::InPlace);
    output.write_at(b"hello", 0).unwrap();
    assert!(output.read_back().is_some());
    output.finish(5, Durability::Sync).unwrap();
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"hello");
    assert_eq!(bench.names(), ["a"]);
}

#[test]
fn a_file_keeps_its_inode_and_is_cut_at_the_end() {
    let bench = Bench::new();
    fs::write(bench.at("a"), "a long old content").unwrap();
    let inode = fs::metadata(bench.at("a")).unwrap().ino();
    let output = bench.in_place("a").unwrap();
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"a long old content", "nothing is lost by opening");
    output.write_at(b"new", 0).unwrap();
    output.finish(3, Durability::Sync).unwrap();
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"new");
    assert_eq!(fs::metadata(bench.at("a")).unwrap().ino(), inode);
    bench.in_place("a").unwrap().finish(5, Durability::NoSync).unwrap();
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"new\0\0");
}

#[test]
fn a_file_given_up_stays_as_it_is() {
    let bench = Bench::new();
    fs::write(bench.at("a"), "old content").unwrap();
    let output = bench.in_place("a").unwrap();
    output.write_at(b"new", 0).unwrap();
    output.discard();
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"new content");
    drop(bench.in_place("b").unwrap());
    assert_eq!(bench.names(), ["a", "b"]);
}

#[test]
fn one_file_is_written_once_at_a_time() {
    let bench = Bench::new();
    let output = bench.in_place("a").unwrap();
    refused!(bench.in_place("a"), StoreError::InUse { .. });
    // Whoever reads it back relies on it, so it stays locked.
    let reader = output.read_back();
    output.finish(0, Durability::NoSync).unwrap();
    refused!(bench.in_place("a"), StoreError::InUse { .. });
    drop(reader);
    let lock = File::open(bench.at("a")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    refused!(bench.in_place("a"), StoreError::InUse { .. });
    drop(lock);
    bench.in_place("a").unwrap().discard();
}

#[test]
fn a_file_that_lost_its_name_is_no_success() {
    let bench = Bench::new();
    let output = bench.in_place("a").unwrap();
    output.write_at(b"new", 0).unwrap();
    fs::write(bench.at("b"), "stranger").unwrap();
    fs::rename(bench.at("b"), bench.at("a")).unwrap();
    refused!(output.finish(3, Durability::Sync), StoreError::CannotWrite { .. });
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"stranger");
}

#[test]
fn only_growth_needs_space() {
    let bench = Bench::new();
    let file = File::create(bench.at("a")).unwrap();
    let big = 1 << 43;
    if file.set_len(big).is_err() {
        println!("skipped: this file system has no files of {big} bytes");
        return;
    }
    let stat = rustix::fs::statvfs(bench.root()).unwrap();
    if stat.f_bavail * stat.f_frsize >= big {
        println!("skipped: this disk has room for {big} bytes");
        return;
    }
    bench.create("a", Placement::InPlace, Some(big + 1)).unwrap().discard();
    refused!(bench.create("a", Placement::InPlace, Some(big + (1 << 60))), StoreError::NoSpace { .. });
    refused!(bench.create("b", Placement::InPlace, Some(big)), StoreError::NoSpace { .. });
    assert_eq!(bench.names(), ["a"]);
}

#[test]
fn what_is_no_file_is_refused_at_once() {
    let bench = Bench::new();
    mknodat(rustix::fs::CWD, bench.at("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let error = refused!(bench.in_place("fifo"), StoreError::NotAFile { .. });
    assert!(error.contains("FIFO"), "{error}");
    let _socket = UnixListener::bind(bench.at("socket")).unwrap();
    let error = refused!(bench.in_place("socket"), StoreError::NotAFile { .. });
    assert!(error.contains("socket"), "{error}");

    let roots = Roots::open(&["/dev".into()]).unwrap();
    for path in ["/dev/tty", "/dev/zero", "/dev/full", "/dev/random", "/dev/ptmx"] {
        let target = Target { path, placement: Placement::InPlace, length: None, resume: None };
        let error = refused!(roots.create(&target), StoreError::NotAFile { .. });
        assert!(error.contains("character device"), "{error}");
    }
}

#[test]
fn dev_null_takes_everything() {
    for root in ["/dev/null", "/dev"] {
        let roots = Roots::open(&[root.into()]).unwrap();
        let target = Target {
            path: "/dev/null",
            placement: Placement::InPlace,
            length: Some(i64::MAX as u64),
            resume: None,
        };
        let output = roots.create(&target).unwrap();
        let another = roots.create(&target).unwrap();
        assert!(output.read_back().is_none());
        output.write_at(b"hello", 0).unwrap();
        output.write_at(b"hello", 1 << 40).unwrap();
        output.zero(5, 1 << 50).unwrap();
        output.finish(i64::MAX as u64, Durability::Sync).unwrap();
        another.finish(0, Durability::Sync).unwrap();
        let target = Target { placement: Placement::Rename, ..target };
        let error =
            refused!(roots.create(&target), StoreError::NotAllowed { .. } | StoreError::NotAFile { .. });
        assert!(error.contains("rename: false"), "{error}");
    }
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    assert!(!fs::exists("/dev/null.lantorrent").unwrap());
}
