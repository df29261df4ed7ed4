//! Files that share their room, on file systems that can. These tests need root; elsewhere they say that they are skipped.
//!
//! Apart from the others, because they start processes; see `store_devices.rs`.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use lantorrent_core::store::{Durability, Output, Placement, Resume, Roots, StoreError, Target};

#[path = "common/system.rs"]
#[allow(dead_code)] // Others make other disks.
mod system;

use system::SmallDisk;

const MIB: u64 = 1 << 20;
const BLOCK: u32 = 64 << 10;
const RESUME: Resume<'_> = Resume { version: b"1", block_size: BLOCK, durability: Durability::Sync };

fn disks() -> impl Iterator<Item = SmallDisk> {
    ["xfs", "btrfs"].into_iter().filter_map(|kind| SmallDisk::formatted(kind, 320 * MIB, "rw"))
}

struct Bench<'a> {
    folder: &'a Path,
    roots: Roots,
}

impl<'a> Bench<'a> {
    fn new(folder: &'a Path) -> Self {
        Self { folder, roots: Roots::open(&[folder.to_owned()]).unwrap() }
    }

    fn create(&self, name: &str, length: Option<u64>, originals: &[&Output]) -> Result<Output, StoreError> {
        let path = self.folder.join(name);
        let target = Target {
            path: path.to_str().unwrap(),
            placement: Placement::Rename,
            length,
            resume: Some(RESUME),
        };
        self.roots.create_like(&target, originals, &|| true)
    }

    /// A file and its copies, of which nothing is written yet.
    fn group(&self, copies: usize) -> (Output, Vec<Output>) {
        let original = self.create("a", None, &[]).unwrap();
        assert_eq!(original.copy_of(), None);
        let copy = |number| self.create(&format!("copy-{number}"), None, &[&original]).unwrap();
        let copies: Vec<Output> = (0..copies).map(copy).collect();
        assert!(copies.iter().all(|copy| copy.copy_of() == Some(0)));
        (original, copies)
    }

    fn assert_has(&self, name: &str, content: &[u8]) {
        assert!(fs::read(self.folder.join(name)).unwrap() == content, "{name} differs");
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder).unwrap();
        let mut names: Vec<_> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Bytes on the disk that are taken.
fn used(folder: &Path) -> u64 {
    rustix::fs::syncfs(File::open(folder).unwrap()).unwrap();
    let found = rustix::fs::statvfs(folder).unwrap();
    (found.f_blocks - found.f_bfree) * found.f_frsize
}

fn write(output: &Output, content: &[u8], from: usize) {
    for (place, block) in content.chunks(BLOCK as usize).enumerate().skip(from) {
        output.write_at(block, place as u64 * u64::from(BLOCK)).unwrap();
        output.note(blake3::hash(block).as_bytes(), 1);
    }
}

/// Bytes without a pattern, the same each time.
fn content(len: u64) -> Vec<u8> {
    let mut bytes = vec![0; len as usize];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

#[test]
fn copies_share_their_room_and_nothing_else() {
    for disk in disks() {
        let bench = Bench::new(disk.path());
        let content = content(32 * MIB + 5);
        let length = content.len() as u64;
        let before = used(disk.path());
        let (original, copies) = bench.group(7);
        write(&original, &content, 0);
        original.seal(length, Durability::Sync).unwrap();
        for copy in copies {
            copy.copy(&original, length, BLOCK, &|| true).unwrap();
            copy.finish(length, Durability::Sync).unwrap();
        }
        original.finish(length, Durability::Sync).unwrap();
        let taken = used(disk.path()) - before;
        assert!(taken < length * 105 / 100 + MIB, "{taken} bytes for 8 files of {length}");
        assert_eq!(bench.names().len(), 8, "no journal is left");
        File::options().write(true).open(disk.path().join("a")).unwrap().write_all_at(b"new", 0).unwrap();
        for copy in 0..7 {
            bench.assert_has(&format!("copy-{copy}"), &content);
        }
    }
}

#[test]
fn a_copy_needs_no_room_and_what_was_there_is_given_back() {
    for disk in disks() {
        let bench = Bench::new(disk.path());
        let size = used(disk.path()) + 300 * MIB;
        let stale = disk.path().join("copy.lantorrent");
        fs::write(&stale, content(MIB)).unwrap();
        let original = bench.create("a", None, &[]).unwrap();
        let error = bench.create("copy", Some(2 * size), &[]).map(drop).unwrap_err();
        assert!(matches!(error, StoreError::NoSpace { .. }), "{error}");
        fs::write(&stale, content(MIB)).unwrap();
        let copy = bench.create("copy", Some(2 * size), &[&original]).unwrap();
        assert_eq!(copy.copy_of(), Some(0));
        assert_eq!(fs::metadata(&stale).unwrap().len(), 0);
        copy.discard();
        original.discard();
        assert_eq!(bench.names(), [""; 0]);
    }
}

#[test]
fn a_copy_goes_on_in_the_stead_of_its_original_and_can_be_resumed() {
    for disk in disks() {
        let bench = Bench::new(disk.path());
        let content = content(8 * MIB + 5);
        let (blocks, length) = (100, content.len() as u64);
        let half = u64::from(BLOCK) * blocks;
        let (original, mut copies) = bench.group(1);
        write(&original, &content[..half as usize], 0);
        // More of it than its heir is to have.
        original.write_at(b"more", half).unwrap();
        let mut heir = copies.remove(0);
        heir.take_over(&original, half, BLOCK, &|| true).unwrap();
        assert_eq!((heir.copy_of(), heir.resumed()), (None, half));
        original.discard();
        assert_eq!(heir.digests().run(blocks), None);
        heir.keep();

        let heir = bench.create("copy-0", None, &[]).unwrap();
        assert_eq!(heir.resumed(), half);
        heir.begin(half);
        write(&heir, &content, blocks as usize);
        heir.finish(length, Durability::Sync).unwrap();
        bench.assert_has("copy-0", &content);
        assert_eq!(bench.names(), ["copy-0"]);
    }
}

#[test]
fn what_has_failed_is_read_and_compared() {
    for disk in disks() {
        let bench = Bench::new(disk.path());
        let content = content(4 * MIB + 5);
        let length = content.len() as u64;
        for damaged in [false, true] {
            let (original, mut copies) = bench.group(2);
            write(&original, &content, 0);
            // No file is that long.
            original.write_at(b"x", u64::MAX).unwrap_err();
            if damaged {
                original.read_back().unwrap().write_all_at(b"x", 3 * MIB).unwrap();
            }
            let stopped = copies[1].take_over(&original, length, BLOCK, &|| false).unwrap_err();
            assert!(matches!(stopped, StoreError::NotWanted { .. }), "{stopped}");
            let mut heir = copies.remove(0);
            let result = heir.take_over(&original, length, BLOCK, &|| true);
            original.discard();
            if damaged {
                let error = result.unwrap_err().to_string();
                assert!(error.contains("a\", which it was to be a copy of, is lost"), "{error}");
            } else {
                heir.finish(length, Durability::Sync).unwrap();
                bench.assert_has("copy-0", &content);
                fs::remove_file(disk.path().join("copy-0")).unwrap();
            }
        }
        assert_eq!(bench.names(), [""; 0]);
    }
}

#[test]
fn holes_stay_holes_in_copies_of_either_kind() {
    for disk in disks() {
        let bench = Bench::new(disk.path());
        let (original, mut copies) = bench.group(2);
        let (hole, length) = (64 * MIB, 64 * MIB + u64::from(BLOCK));
        let (zeros, data) = (vec![0; BLOCK as usize], vec![7; BLOCK as usize]);
        original.zero(0, hole).unwrap();
        original.note(blake3::hash(&zeros).as_bytes(), hole / u64::from(BLOCK));
        original.write_at(&data, hole).unwrap();
        original.note(blake3::hash(&data).as_bytes(), 1);
        copies[0].take_over(&original, length, BLOCK, &|| true).unwrap();
        original.write_at(b"x", u64::MAX).unwrap_err();
        copies[1].take_over(&original, length, BLOCK, &|| true).unwrap();
        for (number, copy) in copies.into_iter().enumerate() {
            copy.finish(length, Durability::Sync).unwrap();
            let found = fs::metadata(disk.path().join(format!("copy-{number}"))).unwrap();
            assert!(found.len() == length && found.blocks() * 512 < MIB, "{} blocks", found.blocks());
        }
        original.discard();
    }
}

#[test]
fn where_files_cannot_share_they_are_no_copies() {
    let Some(ext4) = SmallDisk::formatted("ext4", 64 * MIB, "rw") else { return };
    let (one, other) = (Bench::new(ext4.path()), tempfile::tempdir().unwrap());
    let original = one.create("a", None, &[]).unwrap();
    assert_eq!(one.create("b", None, &[&original]).unwrap().copy_of(), None);
    assert_eq!(Bench::new(other.path()).create("b", None, &[&original]).unwrap().copy_of(), None);
    for disk in disks() {
        let two = Bench::new(disk.path());
        let there = two.create("a", None, &[&original]).unwrap();
        assert_eq!(there.copy_of(), None, "on another file system");
        assert_eq!(two.create("b", None, &[&original, &there]).unwrap().copy_of(), Some(1));
        let path = disk.path().join("c");
        let (path, placement) = (path.to_str().unwrap(), Placement::InPlace);
        let target = Target { path, placement, length: None, resume: None };
        let in_place = two.roots.create_like(&target, &[&there], &|| true).unwrap();
        assert_eq!(in_place.copy_of(), None, "it keeps its inode, and what is in it until it is written");
        assert_eq!(two.create("d", None, &[&in_place]).unwrap().copy_of(), None);
    }
}
