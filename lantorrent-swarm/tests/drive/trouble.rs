//! Peers that behave badly, disks that are full, and users who change their minds.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use lantorrent_core::Limit;
use lantorrent_swarm::drive::{Alert, Bounds, Session, Settings, TorrentError, TorrentWarning};
use lantorrent_swarm::metainfo::{Draft, Metainfo};
use lantorrent_swarm::wire::{Handshake, Message};
use lantorrent_swarm::{BLOCK, InfoHash, Span};

use crate::support::{
    LONG, add_torrent, address, content, expect_whole, session, settings, stranger, torrent,
};

const PIECE: u32 = 64 << 10;

/// A session that has a file of that many bytes.
fn seeder(length: usize, settings: Settings, upload: Limit) -> (tempfile::TempDir, Metainfo, Session) {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("a.img"), content(length)).unwrap();
    let metainfo = torrent(&here.path().join("a.img"), PIECE, &Draft::default());
    let mut session = Session::start(settings).unwrap();
    let _ = session.add(add_torrent(&metainfo, here.path()).upload(upload));
    expect_whole(&mut session, metainfo.info.hash());
    (here, metainfo, session)
}

/// Fetches all of it from there. How long that takes.
fn fetch(metainfo: &Metainfo, from: SocketAddr, settings: Settings) -> Duration {
    let there = tempfile::tempdir().unwrap();
    let mut leecher = Session::start(settings).unwrap();
    let begun = Instant::now();
    let _ = leecher.add(add_torrent(metainfo, there.path()).peers(vec![from]));
    expect_whole(&mut leecher, metainfo.info.hash());
    begun.elapsed()
}

#[test]
fn who_asks_and_never_reads_holds_nobody_up() {
    let (_here, metainfo, seeder) = seeder(3_000_000, settings(), Limit::default());
    let mut greedy = stranger(address(&seeder), metainfo.info.hash(), 1);
    let mut asked = Vec::new();
    Message::Interested.encode(&mut asked);
    for piece in 0..metainfo.info.geometry().pieces() - 1 {
        for begin in (0..PIECE).step_by(BLOCK as usize) {
            Message::Request(Span { piece, begin, length: BLOCK }).encode(&mut asked);
        }
    }
    greedy.set_nonblocking(true).unwrap();
    // As much as goes: it is read by somebody who waits for nobody, or the connection is closed.
    for _ in 0..100 {
        if greedy.write_all(&asked).is_err() {
            break;
        }
    }
    fetch(&metainfo, address(&seeder), settings());
}

#[test]
fn those_who_come_when_all_places_are_taken_come_back() {
    let few = settings().bounds(Bounds::default().connections(20));
    let (_here, metainfo, seeder) = seeder(1_000_000, few, Limit::default());
    let mut silent: Vec<TcpStream> = (0..20).map(|_| TcpStream::connect(address(&seeder)).unwrap()).collect();
    let mut late = TcpStream::connect(address(&seeder)).unwrap();
    late.set_read_timeout(Some(LONG)).unwrap();
    // Closed with or without having been read.
    assert!(matches!(late.read(&mut [0]), Ok(0) | Err(_)));
    silent.truncate(10);
    fetch(&metainfo, address(&seeder), settings());
}

#[test]
fn another_torrent_than_was_asked_for_is_no_torrent() {
    let (_here, metainfo, seeder) = seeder(100_000, settings(), Limit::default());
    for torrent in [InfoHash([7; 20]), metainfo.info.hash()] {
        let mut other = stranger(address(&seeder), torrent, 2);
        let mut answer = [0; Handshake::SIZE];
        assert_eq!(other.read_exact(&mut answer).is_ok(), torrent == metainfo.info.hash());
    }
}

#[test]
fn removed_while_it_is_hashed_and_added_again() {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("a.img"), content(30_000_000)).unwrap();
    let metainfo = torrent(&here.path().join("a.img"), PIECE, &Draft::default());
    let mut session = session();
    let hash = metainfo.info.hash();
    for _ in 0..5 {
        let _ = session.add(add_torrent(&metainfo, here.path()));
        session.handle(hash).remove();
        assert_eq!(session.next_alert(LONG), Some(Alert::Removed(hash)));
    }
    let _ = session.add(add_torrent(&metainfo, here.path()));
    expect_whole(&mut session, hash);
    assert_eq!(session.statuses().len(), 1);
}

#[test]
fn a_thousand_torrents_come_and_go() {
    let here = tempfile::tempdir().unwrap();
    let mut session = session();
    for number in 0..1000_u32 {
        let path = here.path().join(number.to_string());
        fs::write(&path, number.to_be_bytes()).unwrap();
        let _ = session.add(add_torrent(&torrent(&path, PIECE, &Draft::default()), here.path()));
    }
    let mut whole = 0;
    while whole < 1000 {
        match session.next_alert(LONG) {
            Some(Alert::Finished(_)) => whole += 1,
            other => panic!("{other:?} after {whole}"),
        }
    }
    assert_eq!(session.statuses().len(), 1000);
    session.stop();
}

#[test]
fn no_faster_than_allowed() {
    const LENGTH: u32 = 4 << 20;
    let rate = u64::from(LENGTH) / 2;
    let limit = || Limit::new(Some(rate));
    let (_here, metainfo, open) = seeder(LENGTH as usize, settings(), Limit::default());
    let (_there, _, slow) = seeder(LENGTH as usize, settings(), limit());
    let held = settings().download(limit());
    for (what, took) in [
        ("sending", fetch(&metainfo, address(&slow), settings())),
        ("receiving", fetch(&metainfo, address(&open), held)),
    ] {
        println!("{what} at {rate} bytes/s took {took:?} instead of 2 s");
        assert!(took.as_secs_f64() >= 2.0 * 0.95, "{what}: {took:?}");
    }
}

#[test]
fn what_is_not_of_the_torrent_is_not_lost() {
    let (_here, metainfo, seeder) = seeder(300_000, settings(), Limit::default());
    let there = tempfile::tempdir().unwrap();
    let other = vec![7; 300_000];
    fs::write(there.path().join("a.img"), &other).unwrap();
    let mut leecher = session();
    let adding = add_torrent(&metainfo, there.path()).peers(vec![address(&seeder)]);
    let _ = leecher.add(adding.clone());
    let Some(Alert::Failed(hash, error)) = leecher.next_alert(LONG) else {
        panic!("{:#?}", leecher.statuses())
    };
    assert!(matches!(&error, TorrentError::Occupied { path, .. } if path.ends_with("a.img")), "{error:?}");
    assert!(error.to_string().contains("something else"), "{error}");
    assert_eq!(fs::read_dir(there.path()).unwrap().count(), 1);
    assert!(fs::read(there.path().join("a.img")).unwrap() == other);
    leecher.handle(hash).remove();
    assert_eq!(leecher.next_alert(LONG), Some(Alert::Removed(hash)));
    // There is nothing in it that could be lost, or something of the torrent.
    for begun in [Vec::new(), content(300_000)[..70_000].to_vec()] {
        fs::write(there.path().join("a.img"), begun).unwrap();
        let _ = leecher.add(adding.clone());
        expect_whole(&mut leecher, hash);
        leecher.handle(hash).remove();
        assert_eq!(leecher.next_alert(LONG), Some(Alert::Removed(hash)));
    }
}

#[test]
fn files_that_go_away_while_they_are_served_are_named() {
    let (here, metainfo, mut seeder) = seeder(300_000, settings(), Limit::default());
    fs::write(here.path().join("a.img"), "").unwrap();
    let (there, leecher) = (tempfile::tempdir().unwrap(), session());
    let _ = leecher.add(add_torrent(&metainfo, there.path()).peers(vec![address(&seeder)]));
    let Some(Alert::Warning(_, warning)) = seeder.next_alert(LONG) else {
        panic!("{:#?}", seeder.statuses())
    };
    assert!(matches!(warning, TorrentWarning::Unreadable { .. }), "{warning:?}");
}
