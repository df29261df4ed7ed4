//! Torrents that are hashed again, whatever is recorded.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use lantorrent_swarm::drive::{Adding, Existing, Notice, Phase, Settings, Swarm, Trust};
use lantorrent_swarm::files::{Content, Options, Tree};
use lantorrent_swarm::metainfo::{Draft, Info, Metainfo};
use tempfile::TempDir;

use crate::support::{LONG, adding, address, content, expect_whole, settings, swarm, torrent};

const PIECE: u32 = 32 << 10;
const LENGTH: usize = 500_000;

/// A swarm that has a file, and whoever wants it.
fn case() -> (TempDir, Metainfo, Swarm) {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("a.img"), content(LENGTH)).unwrap();
    let metainfo = torrent(&here.path().join("a.img"), PIECE, &Draft::default());
    let mut seeder = swarm();
    seeder.add(adding(&metainfo, here.path()));
    expect_whole(&mut seeder, metainfo.info.hash());
    (here, metainfo, seeder)
}

/// Changes a byte, and nothing that can be seen from outside.
fn damage(folder: &Path) {
    let file = File::options().write(true).open(folder.join("a.img")).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    file.write_all_at(b"?", 100_000).unwrap();
    file.set_modified(modified).unwrap();
}

fn is_right(folder: &Path) -> bool {
    fs::read(folder.join("a.img")).unwrap() == content(LENGTH)
}

#[test]
fn what_is_wrong_is_fetched_again() {
    let (_here, metainfo, seeder) = case();
    let (there, hash) = (tempfile::tempdir().unwrap(), metainfo.info.hash());
    let mut leecher = swarm();
    leecher.add(Adding { peers: vec![address(&seeder)], ..adding(&metainfo, there.path()) });
    expect_whole(&mut leecher, hash);
    let before = leecher.status()[0].progress.downloaded;
    leecher.recheck(hash);
    expect_whole(&mut leecher, hash);
    assert_eq!(leecher.status()[0].progress.downloaded, before, "all was right");
    damage(there.path());
    leecher.recheck(hash);
    expect_whole(&mut leecher, hash);
    assert!(is_right(there.path()));
    assert_eq!(leecher.status()[0].progress.downloaded, before + u64::from(PIECE));
    // Nobody waits for the one before.
    for _ in 0..3 {
        leecher.recheck(hash);
    }
    expect_whole(&mut leecher, hash);
}

#[test]
fn what_is_only_served_is_not_mended() {
    let (here, metainfo, _seeder) = case();
    let hash = metainfo.info.hash();
    let mut server = swarm();
    server.add(Adding { existing: Existing::Serve, ..adding(&metainfo, here.path()) });
    expect_whole(&mut server, hash);
    damage(here.path());
    server.recheck(hash);
    let Some(Notice::Failed(_, why)) = server.notice(LONG) else { panic!("it is wrong") };
    assert!(why.contains("a.img") && why.contains("not whole"), "{why}");
    assert!(!is_right(here.path()) && here.path().read_dir().unwrap().count() == 1);
    assert!(matches!(server.status()[0].phase, Phase::Failed(_)));
    server.recheck(hash);
    assert!(matches!(server.notice(LONG), Some(Notice::Warning(..))));
}

#[test]
fn records_are_believed_or_not() {
    let (_here, metainfo, seeder) = case();
    let (there, records) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let start = |trust| {
        let records = Some(records.path().to_owned());
        let mut swarm = Swarm::start(Settings { records, ..settings() }).unwrap();
        let peers = vec![address(&seeder)];
        swarm.add(Adding { peers, trust, ..adding(&metainfo, there.path()) });
        expect_whole(&mut swarm, metainfo.info.hash());
    };
    start(Trust::Records);
    damage(there.path());
    start(Trust::Records);
    assert!(!is_right(there.path()));
    start(Trust::Nothing);
    assert!(is_right(there.path()));
}

/// Leaves all pieces there, and nothing in place.
fn write_all(folder: &Path, info: &Arc<Info>) {
    let tree = Arc::new(Tree::open(folder).unwrap());
    let partial = Content::open(tree, Arc::clone(info), Options::default()).unwrap();
    for piece in 0..info.geometry().pieces() {
        let span = info.layout().piece(piece);
        let start = info.geometry().start(piece) as usize;
        partial.write(piece, &[&content(LENGTH)[start..start + span.length as usize]]).unwrap();
    }
    partial.sync().unwrap();
}

#[test]
fn a_journal_that_is_wrong_is_found_out() {
    let (_here, metainfo, seeder) = case();
    let (there, info) = (tempfile::tempdir().unwrap(), Arc::new(metainfo.info.clone()));
    write_all(there.path(), &info);
    let file = File::options().write(true).open(there.path().join("a.img.lantorrent")).unwrap();
    file.write_all_at(b"?", 100_000).unwrap();
    let mut swarm = swarm();
    let peers = vec![address(&seeder)];
    swarm.add(Adding { peers, trust: Trust::Nothing, ..adding(&metainfo, there.path()) });
    expect_whole(&mut swarm, info.hash());
    assert!(is_right(there.path()));
}

#[test]
fn what_lacks_nothing_but_its_name_gets_it() {
    let (_here, metainfo, _seeder) = case();
    let (there, info) = (tempfile::tempdir().unwrap(), Arc::new(metainfo.info.clone()));
    write_all(there.path(), &info);
    let mut swarm = swarm();
    swarm.add(adding(&metainfo, there.path()));
    expect_whole(&mut swarm, info.hash());
    assert!(is_right(there.path()));
}

#[test]
fn a_seed_that_is_cut_short_is_mended_as_soon_as_somebody_asks() {
    let (_here, metainfo, seeder) = case();
    let (there, elsewhere, hash) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), metainfo.info.hash());
    let mut middle = swarm();
    middle.add(Adding { peers: vec![address(&seeder)], ..adding(&metainfo, there.path()) });
    expect_whole(&mut middle, hash);
    File::options().write(true).open(there.path().join("a.img")).unwrap().set_len(200_000).unwrap();
    let mut leecher = swarm();
    leecher.add(Adding { peers: vec![address(&middle)], ..adding(&metainfo, elsewhere.path()) });
    expect_whole(&mut middle, hash);
    expect_whole(&mut leecher, hash);
    assert!(is_right(there.path()) && is_right(elsewhere.path()));
}
