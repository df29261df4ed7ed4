//! What a swarm is told at its start, and a torrent when it is added.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use lantorrent_core::Limit;

use crate::InfoHash;
use crate::files::Durability;
use crate::metainfo::{Magnet, Metainfo};
use crate::swarm::Limits;

/// How a swarm is driven.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address where peers are awaited. The unspecified one of IPv6 is both families.
    pub listen: IpAddr,
    /// The first free port of these is taken.
    pub ports: RangeInclusive<u16>,
    /// What all torrents together may receive and send.
    pub download: Limit,
    /// The same for sending.
    pub upload: Limit,
    /// How much of everything, to begin with.
    pub bounds: Bounds,
    /// Threads that hash and write.
    pub workers: usize,
    /// Whether peers are sought on the own network (BEP 14).
    pub local: bool,
    /// How peers are sought in the DHT (BEP 5). None: not at all.
    pub dht: Option<Dht>,
    /// An HTTP proxy for trackers and web seeds, as a URL. None: as the environment says.
    pub proxy: Option<String>,
    /// The folder where it is recorded which torrents are whole, so that they need not be hashed at the next start.
    pub records: Option<PathBuf>,
    /// What counts as written.
    pub durability: Durability,
}

/// How much of everything all torrents together may take. All of it may change while they run
/// ([`Swarm::adjust`](super::Swarm::adjust)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Connections in all, those that introduce themselves included. With fewer, the least useful ones are closed.
    pub connections: usize,
    /// Bytes on disk, if they are counted: of all torrents whose files are the swarm's to make and change, that is all but
    /// those with [`Existing::Serve`], each from the beginning as long as it is when it is whole. When another torrent needs
    /// room, or the quota becomes less, those are evicted that were used least recently: added, become whole, or sent from.
    /// Only torrents that are whole go, and none that is [pinned](super::Swarm::pin). A torrent that does not fit even then
    /// fails, and nothing is evicted for it.
    pub quota: Option<u64>,
    /// Files that are kept open. Beside them are those that are just being read or written, and some for each torrent that
    /// is being fetched.
    pub open_files: usize,
}

/// What they are derived from: how many descriptors this process may have.
impl Default for Bounds {
    fn default() -> Self {
        let descriptors = lantorrent_core::rlimit::rlimit(rustix::process::Resource::Nofile).current;
        let descriptors = descriptors.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
        Self {
            connections: (descriptors / 2).clamp(8, 500),
            quota: None,
            open_files: (descriptors / 4).clamp(8, 1024),
        }
    }
}

/// A node of the DHT.
#[derive(Clone, Debug, Default)]
pub struct Dht {
    /// Nodes to begin with.
    pub nodes: Vec<SocketAddr>,
    /// Where the nodes that are known are kept from one run to the next.
    pub file: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            listen: Ipv6Addr::UNSPECIFIED.into(),
            ports: 6881..=6999,
            download: Limit::default(),
            upload: Limit::default(),
            bounds: Bounds::default(),
            workers: processors.clamp(2, 8),
            local: true,
            dht: None,
            proxy: None,
            records: None,
            durability: Durability::Sync,
        }
    }
}

/// A torrent for a swarm.
#[derive(Clone, Debug)]
pub struct Adding {
    /// Which one.
    pub torrent: Wanted,
    /// The folder that its files are in, or are to be put into.
    pub folder: PathBuf,
    /// URLs of trackers, in tiers, beside those that it names itself.
    pub trackers: Vec<Vec<String>>,
    /// URLs of web seeds (BEP 19), beside those that it names itself.
    pub web_seeds: Vec<String>,
    /// Peers to begin with.
    pub peers: Vec<SocketAddr>,
    /// How much of everything.
    pub limits: Limits,
    /// What this torrent may receive, beside what all may.
    pub download: Limit,
    /// The same for sending.
    pub upload: Limit,
    /// What to do where something else has its name.
    pub existing: Existing,
    /// What is believed of its files.
    pub trust: Trust,
}

/// How a torrent is known.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// All of it.
    Metainfo(Box<Metainfo>),
    /// By its hash: the rest comes from peers (BEP 9).
    Magnet(Magnet),
}

impl Wanted {
    /// Its name among peers.
    pub fn info_hash(&self) -> InfoHash {
        match self {
            Self::Metainfo(metainfo) => metainfo.info.hash(),
            Self::Magnet(magnet) => magnet.info_hash,
        }
    }
}

/// What to do where a file or folder of that name is there which is not, or not all of, the torrent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// The pieces that are right are kept, and the others fetched. Where none is right, it is something else: it stays,
    /// and the torrent fails.
    #[default]
    Repair,
    /// It stays until the torrent is whole, and is replaced then.
    Replace,
    /// It stays, and the torrent fails.
    Refuse,
    /// It is served, and nothing is made or changed: a torrent that is not there, or not whole, fails.
    Serve,
}

/// What is believed of files that are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// What the journal or the records say. Only what they are silent about is hashed.
    #[default]
    Records,
    /// Nothing: all is hashed.
    Nothing,
}

impl Adding {
    /// That torrent, in that folder, and nothing special about it.
    pub fn new(torrent: Wanted, folder: PathBuf) -> Self {
        Self {
            torrent,
            folder,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            peers: Vec::new(),
            limits: Limits::default(),
            download: Limit::default(),
            upload: Limit::default(),
            existing: Existing::default(),
            trust: Trust::default(),
        }
    }
}
