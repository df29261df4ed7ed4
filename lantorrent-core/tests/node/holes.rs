//! Files with holes: few bytes on the way, and no more room on the nodes than at the source.

use std::fs::{self, File};
use std::io::Cursor;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lantorrent_core::store::Placement;
use lantorrent_core::wire::{Code, Wire};
use lantorrent_core::{NodeConfig, Transfer};
use rustix::fs::{SeekFrom, seek};
use tempfile::NamedTempFile;

use crate::support::{BOTH, Gate, TestNode, Way, codes, content, keys, patient, target, wait_until};
use crate::system::{LoopDevice, SmallDisk};

const MIB: usize = 1 << 20;

/// A file of 64 MiB and 5 bytes: data at the beginning and near the end, and between them pieces that are neither whole
/// blocks nor at their borders. It ends in a hole.
fn sparse() -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let write = |len, offset: usize| file.as_file().write_all_at(&content(len), offset as u64).unwrap();
    write(2 * MIB, 0);
    write(4096, 20 * MIB + 8192);
    write(4096, 20 * MIB + 24_576);
    write(100_000, 30 * MIB - 50_000);
    write(6 * MIB, 50 * MIB);
    file.as_file().set_len(64 * MIB as u64 + 5).unwrap();
    // Only then is it known how much room it takes: what says where all the pieces are takes some too.
    file.as_file().sync_all().unwrap();
    file
}

/// All the data that there is, in whole blocks, and some more for whatever is said besides.
const FEW: usize = 10 * MIB;

fn blocks(path: &Path) -> u64 {
    fs::metadata(path).unwrap().blocks()
}

/// A node that counts what comes down to it.
fn counted(change: impl FnOnce(&mut NodeConfig)) -> (TestNode, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let tap = move |_, way, _, bytes: &mut [u8]| {
        if way == Way::Down {
            counter.fetch_add(bytes.len(), Ordering::Relaxed);
        }
    };
    (TestNode::behind(Arc::new(tap), change), count)
}

/// A node that lets `bytes` through, and the rest when the gate opens, and counts what came through then.
fn gated(bytes: usize) -> (TestNode, Arc<Gate>, Arc<AtomicUsize>) {
    let (gate, count) = (Arc::new(Gate::default()), Arc::new(AtomicUsize::new(0)));
    let (pass, counter) = (Arc::clone(&gate), Arc::clone(&count));
    let tap = move |_, way, offset, data: &mut [u8]| {
        if way == Way::Down && offset > bytes {
            pass.pass();
            counter.fetch_add(data.len(), Ordering::Relaxed);
        }
    };
    let patient = |config: &mut NodeConfig| config.timing.dead_after = std::time::Duration::from_secs(600);
    (TestNode::behind(Arc::new(tap), patient), gate, count)
}

fn to_all<'a>(transfer: Transfer, nodes: impl IntoIterator<Item = &'a TestNode>) -> Transfer {
    nodes.into_iter().fold(transfer, |transfer, node| transfer.to(node.target("a")))
}

fn from(source: &NamedTempFile) -> Transfer {
    Transfer::from_file(source.path(), keys()).unwrap().timing(patient())
}

#[test]
fn holes_cost_nothing_on_the_way_and_no_room_on_the_nodes() {
    let source = sparse();
    let expected = fs::read(source.path()).unwrap();
    let (first, to_first) = counted(|_| ());
    let (second, to_second) = counted(|_| ());
    let outcome = to_all(from(&source), [&first, &second]).send().unwrap();
    assert!(outcome.all_succeeded(), "{outcome:?}");
    assert_eq!(outcome.sent(), expected.len() as u64);
    for (node, count) in [(&first, to_first), (&second, to_second)] {
        node.assert_has("a", &expected);
        let count = count.load(Ordering::Relaxed);
        assert!(count < FEW, "{count} bytes for a file with 8 MiB of data");
        let (found, most) = (blocks(&node.path("a")), blocks(source.path()));
        assert!(found <= most, "{found} blocks, {most} at the source");
    }
}

#[test]
fn wire_1_is_sent_zeros() {
    let source = sparse();
    let (node, count) = counted(|_| ());
    let outcome = to_all(from(&source).wire(Wire::One).detect_zeros(), [&node]).send().unwrap();
    assert!(outcome.all_succeeded(), "{outcome:?}");
    node.assert_has("a", &fs::read(source.path()).unwrap());
    assert!(count.load(Ordering::Relaxed) > 64 * MIB);
}

#[test]
fn files_of_nothing_but_a_hole_arrive() {
    let node = TestNode::new();
    // A block, a short one, and more than one frame can say: 65,536 blocks of 4 KiB.
    for size in [16 << 10, 5, (256 << 20) + 4096 + 1] {
        let source = NamedTempFile::new().unwrap();
        source.as_file().set_len(size).unwrap();
        let outcome = to_all(from(&source).block_size(4096), [&node]).send().unwrap();
        assert!(outcome.all_succeeded(), "{outcome:?}");
        let found = fs::metadata(node.path("a")).unwrap();
        assert_eq!((found.len(), found.blocks()), (size, 0));
    }
}

/// Zeros at the beginning, in the middle and at the end, all of them written.
fn with_zeros() -> Vec<u8> {
    let mut bytes = vec![0; 24 * MIB + 7];
    bytes[MIB..2 * MIB].copy_from_slice(&content(MIB));
    bytes[12 * MIB + 3] = 1;
    bytes[20 * MIB..21 * MIB].copy_from_slice(&content(MIB));
    bytes
}

#[test]
fn zeros_are_holes_if_asked_for_and_keep_their_room_otherwise() {
    let bytes = with_zeros();
    let source = NamedTempFile::new().unwrap();
    fs::write(source.path(), &bytes).unwrap();
    let (node, count) = counted(|_| ());
    let outcome = to_all(from(&source).detect_zeros(), [&node]).send().unwrap();
    assert!(outcome.all_succeeded(), "{outcome:?}");
    node.assert_has("a", &bytes);
    let sent = count.swap(0, Ordering::Relaxed);
    assert!(sent < 4 * MIB, "{sent} bytes");
    assert!(blocks(&node.path("a")) < 4 * MIB as u64 / 512);

    let outcome = to_all(from(&source), [&node]).send().unwrap();
    assert!(outcome.all_succeeded(), "{outcome:?}");
    node.assert_has("a", &bytes);
    assert!(count.load(Ordering::Relaxed) > bytes.len());
    assert!(blocks(&node.path("a")) >= bytes.len() as u64 / 512, "somebody wants that room");
}

#[test]
fn zeros_of_a_stream_are_holes_if_asked_for() {
    let bytes = with_zeros();
    let (node, count) = counted(|_| ());
    let stream = Transfer::from_stream(Cursor::new(bytes.clone()), keys()).unwrap();
    let outcome = to_all(stream.detect_zeros(), [&node]).send().unwrap();
    assert!(outcome.all_succeeded(), "{outcome:?}");
    node.assert_has("a", &bytes);
    assert!(count.load(Ordering::Relaxed) < 4 * MIB);
}

#[test]
fn what_was_at_the_place_is_zeroed() {
    let source = sparse();
    let expected = fs::read(source.path()).unwrap();
    for wire in BOTH {
        let node = TestNode::new();
        fs::write(node.path("a"), vec![7; 65 * MIB]).unwrap();
        let transfer = from(&source).wire(wire).placement(Placement::InPlace);
        let outcome = to_all(transfer, [&node]).send().unwrap();
        assert!(outcome.all_succeeded(), "{outcome:?}");
        node.assert_has("a", &expected);
        if wire == Wire::Two {
            assert!(blocks(&node.path("a")) <= blocks(source.path()), "the room was not given back");
        }
    }
}

#[test]
fn a_hole_that_is_written_to_meanwhile_is_no_hole_and_there_is_no_file() {
    // A hole, and then more data than can be on its way.
    let source = NamedTempFile::new().unwrap();
    source.as_file().write_all_at(&content(48 * MIB), 16 * MIB as u64).unwrap();
    let changed = source.as_file().metadata().unwrap().modified().unwrap();
    let (node, gate, _) = gated(MIB);
    let next = TestNode::new();
    let transfer = to_all(from(&source), [&node, &next]);
    let sending = thread::spawn(|| transfer.send().unwrap());
    wait_until("it has begun", || node.names() == ["a.lantorrent"]);
    // So that nobody sees it by the time of the file.
    source.as_file().write_all_at(b"x", 10 * MIB as u64).unwrap();
    source.as_file().set_modified(changed).unwrap();
    gate.open();
    let outcome = sending.join().unwrap();
    assert_eq!(codes(&outcome), [Code::SOURCE_FAILED.0; 2], "{outcome:?}");
    for mut node in [node, next] {
        node.stop();
        assert_eq!(node.names(), [""; 0]);
    }
}

#[test]
fn who_is_served_from_a_file_gets_its_holes_too() {
    let source = sparse();
    let expected = fs::read(source.path()).unwrap();
    let others: Vec<TestNode> = (0..4).map(|_| TestNode::new()).collect();
    // Both fall behind the ring: one that the source serves, and one that a node does.
    let (of_source, source_gate, from_source) = gated(MIB);
    let (of_node, node_gate, from_node) = gated(MIB);
    // In two runs of three, whose first serves the other two.
    let list = [&others[0], &others[1], &of_node, &of_source, &others[2], &others[3]];
    let transfer = to_all(from(&source).degree(2), list);
    let sending = thread::spawn(|| transfer.send().unwrap());
    wait_until("the others are done", || {
        [0, 1].iter().all(|&place: &usize| others[place].path("a").exists())
    });
    source_gate.open();
    node_gate.open();
    let outcome = sending.join().unwrap();
    assert!(outcome.all_succeeded(), "{outcome:?}");
    for node in list {
        node.assert_has("a", &expected);
    }
    for count in [from_source, from_node] {
        let count = count.load(Ordering::Relaxed);
        assert!(count < FEW, "{count} bytes");
    }
}

#[test]
fn a_transfer_goes_on_behind_a_hole() {
    // A hole, and then more data than a ring holds and a journal may lack.
    let source = NamedTempFile::new().unwrap();
    let (hole, data) = (512 * MIB, 48 * MIB);
    source.as_file().write_all_at(&content(data), hole as u64).unwrap();
    let (node, gate, count) = gated(data * 3 / 4);
    let transfer = to_all(from(&source), [&node]);
    let handle = transfer.handle();
    let sending = thread::spawn(|| transfer.send().unwrap());
    let written = || fs::metadata(node.path("a.lantorrent")).map_or(0, |found| found.len());
    wait_until("half of it is there", || written() > (hole + data / 2) as u64);
    handle.suspend();
    assert_eq!(codes(&sending.join().unwrap()), [Code::STOPPED.0]);
    gate.open();
    count.store(0, Ordering::Relaxed);
    let outcome = to_all(from(&source), [&node]).send().unwrap();
    assert!(outcome.all_succeeded(), "{outcome:?}");
    let found = File::open(node.path("a")).unwrap();
    let mut end = vec![1; data + 10];
    found.read_exact_at(&mut end, hole as u64 - 10).unwrap();
    assert!(end[..10] == [0; 10] && end[10..] == content(data));
    assert!(blocks(&node.path("a")) <= blocks(source.path()), "the hole was filled");
}

#[test]
fn no_file_system_takes_more_room_than_the_source_had() {
    let expected = fs::read(sparse().path()).unwrap();
    for kind in ["xfs", "btrfs", "ext4"] {
        let Some(disk) = SmallDisk::formatted(kind, 512 << 20, "rw") else { return };
        // From there, too: each says in its own way where its holes are, and sets room aside in its own way.
        let source = tempfile::NamedTempFile::new_in(disk.path()).unwrap();
        File::open(sparse().path()).and_then(|from| copy_data(&from, source.as_file())).unwrap();
        source.as_file().sync_all().unwrap();
        let folder = tempfile::tempdir_in(disk.path()).unwrap();
        let node = TestNode::at(([127, 0, 0, 1], 0).into(), folder, |_| ());
        let outcome = to_all(from(&source), [&node]).send().unwrap();
        assert!(outcome.all_succeeded(), "{kind}: {outcome:?}");
        node.assert_has("a", &expected);
        File::open(node.path("a")).unwrap().sync_all().unwrap();
        let (found, most) = (blocks(&node.path("a")), blocks(source.path()));
        assert!(found <= most, "{kind}: {found} blocks, {most} at the source");
    }
}

/// Copies what is no hole.
fn copy_data(from: &File, to: &File) -> std::io::Result<()> {
    let length = from.metadata()?.len();
    to.set_len(length)?;
    let mut at = 0;
    while let Ok(start) = seek(from, SeekFrom::Data(at)) {
        at = seek(from, SeekFrom::Hole(start))?;
        let mut bytes = vec![0; (at - start) as usize];
        from.read_exact_at(&mut bytes, start)?;
        to.write_all_at(&bytes, start)?;
    }
    Ok(())
}

#[test]
fn a_block_device_is_zeroed_where_the_source_has_holes() {
    let source = sparse();
    let expected = fs::read(source.path()).unwrap();
    let Some(device) = LoopDevice::new(65 * MIB) else { return };
    let mut node = TestNode::with(|config| config.roots.push(device.path.clone()));
    let to_device = target(node.address, device.path.to_str().unwrap());
    let outcome = from(&source).placement(Placement::InPlace).to(to_device).send().unwrap();
    assert!(outcome.all_succeeded(), "{outcome:?}");
    let mut found = vec![0; 65 * MIB];
    File::open(&device.path).unwrap().read_exact_at(&mut found, 0).unwrap();
    assert!(found[..expected.len()] == expected);
    assert!(found[expected.len()..].iter().all(|&byte| byte == 7), "the rest of the disk is not ours");
    node.stop();
}
