//! What a source does: streams, files that change, progress, stopping.

use std::fs::{self, File};
use std::io::{Cursor, Read, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, SystemTime};

use lantorrent_core::session::Timing;
use lantorrent_core::wire::{Code, Frame, Line, Wire};
use lantorrent_core::{Outcome, Transfer, TransferEvent};

use crate::support::{
    BOTH, DeadPort, FakeNode, TestNode, codes, content, gated, keys, reports, short, target, transfer,
    wait_until,
};
use crate::with::with;

/// Sends on a thread of its own.
fn sending(transfer: Transfer) -> thread::JoinHandle<Outcome> {
    thread::spawn(|| transfer.send().unwrap())
}

#[test]
fn streams_of_unknown_length_arrive_whole() {
    /// Gives a few bytes at a time, as a pipe does.
    struct Drops(Cursor<Vec<u8>>);
    impl Read for Drops {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let most = buffer.len().min(7001);
            self.0.read(&mut buffer[..most])
        }
    }
    let nodes = [TestNode::new(), TestNode::new(), TestNode::new()];
    for size in [0, 1, 64 << 10, 3 * (64 << 10), 3 * (64 << 10) + 1, 9 << 20] {
        let (name, content) = (size.to_string(), content(size));
        let begin = Transfer::from_stream(Drops(Cursor::new(content.clone())), keys()).unwrap();
        let outcome =
            nodes.iter().fold(begin, |transfer, node| transfer.to(node.target(&name))).send().unwrap();
        assert!(outcome.all_succeeded(), "{outcome:?}");
        assert_eq!(outcome.sent(), size as u64);
        for node in &nodes {
            node.assert_has(&name, &content);
        }
    }
}

#[test]
fn a_slow_stream_is_waited_for() {
    // Slower than what counts as dead: it is its sender that must be alive.
    let (reader, mut writer) = std::io::pipe().unwrap();
    let node = TestNode::with(|config| config.timing.dead_after = Duration::from_millis(300));
    let mut timing = short(2000);
    timing.alive = Duration::from_millis(50);
    let transfer = Transfer::from_stream(reader, keys()).unwrap().to(node.target("a")).timing(timing);
    let outcome = sending(transfer);
    writer.write_all(b"first ").unwrap();
    thread::sleep(Duration::from_secs(1));
    writer.write_all(b"second").unwrap();
    drop(writer);
    let outcome = outcome.join().unwrap();
    assert!(outcome.all_succeeded(), "{outcome:?}");
    node.assert_has("a", b"first second");
}

#[test]
fn a_stream_that_fails_is_no_file() {
    struct Broken(usize);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            if self.0 == 0 {
                return Err(std::io::Error::other("the tape is torn"));
            }
            self.0 -= 1;
            buffer.fill(7);
            Ok(buffer.len())
        }
    }
    let nodes = [TestNode::new(), TestNode::new()];
    for blocks in [0, 3] {
        let begin = Transfer::from_stream(Broken(blocks), keys()).unwrap();
        let outcome =
            nodes.iter().fold(begin, |transfer, node| transfer.to(node.target("a"))).send().unwrap();
        assert_eq!(codes(&outcome), [Code::SOURCE_FAILED.0; 2], "{outcome:?}");
        assert!(reports(&outcome)[0].message.contains("the tape is torn"), "{outcome:?}");
    }
    for mut node in nodes {
        node.stop();
        assert_eq!(node.names(), [""; 0]);
    }
}

#[test]
fn who_still_opens_its_files_hears_too_that_the_source_has_failed() {
    /// Fails as soon as somebody is there.
    struct Torn(mpsc::Receiver<()>);
    impl Read for Torn {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            self.0.recv().unwrap();
            Err(std::io::Error::other("the tape is torn"))
        }
    }
    let (is_there, there) = mpsc::channel();
    let (heard, first) = mpsc::channel();
    let fake = FakeNode::raw(move |mut child| {
        child.line(&Line::ACCEPTED);
        is_there.send(()).unwrap();
        heard.send(child.first_frame()).unwrap();
        let report = child.report(Code::SOURCE_FAILED, None);
        child.say(&report);
        child.wait();
    });
    let outcome = Transfer::from_stream(Torn(there), keys()).unwrap().to(fake.target()).send().unwrap();
    assert_eq!(codes(&outcome), [Code::SOURCE_FAILED.0], "{outcome:?}");
    let frame = first.recv().unwrap();
    assert!(matches!(&frame, Some(Frame::Abort(abort)) if abort.code == Code::SOURCE_FAILED), "{frame:?}");
    fake.join();
}

#[test]
fn wire_1_sends_no_stream() {
    let node = TestNode::new();
    let transfer = Transfer::from_stream(Cursor::new(b"x"), keys()).unwrap().to(node.target("a"));
    let error = transfer.wire(Wire::One).send().unwrap_err();
    assert!(error.to_string().contains("wire 2"), "{error}");
}

#[test]
fn a_source_that_changes_is_no_file() {
    type Change = fn(&File);
    let changes: [(&str, Change); 3] = [
        ("shrinks", |file| file.set_len(10_000).unwrap()),
        ("grows", |file| file.set_len(10 << 20).unwrap()),
        ("is written to", |file| file.set_modified(SystemTime::UNIX_EPOCH).unwrap()),
    ];
    let content = content(100_001);
    for wire in BOTH {
        for (what, change) in changes {
            let (first, last) = (TestNode::new(), TestNode::new());
            let source = tempfile::NamedTempFile::new().unwrap();
            fs::write(source.path(), &content).unwrap();
            let transfer = Transfer::from_file(source.path(), keys()).unwrap().wire(wire);
            change(source.as_file());
            let outcome = transfer.to(first.target("a")).to(last.target("a")).send().unwrap();
            assert_eq!(codes(&outcome), [Code::SOURCE_FAILED.0; 2], "it {what}, wire {wire:?}: {outcome:?}");
            for mut node in [first, last] {
                node.stop();
                assert_eq!(node.names(), [""; 0], "it {what}");
            }
        }
    }
}

#[test]
fn a_source_that_changes_while_it_is_sent_is_no_file() {
    // More than the ring and the sockets' buffers hold.
    let content = content(40 << 20);
    for wire in BOTH {
        let (node, gate) = gated(100_000);
        let source = tempfile::NamedTempFile::new().unwrap();
        fs::write(source.path(), &content).unwrap();
        let begin = Transfer::from_file(source.path(), keys()).unwrap().wire(wire);
        let outcome = sending(begin.to(node.target("a")));
        wait_until("something has come", || node.names() == ["a.lantorrent"]);
        source.as_file().set_len(1 << 20).unwrap();
        gate.open();
        let outcome = outcome.join().unwrap();
        assert_eq!(codes(&outcome), [Code::SOURCE_FAILED.0], "wire {wire:?}: {outcome:?}");
        let mut node = node;
        node.stop();
        assert_eq!(node.names(), [""; 0]);
    }
}

#[test]
fn a_file_that_is_open_is_sent_whatever_stands_at_its_path() {
    let node = TestNode::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("source");
    fs::write(&path, "the one that was opened").unwrap();
    let open = File::open(&path).unwrap();
    fs::rename(&path, folder.path().join("elsewhere")).unwrap();
    fs::write(&path, "another one").unwrap();
    let transfer = Transfer::from_open_file(open, &path, keys()).unwrap();
    assert!(transfer.to(node.target("a")).send().unwrap().all_succeeded());
    node.assert_has("a", b"the one that was opened");

    let error =
        Transfer::from_open_file(File::open(folder.path()).unwrap(), folder.path(), keys()).unwrap_err();
    assert!(error.to_string().contains("neither a file nor a disk"), "{error}");
}

#[test]
fn the_listener_hears_of_progress_and_of_each_result_once() {
    let (node, gate) = gated(1 << 20);
    let port = DeadPort::new();
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let timing = with(Timing::default(), |it| it.progress = Duration::from_millis(20));
    let size = 8 << 20;
    let transfer = transfer(&content(size))
        .to(node.target("a"))
        .to(node.target("b"))
        .to(target(port.address, "/dead"))
        .timing(timing)
        .on_event(move |event| heard.lock().unwrap().push(event.clone()));
    let outcome = sending(transfer);
    let sent = |event: &TransferEvent| match event {
        TransferEvent::Progress(progress) => progress.sent,
        _ => 0,
    };
    wait_until("there is progress", || events.lock().unwrap().iter().any(|event| sent(event) > 0));
    gate.open();
    let outcome = outcome.join().unwrap();
    assert_eq!(codes(&outcome), [0, 0, Code::CANNOT_CONNECT.0]);
    let events = events.lock().unwrap();
    let offsets: Vec<u64> =
        events.iter().filter(|event| matches!(event, TransferEvent::Progress(_))).map(sent).collect();
    assert!(offsets.is_sorted() && offsets.last() == Some(&(size as u64)), "{offsets:?}");
    let sizes = events.iter().filter_map(|event| match event {
        TransferEvent::Progress(progress) => Some(progress.size),
        _ => None,
    });
    assert!(sizes.into_iter().all(|told| told == Some(size as u64)));
    let mut ended: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            TransferEvent::Ended(ended) => Some(ended.report().clone()),
            _ => None,
        })
        .collect();
    ended.sort_by_key(|report| report.id.clone());
    assert_eq!(ended, reports(&outcome));
    let last = events.iter().rev().find_map(|event| match event {
        TransferEvent::Progress(progress) => Some(progress),
        _ => None,
    });
    let states: Vec<_> = last.unwrap().targets().map(|(target, at)| (target.port, at.state)).collect();
    assert_eq!(states[..2], [(node.address.port(), lantorrent_core::wire::NodeState::Done); 2]);
    assert_eq!(states[2].0, port.address.port());
}

#[test]
fn a_transfer_is_stopped_by_its_handle() {
    for wire in BOTH {
        let (first, gate) = gated(100_000);
        let last = TestNode::new();
        let transfer = transfer(&content(40 << 20)).wire(wire).to(first.target("a")).to(last.target("a"));
        let handle = transfer.handle();
        let outcome = sending(transfer);
        wait_until("something has come", || last.names() == ["a.lantorrent"]);
        handle.stop();
        gate.open();
        let outcome = outcome.join().unwrap();
        assert_eq!(codes(&outcome), [Code::STOPPED.0; 2], "wire {wire:?}: {outcome:?}");
        handle.stop();
        for mut node in [first, last] {
            node.stop();
            assert_eq!(node.names(), [""; 0]);
        }
    }
}

#[test]
fn a_transfer_is_stopped_before_it_begins() {
    for wire in BOTH {
        let node = TestNode::new();
        let transfer = transfer(&content(50_000)).wire(wire).to(node.target("a"));
        transfer.handle().stop();
        let outcome = transfer.send().unwrap();
        assert_eq!(codes(&outcome), [Code::STOPPED.0], "{outcome:?}");
        assert_eq!(node.names(), [""; 0]);
    }
}

#[test]
fn a_transfer_is_stopped_from_its_own_listener() {
    let (node, gate) = gated(100_000);
    let timing = with(Timing::default(), |it| it.progress = Duration::from_millis(20));
    let transfer = transfer(&content(40 << 20)).to(node.target("a")).timing(timing);
    let handle = transfer.handle();
    let outcome = transfer
        .on_event(move |event| {
            if matches!(event, TransferEvent::Progress(progress) if progress.sent > 0) {
                // More often than there is room for.
                (0..1000).for_each(|_| handle.stop());
                gate.open();
            }
        })
        .send()
        .unwrap();
    assert_eq!(codes(&outcome), [Code::STOPPED.0], "{outcome:?}");
}

#[test]
fn a_child_that_lags_is_served_from_the_file() {
    let content = content(24 << 20);
    for wire in BOTH {
        let first = TestNode::new();
        let (last, gate) = gated(100_000);
        let outcome = sending(transfer(&content).wire(wire).to(first.target("a")).to(last.target("a")));
        // The first has all of it although the last takes nothing.
        wait_until("the first is done", || first.names() == ["a"]);
        assert_eq!(last.names(), ["a.lantorrent"]);
        gate.open();
        let outcome = outcome.join().unwrap();
        assert!(outcome.all_succeeded(), "{outcome:?}");
        first.assert_has("a", &content);
        last.assert_has("a", &content);
    }
}
