//! Torrents of made-up content, and swarms on free ports of this machine.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use lantorrent_swarm::drive::{AddTorrent, Alert, Session, Settings};
use lantorrent_swarm::files::{Durability, Source};
use lantorrent_swarm::metainfo::{Draft, Metainfo};
use lantorrent_swarm::wire::{Features, Handshake, Message};
use lantorrent_swarm::{InfoHash, PeerId};

/// Nothing here takes that long.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Bytes that are the same each time, and compress as little as those of a real file.
pub(crate) fn content(length: usize) -> Vec<u8> {
    let mut state = length as u64 | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&(state ^ (state >> 29)).to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The torrent of what is at that path.
pub(crate) fn torrent(path: &Path, piece_length: u32, draft: &Draft) -> Metainfo {
    let source = Source::find(path).unwrap();
    let layout = source.layout(piece_length).unwrap();
    let hashes = source.hash(&layout, &|_| ControlFlow::Continue(())).unwrap();
    draft.build(&layout, &hashes).unwrap()
}

/// A session that finds nobody by itself.
pub(crate) fn session() -> Session {
    Session::start(settings()).unwrap()
}

pub(crate) fn settings() -> Settings {
    Settings::default()
        .listen(Ipv4Addr::LOCALHOST.into())
        .ports(0..=0)
        .local(false)
        .durability(Durability::NoSync)
}

pub(crate) fn address(session: &Session) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, session.port()).into()
}

pub(crate) fn add_torrent(metainfo: &Metainfo, folder: &Path) -> AddTorrent {
    AddTorrent::new(metainfo.clone(), folder)
}

/// Waits until all of the torrent is there.
pub(crate) fn expect_whole(session: &mut Session, torrent: InfoHash) {
    let until = Instant::now() + LONG;
    loop {
        match session.next_alert(until.saturating_duration_since(Instant::now())) {
            Some(Alert::Finished(whole)) if whole == torrent => return,
            Some(Alert::Failed(failed, why)) => panic!("{failed}: {why}"),
            Some(_) => {}
            None => panic!("{torrent} is not there after {LONG:?}: {:#?}", session.statuses()),
        }
    }
}

/// Somebody who speaks the protocol, and has introduced himself.
pub(crate) fn stranger(to: SocketAddr, torrent: InfoHash, number: u16) -> TcpStream {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut name = [7; 20];
    name[..2].copy_from_slice(&number.to_be_bytes());
    let features = Features::NONE.with_fast();
    let hello = Handshake { info_hash: torrent, peer_id: PeerId(name), features };
    stream.write_all(&hello.encode()).unwrap();
    stream
}

/// Reads messages until one of that kind has come, and returns what is in it. None if the connection ends before.
pub(crate) fn await_message(from: &mut TcpStream, kind: u8) -> Option<Vec<u8>> {
    loop {
        let mut length = [0; 4];
        fill(from, &mut length).then_some(())?;
        let mut message = vec![0; u32::from_be_bytes(length) as usize];
        fill(from, &mut message).then_some(())?;
        if message.first() == Some(&kind) {
            return Some(message.split_off(1));
        }
    }
}

/// Whether so much comes before the connection ends.
fn fill(from: &mut TcpStream, buffer: &mut [u8]) -> bool {
    match from.read_exact(buffer) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("nothing comes, and it is not closed"),
        read => read.is_ok(),
    }
}

/// Passes over their handshake.
pub(crate) fn introduced(from: &mut TcpStream) -> bool {
    fill(from, &mut [0; Handshake::SIZE])
}

pub(crate) fn say(to: &mut TcpStream, message: &Message) {
    let mut data = Vec::new();
    message.encode(&mut data);
    // Who has closed the connection is found out when something is read.
    let _ = to.write_all(&data);
}
