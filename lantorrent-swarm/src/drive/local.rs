//! Peers of the own networks: a socket for each interface and group, and what is heard and said there.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::datagrams::{LOCAL, LOCAL_END, send};
use super::engine::{Engine, Who};
use super::interfaces::{self, Interface};
use crate::local::{Discovery, Group, LocalAction, LocalEvent};
use crate::swarm::Origin;
use crate::{InfoHash, Seed};

/// How often it is looked whether interfaces, or addresses, have come or gone.
const LOOK: Duration = Duration::from_secs(30);

/// Local discovery, with its sockets.
pub(super) struct Local {
    discovery: Discovery,
    /// Those in which peers can connect to us.
    groups: Vec<Group>,
    ears: BTreeMap<Token, Ear>,
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
        Self { discovery: Discovery::new(port, seed), groups, ears: BTreeMap::new() }
    }

    /// Has a socket for each group on each of these interfaces, and on no other.
    fn listen(&mut self, registry: &Registry, interfaces: &[Interface]) {
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

impl Engine {
    /// Looks which networks there are, and will look again.
    pub(super) fn look_around(&mut self) {
        let (interfaces, networks) = (interfaces::interfaces(), interfaces::networks());
        let changed = (&interfaces, &networks) != (&self.interfaces, &self.networks);
        (self.interfaces, self.networks) = (interfaces, networks);
        if let Some(local) = &mut self.local {
            local.listen(self.poll.registry(), &self.interfaces);
            self.timers.set(Who::Networks, Some(Instant::now() + LOOK));
        }
        if changed {
            self.discover(LocalEvent::NetworkChanged);
        }
    }

    /// Something has happened to local discovery, if there is one.
    pub(super) fn discover(&mut self, event: LocalEvent<'_>) {
        let now = Instant::now();
        let Some(local) = &mut self.local else { return };
        let mut found: Vec<(InfoHash, SocketAddr)> = Vec::new();
        for action in local.discovery.handle(now, event) {
            match action {
                LocalAction::Send(group, datagram) => local.send(group, &datagram),
                LocalAction::Found(torrent, peer) => found.push((torrent, peer)),
            }
        }
        self.timers.set(Who::Discovery, local.discovery.deadline(now));
        for (torrent, peer) in found {
            self.found(torrent, Origin::Local, &[peer]);
        }
    }

    pub(super) fn received_locally(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.discover(LocalEvent::Received(from, datagram));
    }
}
