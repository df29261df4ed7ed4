//! Without locks, and with files that another machine may be writing.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::store::lock::LACKS_FLOCK;
use crate::store::{Durability, Output, Placement, Resume, Roots, Target};

/// A folder on a file system without locks.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        LACKS_FLOCK.set(true);
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn create(&self, version: &[u8]) -> Result<Output, StoreError> {
        let path = self.at("a");
        let resume = Some(Resume { version, block_size: 4, durability: Durability::Sync });
        let target =
            Target { path: path.to_str().unwrap(), placement: Placement::Rename, length: Some(8), resume };
        Roots::open(&[self.0.path().to_owned()]).unwrap().create(&target)
    }

    /// What another machine would begin and still have open: the name that stands for the lock is let go.
    fn begun_elsewhere(&self, version: &[u8], data: [u8; 4]) -> File {
        let output = self.create(version).unwrap();
        write(&output, data, 0);
        output.keep();
        File::options().write(true).open(self.at("a.lantorrent")).unwrap()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        LACKS_FLOCK.set(false);
    }
}

fn write(output: &Output, data: [u8; 4], offset: u64) {
    output.write_at(&data, offset).unwrap();
    output.note(blake3::hash(&data).as_bytes(), 1);
}

#[test]
fn without_locks_one_process_of_a_machine_writes_a_file() {
    let bench = Bench::new();
    let output = bench.create(b"one").unwrap();
    assert!(matches!(bench.create(b"one"), Err(StoreError::InUse { .. })));
    write(&output, *b"data", 0);
    write(&output, *b"more", 4);
    output.finish(8, Durability::Sync).unwrap();
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"datamore");
    assert_eq!(fs::read_dir(bench.0.path()).unwrap().count(), 1);
}

#[test]
fn without_locks_a_file_of_another_version_is_replaced_and_not_emptied() {
    let bench = Bench::new();
    let other = bench.begun_elsewhere(b"one", *b"data");
    let output = bench.create(b"two").unwrap();
    assert_eq!(output.resumed(), 0);
    assert_eq!(other.metadata().unwrap().len(), 4, "it still has what was written");
    write(&output, *b"DATA", 0);
    // The other machine goes on, and its file is not ours.
    other.write_all_at(b"fail", 4).unwrap();
    write(&output, *b"MORE", 4);
    output.finish(8, Durability::Sync).unwrap();
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"DATAMORE");
}

#[test]
fn without_locks_the_same_version_is_gone_on_with_and_not_cut() {
    let bench = Bench::new();
    let other = bench.begun_elsewhere(b"one", *b"data");
    // Written since, and not in the journal.
    other.write_all_at(b"more", 4).unwrap();
    let output = bench.create(b"one").unwrap();
    assert_eq!((output.resumed(), other.metadata().unwrap().len()), (4, 8));
    output.begin(4);
    write(&output, *b"more", 4);
    output.finish(8, Durability::Sync).unwrap();
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"datamore");
}

#[test]
fn without_locks_zeros_replace_what_is_there() {
    let bench = Bench::new();
    let other = bench.begun_elsewhere(b"one", *b"data");
    other.write_all_at(b"junk", 4).unwrap();
    let output = bench.create(b"one").unwrap();
    output.begin(4);
    output.zero(4, 4).unwrap();
    output.finish(8, Durability::NoSync).unwrap();
    assert_eq!(fs::read(bench.at("a")).unwrap(), b"data\0\0\0\0");
}

#[test]
fn a_length_that_is_right_is_left_alone() {
    let read_only = File::open("/dev/null").unwrap();
    resize(&read_only, 0).unwrap();
    assert!(resize(&read_only, 1).is_err());
}
