//! Our node of the DHT: its socket, its torrents, and the file that it knows others by.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lantorrent_core::runtime::look_up_all;
use lantorrent_core::runtime::socket;
use lantorrent_core::store::sync_file;
use mio::net::UdpSocket;

use super::datagrams::send;
use super::peer_sources::SourceNews;
use super::settings;
use crate::dht::{DhtAction, DhtEvent, DhtNode, DhtSettings, Mode, NodeId, Saved};
use crate::metainfo::Contact;
use crate::swarm::Origin;
use crate::text::readable;
use crate::{Compact, InfoHash, Seed};

/// How often the nodes that are known are saved.
const SAVE: Duration = Duration::from_secs(600);
/// A file with more bytes than that is not ours.
const FILE: u64 = 64 << 10;
/// Names of nodes of one torrent that are looked up.
pub(super) const NAMES: usize = 16;
/// How long that may take, for all of them together.
const LOOKUP: Duration = Duration::from_secs(15);

/// A node with its socket.
pub(super) struct Dht {
    node: DhtNode,
    pub(super) socket: UdpSocket,
    joined: HashSet<InfoHash>,
    file: Option<PathBuf>,
    /// Nodes to begin with.
    known: Vec<SocketAddr>,
    /// Where we take connections.
    port: u16,
    /// When the node has something to do.
    next: Option<Instant>,
    /// When the known nodes are to be saved.
    saving: Option<Instant>,
    news: Vec<SourceNews>,
}

impl Dht {
    /// Begins with the nodes of the settings, and with those of the file.
    pub(super) fn new(
        settings: &settings::Dht,
        (socket, port): (UdpSocket, u16),
        (id, seed): ([u8; 20], Seed),
        now: Instant,
    ) -> Self {
        let saved = settings.file.as_deref().and_then(read);
        let mut known = settings.nodes.clone();
        known.extend(saved.iter().flat_map(|saved| &saved.nodes));
        let id = saved.map_or(NodeId(id), |saved| saved.id);
        let node = DhtNode::new(DhtSettings { id, family: Compact::V4, mode: Mode::Full, seed }, now);
        let file = settings.file.clone();
        let (joined, news) = (HashSet::new(), Vec::new());
        Self { node, socket, joined, file, known, port, next: None, saving: None, news }
    }
}

/// The socket of a node, beside the one where peers connect. None where those are all of IPv6.
pub(super) fn bind(listen: IpAddr, port: u16) -> io::Result<Option<std::net::UdpSocket>> {
    let address = match listen {
        IpAddr::V4(address) => address,
        IpAddr::V6(address) if address.is_unspecified() => Ipv4Addr::UNSPECIFIED,
        IpAddr::V6(_) => return Ok(None),
    };
    socket::datagrams((address, port).into()).map(Some)
}

/// What was saved by the last run. Whatever is wrong with it, others can be met without.
fn read(path: &Path) -> Option<Saved> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(FILE).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => {
            log::warn!("{}: cannot read which nodes of the DHT are known: {error}", path.display());
            return None;
        }
    }
    Saved::read(&bytes, Compact::V4).inspect_err(|error| log::warn!("{}: {error}", path.display())).ok()
}

/// Replaces the file by a new one, or leaves it as it is.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let beside = PathBuf::from(name);
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    sync_file(&file)?;
    fs::rename(&beside, path)
}

impl Dht {
    /// The node meets those that are known already.
    pub(super) fn begin(&mut self) {
        self.saving = Some(Instant::now() + SAVE);
        for node in std::mem::take(&mut self.known) {
            self.handle(DhtEvent::Meet(node));
        }
    }

    /// When something has to be done although no datagram comes.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.next.into_iter().chain(self.saving).min()
    }

    /// Does what is due, but for saving.
    pub(super) fn tick(&mut self, now: Instant) {
        if self.next.is_some_and(|at| at <= now) {
            self.handle(DhtEvent::Tick);
        }
    }

    /// What has come of it since the last call.
    pub(super) fn take_news(&mut self) -> Vec<SourceNews> {
        std::mem::take(&mut self.news)
    }

    /// A torrent that is not private looks for peers, and lets itself be found.
    pub(super) fn join(&mut self, torrent: InfoHash) {
        if self.joined.insert(torrent) {
            self.handle(DhtEvent::Join { torrent, port: Some(self.port) });
        }
    }

    pub(super) fn leave(&mut self, torrent: InfoHash) {
        if self.joined.remove(&torrent) {
            self.handle(DhtEvent::Leave(torrent));
        }
    }

    pub(super) fn handle(&mut self, event: DhtEvent<'_>) {
        let now = Instant::now();
        for action in self.node.handle(now, event) {
            match action {
                DhtAction::Send(to, datagram) => send(&self.socket, to, &datagram),
                DhtAction::Found(torrent, peers) => {
                    self.news.push(SourceNews::Found(torrent, Origin::Dht, peers));
                }
            }
        }
        self.next = Some(self.node.deadline(now));
    }

    /// Whether it is time to save which nodes are known.
    pub(super) fn is_saving_due(&self, now: Instant) -> bool {
        self.saving.is_some_and(|at| at <= now)
    }

    /// Which nodes are known, to be saved by another thread, and again later.
    pub(super) fn save(&mut self) -> Option<Saving> {
        let now = Instant::now();
        self.saving = Some(now + SAVE);
        // While no node answers, those that did before are still the best to begin with.
        let file = self.file.clone().filter(|_| self.node.nodes(now) > 0)?;
        Some(Saving { file, bytes: self.node.save(now) })
    }
}

/// Nodes that are to be saved.
pub(super) struct Saving {
    file: PathBuf,
    bytes: Vec<u8>,
}

impl Saving {
    pub(super) fn write(&self) {
        if let Err(error) = write(&self.file, &self.bytes) {
            log::warn!("{}: cannot save which nodes of the DHT are known: {error}", self.file.display());
        }
    }
}

/// The addresses of these hosts, as far as they are found in time.
pub(super) fn look_up(hosts: &[Contact]) -> Vec<SocketAddr> {
    let names = hosts.iter().map(|host| (host.host.clone(), host.port));
    let found = hosts.iter().zip(look_up_all(names, LOOKUP));
    let told = found.map(|(host, found)| {
        found
            .inspect_err(|error| log::info!("{host} is left out: {}", readable(error.to_string().as_bytes())))
    });
    told.flat_map(Result::unwrap_or_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_as_good_as_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nodes");
        assert_eq!(read(&path), None);
        let node = DhtNode::new(
            DhtSettings { id: NodeId([7; 20]), family: Compact::V4, mode: Mode::Full, seed: Seed([1; 32]) },
            Instant::now(),
        );
        let bytes = node.save(Instant::now());
        write(&path, &bytes).unwrap();
        assert_eq!(read(&path), Some(Saved { id: NodeId([7; 20]), nodes: Vec::new() }));
        write(&path, &bytes[1..]).unwrap();
        assert_eq!(read(&path), None);
        write(&path, &vec![b'l'; 1 << 20]).unwrap();
        assert_eq!(read(&path), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}
