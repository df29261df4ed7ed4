//! Swarms on one network that find each other without being told of anybody.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use lantorrent_swarm::drive::{AddTorrent, Session};
use lantorrent_swarm::local::{DATAGRAM_LIMIT, Group};
use lantorrent_swarm::metainfo::Draft;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use crate::lab::Lab;
use crate::support::{LONG, add_torrent, content, expect_whole, settings, torrent};

fn session(lab: &Lab, host: usize, listen: std::net::IpAddr) -> Session {
    let settings = settings().listen(listen).local(true);
    lab.inside(host, || Session::start(settings).unwrap())
}

/// Who else is a member of the group, on that host.
fn listener(lab: &Lab, host: usize) -> std::net::UdpSocket {
    let SocketAddr::V4(group) = Group::V4.address() else { unreachable!() };
    let join = || {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&group.into()).unwrap();
        let own = InterfaceIndexOrAddress::Address(Ipv4Addr::new(10, 77, 0, host as u8 + 1));
        socket.join_multicast_v4_n(group.ip(), &own).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.into()
    };
    lab.inside(host, join)
}

#[test]
fn by_multicast_and_nobody_hears_of_what_is_private() {
    let Some(lab) = Lab::new(3) else { return };
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["public", "private"] {
        fs::write(here.path().join(name), content(500_000)).unwrap();
    }
    let made = |name, private| torrent(&here.path().join(name), 64 << 10, &Draft::default().private(private));
    let (public, private) = (made("public", false), made("private", true));
    let listener = listener(&lab, 2);
    let any = Ipv6Addr::UNSPECIFIED.into();
    let (mut seeder, mut leecher) = (session(&lab, 0, any), session(&lab, 1, any));
    let _ = seeder.add(add_torrent(&private, here.path()));
    expect_whole(&mut seeder, private.info.hash());
    let _ = seeder.add(add_torrent(&public, here.path()));
    expect_whole(&mut seeder, public.info.hash());

    // Known by its hash alone: that is not enough to find out that nobody is to be told of it.
    let begun = Instant::now();
    let _ = leecher.add(AddTorrent::new(public.magnet(), there.path()));
    let first = loop {
        let pieces = leecher.statuses()[0].progress.pieces;
        if pieces > 0 {
            break begun.elapsed();
        }
        assert!(begun.elapsed() < LONG, "{:#?}", leecher.statuses());
        std::thread::yield_now();
    };
    println!("from adding a magnet to the first piece by local discovery alone: {first:?}");
    expect_whole(&mut leecher, public.info.hash());
    assert!(fs::read(there.path().join("public")).unwrap() == content(500_000));

    let mut buffer = [0; DATAGRAM_LIMIT];
    let mut announced = 0;
    while announced < 2 {
        let (length, _) = listener.recv_from(&mut buffer).expect("another announcement");
        let text = String::from_utf8_lossy(&buffer[..length]).to_ascii_lowercase();
        assert!(!text.contains(&private.info.hash().to_string()), "{text}");
        announced += usize::from(text.contains(&public.info.hash().to_string()));
    }
}

#[test]
fn over_addresses_that_hold_on_one_link_only() {
    let Some(lab) = Lab::new(2) else { return };
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(here.path().join("a.img"), content(500_000)).unwrap();
    let metainfo = torrent(&here.path().join("a.img"), 64 << 10, &Draft::default());
    for host in 0..2 {
        lab.without_v4(host);
    }
    let any = Ipv6Addr::UNSPECIFIED.into();
    let (mut seeder, mut leecher) = (session(&lab, 0, any), session(&lab, 1, any));
    let _ = seeder.add(add_torrent(&metainfo, here.path()));
    expect_whole(&mut seeder, metainfo.info.hash());
    let _ = leecher.add(add_torrent(&metainfo, there.path()));
    expect_whole(&mut leecher, metainfo.info.hash());
}
