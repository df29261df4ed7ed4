//! From nothing to a torrent that is whole.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use lantorrent_swarm::Span;
use lantorrent_swarm::files::{Content, Durability, FilesError, Options, State};
use lantorrent_swarm::metainfo::{Kind, Layout};
use sha1::{Digest, Sha1};

use crate::bench::{Bench, PIECE, go_on, names, noise, refused, torrent};

#[test]
fn a_file_in_any_order() {
    let bench = Bench::file(100_000);
    let content = bench.open().unwrap();
    assert_eq!((content.state(), content.proven()), (State::Partial, vec![]));
    for piece in [6, 2, 0, 5, 1, 3, 4] {
        bench.write(&content, piece);
        assert!(content.verify(piece).unwrap());
        assert!(bench.names().contains(&"a.img.lantorrent".into()) && !bench.target().exists());
    }
    content.finish().unwrap();
    assert_eq!((content.state(), content.proven()), (State::Whole, bench.all()));
    bench.assert_whole();
    assert_eq!(bench.read_all(&content), bench.bytes);
    content.finish().unwrap();
}

#[test]
fn a_folder_with_all_that_can_be_in_one() {
    let bench = Bench::folder();
    let content = bench.open().unwrap();
    assert_eq!(names(&bench.partial()), ["bin", "empty", "lib", "x"]);
    let before = content.file(0).unwrap();
    bench.write_all(&content, (0..bench.pieces()).rev());
    content.finish().unwrap();
    bench.assert_whole();
    assert_eq!(bench.read_all(&content), bench.bytes);
    // What was open is the same file still.
    assert_eq!(before.metadata().unwrap().len(), 100);
}

#[test]
fn files_without_bytes() {
    for bench in [
        Bench::file(0),
        Bench::of("nothing", |origin| {
            fs::create_dir(origin).unwrap();
            fs::write(origin.join("a"), "").unwrap();
        }),
    ] {
        let content = bench.open().unwrap();
        assert_eq!(content.state(), State::Partial);
        content.finish().unwrap();
        bench.assert_whole();
        // Whether it is whole, its pieces cannot say.
        let content = bench.open().unwrap();
        assert_eq!(content.state(), State::Unproven);
        assert_eq!(content.recheck(&go_on).unwrap(), []);
        assert_eq!(content.state(), State::Whole);
    }
    let bench = Bench::file(0);
    fs::write(bench.target(), "something").unwrap();
    let content = bench.open().unwrap();
    content.recheck(&go_on).unwrap();
    assert_eq!(content.state(), State::Unproven);
}

#[test]
fn padding_is_zeros_and_no_file() {
    let bytes = [&noise(100, 1)[..], &vec![0; PIECE as usize - 100], &noise(300, 2)].concat();
    let files = [
        ("a".into(), 100, Kind::Plain),
        (".pad/1".into(), u64::from(PIECE) - 100, Kind::Padding),
        ("b".into(), 300, Kind::Plain),
    ];
    let layout = Layout::of_folder(Path::new("padded"), files, PIECE).unwrap();
    let hashes: Vec<u8> = bytes.chunks(PIECE as usize).flat_map(Sha1::digest).collect();
    let bench = Bench { bytes, info: torrent(&layout, &hashes), ..Bench::file(1) };
    let content = bench.open().unwrap();
    bench.complete(&content);
    assert_eq!(names(&bench.target()), ["a", "b"]);
    assert_eq!(fs::read(bench.target().join("b")).unwrap(), noise(300, 2));
    assert_eq!(bench.read_all(&content), bench.bytes);
    assert!(content.verify(0).unwrap() && content.verify(1).unwrap());
    assert_eq!(bench.open().unwrap().recheck(&go_on).unwrap(), bench.all());
}

#[test]
fn spans_and_parts_of_files() {
    let bench = Bench::folder();
    let content = bench.open().unwrap();
    bench.complete(&content);
    for (begin, length) in [(0, 1), (90, 20), (0, PIECE), (PIECE - 1, 1), (1000, 9000)] {
        let span = Span { piece: 0, begin, length };
        let mut read = vec![0; length as usize];
        content.read(&span, &mut read).unwrap();
        assert_eq!(read, bench.bytes[begin as usize..(begin + length) as usize]);
    }
    for (piece, begin, length) in [(0, 1, PIECE), (0, 0, 0), (bench.pieces(), 0, 1), (0, u32::MAX, u32::MAX)]
    {
        let mut buffer = vec![0; 20_000.min(length as usize)];
        refused!(content.read(&Span { piece, begin, length }, &mut buffer), FilesError::NoPiece { .. });
    }
    refused!(content.read(&Span { piece: 0, begin: 0, length: 9 }, &mut [0; 8]), FilesError::NoPiece { .. });
}

#[test]
fn not_before_all_is_there() {
    let bench = Bench::file(100_000);
    let content = bench.open().unwrap();
    bench.write_all(&content, [0, 1, 2, 4, 6]);
    let text = refused!(content.finish(), FilesError::NotWhole { missing: 2 });
    assert!(text.starts_with("2 pieces"), "{text}");
    assert!(!bench.target().exists());
    bench.write_all(&content, [5, 3]);
    content.finish().unwrap();
    bench.assert_whole();
}

#[test]
fn what_is_no_piece_is_not_written() {
    let bench = Bench::file(40_000);
    let content = bench.open().unwrap();
    let whole = bench.piece(0);
    let cases: [(u32, &[&[u8]]); 5] =
        [(0, &[]), (0, &[&whole[1..]]), (0, &[whole, b"x"]), (3, &[b""]), (2, &[whole])];
    for (piece, blocks) in cases {
        refused!(content.write(piece, blocks), FilesError::NoPiece { .. });
    }
    bench.complete(&content);
    refused!(content.write(0, &[whole]), FilesError::NoPiece { .. });
    bench.assert_whole();
}

#[test]
fn more_files_than_are_kept_open() {
    let bench = Bench::of("many", |origin| {
        fs::create_dir(origin).unwrap();
        for number in 0..500_u64 {
            fs::write(origin.join(number.to_string()), noise(1000, number)).unwrap();
        }
    });
    let content = bench.open().unwrap();
    bench.write_all(&content, 0..20);
    assert!(!content.proven().is_empty(), "some were synced on the way");
    bench.write_all(&content, 20..bench.pieces());
    content.finish().unwrap();
    bench.assert_whole();
    assert_eq!(bench.read_all(&content), bench.bytes);
    content.close_files();
    assert_eq!(bench.read_all(&content), bench.bytes);
}

#[test]
fn several_threads_at_once() {
    let bench = Bench::folder();
    let options = Options::default().durability(Durability::NoSync);
    let content = Content::open(bench.tree(), Arc::clone(&bench.info), options).unwrap();
    std::thread::scope(|scope| {
        for first in 0..3 {
            let (bench, content) = (&bench, &content);
            scope.spawn(move || {
                for piece in (first..bench.pieces()).step_by(3) {
                    bench.write(content, piece);
                    content.sync().unwrap();
                    assert!(content.verify(piece).unwrap());
                }
            });
        }
    });
    assert_eq!(content.proven(), bench.all());
    content.finish().unwrap();
    bench.assert_whole();
}

#[test]
fn a_look_changes_nothing() {
    let bench = Bench::folder();
    let look = || Content::look(bench.tree(), Arc::clone(&bench.info)).unwrap();
    assert_eq!(look().recheck(&go_on).unwrap(), []);
    assert_eq!(bench.names(), [""; 0]);
    bench.complete(&bench.open().unwrap());
    let content = look();
    assert_eq!(content.state(), State::Unproven);
    assert_eq!(content.recheck(&go_on).unwrap(), bench.all());
    assert_eq!(content.state(), State::Whole);
    bench.assert_whole();
}
