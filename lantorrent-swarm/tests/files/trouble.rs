//! What is in the way.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use lantorrent_core::store::{Placement, Roots, StoreError, Target};
use lantorrent_swarm::files::{Content, Durability, FilesError, Options, State};
use lantorrent_swarm::metainfo::{Kind, Layout};

use crate::bench::{Bench, PIECE, go_on, refused, torrent};

#[test]
fn something_else_has_the_name() {
    let bench = Bench::file(100);
    fs::create_dir(bench.target()).unwrap();
    let text = refused!(bench.open(), FilesError::Occupied { .. });
    assert!(text.contains("a.img") && text.contains("move it away"), "{text}");

    let bench = Bench::folder();
    fs::write(bench.target(), "a file").unwrap();
    refused!(bench.open(), FilesError::Occupied { .. });

    for bench in [Bench::file(100), Bench::folder()] {
        symlink(bench.origin(), bench.target()).unwrap();
        refused!(bench.open(), FilesError::Occupied { .. });
        assert!(bench.target().is_symlink());
    }
}

#[test]
fn a_folder_that_came_in_between_is_not_replaced() {
    let bench = Bench::folder();
    let content = bench.open().unwrap();
    bench.write_all(&content, 0..bench.pieces());
    fs::create_dir(bench.target()).unwrap();
    fs::write(bench.target().join("theirs"), "theirs").unwrap();
    refused!(content.finish(), FilesError::Occupied { .. });
    assert_eq!(content.state(), State::Partial);
    assert_eq!(fs::read(bench.target().join("theirs")).unwrap(), b"theirs");
    // The next start says so, too.
    drop(content);
    refused!(bench.open(), FilesError::Occupied { .. });
    fs::remove_dir_all(bench.target()).unwrap();
    let content = bench.open().unwrap();
    assert_eq!(content.proven(), bench.all());
    content.finish().unwrap();
    bench.assert_whole();
}

#[test]
fn links_on_the_way_are_not_followed() {
    // Instead of a file, of a folder on the way, and of the partial folder itself.
    for planted in ["lib/z", "lib", ""] {
        let bench = Bench::folder();
        drop(bench.open().unwrap());
        let outside = bench.folder.path().join("outside");
        fs::create_dir_all(outside.join("a/b")).unwrap();
        fs::write(outside.join("z"), "theirs").unwrap();
        let at = if planted.is_empty() { bench.partial() } else { bench.partial().join(planted) };
        if at.is_dir() {
            fs::remove_dir_all(&at).unwrap();
        } else {
            fs::remove_file(&at).unwrap();
        }
        symlink(if planted == "lib/z" { outside.join("z") } else { outside.clone() }, &at).unwrap();
        let text = refused!(bench.open(), FilesError::Store(StoreError::NotAFile { .. }));
        assert!(text.contains("symlink") || text.contains("no folder"), "{text}");
        assert_eq!(fs::read(outside.join("z")).unwrap(), b"theirs");
        assert_eq!(fs::read_dir(outside.join("a/b")).unwrap().count(), 0);
    }
}

#[test]
fn a_link_that_is_planted_later_is_not_followed_either() {
    let bench = Bench::folder();
    let content = bench.open().unwrap();
    let outside = bench.folder.path().join("outside");
    fs::create_dir_all(outside.join("a/b")).unwrap();
    fs::rename(bench.partial().join("lib"), bench.at("away")).unwrap();
    symlink(&outside, bench.partial().join("lib")).unwrap();
    let error = content.write(2, &[bench.piece(2)]).unwrap_err();
    assert!(matches!(error, FilesError::Store(StoreError::NotAFile { .. })), "{error}");
    assert!(!content.verify(2).unwrap(), "behind a link is nothing");
    assert_eq!(fs::read_dir(outside.join("a/b")).unwrap().count(), 0);
}

#[test]
fn a_whole_torrent_is_not_read_through_links() {
    let bench = Bench::folder();
    bench.complete(&bench.open().unwrap());
    fs::remove_dir_all(bench.target().join("lib")).unwrap();
    symlink(bench.origin().join("lib"), bench.target().join("lib")).unwrap();
    let content = bench.open().unwrap();
    assert_eq!(content.recheck(&go_on).unwrap(), [], "all pieces have something of those files");
    assert_eq!(content.state(), State::Unproven);
}

#[test]
fn one_at_a_time() {
    for bench in [Bench::file(100_000), Bench::folder()] {
        let content = bench.open().unwrap();
        refused!(bench.open(), FilesError::Store(StoreError::InUse { .. }));
        bench.complete(&content);
        // Whole ones are anybody's to read.
        let (one, other) = (bench.open().unwrap(), bench.open().unwrap());
        assert_eq!(bench.read_all(&one), bench.read_all(&other));
    }
}

#[test]
fn not_while_a_chain_writes_that_file() {
    let bench = Bench::file(100_000);
    let roots = Roots::open(&[bench.folder.path().join("root")]).unwrap();
    let path = bench.target();
    let target =
        Target { path: path.to_str().unwrap(), placement: Placement::Rename, length: None, resume: None };
    let output = roots.create(&target).unwrap();
    output.write_at(b"theirs", 0).unwrap();
    refused!(bench.open(), FilesError::Store(StoreError::InUse { .. }));
    assert_eq!(fs::read(bench.partial()).unwrap(), b"theirs");
    drop(output);
    let content = bench.open().unwrap();
    bench.write_all(&content, 0..3);
    content.sync().unwrap();
    let error = roots.create(&target).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    // Afterwards the chain may have it, and then nothing is there of what was proven.
    drop(content);
    let output = roots.create(&target).unwrap();
    output.write_at(&vec![0; 100_000], 0).unwrap();
    drop(output);
    assert_eq!(bench.open().unwrap().proven(), []);
}

#[test]
fn who_takes_the_partial_file_away_does_not_pass_for_it() {
    for bench in [Bench::file(100_000), Bench::folder()] {
        let content = bench.open().unwrap();
        bench.write_all(&content, 0..bench.pieces());
        fs::rename(bench.partial(), bench.at("away")).unwrap();
        if bench.info.layout().is_folder() {
            fs::create_dir(bench.partial()).unwrap();
        } else {
            fs::write(bench.partial(), "theirs").unwrap();
        }
        refused!(content.finish(), FilesError::Foreign { .. });
        assert!(!bench.target().exists());
    }
}

#[test]
fn a_file_with_several_names_is_not_written_to() {
    let bench = Bench::folder();
    let content = bench.open().unwrap();
    bench.complete(&content);
    drop(content);
    fs::hard_link(bench.target().join("lib/z"), bench.at("installed")).unwrap();
    let damaged = bench.target().join("lib/a/b/c");
    fs::write(&damaged, vec![0; 70_000]).unwrap();
    let before = fs::read(bench.at("installed")).unwrap();
    let content = bench.open().unwrap();
    let good = content.recheck(&go_on).unwrap();
    content.repair().unwrap();
    let bad = (0..bench.pieces()).filter(|piece| !good.iter().any(|run| run.contains(piece)));
    let results: Vec<_> = bad.map(|piece| content.write(piece, &[bench.piece(piece)])).collect();
    assert!(results.iter().any(Result::is_err), "one of them is in that file, too");
    assert_eq!(fs::read(bench.at("installed")).unwrap(), before);
}

#[test]
fn names_that_leave_no_room_for_what_is_added() {
    for (name, fits) in [("n".repeat(236), true), ("n".repeat(237), false), ("a.lantorrent".into(), false)] {
        let layout = Layout::of_file(name.as_ref(), 0, Kind::Plain, PIECE).unwrap();
        let bench = Bench { info: torrent(&layout, &[]), ..Bench::file(0) };
        let options = Options::default().durability(Durability::NoSync);
        let opened = Content::open(bench.tree(), Arc::clone(&bench.info), options);
        assert_eq!(opened.is_ok(), fits, "{name}: {:?}", opened.err());
    }
}

#[test]
fn a_torrent_whose_folder_was_replaced_is_not_in_place() {
    for bench in [Bench::file(100_000), Bench::folder()] {
        let content = bench.open().unwrap();
        bench.write_all(&content, 0..bench.pieces());
        let (root, away) = (bench.at(""), bench.folder.path().join("away"));
        fs::rename(&root, &away).unwrap();
        for is_there in [false, true] {
            if is_there {
                fs::create_dir(&root).unwrap();
            }
            let text = refused!(content.finish(), FilesError::Store(StoreError::Elsewhere { .. }));
            // Both places: where it should be, and where it is.
            let named = [bench.partial(), away.join(bench.partial().file_name().unwrap())];
            assert!(named.iter().all(|path| text.contains(&*path.to_string_lossy())), "{text}");
            assert_eq!(content.state(), State::Partial);
            assert!(away.join(bench.partial().file_name().unwrap()).exists());
        }
        // Nothing was lost, and with the folder back it is done.
        fs::remove_dir(&root).unwrap();
        fs::rename(&away, &root).unwrap();
        content.finish().unwrap();
        bench.assert_whole();
    }
}
