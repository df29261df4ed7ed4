//! Torrents that are hashed again, whatever is recorded.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use lantorrent_swarm::drive::{Alert, Existing, Phase, Session, TorrentError, TorrentWarning, Trust};
use lantorrent_swarm::files::{Content, Options, Tree};
use lantorrent_swarm::metainfo::{Draft, Info, Metainfo};
use tempfile::TempDir;

use crate::support::{LONG, add_torrent, address, content, expect_whole, session, settings, torrent};

const PIECE: u32 = 32 << 10;
const LENGTH: usize = 500_000;

/// A session that has a file, and whoever wants it.
fn case() -> (TempDir, Metainfo, Session) {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("a.img"), content(LENGTH)).unwrap();
    let metainfo = torrent(&here.path().join("a.img"), PIECE, &Draft::default());
    let mut seeder = session();
    let _ = seeder.add(add_torrent(&metainfo, here.path()));
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
    let mut leecher = session();
    let _ = leecher.add(add_torrent(&metainfo, there.path()).peers(vec![address(&seeder)]));
    expect_whole(&mut leecher, hash);
    let before = leecher.statuses()[0].progress.downloaded;
    leecher.handle(hash).recheck();
    expect_whole(&mut leecher, hash);
    assert_eq!(leecher.statuses()[0].progress.downloaded, before, "all was right");
    damage(there.path());
    leecher.handle(hash).recheck();
    expect_whole(&mut leecher, hash);
    assert!(is_right(there.path()));
    assert_eq!(leecher.statuses()[0].progress.downloaded, before + u64::from(PIECE));
    // Nobody waits for the one before.
    for _ in 0..3 {
        leecher.handle(hash).recheck();
    }
    expect_whole(&mut leecher, hash);
}

#[test]
fn what_is_only_served_is_not_mended() {
    let (here, metainfo, _seeder) = case();
    let hash = metainfo.info.hash();
    let mut server = session();
    let _ = server.add(add_torrent(&metainfo, here.path()).existing(Existing::Serve));
    expect_whole(&mut server, hash);
    damage(here.path());
    server.handle(hash).recheck();
    let Some(Alert::Failed(_, error)) = server.next_alert(LONG) else { panic!("it is wrong") };
    assert!(matches!(&error, TorrentError::Incomplete { path, .. } if path.ends_with("a.img")), "{error:?}");
    assert!(error.to_string().contains("not whole"), "{error}");
    assert!(!is_right(here.path()) && here.path().read_dir().unwrap().count() == 1);
    assert!(matches!(server.statuses()[0].phase, Phase::Failed(_)));
    server.handle(hash).recheck();
    assert_eq!(server.next_alert(LONG), Some(Alert::Warning(hash, TorrentWarning::NotOpen)));
}

#[test]
fn records_are_believed_or_not() {
    let (_here, metainfo, seeder) = case();
    let (there, records) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let start = |trust| {
        let records = Some(records.path().to_owned());
        let mut session = Session::start(settings().records(records)).unwrap();
        let peers = vec![address(&seeder)];
        let _ = session.add(add_torrent(&metainfo, there.path()).peers(peers).trust(trust));
        expect_whole(&mut session, metainfo.info.hash());
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
    let mut session = session();
    let peers = vec![address(&seeder)];
    let _ = session.add(add_torrent(&metainfo, there.path()).peers(peers).trust(Trust::Nothing));
    expect_whole(&mut session, info.hash());
    assert!(is_right(there.path()));
}

#[test]
fn what_lacks_nothing_but_its_name_gets_it() {
    let (_here, metainfo, _seeder) = case();
    let (there, info) = (tempfile::tempdir().unwrap(), Arc::new(metainfo.info.clone()));
    write_all(there.path(), &info);
    let mut session = session();
    let _ = session.add(add_torrent(&metainfo, there.path()));
    expect_whole(&mut session, info.hash());
    assert!(is_right(there.path()));
}

#[test]
fn a_seed_that_is_cut_short_is_mended_as_soon_as_somebody_asks() {
    let (_here, metainfo, seeder) = case();
    let (there, elsewhere, hash) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), metainfo.info.hash());
    let mut middle = session();
    let _ = middle.add(add_torrent(&metainfo, there.path()).peers(vec![address(&seeder)]));
    expect_whole(&mut middle, hash);
    File::options().write(true).open(there.path().join("a.img")).unwrap().set_len(200_000).unwrap();
    let mut leecher = session();
    let _ = leecher.add(add_torrent(&metainfo, elsewhere.path()).peers(vec![address(&middle)]));
    expect_whole(&mut middle, hash);
    expect_whole(&mut leecher, hash);
    assert!(is_right(there.path()) && is_right(elsewhere.path()));
}
