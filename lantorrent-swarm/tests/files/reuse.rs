//! What is there already when a torrent is opened.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use lantorrent_swarm::files::{FilesError, State};

use crate::bench::{Bench, go_on, refused};

/// Copies the file or folder.
fn copy(bench: &Bench) {
    for file in bench.info.layout().files() {
        let to = bench.at(file.path.to_str().unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(bench.folder.path().join("origin").join(&file.path), to).unwrap();
    }
}

#[test]
fn what_was_synced_is_gone_on_with() {
    for bench in [Bench::file(100_000), Bench::folder()] {
        let content = bench.open().unwrap();
        bench.write_all(&content, [1, 4]);
        content.sync().unwrap();
        bench.write_all(&content, [2]);
        drop(content);
        let content = bench.open().unwrap();
        assert_eq!((content.state(), content.proven()), (State::Partial, vec![1..2, 4..5]));
        bench.write_all(&content, [2]);
        content.sync().unwrap();
        drop(content);
        let content = bench.open().unwrap();
        assert_eq!(content.proven(), [1..3, 4..5]);
        bench.write_all(&content, [0, 3].into_iter().chain(5..bench.pieces()));
        content.finish().unwrap();
        bench.assert_whole();
    }
}

#[test]
fn a_crash_between_the_last_piece_and_the_name() {
    let bench = Bench::folder();
    let content = bench.open_recorded().unwrap();
    bench.write_all(&content, 0..bench.pieces());
    content.sync().unwrap();
    drop(content);
    let content = bench.open_recorded().unwrap();
    assert_eq!((content.state(), content.proven()), (State::Partial, bench.all()));
    // The journal stays behind if this is where it ends.
    let journal = fs::read(bench.journal()).unwrap();
    content.finish().unwrap();
    fs::write(bench.journal(), journal).unwrap();
    assert_eq!(bench.open_recorded().unwrap().state(), State::Whole);
    bench.assert_whole();
}

#[test]
fn what_is_recorded_is_whole_at_once() {
    for bench in [Bench::file(100_000), Bench::folder()] {
        let content = bench.open_recorded().unwrap();
        bench.complete(&content);
        drop(content);
        let content = bench.open_recorded().unwrap();
        assert_eq!((content.state(), content.proven()), (State::Whole, bench.all()));
        assert_eq!(bench.read_all(&content), bench.bytes);
        assert_eq!(bench.open().unwrap().state(), State::Unproven, "without records");
        bench.assert_whole();
    }
}

#[test]
fn a_record_is_about_files_as_they_were() {
    type Change = fn(&Bench);
    let changes: [(&str, Change); 4] = [
        ("time", |bench| {
            let file = File::options().write(true).open(bench.target().join("x")).unwrap();
            file.set_modified(SystemTime::now() + Duration::from_secs(5)).unwrap();
        }),
        ("length", |bench| fs::write(bench.target().join("x"), "12345678").unwrap()),
        ("inode", |bench| {
            let (old, new) = (bench.target().join("x"), bench.target().join("y"));
            let modified = fs::metadata(&old).unwrap().modified().unwrap();
            fs::copy(&old, &new).unwrap();
            File::options().write(true).open(&new).unwrap().set_modified(modified).unwrap();
            fs::rename(&new, &old).unwrap();
        }),
        ("missing", |bench| fs::remove_file(bench.target().join("empty")).unwrap()),
    ];
    for (what, change) in changes {
        let bench = Bench::folder();
        bench.complete(&bench.open_recorded().unwrap());
        change(&bench);
        let content = bench.open_recorded().unwrap();
        assert_eq!((content.state(), content.proven()), (State::Unproven, vec![]), "{what}");
        content.recheck(&go_on).unwrap();
        let is_whole = matches!(what, "time" | "inode");
        assert_eq!(content.state() == State::Whole, is_whole, "{what}");
        assert_eq!(bench.open_recorded().unwrap().state() == State::Whole, is_whole, "{what}");
    }
}

#[test]
fn what_somebody_else_copied_is_taken() {
    for bench in [Bench::file(100_000), Bench::folder()] {
        copy(&bench);
        let content = bench.open_recorded().unwrap();
        assert_eq!((content.state(), content.proven()), (State::Unproven, vec![]));
        assert_eq!(content.recheck(&go_on).unwrap(), bench.all());
        assert_eq!((content.state(), content.proven()), (State::Whole, bench.all()));
        assert_eq!(bench.open_recorded().unwrap().state(), State::Whole);
        bench.assert_whole();
    }
}

#[test]
fn what_is_damaged_is_repaired() {
    let bench = Bench::folder();
    bench.complete(&bench.open_recorded().unwrap());
    // Bits fell over, a file grew, one is gone, one is cut.
    let damaged = bench.target().join("lib/a/b/c");
    let mut bytes = fs::read(&damaged).unwrap();
    bytes[20_000] ^= 1;
    bytes.push(0);
    fs::write(&damaged, bytes).unwrap();
    fs::remove_file(bench.target().join("x")).unwrap();
    fs::remove_file(bench.target().join("empty")).unwrap();
    fs::write(bench.target().join("lib/z"), "").unwrap();

    let content = bench.open_recorded().unwrap();
    let good = content.recheck(&go_on).unwrap();
    assert_eq!(good, [0..1, 2..4]);
    assert_eq!((content.state(), content.proven()), (State::Unproven, good.clone()));
    refused!(content.write(1, &[bench.piece(1)]), FilesError::NoPiece { .. });
    content.repair().unwrap();
    assert_eq!((content.state(), content.proven()), (State::Partial, good.clone()));
    drop(content);
    let content = bench.open_recorded().unwrap();
    assert_eq!((content.state(), content.proven()), (State::Partial, good), "it outlives a crash");
    bench.write_all(&content, [1, 4, 5, 6]);
    content.finish().unwrap();
    bench.assert_whole();
    assert_eq!(bench.open_recorded().unwrap().state(), State::Whole);
}

#[test]
fn an_older_version_stays_until_the_new_one_is_whole() {
    let bench = Bench::file(100_000);
    fs::write(bench.target(), "version 1").unwrap();
    let content = bench.open().unwrap();
    assert_eq!(content.recheck(&go_on).unwrap(), []);
    content.replace().unwrap();
    assert_eq!(content.state(), State::Partial);
    bench.write_all(&content, 0..5);
    content.sync().unwrap();
    drop(content);
    assert_eq!(fs::read(bench.target()).unwrap(), b"version 1");
    let content = bench.open().unwrap();
    assert_eq!((content.state(), content.proven()), (State::Partial, vec![0..5]));
    bench.write_all(&content, 5..bench.pieces());
    assert_eq!(fs::read(bench.target()).unwrap(), b"version 1");
    content.finish().unwrap();
    bench.assert_whole();

    let bench = Bench::folder();
    fs::create_dir(bench.target()).unwrap();
    let content = bench.open().unwrap();
    refused!(content.replace(), FilesError::Occupied { .. });
    content.repair().unwrap();
    bench.complete(&content);
    bench.assert_whole();
}

#[test]
fn a_partial_torrent_is_checked_on_demand() {
    let bench = Bench::file(100_000);
    let content = bench.open().unwrap();
    bench.write_all(&content, 0..5);
    content.sync().unwrap();
    drop(content);
    let mut bytes = fs::read(bench.partial()).unwrap();
    bytes[3 * 16_384] ^= 1;
    // In place: another inode would be another file.
    fs::write(bench.partial(), &bytes).unwrap();
    let content = bench.open().unwrap();
    assert_eq!(content.proven(), [0..5], "nobody looked");
    assert_eq!(content.recheck(&go_on).unwrap(), [0..3, 4..5]);
    assert_eq!(content.proven(), [0..3, 4..5]);
    drop(content);
    let content = bench.open().unwrap();
    assert_eq!(content.proven(), [0..3, 4..5]);
    bench.write_all(&content, [3, 5, 6]);
    content.finish().unwrap();
    bench.assert_whole();
}

#[test]
fn bits_that_fall_over_are_found_on_demand() {
    let bench = Bench::file(100_000);
    bench.complete(&bench.open_recorded().unwrap());
    let modified = fs::metadata(bench.target()).unwrap().modified().unwrap();
    let mut bytes = bench.bytes.clone();
    bytes[50_000] ^= 1;
    fs::write(bench.target(), bytes).unwrap();
    File::options().write(true).open(bench.target()).unwrap().set_modified(modified).unwrap();
    let content = bench.open_recorded().unwrap();
    assert_eq!(content.state(), State::Whole, "nobody looked");
    assert_eq!(content.recheck(&go_on).unwrap(), [0..3, 4..7]);
    assert_eq!((content.state(), content.proven()), (State::Unproven, vec![0..3, 4..7]));
    assert_eq!(bench.open_recorded().unwrap().state(), State::Unproven, "the record is gone");
    content.repair().unwrap();
    bench.write(&content, 3);
    content.finish().unwrap();
    bench.assert_whole();
}
