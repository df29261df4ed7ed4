//! Several files on one node, on a file system where they share their room. These need root; elsewhere they say that
//! they are skipped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lantorrent_core::store::Durability;
use lantorrent_core::wire::{Code, Wire};
use lantorrent_core::{NodeConfig, Outcome, Transfer};
use tempfile::TempDir;

use crate::support::{BOTH, Gate, TestNode, Way, codes, content, keys, transfer, wait_until};
use crate::system::{SmallDisk, run};

const MIB: usize = 1 << 20;
/// More than can be on its way, and than a journal may lack.
const SIZE: usize = 32 * MIB + 5;

fn disks() -> impl Iterator<Item = SmallDisk> {
    ["xfs", "btrfs"].into_iter().filter_map(|kind| SmallDisk::formatted(kind, 512 << 20, "rw"))
}

fn folder(disk: &SmallDisk) -> TempDir {
    tempfile::tempdir_in(disk.path()).unwrap()
}

/// A node whose files are on that disk.
fn node_on(disk: &SmallDisk, change: impl FnOnce(&mut NodeConfig)) -> TestNode {
    TestNode::at(([127, 0, 0, 1], 0).into(), folder(disk), change)
}

/// Bytes on the disk that are taken.
fn used(disk: &SmallDisk) -> u64 {
    rustix::fs::syncfs(File::open(disk.path()).unwrap()).unwrap();
    let found = rustix::fs::statvfs(disk.path()).unwrap();
    (found.f_blocks - found.f_bfree) * found.f_frsize
}

/// A source that stops half-way until the gate opens.
struct Halting {
    content: std::io::Cursor<Vec<u8>>,
    gate: Arc<Gate>,
}

impl std::io::Read for Halting {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.content.position() > SIZE as u64 / 2 {
            self.gate.pass();
        }
        self.content.read(buffer)
    }
}

/// A stream with that content, the first half of which flows.
fn halting(content: &[u8]) -> (Transfer, Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let stream = Halting { content: std::io::Cursor::new(content.to_vec()), gate: Arc::clone(&gate) };
    (Transfer::from_stream(stream, keys()).unwrap(), gate)
}

fn to(transfer: Transfer, node: &TestNode, names: &[&str]) -> Transfer {
    names.iter().fold(transfer, |transfer, name| transfer.to(node.target(name)))
}

fn sending(transfer: Transfer) -> thread::JoinHandle<Outcome> {
    thread::spawn(|| transfer.send().unwrap())
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len())
}

#[test]
fn eight_files_take_the_room_of_one() {
    let content = content(SIZE);
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    for disk in disks() {
        for durability in [Durability::NoSync, Durability::Sync] {
            let (node, next) = (node_on(&disk, |config| config.durability = durability), TestNode::new());
            let before = used(&disk);
            let outcome = to(transfer(&content), &node, &names).to(next.target("a")).send().unwrap();
            assert!(outcome.all_succeeded(), "{outcome:?}");
            let taken = used(&disk) - before;
            assert!(taken < SIZE as u64 * 105 / 100 + (1 << 20), "{taken} bytes for 8 files of {SIZE}");
            assert_eq!(node.names(), names);
            for name in names {
                node.assert_has(name, &content);
            }
            next.assert_has("a", &content);
        }
    }
}

#[test]
fn other_files_are_written_beside_them() {
    let content = content(SIZE);
    for wire in BOTH {
        for disk in disks() {
            let elsewhere = folder(&disk);
            let mut node = TestNode::with(|config| config.roots.push(elsewhere.path().to_owned()));
            let there = |name| elsewhere.path().join(name);
            let targets =
                ["b", "c"].map(|name| crate::support::target(node.address, there(name).to_str().unwrap()));
            let list = to(transfer(&content).wire(wire), &node, &["a", "d"]);
            let outcome = targets.into_iter().fold(list, Transfer::to).send().unwrap();
            assert!(outcome.all_succeeded(), "{outcome:?}");
            for name in ["a", "d"] {
                node.assert_has(name, &content);
            }
            for name in ["b", "c"] {
                assert!(fs::read(there(name)).unwrap() == content, "{name} differs on wire {wire:?}");
            }
            node.stop();
        }
    }
}

#[test]
fn the_first_of_them_may_be_cancelled() {
    let content = content(SIZE);
    for disk in disks() {
        let node = node_on(&disk, |_| ());
        let (stream, gate) = halting(&content);
        let transfer = to(stream, &node, &["a", "b", "c"]);
        let handle = transfer.handle();
        let sending = sending(transfer);
        wait_until("half of it is there", || length(&node.path("a.lantorrent")) > SIZE as u64 / 3);
        handle.cancel(0).unwrap();
        wait_until("it is removed", || !node.path("a.lantorrent").exists());
        gate.open();
        let outcome = sending.join().unwrap();
        assert_eq!(codes(&outcome), [Code::CANCELLED.0, 0, 0], "{outcome:?}");
        assert_eq!(node.names(), ["b", "c"]);
        for name in ["b", "c"] {
            node.assert_has(name, &content);
        }
    }
}

#[test]
fn all_of_them_may_be_cancelled() {
    let content = content(SIZE);
    for disk in disks() {
        let (mut node, next) = (node_on(&disk, |_| ()), TestNode::new());
        let (stream, gate) = halting(&content);
        let transfer = to(stream, &node, &["a", "b", "c"]).to(next.target("a"));
        let handle = transfer.handle();
        let sending = sending(transfer);
        wait_until("half of it is there", || length(&node.path("a.lantorrent")) > SIZE as u64 / 3);
        (0..3).for_each(|place| handle.cancel(place).unwrap());
        wait_until("they are removed", || node.names().is_empty());
        gate.open();
        let outcome = sending.join().unwrap();
        assert_eq!(codes(&outcome), [Code::CANCELLED.0, Code::CANCELLED.0, Code::CANCELLED.0, 0]);
        next.assert_has("a", &content);
        node.stop();
        assert_eq!(node.names(), [""; 0]);
    }
}

#[test]
fn the_first_of_them_may_lose_its_name() {
    let content = content(SIZE);
    for disk in disks() {
        let node = node_on(&disk, |_| ());
        let (stream, gate) = halting(&content);
        let sending = sending(to(stream, &node, &["a", "b", "c"]));
        wait_until("half of it is there", || length(&node.path("a.lantorrent")) > SIZE as u64 / 3);
        fs::remove_file(node.path("a.lantorrent")).unwrap();
        fs::remove_file(node.path("c.lantorrent")).unwrap();
        gate.open();
        let outcome = sending.join().unwrap();
        let cannot = Code::CANNOT_WRITE.0;
        assert_eq!(codes(&outcome), [cannot, 0, cannot], "{outcome:?}");
        assert_eq!(node.names(), ["b"]);
        node.assert_has("b", &content);
    }
}

/// Folders of which the first may hold no more than 8 MiB.
fn with_quota(disk: &SmallDisk) -> Option<(PathBuf, PathBuf)> {
    let (narrow, wide) = (disk.path().join("narrow"), disk.path().join("wide"));
    let btrfs = |arguments: &[&str]| run("btrfs", arguments);
    btrfs(&["quota", "enable", disk.path().to_str()?])?;
    btrfs(&["subvolume", "create", narrow.to_str()?])?;
    btrfs(&["subvolume", "create", wide.to_str()?])?;
    btrfs(&["qgroup", "limit", "8m", narrow.to_str()?])?;
    Some((narrow, wide))
}

#[test]
fn the_first_of_them_may_find_no_room() {
    let Some(disk) = SmallDisk::formatted("btrfs", 512 << 20, "defaults") else { return };
    let Some((narrow, wide)) = with_quota(&disk) else { return };
    let content = content(SIZE);
    let roots = [narrow.clone(), wide.clone()];
    let (mut node, next) = (TestNode::with(|config| config.roots.extend(roots)), TestNode::new());
    // A stream: nobody knows beforehand.
    let stream = std::io::Cursor::new(content.clone());
    let mut transfer = Transfer::from_stream(stream, keys()).unwrap();
    let paths = [narrow.join("a"), wide.join("b"), narrow.join("c"), wide.join("d")];
    for path in &paths {
        transfer = transfer.to(crate::support::target(node.address, path.to_str().unwrap()));
    }
    let outcome = transfer.to(next.target("a")).send().unwrap();
    let full = Code::NO_SPACE.0;
    // The third finds none when it is to be what the second is.
    assert_eq!(codes(&outcome), [full, 0, full, 0, 0], "{outcome:?}");
    for path in [&paths[1], &paths[3]] {
        assert!(fs::read(path).unwrap() == content, "{} differs", path.display());
    }
    next.assert_has("a", &content);
    node.stop();
    assert_eq!(fs::read_dir(narrow).unwrap().count(), 0);
}

/// A node with files in that folder that lets so many bytes of each connection through, and the rest when the gate opens,
/// and counts what came through then.
fn gated(folder: &Path, bytes: usize, gate: &Arc<Gate>) -> (TestNode, Arc<AtomicUsize>) {
    let (gate, count) = (Arc::clone(gate), Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&count);
    let tap = move |_, way, offset, data: &mut [u8]| {
        if way == Way::Down && offset > bytes {
            gate.pass();
            counter.fetch_add(data.len(), Ordering::Relaxed);
        }
    };
    (TestNode::behind(Arc::new(tap), |config| config.roots.push(folder.to_owned())), count)
}

#[test]
fn only_the_first_of_them_is_kept_for_later_and_it_is_enough() {
    let content = content(SIZE);
    let source = tempfile::NamedTempFile::new().unwrap();
    fs::write(source.path(), &content).unwrap();
    let names = ["a", "b", "c"];
    for disk in disks() {
        let (there, gate) = (folder(&disk), Arc::new(Gate::default()));
        let begin = |node: &TestNode| {
            let paths = names.map(|name| there.path().join(name).to_str().unwrap().to_owned());
            let targets = paths.map(|path| crate::support::target(node.address, path));
            targets.into_iter().fold(Transfer::from_file(source.path(), keys()).unwrap(), Transfer::to)
        };
        let (mut node, _) = gated(there.path(), SIZE * 3 / 4, &gate);
        let transfer = begin(&node);
        let handle = transfer.handle();
        let sending = sending(transfer);
        wait_until("half of it is there", || length(&there.path().join("a.lantorrent")) > SIZE as u64 / 2);
        handle.suspend();
        let _ = sending.join().unwrap();
        gate.open();
        node.stop();
        assert!(there.path().join("a.lantorrent").exists());
        assert_eq!(fs::read_dir(there.path()).unwrap().count(), 2, "one file and its journal");

        let (mut node, count) = gated(there.path(), 0, &gate);
        let outcome = begin(&node).send().unwrap();
        assert!(outcome.all_succeeded(), "{outcome:?}");
        let again = count.load(Ordering::Relaxed);
        assert!(again < SIZE * 3 / 4, "{again} bytes were sent again");
        for name in names {
            assert!(fs::read(there.path().join(name)).unwrap() == content, "{name} differs");
        }
        node.stop();
    }
}

#[test]
fn wire_1_writes_each_of_them() {
    let content = content(3 * MIB);
    for disk in disks() {
        let node = node_on(&disk, |_| ());
        let before = used(&disk);
        let outcome = to(transfer(&content).wire(Wire::One), &node, &["a", "b"]).send().unwrap();
        assert!(outcome.all_succeeded(), "{outcome:?}");
        for name in ["a", "b"] {
            node.assert_has(name, &content);
        }
        assert!(used(&disk) - before >= 6 * MIB as u64, "what failed could not be told from what is right");
    }
}
