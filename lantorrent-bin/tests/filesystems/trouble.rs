//! What no file can arrive on, and that it is told; and what looks like it.

use std::fs;

use fuser::Errno;

use crate::common::names;
use crate::odd::{Call, Odd, Oddity};
use crate::place::{BYTES, DRIVERS, Place, plain};

#[test]
fn a_file_that_has_another_number_once_it_is_renamed() {
    for driver in DRIVERS {
        let Some(odd) = Odd::mount(Oddity { renumbers: true, ..Oddity::default() }) else { return };
        let place = Place::new(odd.path());
        let node = place.node(driver, plain);
        place.receive(&node);
        place.fetch(plain);
    }
}

#[test]
fn a_full_disk_and_a_quota() {
    for errno in [Errno::ENOSPC, Errno::EDQUOT] {
        let room = Some((BYTES as u64 / 2, errno));
        // What is free is not known before.
        let refuses = vec![(Call::Statfs, Errno::ENOSYS), (Call::Fallocate, Errno::EOPNOTSUPP)];
        let Some(odd) = Odd::mount(Oddity { refuses, room, ..Oddity::default() }) else { return };
        let place = Place::new(odd.path());
        let node = place.node(&[], plain);
        let (source, _) = place.source();
        let finished = place.lab.send(&source, &[node.destination("a")], &["--json"]).expect(1);
        assert_eq!(finished.codes(), [512], "{}", finished.stdout);
        assert!(!node.file("a").exists());
        let small = place.lab.path().join("small");
        fs::write(&small, "small").unwrap();
        place.lab.send(&small, &[node.destination("b")], &[]).expect(0);
        assert_eq!(fs::read(node.file("b")).unwrap(), b"small");
    }
}

/// A disk that is broken is no disk that lacks a call.
#[test]
fn a_disk_that_fails() {
    for call in [Call::Write, Call::Fsync, Call::FsyncFolder, Call::Rename] {
        let refuses = vec![(call, Errno::EIO)];
        let Some(odd) = Odd::mount(Oddity { refuses, ..Oddity::default() }) else { return };
        let place = Place::new(odd.path());
        let node = place.node(&[], plain);
        let (source, bytes) = place.source();
        let finished = place.lab.send(&source, &[node.destination("a")], &["--json"]).expect(1);
        assert_eq!(finished.codes(), [511], "{call:?}: {}", finished.stdout);
        // The name is there before the folder is synced.
        assert_eq!(node.file("a").exists(), call == Call::FsyncFolder, "{call:?}");
        assert!(call != Call::FsyncFolder || fs::read(node.file("a")).unwrap() == bytes);
        assert!(odd.refusals(call) > 0);
        let (_seed, address, _) = place.seed("b");
        let finished = place.get("b.torrent", &address, plain);
        assert_ne!(finished.status, Some(0), "{call:?}: {}", finished.stdout);
        assert!(call == Call::FsyncFolder || !place.root.join("got/b").exists());
    }
}

#[test]
fn a_disk_that_hangs_for_a_while_and_then_fails() {
    let Some(odd) = Odd::mount(Oddity::default()) else { return };
    let place = Place::new(odd.path());
    let (healthy, node) = (place.lab.node("healthy"), place.node(&[], plain));
    let (source, bytes) = place.source();
    let to = [node.destination("a"), healthy.destination("a")];
    odd.hang(Call::Fsync);
    let finished = std::thread::scope(|scope| {
        let sending = scope.spawn(|| place.lab.send(&source, &to, &["--json"]));
        std::thread::sleep(std::time::Duration::from_secs(1));
        odd.release();
        sending.join().unwrap()
    });
    assert_eq!(finished.expect(1).codes(), [511, 0]);
    assert!(fs::read(healthy.file("a")).unwrap() == bytes);
    assert_eq!(names(odd.path()), [""; 0]);
}
