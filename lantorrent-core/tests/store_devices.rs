//! The store on full disks and block devices. These tests need root; elsewhere they say that they are skipped.
//!
//! Apart from the others, and one after the other, because they start processes: a child that has not yet got to its `exec`
//! holds the files that other tests have open, with their locks and their room.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lantorrent_core::store::{Durability, Output, Placement, Resume, Roots, StoreError, Target};

#[path = "common/system.rs"]
#[allow(dead_code)] // Others make other disks.
mod system;

use system::{LoopDevice, SmallDisk, run};

const MIB: usize = 1 << 20;

/// While this lives no other test starts a process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A tmpfs of 1 MiB, for as long as this lives.
struct Disk(SmallDisk);

impl Disk {
    fn new() -> Option<Self> {
        SmallDisk::new(MIB).map(Self)
    }

    fn create(&self, placement: Placement, length: Option<u64>) -> Result<Output, StoreError> {
        create(self.0.path(), &self.0.path().join("a"), placement, length)
    }

    fn resume(&self, length: Option<u64>) -> Result<Output, StoreError> {
        let roots = Roots::open(&[self.0.path().to_owned()]).unwrap();
        let path = self.0.path().join("a");
        let (path, placement) = (path.to_str().unwrap(), Placement::Rename);
        roots.create(&Target { path, placement, length, resume: Some(RESUME) })
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(self.0.path()).unwrap().next().is_none()
    }
}

/// A block device of 4 MiB.
struct Device(LoopDevice);

impl Device {
    fn new() -> Option<Self> {
        LoopDevice::new(4 * MIB).map(Self)
    }

    fn path(&self) -> &Path {
        &self.0.path
    }

    fn create(&self, length: Option<u64>) -> Result<Output, StoreError> {
        create(self.path(), self.path(), Placement::InPlace, length)
    }

    fn probe(&self, length: Option<u64>) -> Result<(), StoreError> {
        let (path, placement) = (self.path().to_str().unwrap(), Placement::InPlace);
        let roots = Roots::open(&[self.path().to_owned()]).unwrap();
        roots.probe(&Target { path, placement, length, resume: None })
    }

    fn content(&self) -> Vec<u8> {
        let mut content = vec![0; 4 * MIB];
        File::open(self.path()).unwrap().read_exact_at(&mut content, 0).unwrap();
        content
    }
}

fn create(root: &Path, path: &Path, placement: Placement, length: Option<u64>) -> Result<Output, StoreError> {
    let roots = Roots::open(&[root.to_owned()]).unwrap();
    roots.create(&Target { path: path.to_str().unwrap(), placement, length, resume: None })
}

#[test]
fn a_disk_that_is_too_small_is_found_before_the_first_byte() {
    let _alone = alone();
    let Some(disk) = Disk::new() else { return };
    for placement in [Placement::Rename, Placement::InPlace] {
        let error = disk.create(placement, Some(2 * MIB as u64)).unwrap_err();
        let StoreError::NoSpace { needed, available: Some(available), .. } = error else {
            panic!("{error}");
        };
        assert_eq!((needed, available), (2 * MIB as u64, MIB as u64));
        assert!(disk.is_empty());
    }
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    let _alone = alone();
    let Some(disk) = Disk::new() else { return };
    let output = disk.create(Placement::Rename, None).unwrap();
    let error = output.write_at(&vec![7; 2 * MIB], 0).unwrap_err();
    assert!(matches!(error, StoreError::NoSpace { available: None, .. }), "{error}");
    // Even when the caller does not heed it.
    let error = output.finish(10, Durability::Sync).unwrap_err();
    assert!(error.to_string().contains("nothing of it is left"), "{error}");
    assert!(disk.is_empty());
    // And the next one has the room.
    let output = disk.create(Placement::Rename, Some(MIB as u64 / 2)).unwrap();
    output.write_at(&vec![7; MIB / 2], 0).unwrap();
    output.finish(MIB as u64 / 2, Durability::Sync).unwrap();
}

#[test]
fn the_room_that_a_stale_partial_takes_counts_as_free() {
    let _alone = alone();
    let Some(disk) = Disk::new() else { return };
    fs::write(disk.0.path().join("a.lantorrent"), vec![7; MIB * 3 / 4]).unwrap();
    disk.create(Placement::Rename, Some(MIB as u64 * 3 / 4)).unwrap().discard();
    assert!(disk.is_empty());
}

const RESUME: Resume<'_> = Resume { version: b"1", block_size: MIB as u32 / 8, durability: Durability::Sync };

/// Leaves that many of the eight blocks that fit on the disk.
fn interrupt(disk: &Disk, blocks: usize) {
    let output = disk.resume(None).unwrap();
    for block in 0..blocks {
        let data = vec![block as u8; MIB / 8];
        output.write_at(&data, (block * MIB / 8) as u64).unwrap();
        output.note(blake3::hash(&data).as_bytes(), 1);
    }
    output.keep();
}

#[test]
fn what_is_resumed_needs_no_more_space() {
    let _alone = alone();
    let Some(disk) = Disk::new() else { return };
    interrupt(&disk, 6);
    let path = disk.0.path().join("a");
    let roots = Roots::open(&[disk.0.path().to_owned()]).unwrap();
    let target = |length| Target {
        path: path.to_str().unwrap(),
        placement: Placement::Rename,
        length,
        resume: Some(RESUME),
    };
    roots.probe(&target(None)).unwrap();
    // The journal takes its part.
    roots.probe(&target(Some(7 * MIB as u64 / 8))).unwrap();
    assert!(matches!(roots.probe(&target(Some(MIB as u64 + 1))), Err(StoreError::NoSpace { .. })));
    let output = disk.resume(None).unwrap();
    assert_eq!(output.resumed(), 6 * MIB as u64 / 8);
    output.discard();

    // The same with a length, which is a part of what is compared.
    let output = disk.resume(Some(7 * MIB as u64 / 8)).unwrap();
    let data = vec![1; 6 * MIB / 8];
    output.write_at(&data, 0).unwrap();
    for block in data.chunks(MIB / 8) {
        output.note(blake3::hash(block).as_bytes(), 1);
    }
    output.keep();
    let output = disk.resume(Some(7 * MIB as u64 / 8)).unwrap();
    assert_eq!(output.resumed(), 6 * MIB as u64 / 8);
    output.keep();
    // Somebody else takes the space: what there is stays for later.
    fs::write(disk.0.path().join("b"), vec![0; MIB / 8]).unwrap();
    for _ in 0..2 {
        let error = disk.resume(Some(7 * MIB as u64 / 8)).unwrap_err();
        assert!(matches!(error, StoreError::NoSpace { needed, .. } if needed == MIB as u64 / 8), "{error}");
    }
    fs::remove_file(disk.0.path().join("b")).unwrap();
    let output = disk.resume(Some(7 * MIB as u64 / 8)).unwrap();
    assert_eq!(output.resumed(), 6 * MIB as u64 / 8);
    output.finish(7 * MIB as u64 / 8, Durability::Sync).unwrap();
}

#[test]
fn a_disk_too_full_for_a_journal_can_still_take_the_file() {
    let _alone = alone();
    let Some(disk) = Disk::new() else { return };
    let filler = disk.0.path().join("filler");
    // As much as there is.
    let _ = fs::write(&filler, vec![7; 2 * MIB]);
    let output = disk.resume(None).unwrap();
    assert!(!disk.0.path().join("a.lantorrent-journal").exists());
    fs::remove_file(&filler).unwrap();
    output.begin(0);
    output.write_at(b"hello", 0).unwrap();
    output.note(&[1; 32], 1);
    assert_eq!(output.digests().get(0), Some([1; 32]));
    output.finish(5, Durability::Sync).unwrap();
    assert_eq!(fs::read(disk.0.path().join("a")).unwrap(), b"hello");
}

#[test]
fn cleaning_stays_on_its_file_system() {
    let _alone = alone();
    let Some(disk) = Disk::new() else { return };
    interrupt(&disk, 1);
    let outside = disk.0.path().parent().unwrap();
    let here = tempfile::tempdir_in(outside).unwrap();
    let below = here.path().join("mounted");
    fs::create_dir(&below).unwrap();
    let (from, to) = (disk.0.path().to_str().unwrap(), below.to_str().unwrap());
    if run("mount", &["--bind", from, to]).is_none() {
        return;
    }
    let cleaned = Roots::open(&[here.path().to_owned()]).unwrap().clean(Duration::ZERO);
    run("umount", &[to]);
    assert_eq!(cleaned, 0);
    assert_eq!(Roots::open(&[disk.0.path().to_owned()]).unwrap().clean(Duration::ZERO), 1);
    assert!(disk.is_empty());
}

#[test]
fn a_disk_without_a_size_is_not_taken_for_full() {
    let _alone = alone();
    let Some(disk) = SmallDisk::new(0).map(Disk) else { return };
    disk.create(Placement::Rename, Some(2 * MIB as u64)).unwrap().discard();
}

#[test]
fn a_block_device_is_written_in_place() {
    let _alone = alone();
    let Some(device) = Device::new() else { return };
    let output = device.create(Some(4 * MIB as u64)).unwrap();
    let error = device.create(None).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    let error = device.probe(None).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    output.write_at(b"hello", 10).unwrap();
    // One range that fits the blocks, one that does not.
    output.zero(MIB as u64, MIB as u64).unwrap();
    output.zero(3 * MIB as u64 - 1, 2).unwrap();
    let mut found = [1; 5];
    output.read_back().unwrap().read_exact_at(&mut found, 10).unwrap();
    assert_eq!(&found, b"hello");
    // The image is smaller than the disk, whose rest stays.
    output.finish(3 * MIB as u64 + 1, Durability::Sync).unwrap();
    let mut expected = vec![7; 4 * MIB];
    expected[10..15].copy_from_slice(b"hello");
    expected[MIB..2 * MIB].fill(0);
    expected[3 * MIB - 1..=3 * MIB].fill(0);
    assert!(device.content() == expected);
}

#[test]
fn a_block_device_that_is_too_small_is_refused() {
    let _alone = alone();
    let Some(device) = Device::new() else { return };
    let size = 4 * MIB as u64;
    let too_small = |result: Result<(), StoreError>| {
        let error = result.unwrap_err();
        let StoreError::NoSpace { available, .. } = error else { panic!("{error}") };
        assert_eq!(available, Some(size));
    };
    too_small(device.create(Some(size + 1)).map(drop));
    too_small(device.probe(Some(size + 1)));
    device.probe(Some(size)).unwrap();
    too_small(device.create(None).unwrap().write_at(b"xy", size - 1));
    too_small(device.create(None).unwrap().zero(size - 1, 2));
    too_small(device.create(None).unwrap().finish(size + 1, Durability::NoSync).map(drop));
    assert!(device.content() == vec![7; 4 * MIB]);
}

#[test]
fn a_mounted_device_is_in_use() {
    let _alone = alone();
    let Some(device) = Device::new() else { return };
    let path = device.path().to_str().unwrap();
    if run("mkfs.ext4", &["-q", path]).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    if run("mount", &[path, folder.path().to_str().unwrap()]).is_none() {
        return;
    }
    let _mounted = SmallDisk::mounted(folder);
    let error = device.create(None).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
}

#[test]
fn a_disk_that_is_mounted_later_is_used_and_one_that_hides_a_file_is_told() {
    let _alone = alone();
    for placement in [Placement::Rename, Placement::InPlace] {
        let folder = tempfile::tempdir().unwrap();
        let (at, path) = (folder.path().to_owned(), folder.path().join("a"));
        let roots = Roots::open(std::slice::from_ref(&at)).unwrap();
        let create = |name: &str| {
            let path = at.join(name);
            let target = Target { path: path.to_str().unwrap(), placement, length: None, resume: None };
            let output = roots.create(&target).unwrap();
            output.write_at(b"new", 0).unwrap();
            output
        };
        let hidden = create("b");
        let Some(disk) = SmallDisk::on(folder, MIB as u64) else { return };
        let error = hidden.finish(3, Durability::Sync).unwrap_err();
        assert!(matches!(error, StoreError::Elsewhere { .. }), "{error}");
        assert!(error.to_string().contains("on device "), "the two have the same path: {error}");
        assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);

        create("a").finish(3, Durability::Sync).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 1);

        let lost = create("c");
        disk.unmount();
        let error = lost.finish(3, Durability::Sync).unwrap_err();
        assert!(matches!(error, StoreError::Elsewhere { .. }), "{error}");
        assert!(!at.join("c").exists());
    }
}

#[test]
fn a_device_node_that_is_replaced_by_another_is_told() {
    let _alone = alone();
    let (Some(one), Some(two)) = (Device::new(), Device::new()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("disk");
    let switch = |to: &Path| {
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(to, &link).unwrap();
    };
    switch(one.path());
    let output = create(&link, &link, Placement::InPlace, Some(3)).unwrap();
    output.write_at(b"new", 0).unwrap();
    output.finish(3, Durability::Sync).unwrap();
    let output = create(&link, &link, Placement::InPlace, Some(3)).unwrap();
    output.write_at(b"new", 0).unwrap();
    switch(two.path());
    let error = output.finish(3, Durability::Sync).unwrap_err();
    assert!(matches!(error, StoreError::Elsewhere { .. }), "{error}");
    assert_eq!(two.content(), vec![7; 4 * MIB]);
}
