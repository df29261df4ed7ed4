//! Torrents that make room for others.

use std::fs;
use std::os::unix::fs::symlink;

use lantorrent_swarm::files::{FilesError, State};

use crate::bench::{Bench, go_on, refused};

#[test]
fn nothing_is_left_of_it() {
    for bench in [Bench::file(100_000), Bench::folder()] {
        let content = bench.open_recorded().unwrap();
        bench.complete(&content);
        content.delete().unwrap();
        assert_eq!(content.state(), State::Unproven);
        assert_eq!(fs::read_dir(bench.target().parent().unwrap()).unwrap().count(), 0);
        refused!(content.delete(), FilesError::Foreign { .. });
        // As if it had never been there.
        let content = bench.open_recorded().unwrap();
        assert_eq!((content.state(), content.proven().len()), (State::Partial, 0));
    }
}

#[test]
fn what_others_have_put_there_stays() {
    let bench = Bench::folder();
    let content = bench.open().unwrap();
    bench.complete(&content);
    let theirs = bench.target().join("lib/theirs");
    fs::write(&theirs, "x").unwrap();
    content.delete().unwrap();
    assert_eq!(fs::read(theirs).unwrap(), b"x");
    assert!(!bench.target().join("lib/z").exists() && !bench.target().join("bin").exists());
}

#[test]
fn what_has_changed_is_left_alone() {
    let bench = Bench::folder();
    let content = bench.open_recorded().unwrap();
    refused!(content.delete(), FilesError::Foreign { .. });
    bench.complete(&content);
    let file = bench.target().join("x");
    fs::remove_file(&file).unwrap();
    fs::write(&file, "another").unwrap();
    let text = refused!(content.delete(), FilesError::Foreign { .. });
    assert!(text.contains("tool-1.0"), "{text}");
    assert_eq!(fs::read(&file).unwrap(), b"another");
    assert!(bench.target().join("lib/a/b/c").exists());
}

#[test]
fn links_lead_nowhere() {
    let bench = Bench::folder();
    let content = bench.open().unwrap();
    bench.complete(&content);
    let away = bench.folder.path().join("away");
    fs::rename(bench.target().join("lib"), &away).unwrap();
    symlink(&away, bench.target().join("lib")).unwrap();
    refused!(content.delete(), FilesError::Foreign { .. });
    assert!(away.join("z").exists() && bench.target().join("x").exists());
}

#[test]
fn what_was_replaced_under_its_name_is_found_wrong() {
    let bench = Bench::file(100_000);
    let content = bench.open_recorded().unwrap();
    bench.complete(&content);
    bench.read_all(&content);
    let other = bench.at("other");
    fs::write(&other, vec![0; 100_000]).unwrap();
    fs::rename(other, bench.target()).unwrap();
    assert_eq!(content.recheck(&go_on).unwrap(), []);
    assert_eq!(content.state(), State::Unproven);
}
