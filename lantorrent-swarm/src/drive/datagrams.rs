//! The sockets of the loop that carry datagrams.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use lantorrent_core::runtime::socket::datagrams;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};

/// Trackers answer there, of either family.
const TRACKERS: [Token; 2] = [Token(2), Token(3)];
/// The DHT is spoken there.
pub(super) const DHT: Token = Token(4);
/// The first socket of local discovery, and the first token that is none's.
pub(super) const LOCAL: usize = 8;
pub(super) const LOCAL_END: usize = 64;
/// Datagrams of one socket that are taken before it is another's turn.
pub(super) const TURN: usize = 256;

/// A socket of either family, where the host has it, on ports that nobody needs to know.
pub(super) struct Pair([Option<UdpSocket>; 2]);

impl Pair {
    pub(super) fn bind(registry: &Registry) -> Self {
        let bind = |address: SocketAddr, token| {
            let mut socket = UdpSocket::from_std(datagrams(address)?);
            registry.register(&mut socket, token, Interest::READABLE)?;
            Ok(socket)
        };
        let places = [(Ipv4Addr::UNSPECIFIED, 0).into(), (Ipv6Addr::UNSPECIFIED, 0).into()];
        let sockets = [0, 1].map(|family| bind(places[family], TRACKERS[family]));
        Self(sockets.map(|socket: io::Result<_>| {
            socket.inspect_err(|error| log::debug!("UDP trackers of one family are not asked: {error}")).ok()
        }))
    }

    /// Which of them are there.
    pub(super) fn families(&self) -> [bool; 2] {
        [0, 1].map(|family| self.0[family].is_some())
    }

    /// The socket of that token.
    pub(super) fn socket(&self, token: Token) -> Option<&UdpSocket> {
        self.0[usize::from(token == TRACKERS[1])].as_ref()
    }

    pub(super) fn send(&self, to: SocketAddr, datagram: &[u8]) {
        if let Some(socket) = &self.0[usize::from(to.is_ipv6())] {
            send(socket, to, datagram);
        }
    }
}

/// Datagrams get lost: what cannot be sent now is one of those.
pub(super) fn send(socket: &UdpSocket, to: SocketAddr, datagram: &[u8]) {
    if let Err(error) = socket.send_to(datagram, to) {
        log::debug!("cannot send to {to}: {error}");
    }
}

/// The next datagram, if one is there.
pub(super) fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
    // What else the socket has to say is about datagrams that were sent, and there are not many of those.
    for _ in 0..TURN {
        match socket.recv_from(buffer) {
            Ok(received) => return Some(received),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => log::debug!("a datagram is lost: {error}"),
        }
    }
    None
}
