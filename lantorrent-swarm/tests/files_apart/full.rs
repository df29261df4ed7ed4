//! Disks that are full, or not to be written to. These tests need root; elsewhere they say that they are skipped.

use std::fs;
use std::sync::Arc;

use lantorrent_core::store::StoreError;
use lantorrent_swarm::files::{Content, FilesError, Options, State, Tree};

use crate::bench::{Bench, go_on, refused};
use crate::system::{SmallDisk, run};

const KIB: usize = 1 << 10;

fn open(bench: &Bench, disk: &SmallDisk) -> Result<Content, FilesError> {
    let options = Options::default();
    Content::open(Arc::new(Tree::open(disk.path()).unwrap()), Arc::clone(&bench.info), options)
}

#[test]
fn too_small_a_disk_is_found_before_the_first_byte() {
    let Some(disk) = SmallDisk::new(1 << 20) else { return };
    let text = refused!(open(&Bench::file(2 << 20), &disk), FilesError::Store(StoreError::NoSpace { .. }));
    assert!(text.contains("2097152 bytes needed"), "{text}");
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
}

#[test]
fn a_disk_that_others_fill_hinders_only_as_long_as_it_is_full() {
    let Some(disk) = SmallDisk::new(1 << 20) else { return };
    let bench = Bench::file(600 * KIB);
    let content = open(&bench, &disk).unwrap();
    bench.write_all(&content, 0..10);
    content.sync().unwrap();
    fs::write(disk.path().join("theirs"), vec![1; 800 * KIB]).unwrap();
    let full = (10..bench.pieces()).find_map(|piece| content.write(piece, &[bench.piece(piece)]).err());
    let text = refused!(full.map_or(Ok(()), Err), FilesError::Store(StoreError::NoSpace { .. }));
    assert!(text.contains("a.img.lantorrent"), "{text}");
    // Nor can the journal be longer; but what it said stays true.
    let _ = content.sync();
    drop(content);
    let content = open(&bench, &disk).unwrap();
    let proven: Vec<u32> = content.proven().into_iter().flatten().collect();
    assert!(proven.len() >= 10 && proven.iter().all(|&piece| content.verify(piece).unwrap()), "{proven:?}");
    fs::remove_file(disk.path().join("theirs")).unwrap();
    bench.write_all(&content, (0..bench.pieces()).filter(|piece| !proven.contains(piece)));
    content.finish().unwrap();
    assert!(fs::read(disk.path().join("a.img")).unwrap() == bench.bytes);
}

#[test]
fn what_cannot_be_written_to_can_be_served() {
    let Some(disk) = SmallDisk::new(1 << 20) else { return };
    let bench = Bench::file(100 * KIB);
    fs::copy(bench.origin(), disk.path().join("a.img")).unwrap();
    if run("mount", &["-o", "remount,ro", disk.path().to_str().unwrap()]).is_none() {
        return;
    }
    let content = open(&bench, &disk).unwrap();
    assert_eq!(content.recheck(&go_on).unwrap(), bench.all());
    assert_eq!(content.state(), State::Whole);
    assert_eq!(bench.read_all(&content), bench.bytes);
    let other = Bench::file(50 * KIB);
    let content = open(&other, &disk).unwrap();
    content.recheck(&go_on).unwrap();
    let text = refused!(content.repair(), FilesError::Store(_));
    assert!(text.contains("Read-only file system"), "{text}");
    assert_eq!(content.state(), State::Unproven);
}
