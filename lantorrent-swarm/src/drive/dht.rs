//! Our node of the DHT: its socket, its torrents, and the file that it knows others by.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lantorrent_core::look_up_all;
use lantorrent_core::runtime::socket;
use lantorrent_core::store::sync_file;
use mio::net::UdpSocket;

use super::datagrams::send;
use super::engine::{Engine, Who};
use super::message::Message;
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
const NAMES: usize = 16;
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
}

impl Dht {
    /// Begins with the nodes of the settings, and with those of the file.
    pub(super) fn new(
        settings: &settings::Dht,
        socket: UdpSocket,
        (id, seed): ([u8; 20], Seed),
        now: Instant,
    ) -> Self {
        let saved = settings.file.as_deref().and_then(read);
        let mut known = settings.nodes.clone();
        known.extend(saved.iter().flat_map(|saved| &saved.nodes));
        let id = saved.map_or(NodeId(id), |saved| saved.id);
        let node = DhtNode::new(DhtSettings { id, family: Compact::V4, mode: Mode::Full, seed }, now);
        Self { node, socket, joined: HashSet::new(), file: settings.file.clone(), known }
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

impl Engine {
    /// The node makes acquaintance with those that are known already.
    pub(super) fn begin_dht(&mut self) {
        let Some(dht) = &mut self.dht else { return };
        let known = std::mem::take(&mut dht.known);
        self.timers.set(Who::Saving, Some(Instant::now() + SAVE));
        self.meet_all(&known);
    }

    pub(super) fn meet_all(&mut self, nodes: &[SocketAddr]) {
        for node in nodes {
            self.drive_dht(DhtEvent::Meet(*node));
        }
    }

    /// A torrent that is not private looks for peers, and lets itself be found.
    pub(super) fn join(&mut self, torrent: InfoHash) {
        let port = Some(self.port);
        if self.dht.as_mut().is_some_and(|dht| dht.joined.insert(torrent)) {
            self.drive_dht(DhtEvent::Join { torrent, port });
        }
    }

    pub(super) fn leave(&mut self, torrent: InfoHash) {
        if self.dht.as_mut().is_some_and(|dht| dht.joined.remove(&torrent)) {
            self.drive_dht(DhtEvent::Leave(torrent));
        }
    }

    /// Looks up where these nodes are, in a thread.
    pub(super) fn meet_by_name(&mut self, nodes: &[Contact]) {
        if self.dht.is_none() || nodes.is_empty() {
            return;
        }
        let (nodes, mailbox) = (nodes[..nodes.len().min(NAMES)].to_vec(), Arc::clone(&self.mailbox));
        self.trackers.spawn(move || mailbox.send(Message::Nodes(look_up(&nodes))));
    }

    pub(super) fn received_from_node(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.drive_dht(DhtEvent::Received(from, datagram));
    }

    pub(super) fn drive_dht(&mut self, event: DhtEvent<'_>) {
        let now = Instant::now();
        let Some(dht) = &mut self.dht else { return };
        let mut found = Vec::new();
        for action in dht.node.handle(now, event) {
            match action {
                DhtAction::Send(to, datagram) => send(&dht.socket, to, &datagram),
                DhtAction::Found(torrent, peers) => found.push((torrent, peers)),
            }
        }
        self.timers.set(Who::Dht, Some(dht.node.deadline(now)));
        for (torrent, peers) in found {
            self.found(torrent, Origin::Dht, &peers);
        }
    }

    /// Saves which nodes are known, and will do so again.
    pub(super) fn save_nodes(&mut self) {
        let now = Instant::now();
        let Some(dht) = &self.dht else { return };
        self.timers.set(Who::Saving, Some(now + SAVE));
        // While nobody answers, those who did before are still the best to begin with.
        let Some(file) = dht.file.clone().filter(|_| dht.node.nodes(now) > 0) else { return };
        let bytes = dht.node.save(now);
        self.disk.spawn(move || {
            if let Err(error) = write(&file, &bytes) {
                log::warn!("{}: cannot save which nodes of the DHT are known: {error}", file.display());
            }
        });
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
