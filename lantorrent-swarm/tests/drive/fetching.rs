//! From peers that are known.

use std::fs;

use lantorrent_swarm::drive::AddTorrent;
use lantorrent_swarm::metainfo::Draft;

use crate::support::{add_torrent, address, content, expect_whole, session, torrent};

const PIECE: u32 = 64 << 10;

#[test]
fn a_file_from_one_peer() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let data = content(3_000_000);
    fs::write(here.path().join("a.img"), &data).unwrap();
    let metainfo = torrent(&here.path().join("a.img"), PIECE, &Draft::default());
    let (mut seeder, mut leecher) = (session(), session());
    let _ = seeder.add(add_torrent(&metainfo, here.path()));
    expect_whole(&mut seeder, metainfo.info.hash());
    let _ = leecher.add(add_torrent(&metainfo, there.path()).peers(vec![address(&seeder)]));
    expect_whole(&mut leecher, metainfo.info.hash());
    assert!(fs::read(there.path().join("a.img")).unwrap() == data);
}

#[test]
fn what_is_known_by_its_hash_alone() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir_all(here.path().join("package/bin")).unwrap();
    for (name, length) in [("bin/tool", 700_000), ("empty", 0), ("notes", 10), ("data", 1_000_001)] {
        fs::write(here.path().join("package").join(name), content(length)).unwrap();
    }
    let metainfo = torrent(&here.path().join("package"), PIECE, &Draft::default());
    let (mut seeder, mut leecher) = (session(), session());
    let _ = seeder.add(add_torrent(&metainfo, here.path()));
    expect_whole(&mut seeder, metainfo.info.hash());
    let magnet = metainfo.magnet();
    let _ = leecher.add(AddTorrent::new(magnet, there.path()).peers(vec![address(&seeder)]));
    expect_whole(&mut leecher, metainfo.info.hash());
    for name in ["bin/tool", "empty", "notes", "data"] {
        let read = |folder: &std::path::Path| fs::read(folder.join("package").join(name)).unwrap();
        assert!(read(there.path()) == read(here.path()), "{name} differs");
    }
}
