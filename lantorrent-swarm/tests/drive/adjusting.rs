//! What is changed while torrents run.

use std::fs;
use std::io::Read;

use lantorrent_core::Limit;
use lantorrent_swarm::drive::{Alert, Bounds, Phase, Session, Settings};
use lantorrent_swarm::metainfo::{Draft, Metainfo};
use lantorrent_swarm::swarm::Limits;
use lantorrent_swarm::wire::Message;
use lantorrent_swarm::{BLOCK, Span};
use tempfile::TempDir;

use crate::support::{
    LONG, add_torrent, address, await_message, content, expect_whole, introduced, say, session, settings,
    stranger, torrent,
};

const PIECE: u32 = 64 << 10;
/// Messages of BEP 3.
const CHOKE: u8 = 0;
const UNCHOKE: u8 = 1;
const BLOCK_OF_PIECE: u8 = 7;

fn file(length: usize) -> (TempDir, Metainfo) {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("a.img"), content(length)).unwrap();
    let metainfo = torrent(&here.path().join("a.img"), PIECE, &Draft::default());
    (here, metainfo)
}

fn seeder(settings: Settings) -> (TempDir, Metainfo, Session) {
    let (here, metainfo) = file(300_000);
    let mut session = Session::start(settings).unwrap();
    let _ = session.add(add_torrent(&metainfo, here.path()));
    expect_whole(&mut session, metainfo.info.hash());
    (here, metainfo, session)
}

#[test]
fn every_rate_is_shared_with_whoever_set_it() {
    let (here, metainfo) = file(4_000_000);
    // At this rate it would take more than an hour.
    let [sending, its_sending, receiving, its_receiving] = [(); 4].map(|()| Limit::new(Some(Limit::LEAST)));
    let limits = [sending.clone(), its_sending.clone(), receiving.clone(), its_receiving.clone()];
    let there = tempfile::tempdir().unwrap();
    let mut seeder = Session::start(settings().upload(sending)).unwrap();
    let _ = seeder.add(add_torrent(&metainfo, here.path()).upload(its_sending));
    expect_whole(&mut seeder, metainfo.info.hash());
    let mut leecher = Session::start(settings().download(receiving)).unwrap();
    let peers = vec![address(&seeder)];
    let _ = leecher.add(add_torrent(&metainfo, there.path()).peers(peers).download(its_receiving));
    while seeder.statuses()[0].progress.peers == 0 {
        std::thread::yield_now();
    }
    assert!(leecher.statuses()[0].have < 4_000_000);
    for limit in limits {
        limit.set(None);
    }
    expect_whole(&mut leecher, metainfo.info.hash());
}

#[test]
fn with_fewer_connections_those_stay_that_are_of_use() {
    let (_here, metainfo, seeder) = seeder(settings());
    let mut peers: Vec<_> =
        (0..5).map(|number| stranger(address(&seeder), metainfo.info.hash(), number)).collect();
    assert!(peers.iter_mut().all(introduced));
    let useful = &mut peers[3];
    say(useful, &Message::Interested);
    assert!(await_message(useful, UNCHOKE).is_some());
    say(useful, &Message::Request(Span { piece: 0, begin: 0, length: BLOCK }));
    assert!(await_message(useful, BLOCK_OF_PIECE).is_some());
    seeder.adjust(Bounds::default().connections(1));
    for (number, peer) in peers.iter_mut().enumerate().filter(|(number, _)| *number != 3) {
        let mut rest = Vec::new();
        assert!(peer.read_to_end(&mut rest).is_ok_and(|read| read < 100), "{number} has to go");
    }
    say(&mut peers[3], &Message::Request(Span { piece: 1, begin: 0, length: BLOCK }));
    assert!(await_message(&mut peers[3], BLOCK_OF_PIECE).is_some());
    seeder.adjust(Bounds::default());
    // It is answered behind that.
    seeder.statuses();
    assert!(introduced(&mut stranger(address(&seeder), metainfo.info.hash(), 9)));
}

#[test]
fn slots_of_one_torrent_are_taken_away_and_given_back() {
    let (_here, metainfo, seeder) = seeder(settings());
    let hash = metainfo.info.hash();
    let mut peer = stranger(address(&seeder), hash, 1);
    assert!(introduced(&mut peer));
    say(&mut peer, &Message::Interested);
    assert!(await_message(&mut peer, UNCHOKE).is_some());
    seeder.handle(hash).limit(Limits::default().upload_slots(0));
    assert!(await_message(&mut peer, CHOKE).is_some());
    seeder.handle(hash).limit(Limits::default());
    assert!(await_message(&mut peer, UNCHOKE).is_some());
    seeder.handle(hash).limit(Limits::default().connections(0));
    assert_eq!(await_message(&mut peer, CHOKE), None, "it is closed");
    // A handle of a torrent that is not there changes nothing.
    let other = session();
    other.handle(hash).limit(Limits::default());
    assert_eq!(other.handle(hash).status(), None);
}

#[test]
fn a_handle_outlives_its_torrent_and_its_session() {
    let (_here, metainfo, mut seeder) = seeder(settings());
    let handle = seeder.handle(metainfo.info.hash());
    assert_eq!(handle.status().map(|status| status.phase), Some(Phase::Seeding));
    handle.remove();
    assert_eq!(seeder.next_alert(LONG), Some(Alert::Removed(handle.info_hash())));
    assert_eq!(handle.status(), None);
    let other = handle.clone();
    seeder.stop();
    assert_eq!(other.status(), None, "it does not wait for ever");
    other.recheck();
}
