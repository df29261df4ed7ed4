//! What becomes a torrent.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use lantorrent_swarm::files::{FilesError, Source};
use lantorrent_swarm::metainfo::Kind;
use sha1::{Digest, Sha1};

use crate::bench::{Bench, PIECE, go_on, noise, refused};

#[test]
fn in_the_order_of_names() {
    let bench = Bench::of("tree", |origin| {
        for path in ["b/x", "b.c", "a", "b/a/z", ".hidden", "B"] {
            fs::create_dir_all(origin.join(path).parent().unwrap()).unwrap();
            fs::write(origin.join(path), path).unwrap();
        }
        fs::create_dir(origin.join("empty")).unwrap();
        fs::set_permissions(origin.join("a"), PermissionsExt::from_mode(0o744)).unwrap();
    });
    let layout = bench.info.layout();
    let paths: Vec<_> = layout.files().iter().map(|file| file.path.to_str().unwrap()).collect();
    assert_eq!(paths, ["tree/.hidden", "tree/B", "tree/a", "tree/b/a/z", "tree/b/x", "tree/b.c"]);
    let programs: Vec<_> = layout.files().iter().filter(|file| file.kind == Kind::Executable).collect();
    assert_eq!(programs.len(), 1);
    assert_eq!(programs[0].path, PathBuf::from("tree/a"));
}

#[test]
fn hashes_are_those_of_all_bytes_one_after_another() {
    for bench in [Bench::folder(), Bench::file(100_000), Bench::file(2 * PIECE as usize), Bench::file(0)] {
        let source = Source::find(&bench.origin()).unwrap();
        assert_eq!(source.length(), bench.bytes.len() as u64);
        for piece_length in [1000, PIECE, 1 << 20] {
            let layout = source.layout(piece_length).unwrap();
            let told = AtomicU64::new(0);
            let count = |bytes| {
                told.fetch_add(bytes, Ordering::Relaxed);
                ControlFlow::Continue(())
            };
            let expected: Vec<u8> =
                bench.bytes.chunks(piece_length as usize).flat_map(Sha1::digest).collect();
            assert_eq!(source.hash(&layout, &count).unwrap(), expected);
            assert_eq!(told.into_inner(), source.length());
        }
    }
}

#[test]
fn the_name_is_that_of_what_was_asked_for() {
    let bench = Bench::folder();
    let name = |path: PathBuf| Source::find(&path).unwrap().layout(PIECE).unwrap().name().to_owned();
    let origin = bench.origin();
    assert_eq!(name(origin.join(".")), PathBuf::from("tool-1.0"));
    assert_eq!(name(origin.join("lib/..")), PathBuf::from("tool-1.0"));
    symlink(&origin, bench.at("link")).unwrap();
    assert_eq!(name(bench.at("link")), PathBuf::from("link"));
    refused!(Source::find("/dev/null".as_ref()), FilesError::NotAFile { .. });
    refused!(Source::find(&bench.at("nowhere")), FilesError::Read { .. });
    assert!(Source::find("/".as_ref()).is_err());
}

#[test]
fn what_no_torrent_can_hold_is_refused() {
    let bench = Bench::folder();
    symlink("x", bench.origin().join("lib/link")).unwrap();
    let text = refused!(Source::find(&bench.origin()), FilesError::NotAFile { .. });
    assert!(text.contains("lib/link") && text.contains("symlink"), "{text}");
    fs::create_dir_all(bench.at("a/b/c")).unwrap();
    refused!(Source::find(&bench.at("a")), FilesError::Empty { .. });
}

#[test]
fn files_that_change_meanwhile_make_no_torrent() {
    type Change = fn(&std::path::Path);
    let changes: [Change; 4] = [
        |origin| fs::write(origin.join("lib/z"), noise(30_000, 9)).unwrap(),
        |origin| fs::write(origin.join("lib/z"), "shorter").unwrap(),
        |origin| fs::write(origin.join("bin/run"), "read already").unwrap(),
        |origin| {
            fs::write(origin.join("new"), noise(30_000, 3)).unwrap();
            fs::rename(origin.join("new"), origin.join("lib/z")).unwrap();
        },
    ];
    for change in changes {
        let bench = Bench::folder();
        let source = Source::find(&bench.origin()).unwrap();
        let layout = source.layout(PIECE).unwrap();
        let first = AtomicU64::new(0);
        let changing = |_| {
            if first.fetch_add(1, Ordering::SeqCst) == 0 {
                change(&bench.origin());
            }
            ControlFlow::Continue(())
        };
        refused!(source.hash(&layout, &changing), FilesError::Changed { .. });
    }
    let bench = Bench::folder();
    let source = Source::find(&bench.origin()).unwrap();
    fs::remove_file(bench.origin().join("x")).unwrap();
    refused!(source.hash(&source.layout(PIECE).unwrap(), &go_on), FilesError::Read { .. });
}

#[test]
fn who_asked_may_change_his_mind() {
    let bench = Bench::file(1_000_000);
    let source = Source::find(&bench.origin()).unwrap();
    let layout = source.layout(PIECE).unwrap();
    let told = AtomicU64::new(0);
    let stop = |_| {
        told.fetch_add(1, Ordering::SeqCst);
        ControlFlow::Break(())
    };
    refused!(source.hash(&layout, &stop), FilesError::Stopped);
    let threads = std::thread::available_parallelism().unwrap().get() as u64;
    assert!(told.into_inner() <= threads, "each ends with the piece it was at");
}
