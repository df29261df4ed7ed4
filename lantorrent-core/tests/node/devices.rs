//! Full disks and block devices. These need root; elsewhere they say that they are skipped.

use std::fs;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use lantorrent_core::store::Placement;
use lantorrent_core::wire::{Code, FromNode, Line, Wire};

use crate::support::{BOTH, Peer, TestNode, codes, content, header_for, send, target, transfer};
use crate::system::{LoopDevice, SmallDisk, run};

const MIB: usize = 1 << 20;

#[test]
fn a_disk_that_is_too_small_is_told_before_the_first_byte() {
    let Some(disk) = SmallDisk::new(MIB) else { return };
    let content = content(2 * MIB);
    for wire in BOTH {
        let next = TestNode::new();
        let mut node = TestNode::with(|config| config.roots.push(disk.path().to_owned()));
        let full = disk.path().join("a").to_str().unwrap().to_owned();
        let list = [target(node.address, full), node.target("b"), next.target("a")];
        let outcome = send(wire, &content, list);
        assert_eq!(codes(&outcome), [Code::NO_SPACE.0, 0, 0], "{outcome:?}");
        assert!(fs::read_dir(disk.path()).unwrap().next().is_none());
        node.assert_has("b", &content);
        next.assert_has("a", &content);
        node.stop();
    }
}

#[test]
fn a_disk_that_fills_up_fails_alone() {
    // The room is there at first, and then somebody else takes it.
    let Some(disk) = SmallDisk::new(8 * MIB) else { return };
    let content = content(6 * MIB);
    for wire in BOTH {
        let next = TestNode::new();
        let mut node = TestNode::with(|config| config.roots.push(disk.path().to_owned()));
        let mut header = header_for(wire, &[&node, &next], &["a"], Some(content.len() as u64));
        header.node.requests[0].filename = disk.path().join("a").to_str().unwrap().to_owned();
        let peer = Peer::ready(header, node.address);
        let bytes = crate::support::payload(&peer.header, &content);
        let (first, rest) = bytes.split_at(bytes.len() / 2);
        peer.write(first);
        // Also behind it: a child that lags cannot be served from a file that is given up.
        for partial in [disk.path().join("a.lantorrent"), next.path("a.lantorrent")] {
            crate::support::wait_until("some of it is there", || {
                fs::metadata(&partial).is_ok_and(|found| found.len() > 2 * MIB as u64)
            });
        }
        let other = disk.path().join("other");
        let taken = fs::write(&other, vec![7; 8 * MIB]);
        assert!(taken.is_err(), "all that was left");
        peer.write(rest);
        assert_eq!(peer.codes(), [Code::NO_SPACE.0, 0]);
        next.assert_has("a", &content);
        node.stop();
        fs::remove_file(other).unwrap();
        assert!(fs::read_dir(disk.path()).unwrap().next().is_none());
    }
}

#[test]
fn a_disk_that_fills_up_fails_one_file_of_two() {
    let Some(disk) = SmallDisk::new(4 * MIB) else { return };
    // A stream: nobody knows beforehand.
    let content = content(9 * MIB);
    let next = TestNode::new();
    let mut node = TestNode::with(|config| config.roots.push(disk.path().to_owned()));
    let full = disk.path().join("a").to_str().unwrap().to_owned();
    let stream = std::io::Cursor::new(content.clone());
    let transfer = lantorrent_core::Transfer::from_stream(stream, crate::support::keys()).unwrap();
    let list = [target(node.address, full), node.target("b"), next.target("a")];
    let outcome = list.into_iter().fold(transfer, lantorrent_core::Transfer::to).send().unwrap();
    assert_eq!(codes(&outcome), [Code::NO_SPACE.0, 0, 0], "{outcome:?}");
    node.assert_has("b", &content);
    next.assert_has("a", &content);
    node.stop();
    assert!(fs::read_dir(disk.path()).unwrap().next().is_none());
}

#[test]
fn a_block_device_is_written_and_forwarded_from() {
    let Some(device) = LoopDevice::new(8 * MIB) else { return };
    let content = content(6 * MIB + 5);
    for wire in BOTH {
        let next = TestNode::new();
        let mut node = TestNode::with(|config| config.roots.push(device.path.clone()));
        let to_device = target(node.address, device.path.to_str().unwrap());
        let begin = transfer(&content).wire(wire).placement(Placement::InPlace);
        let outcome = begin.to(to_device.clone()).to(next.target("a")).send().unwrap();
        assert_eq!(codes(&outcome), [0, 0], "{outcome:?}");
        next.assert_has("a", &content);
        let mut found = vec![0; content.len()];
        fs::File::open(&device.path).unwrap().read_exact_at(&mut found, 0).unwrap();
        assert!(found == content);
        // By rename it would be replaced by a file, and too large is too large.
        let outcome = send(wire, &content, [to_device.clone()]);
        assert_eq!(codes(&outcome), [Code::NOT_ALLOWED.0], "{outcome:?}");
        let large = transfer(&crate::support::content(9 * MIB)).wire(wire).placement(Placement::InPlace);
        let outcome = large.to(to_device).send().unwrap();
        assert_eq!(codes(&outcome), [Code::NO_SPACE.0], "{outcome:?}");
        node.stop();
    }
}

#[test]
fn a_block_device_is_a_source_too() {
    let Some(device) = LoopDevice::new(3 * MIB) else { return };
    let node = TestNode::new();
    for wire in [Wire::One, Wire::Two] {
        let begin = lantorrent_core::Transfer::from_file(&device.path, crate::support::keys()).unwrap();
        let outcome = begin.wire(wire).to(node.target("a")).send().unwrap();
        assert!(outcome.all_succeeded(), "{outcome:?}");
        node.assert_has("a", &vec![7; 3 * MIB]);
    }
}

/// While this lives nothing is written to the disk, and whoever writes waits.
struct Hanging<'a>(&'a str);

impl<'a> Hanging<'a> {
    fn new(disk: &'a SmallDisk) -> Option<Self> {
        let path = disk.path().to_str().unwrap();
        run("fsfreeze", &["--freeze", path]).map(|_| Self(path))
    }
}

impl Drop for Hanging<'_> {
    fn drop(&mut self) {
        run("fsfreeze", &["--unfreeze", self.0]);
    }
}

#[test]
fn a_disk_that_hangs_makes_its_node_neither_look_dead_nor_useless() {
    let Some(disk) = SmallDisk::formatted("ext4", 16 * MIB as u64, "noatime") else { return };
    let content = content(3 * MIB);
    let mut node = TestNode::with(|config| {
        config.roots.push(disk.path().to_owned());
        config.timing.alive = Duration::from_millis(50);
        // The sender waits for the end of this, too.
        config.timing.dead_after = Duration::from_secs(600);
    });
    let file = disk.path().join("a");
    let mut header = header_for(Wire::Two, &[&node], &["a"], Some(content.len() as u64));
    header.node.requests[0].filename = file.to_str().unwrap().to_owned();
    let mut peer = Peer::ready(header, node.address);
    let bytes = crate::support::payload(&peer.header, &content);
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    peer.write(first);
    crate::support::wait_until("some of it is there", || {
        fs::metadata(disk.path().join("a.lantorrent")).is_ok_and(|found| found.len() > 0)
    });
    let Some(hanging) = Hanging::new(&disk) else { return };
    peer.write(rest);
    let mut alive = 0;
    while alive < 20 {
        match peer.said() {
            Some(FromNode::Line(Line::Alive)) => alive += 1,
            Some(FromNode::Line(Line::Progress(_))) => {}
            other => panic!("{other:?} while the disk hangs"),
        }
    }
    assert!(send(Wire::Two, b"elsewhere", [node.target("b")]).all_succeeded());
    drop(hanging);
    assert_eq!(peer.codes(), [0]);
    assert!(fs::read(file).unwrap() == content);
    node.stop();
}
