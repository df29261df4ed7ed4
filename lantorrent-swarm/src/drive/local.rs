//! Peers of the own networks: a socket for each interface and group, and what is heard and said there.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::datagrams::{LOCAL, LOCAL_END, send};
use super::interfaces::Interface;
use super::peer_sources::SourceNews;
use crate::Seed;
use crate::local::{Discovery, Group, LocalAction, LocalEvent};
use crate::swarm::Origin;

/// Local discovery, with its sockets.
pub(super) struct Local {
    discovery: Discovery,
    /// Those in which peers can connect to us.
    groups: Vec<Group>,
    ears: BTreeMap<Token, Ear>,
    /// When discovery has something to do.
    next: Option<Instant>,
    news: Vec<SourceNews>,
}

struct Ear {
    interface: Interface,
    group: Group,
    socket: UdpSocket,
}

impl Local {
    /// For a client that takes connections there.
    pub(super) fn new(listen: IpAddr, port: u16, seed: Seed) -> Self {
        let groups = match listen {
            IpAddr::V4(_) => vec![Group::V4],
            IpAddr::V6(address) if address.is_unspecified() => Group::ALL.to_vec(),
            IpAddr::V6(_) => vec![Group::V6],
        };
        Self {
            discovery: Discovery::new(port, seed),
            groups,
            ears: BTreeMap::new(),
            next: None,
            news: Vec::new(),
        }
    }

    /// Has a socket for each group on each of these interfaces, and on no other.
    pub(super) fn listen(&mut self, registry: &Registry, interfaces: &[Interface]) {
        self.ears.retain(|_, ear| {
            let stays = interfaces.contains(&ear.interface);
            if !stays {
                // A socket that is dropped is watched no more, whatever this says.
                let _ = registry.deregister(&mut ear.socket);
            }
            stays
        });
        for interface in interfaces {
            for group in self.groups.clone() {
                if self.ears.values().any(|ear| ear.interface == *interface && ear.group == group) {
                    continue;
                }
                let free = (LOCAL..LOCAL_END).map(Token).find(|token| !self.ears.contains_key(token));
                let Some(token) = free else {
                    log::debug!("{}: there are too many interfaces for local discovery", interface.name);
                    return;
                };
                match join(interface, group).and_then(|socket| watch(registry, socket, token)) {
                    Ok(socket) => {
                        self.ears.insert(token, Ear { interface: interface.clone(), group, socket });
                    }
                    Err(error) => log::debug!("{}, {}: {error}", interface.name, group.address()),
                }
            }
        }
    }

    pub(super) fn socket(&self, token: Token) -> Option<&UdpSocket> {
        self.ears.get(&token).map(|ear| &ear.socket)
    }

    /// When something has to be done although no datagram comes.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next
    }

    /// Does what is due.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.next.is_some_and(|at| at <= now) {
            self.handle(LocalEvent::Tick);
        }
    }

    /// What has come of it since the last call.
    pub(super) fn take_news(&mut self) -> Vec<SourceNews> {
        std::mem::take(&mut self.news)
    }

    pub(super) fn handle(&mut self, event: LocalEvent<'_>) {
        let now = Instant::now();
        for action in self.discovery.handle(now, event) {
            match action {
                LocalAction::Send(group, datagram) => self.send(group, &datagram),
                LocalAction::Found(torrent, peer) => {
                    self.news.push(SourceNews::Found(torrent, Origin::Local, vec![peer]));
                }
            }
        }
        self.next = self.discovery.deadline(now);
    }

    fn send(&self, group: Group, datagram: &[u8]) {
        for ear in self.ears.values().filter(|ear| ear.group == group) {
            send(&ear.socket, group.address(), datagram);
        }
    }
}

fn watch(registry: &Registry, socket: Socket, token: Token) -> io::Result<UdpSocket> {
    let mut socket = UdpSocket::from_std(socket.into());
    registry.register(&mut socket, token, Interest::READABLE)?;
    Ok(socket)
}

/// A member of the group, on that interface alone. It is bound to the group's own address: what is sent to this host, from
/// wherever that may be, does not come there.
fn join(interface: &Interface, group: Group) -> io::Result<Socket> {
    let address = group.address();
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // Other clients of this host listen there, too.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind_device(Some(interface.name.as_bytes()))?;
    match address {
        SocketAddr::V4(address) => {
            socket.bind(&address.into())?;
            socket.join_multicast_v4_n(address.ip(), &InterfaceIndexOrAddress::Index(interface.index))?;
            socket.set_multicast_ttl_v4(1)?;
            socket.set_multicast_loop_v4(true)?;
        }
        SocketAddr::V6(address) => {
            socket.set_only_v6(true)?;
            socket.bind(&address.into())?;
            socket.join_multicast_v6(address.ip(), interface.index)?;
            socket.set_multicast_if_v6(interface.index)?;
            socket.set_multicast_hops_v6(1)?;
            socket.set_multicast_loop_v6(true)?;
        }
    }
    Ok(socket)
}
