//! Settings of a session, and of a torrent that is added to it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use lantorrent_core::Limit;

use crate::InfoHash;
use crate::files::Durability;
use crate::metainfo::{Magnet, Metainfo};
use crate::swarm::Limits;

/// Settings of a session. Made by [`Settings::default`], and changed by methods:
///
/// ```
/// # use lantorrent_swarm::Settings;
/// let settings = Settings::default().ports(6881..=6889).local(false);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The address to listen at for peers. The unspecified one of IPv6 is both families, and the default.
    pub listen: IpAddr,
    /// Ports to listen at: the first free one is taken. 6881 to 6999 by default.
    pub ports: RangeInclusive<u16>,
    /// Download rate limit of all torrents together. None by default.
    pub download: Limit,
    /// Upload rate limit of all torrents together. None by default.
    pub upload: Limit,
    /// Connections, bytes and open files of all torrents together, to begin with.
    pub bounds: Bounds,
    /// Threads that hash and write. By default as many as the machine has CPUs, between 2 and 8.
    pub workers: usize,
    /// Whether peers are sought on the own network (BEP 14). They are by default.
    pub local: bool,
    /// The node of the DHT in which peers are sought (BEP 5). None by default.
    pub dht: Option<Dht>,
    /// URL of an HTTP or SOCKS proxy for trackers and web seeds. By default that of the environment.
    pub proxy: Option<String>,
    /// The folder of records: which torrents are whole, so that they are not hashed at the next start. None by default.
    pub records: Option<PathBuf>,
    /// When a write counts as done. [`Durability::Sync`] by default.
    pub durability: Durability,
}

impl Settings {
    /// Listens for peers at this address.
    pub fn listen(self, listen: IpAddr) -> Self {
        Self { listen, ..self }
    }

    /// Listens at the first free one of these ports. `0..=0` is any.
    pub fn ports(self, ports: RangeInclusive<u16>) -> Self {
        Self { ports, ..self }
    }

    /// Limits the rate at which all torrents together receive.
    pub fn download(self, download: Limit) -> Self {
        Self { download, ..self }
    }

    /// Limits the rate at which all torrents together send.
    pub fn upload(self, upload: Limit) -> Self {
        Self { upload, ..self }
    }

    /// Bounds connections, bytes on disk and open files.
    pub fn bounds(self, bounds: Bounds) -> Self {
        Self { bounds, ..self }
    }

    /// Hashes and writes in so many threads, at least one.
    pub fn workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// Seeks peers on the own network, or does not.
    pub fn local(self, local: bool) -> Self {
        Self { local, ..self }
    }

    /// Seeks peers in the DHT, or does not.
    pub fn dht(self, dht: impl Into<Option<Dht>>) -> Self {
        Self { dht: dht.into(), ..self }
    }

    /// Asks trackers and web seeds through this proxy.
    pub fn proxy(self, proxy: impl Into<Option<String>>) -> Self {
        Self { proxy: proxy.into(), ..self }
    }

    /// Keeps records in this folder, which has to be there.
    pub fn records(self, records: impl Into<Option<PathBuf>>) -> Self {
        Self { records: records.into(), ..self }
    }

    /// Sets when a write counts as done.
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }
}

/// Bounds of all torrents of a session together. They may change while it runs ([`Session::adjust`](super::Session::adjust)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bounds {
    /// Connections in all, those in the handshake included. When the bound is lowered, the least useful ones are closed.
    pub connections: usize,
    /// Bytes on disk. None: not counted.
    ///
    /// Counted are the torrents whose files the session makes and changes, which is all but those with [`Existing::Serve`],
    /// each from the beginning with its whole length. When another torrent needs room, or the quota is lowered, the torrents
    /// are evicted that were used least recently: added, finished, or sent from. Only finished torrents are evicted, and none
    /// that is [pinned](super::TorrentHandle::pin). A torrent that does not fit even then fails
    /// ([`TorrentError::QuotaExceeded`](super::TorrentError::QuotaExceeded)), and nothing is evicted for it.
    pub quota: Option<u64>,
    /// Files that are kept open. Beside them are those that are just being read or written, and some for each torrent that
    /// is being fetched.
    pub open_files: usize,
}

impl Bounds {
    /// Bounds the connections.
    pub fn connections(self, connections: usize) -> Self {
        Self { connections, ..self }
    }

    /// Bounds the bytes on disk.
    pub fn quota(self, quota: impl Into<Option<u64>>) -> Self {
        Self { quota: quota.into(), ..self }
    }

    /// Bounds the files that are kept open.
    pub fn open_files(self, open_files: usize) -> Self {
        Self { open_files, ..self }
    }
}

/// Derived from the number of descriptors that this process may have, and without a quota.
impl Default for Bounds {
    fn default() -> Self {
        let descriptors = lantorrent_core::store::rlimit(rustix::process::Resource::Nofile).current;
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
#[non_exhaustive]
pub struct Dht {
    /// Nodes to begin with.
    pub nodes: Vec<SocketAddr>,
    /// The file in which known nodes are kept from one run to the next.
    pub file: Option<PathBuf>,
}

impl Dht {
    /// Begins with these nodes.
    pub fn nodes(self, nodes: Vec<SocketAddr>) -> Self {
        Self { nodes, ..self }
    }

    /// Keeps known nodes in this file.
    pub fn file(self, file: impl Into<Option<PathBuf>>) -> Self {
        Self { file: file.into(), ..self }
    }
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

/// A torrent to be added to a session ([`Session::add`](super::Session::add)).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AddTorrent {
    /// The torrent.
    pub source: TorrentSource,
    /// The folder that its files are in, or are to be put into.
    pub folder: PathBuf,
    /// URLs of trackers, in tiers, beside those that it names itself.
    pub trackers: Vec<Vec<String>>,
    /// URLs of web seeds (BEP 19), beside those that it names itself.
    pub web_seeds: Vec<String>,
    /// Peers to begin with.
    pub peers: Vec<SocketAddr>,
    /// Its connections, upload slots and so on.
    pub limits: Limits,
    /// Its own download rate limit, beside that of all torrents.
    pub download: Limit,
    /// Its own upload rate limit, beside that of all torrents.
    pub upload: Limit,
    /// What to do where something else has its name.
    pub existing: Existing,
    /// What is believed of its files.
    pub trust: Trust,
    /// How long it goes without peers before [`TorrentWarning::NoPeers`](super::TorrentWarning::NoPeers); 60 s by default.
    pub peer_timeout: Duration,
}

impl AddTorrent {
    /// That torrent in that folder, with defaults for the rest.
    pub fn new(source: impl Into<TorrentSource>, folder: impl Into<PathBuf>) -> Self {
        Self {
            source: source.into(),
            folder: folder.into(),
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            peers: Vec::new(),
            limits: Limits::default(),
            download: Limit::default(),
            upload: Limit::default(),
            existing: Existing::default(),
            trust: Trust::default(),
            peer_timeout: Duration::from_secs(60),
        }
    }

    /// Asks these trackers, too: URLs in tiers.
    pub fn trackers(self, trackers: Vec<Vec<String>>) -> Self {
        Self { trackers, ..self }
    }

    /// Asks these web seeds, too.
    pub fn web_seeds(self, web_seeds: Vec<String>) -> Self {
        Self { web_seeds, ..self }
    }

    /// Begins with these peers.
    pub fn peers(self, peers: Vec<SocketAddr>) -> Self {
        Self { peers, ..self }
    }

    /// Limits its connections, upload slots and so on.
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Limits the rate at which it receives.
    pub fn download(self, download: Limit) -> Self {
        Self { download, ..self }
    }

    /// Limits the rate at which it sends.
    pub fn upload(self, upload: Limit) -> Self {
        Self { upload, ..self }
    }

    /// Sets what to do where something else has its name.
    pub fn existing(self, existing: Existing) -> Self {
        Self { existing, ..self }
    }

    /// Sets what is believed of its files.
    pub fn trust(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }

    /// Warns after this time without peers.
    pub fn peer_timeout(self, peer_timeout: Duration) -> Self {
        Self { peer_timeout, ..self }
    }
}

/// How a torrent is known.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum TorrentSource {
    /// By its metadata, as it is in a `.torrent` file.
    Metainfo(Box<Metainfo>),
    /// By its info hash: the metadata comes from peers (BEP 9).
    Magnet(Magnet),
}

impl TorrentSource {
    /// The torrent's name among peers.
    pub fn info_hash(&self) -> InfoHash {
        match self {
            Self::Metainfo(metainfo) => metainfo.info.hash(),
            Self::Magnet(magnet) => magnet.info_hash,
        }
    }
}

impl From<Metainfo> for TorrentSource {
    fn from(metainfo: Metainfo) -> Self {
        Self::Metainfo(Box::new(metainfo))
    }
}

impl From<Box<Metainfo>> for TorrentSource {
    fn from(metainfo: Box<Metainfo>) -> Self {
        Self::Metainfo(metainfo)
    }
}

impl From<Magnet> for TorrentSource {
    fn from(magnet: Magnet) -> Self {
        Self::Magnet(magnet)
    }
}

/// What to do where a file or folder of that name is there which is not, or not all of, the torrent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
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
#[non_exhaustive]
pub enum Trust {
    /// What the journal or the records say. Only what they are silent about is hashed.
    #[default]
    Records,
    /// Nothing: all is hashed.
    Nothing,
}
