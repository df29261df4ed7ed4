//! What a swarm is made of.

use std::net::SocketAddr;

use lantorrent_swarm::Geometry;
use lantorrent_swarm::swarm::{Bitfield, Limits, Origin};

use crate::driver::Driver;
use crate::liar::{Habit, Liar};
use crate::package::Package;
use crate::web::WebServer;
use crate::world::{Happening, Host, HostId, Program, World};

/// What a host is.
#[derive(Debug, Clone)]
pub(crate) enum Role {
    Seed,
    Leecher,
    /// It has the info hash alone.
    Magnet,
    /// It has everything, and spoils so many percent of what it sends.
    Spoiler(usize),
    Liar(Habit),
}

impl Role {
    pub(crate) fn is_honest(&self) -> bool {
        matches!(self, Self::Seed | Self::Leecher | Self::Magnet)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) roles: Vec<Role>,
    /// Bytes in a second, up and down, of each host.
    pub(crate) rates: Vec<(u64, u64)>,
    pub(crate) length: u64,
    pub(crate) piece_length: u32,
    pub(crate) info: usize,
    pub(crate) limits: Limits,
    pub(crate) webs: Vec<WebServer>,
    /// Microseconds on the way.
    pub(crate) latency: u64,
}

pub(crate) fn address(host: HostId) -> SocketAddr {
    SocketAddr::from(([10, 0, (host / 250) as u8, 1 + (host % 250) as u8], 6881))
}

impl Scenario {
    pub(crate) fn package(&self) -> Package {
        Package {
            geometry: Geometry::new(self.length, self.piece_length).expect("such a torrent can be"),
            info: (0..self.info).map(|index| (index * 7) as u8).collect(),
        }
    }

    /// All hosts, switched on, knowing nobody.
    pub(crate) fn world(&self, seed: u64) -> World {
        let hosts = self.rates.iter().enumerate();
        let hosts = hosts.map(|(id, (up, down))| Host::new(address(id), Program::Off, *up, *down)).collect();
        let mut world = World::new(seed, self.latency, hosts);
        for host in 0..self.roles.len() {
            let program = self.program(&mut world, host, None);
            world.switch_on(host, program);
        }
        world
    }

    /// What runs on that host, with these pieces from an earlier time.
    pub(crate) fn program(&self, world: &mut World, host: HostId, kept: Option<Bitfield>) -> Program {
        let (package, net) = (self.package(), &mut world.net);
        let pieces = package.geometry.pieces();
        let (known, webs) = match &self.roles[host] {
            Role::Seed | Role::Spoiler(_) => (Some(Bitfield::all(pieces)), Vec::new()),
            Role::Leecher => (Some(kept.unwrap_or_else(|| Bitfield::none(pieces))), self.webs.clone()),
            Role::Magnet => (kept, self.webs.clone()),
            Role::Liar(habit) => return Program::Liar(Liar::new(net, *habit, &package)),
        };
        let mut driver = Driver::new(net, host, address(host), &package, known, self.limits, webs);
        if let Role::Spoiler(percent) = &self.roles[host] {
            driver.spoils = *percent;
        }
        Program::Driver(Box::new(driver))
    }
}

/// That host hears of these.
pub(crate) fn tell(world: &mut World, host: HostId, others: impl IntoIterator<Item = HostId>) {
    let others: Vec<SocketAddr> = others.into_iter().filter(|other| *other != host).map(address).collect();
    world.driver(host, |driver, net| driver.found(net, Origin::Tracker, &others));
    world.net.after(0, Happening::Wake(host));
}

/// The driver of a host that is on.
pub(crate) fn driver(world: &World, host: HostId) -> Option<&Driver> {
    match &world.hosts[host].program {
        Program::Driver(driver) => Some(driver),
        Program::Liar(_) | Program::Off => None,
    }
}
