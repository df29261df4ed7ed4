//! Our clients and our tracker over real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use lantorrent_swarm::tracker::{
    Announce, Announced, Announcer, AnnouncerAction, AnnouncerEvent, Identity, Standing, Stats, Tracker,
    TrackerError, TrackerHandle, TrackerService, TrackerSettings, UdpAction, UdpAnswer, UdpClient, UdpEvent,
    UdpQuestion, announce_url, read_announced,
};
use lantorrent_swarm::{InfoHash, PeerId, Scheme, Seed, Url};

/// Far more than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// A tracker on a thread of its own, for as long as this is there.
struct Server {
    address: SocketAddr,
    handle: TrackerHandle,
    thread: Option<std::thread::JoinHandle<Tracker>>,
}

impl Server {
    fn start(address: &str) -> Self {
        let tracker = Tracker::new(TrackerSettings::default(), Seed([1; 32]), Instant::now());
        let service = TrackerService::bind(&[address.parse().unwrap()], tracker).unwrap();
        let (address, handle) = (service.addresses()[0], service.handle());
        let thread = Some(std::thread::spawn(move || service.run().unwrap()));
        Self { address, handle, thread }
    }

    fn stop(mut self) -> Tracker {
        self.handle.stop();
        self.thread.take().unwrap().join().unwrap()
    }
}

/// Asks as a driver would, over either.
fn ask(tracker: &Url, announce: &Announce, id: Option<&[u8]>) -> Result<Announced, TrackerError> {
    match tracker.scheme() {
        Scheme::Udp => ask_udp(tracker, announce),
        _ => ask_http(tracker, announce, id),
    }
}

fn ask_http(tracker: &Url, announce: &Announce, id: Option<&[u8]>) -> Result<Announced, TrackerError> {
    let url = announce_url(tracker, announce, id).unwrap();
    let target = url.target();
    let mut stream = TcpStream::connect(tracker.endpoint()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: tracker\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let body = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    read_announced(&answer[body..])
}

fn ask_udp(tracker: &Url, announce: &Announce) -> Result<Announced, TrackerError> {
    let (host, port) = tracker.endpoint();
    let address = SocketAddr::new(host.parse().unwrap(), port);
    let socket = UdpSocket::bind((if address.is_ipv4() { "127.0.0.1" } else { "::1" }, 0)).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let mut client = UdpClient::new(Seed([announce.key.unwrap() as u8; 32]), 3);
    let question = UdpQuestion::announce(tracker, announce.clone());
    let mut actions =
        client.handle(Instant::now(), UdpEvent::Ask { key: (), places: vec![address], question });
    loop {
        for action in std::mem::take(&mut actions) {
            match action {
                UdpAction::Send(to, datagram) => drop(socket.send_to(&datagram, to).unwrap()),
                UdpAction::Answered((), answer) => {
                    return answer.map(|answer| match answer {
                        UdpAnswer::Announced(announced) => announced,
                        UdpAnswer::Scraped(_) => panic!("nobody asked for that"),
                    });
                }
            }
        }
        let mut datagram = [0; 2048];
        let (length, from) = socket.recv_from(&mut datagram).unwrap();
        actions = client.handle(Instant::now(), UdpEvent::Received(from, &datagram[..length]));
    }
}

/// A torrent that announces itself and tells whom it found.
fn announce(number: u16, trackers: &[Url]) -> (Announcer, Vec<SocketAddr>) {
    let peer_id = PeerId::ours([number as u8; 12]);
    let who = Identity::new(InfoHash([1; 20]), peer_id, number, number.into());
    let standing = Standing::new(Stats { left: 1, ..Stats::default() }, 0);
    let mut announcer = Announcer::new(who, &[trackers.to_vec()], Seed([number as u8; 32]));
    let start = AnnouncerEvent::Start { within: Duration::ZERO };
    let (mut found, mut actions) = (Vec::new(), announcer.handle(Instant::now(), standing, start));
    while let Some(action) = actions.pop() {
        match action {
            AnnouncerAction::Ask { id, tracker, announce, tracker_id } => {
                let answer = ask(&tracker, &announce, tracker_id.as_deref());
                let answered = AnnouncerEvent::Answered(id, answer);
                actions.extend(announcer.handle(Instant::now(), standing, answered));
            }
            AnnouncerAction::Found(peers) => found.extend(peers),
            other => panic!("{other:?}"),
        }
    }
    (announcer, found)
}

#[test]
fn clients_over_http_and_udp_find_each_other() {
    for host in ["127.0.0.1", "[::1]"] {
        let server = Server::start(&format!("{host}:0"));
        let port = server.address.port();
        let url = |scheme: &str| -> Url { format!("{scheme}://{host}:{port}/announce").parse().unwrap() };
        let urls = [url("http"), url("udp")];
        let mut ports = Vec::new();
        for number in 1..41 {
            let (_, found) = announce(number, &urls);
            let mut told: Vec<u16> = found.iter().map(SocketAddr::port).collect();
            told.sort_unstable();
            assert_eq!(told, ports);
            ports.push(number);
        }
        let tracker = server.stop();
        assert_eq!((tracker.peers(), tracker.torrents()), (40, 1));
    }
}

#[test]
fn it_stops_while_clients_are_connected() {
    let server = Server::start("127.0.0.1:0");
    let _silent = TcpStream::connect(server.address).unwrap();
    let _half = TcpStream::connect(server.address).unwrap().write(b"GET /").unwrap();
    announce(1, &[format!("http://{}/announce", server.address).parse().unwrap()]);
    assert_eq!(server.stop().peers(), 1);
}
