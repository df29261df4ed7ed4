//! Swarms that find each other.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use lantorrent_swarm::dht::{DhtAction, DhtEvent, DhtNode, DhtSettings, Mode, NodeId};
use lantorrent_swarm::drive::{AddTorrent, Alert, Dht, Session};
use lantorrent_swarm::metainfo::{Contact, Draft, Metainfo};
use lantorrent_swarm::{Compact, InfoHash, Seed, TorrentWarning};

use crate::support::{LONG, add_torrent, address, content, expect_whole, session, settings, torrent};
use crate::tracker::Server;

const PIECE: u32 = 64 << 10;

/// A folder with a file, and its torrent.
fn made(draft: &Draft, nodes: &[Contact]) -> (tempfile::TempDir, Metainfo) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.img"), content(1_000_000)).unwrap();
    let mut metainfo = torrent(&folder.path().join("a.img"), PIECE, draft);
    metainfo.nodes = nodes.to_vec();
    (folder, metainfo)
}

/// The two find each other by what the torrent names, and all of it comes.
fn exchange(mut seeder: Session, mut leecher: Session, draft: &Draft, nodes: &[Contact]) {
    let (here, metainfo) = made(draft, nodes);
    let there = tempfile::tempdir().unwrap();
    let _ = seeder.add(add_torrent(&metainfo, here.path()));
    expect_whole(&mut seeder, metainfo.info.hash());
    let _ = leecher.add(add_torrent(&metainfo, there.path()));
    expect_whole(&mut leecher, metainfo.info.hash());
    let read = |folder: &tempfile::TempDir| fs::read(folder.path().join("a.img")).unwrap();
    assert!(read(&here) == read(&there));
    leecher.stop();
    seeder.stop();
}

#[test]
fn by_a_tracker_over_http_and_over_udp() {
    for scheme in ["http", "udp"] {
        let server = Server::start();
        let draft = Draft::default().trackers(vec![vec![server.url(scheme)]]);
        exchange(session(), session(), &draft, &[]);
        let tracker = server.stop();
        assert_eq!((scheme, tracker.peers()), (scheme, 0), "both have said that they are gone");
    }
}

#[test]
fn by_the_tracker_of_a_link_and_by_one_that_is_given() {
    let server = Server::start();
    let (here, metainfo) = made(&Draft::default(), &[]);
    let there = tempfile::tempdir().unwrap();
    let (mut seeder, mut leecher) = (session(), session());
    let _ = seeder.add(add_torrent(&metainfo, here.path()).trackers(vec![vec![server.url("udp")]]));
    expect_whole(&mut seeder, metainfo.info.hash());
    let mut magnet = metainfo.magnet();
    magnet.trackers = vec!["wss://nobody.invalid/".into(), server.url("http")];
    let _ = leecher.add(AddTorrent::new(magnet, there.path()));
    expect_whole(&mut leecher, metainfo.info.hash());
}

#[test]
fn a_tracker_that_says_nothing_holds_nobody_up_for_long() {
    // It accepts, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", silent.local_addr().unwrap());
    let (here, metainfo) = made(&Draft::default().trackers(vec![vec![url]]), &[]);
    let mut session = session();
    let _ = session.add(add_torrent(&metainfo, here.path()));
    expect_whole(&mut session, metainfo.info.hash());
    // Now it is being asked.
    let _connection = silent.accept().unwrap();
    session.handle(metainfo.info.hash()).remove();
    let removed =
        std::iter::from_fn(|| session.next_alert(LONG)).find(|said| matches!(said, Alert::Removed(_)));
    assert!(removed.is_some());
    let begun = Instant::now();
    session.stop();
    // It waits for 5 s, and the server's thread would for 30.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn a_torrent_without_peers_warns_once_and_goes_on() {
    let (here, metainfo) = made(&Draft::default(), &[]);
    let there = tempfile::tempdir().unwrap();
    let (mut seeder, mut leecher) = (session(), session());
    let hash = metainfo.info.hash();
    let torrent = add_torrent(&metainfo, there.path()).peer_timeout(Duration::from_millis(100));
    let _ = leecher.add(torrent);
    assert_eq!(leecher.next_alert(LONG), Some(Alert::Warning(hash, TorrentWarning::NoPeers)));
    assert_eq!(leecher.next_alert(Duration::from_secs(1)), None, "once");
    leecher.handle(hash).remove();
    assert_eq!(leecher.next_alert(LONG), Some(Alert::Removed(hash)));
    // Where there is a peer there is nothing to warn of.
    let _ = seeder.add(add_torrent(&metainfo, here.path()));
    expect_whole(&mut seeder, hash);
    let torrent = add_torrent(&metainfo, there.path()).peers(vec![address(&seeder)]);
    let _ = leecher.add(torrent.peer_timeout(Duration::from_secs(60)));
    expect_whole(&mut leecher, hash);
}

#[test]
fn what_a_tracker_complains_about_is_told_once() {
    let refusing = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", refusing.local_addr().unwrap());
    let draft = Draft::default().trackers(vec![vec![url.clone()]]);
    let (here, metainfo) = made(&draft, &[]);
    let answer = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = refusing.accept().unwrap();
        let mut asked = vec![0; 4096];
        let length = stream.read(&mut asked).unwrap();
        stream.write_all(b"HTTP/1.0 404 Not Found\r\n\r\nno such page").unwrap();
        String::from_utf8_lossy(&asked[..length]).into_owned()
    });
    let mut session = session();
    let _ = session.add(add_torrent(&metainfo, here.path()));
    let warning = std::iter::from_fn(|| session.next_alert(LONG)).find_map(|said| match said {
        Alert::Warning(_, warning) => Some(warning.to_string()),
        _ => None,
    });
    let expected = format!("{url}: the tracker cannot be reached: the server answers 404");
    assert_eq!(warning.as_deref(), Some(&expected[..]));
    let asked = answer.join().unwrap();
    let port = format!("&port={}&uploaded=0&downloaded=0&left=0&", session.port());
    assert!(asked.contains(&port) && asked.contains("&event=started"), "{asked}");
}

/// A session with a node of the DHT at an address of this host.
fn node(last: u8, nodes: Vec<SocketAddr>) -> Session {
    let dht = Dht::default().nodes(nodes);
    Session::start(settings().listen(Ipv4Addr::new(127, 0, 0, last).into()).dht(dht)).unwrap()
}

#[test]
fn by_the_dht() {
    let meeting = node(2, Vec::new());
    let known: SocketAddr = (Ipv4Addr::new(127, 0, 0, 2), meeting.port()).into();
    exchange(node(3, vec![known]), node(4, vec![known]), &Draft::default(), &[]);
}

#[test]
fn by_the_dht_nodes_that_a_torrent_names_and_by_those_that_were_saved() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nodes");
    fs::write(&file, "damaged").unwrap();
    let saving = || {
        let dht = Dht::default().file(file.clone());
        Session::start(settings().dht(dht)).unwrap()
    };
    let meeting = node(2, Vec::new());
    let nodes = [Contact { host: "127.0.0.2".into(), port: meeting.port() }];
    exchange(node(3, Vec::new()), saving(), &Draft::default(), &nodes);
    assert_ne!(fs::read(&file).unwrap(), b"damaged");
    let known: SocketAddr = (Ipv4Addr::new(127, 0, 0, 2), meeting.port()).into();
    exchange(node(4, vec![known]), saving(), &Draft::default(), &[]);
}

/// Answers as a node does, until somebody asks it for the peers of that torrent. Returns all that it was sent.
fn answer_until_asked_for(socket: &UdpSocket, torrent: InfoHash) -> Vec<Vec<u8>> {
    socket.set_read_timeout(Some(LONG)).unwrap();
    let settings = DhtSettings::new(NodeId([5; 20]), Compact::V4, Mode::Full, Seed([5; 32]));
    let mut node = DhtNode::new(settings, Instant::now());
    let (mut all, mut buffer) = (Vec::new(), [0; 2048]);
    loop {
        let (length, from) = socket.recv_from(&mut buffer).expect("nobody asks");
        all.push(buffer[..length].to_vec());
        for action in node.handle(Instant::now(), DhtEvent::Received(from, &buffer[..length])) {
            if let DhtAction::Send(to, datagram) = action {
                socket.send_to(&datagram, to).unwrap();
            }
        }
        if names(&buffer[..length], torrent) {
            return all;
        }
    }
}

fn names(datagram: &[u8], torrent: InfoHash) -> bool {
    datagram.windows(20).any(|bytes| bytes == torrent.0)
}

#[test]
fn nobody_but_its_trackers_hears_of_a_private_torrent() {
    let (theirs, given) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let port = theirs.local_addr().unwrap().port();
    let nodes = vec![Contact { host: "127.0.0.1".into(), port }];
    let server = Server::start();
    let trackers = vec![vec![server.url("http")]];
    let (secret, private) = made(&Draft::default().trackers(trackers).private(true), &nodes);
    let (open, public) = made(&Draft::default(), &[]);
    let dht = Dht::default().nodes(vec![given.local_addr().unwrap()]);
    let mut session = Session::start(settings().dht(dht)).unwrap();
    let _ = session.add(add_torrent(&private, secret.path()));
    expect_whole(&mut session, private.info.hash());
    let _ = session.add(add_torrent(&public, open.path()));
    let heard = answer_until_asked_for(&given, public.info.hash());
    assert!(!heard.iter().any(|datagram| names(datagram, private.info.hash())));
    theirs.set_nonblocking(true).unwrap();
    assert!(theirs.recv_from(&mut [0; 2048]).is_err(), "its nodes were met");
    // Its tracker knows it.
    let mut leecher = super::support::session();
    let there = tempfile::tempdir().unwrap();
    let _ = leecher.add(add_torrent(&private, there.path()));
    expect_whole(&mut leecher, private.info.hash());
}
