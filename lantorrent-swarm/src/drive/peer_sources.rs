//! Where peers of the torrents come from: trackers, the own networks and the DHT. Each decides for itself; here is what they
//! have in common.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lantorrent_core::runtime::Mailbox;
use mio::net::UdpSocket;
use mio::{Registry, Token};

use super::alert::TorrentWarning;
use super::announce::{Asked, TrackerNews, Trackers};
use super::datagrams::{self, DHT, LOCAL, LOCAL_END};
use super::dht::{self, Dht};
use super::interfaces::{self, Interface};
use super::local::Local;
use super::message::{Message, News};
use super::running::{TorrentKey, Torrents};
use crate::InfoHash;
use crate::dht::DhtEvent;
use crate::local::LocalEvent;
use crate::metainfo::Contact;
use crate::swarm::{Network, Origin};
use crate::tracker::AnnouncerEvent;
use crate::url::Url;

/// How often it is looked whether interfaces, or addresses, have come or gone.
const LOOK: Duration = Duration::from_secs(30);
/// Bytes of the longest datagram.
const DATAGRAM: usize = 64 << 10;

/// What has come of seeking peers.
pub(super) enum SourceNews {
    Found(InfoHash, Origin, Vec<SocketAddr>),
    Warning(InfoHash, TorrentWarning),
}

pub(super) struct PeerSources {
    trackers: Trackers,
    local: Option<Local>,
    dht: Option<Dht>,
    registry: Registry,
    mailbox: Arc<Mailbox<Message>>,
    /// The networks that this host is in.
    networks: Vec<Network>,
    interfaces: Vec<Interface>,
    /// When to look for them again.
    look: Option<Instant>,
    /// Sockets with more to read than their turn allowed.
    ready: VecDeque<Token>,
    /// Room for any datagram.
    datagram: Vec<u8>,
}

impl PeerSources {
    pub(super) fn new(
        (trackers, local, dht): (Trackers, Option<Local>, Option<Dht>),
        registry: Registry,
        mailbox: Arc<Mailbox<Message>>,
    ) -> Self {
        Self {
            trackers,
            local,
            dht,
            registry,
            mailbox,
            networks: Vec::new(),
            interfaces: Vec::new(),
            look: None,
            ready: VecDeque::new(),
            datagram: vec![0; DATAGRAM],
        }
    }

    /// Looks around, and meets the nodes of the DHT that are known from before.
    pub(super) fn begin(&mut self) {
        self.look_around();
        if let Some(dht) = &mut self.dht {
            dht.begin();
        }
    }

    /// What has come of it since the last call.
    pub(super) fn take_news(&mut self) -> Vec<SourceNews> {
        let mut news = self.trackers.take_news();
        news.extend(self.local.iter_mut().flat_map(Local::take_news));
        news.extend(self.dht.iter_mut().flat_map(Dht::take_news));
        news
    }

    /// The networks that this host is in.
    pub(super) fn networks(&self) -> &[Network] {
        &self.networks
    }

    /// Whether there is a node of the DHT.
    pub(super) fn has_dht(&self) -> bool {
        self.dht.is_some()
    }

    /// When something has to be done although no datagram comes. It may be at once.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let ready = (!self.ready.is_empty()).then_some(now);
        let local = self.local.as_ref().and_then(Local::deadline);
        let dht = self.dht.as_ref().and_then(Dht::deadline);
        [ready, self.look, self.trackers.deadline(), local, dht].into_iter().flatten().min()
    }

    /// Does that.
    pub(super) fn tick(&mut self, now: Instant, torrents: &Torrents) {
        self.trackers.tick(now, torrents);
        if self.look.is_some_and(|at| at <= now) {
            self.look_around();
        }
        if let Some(local) = &mut self.local {
            local.tick(now);
        }
        if let Some(dht) = &mut self.dht {
            dht.tick(now);
        }
        for token in std::mem::take(&mut self.ready) {
            self.receive(token, torrents);
        }
    }

    /// Looks which networks there are, and will look again.
    fn look_around(&mut self) {
        let (interfaces, networks) = (interfaces::interfaces(), interfaces::networks());
        let changed = (&interfaces, &networks) != (&self.interfaces, &self.networks);
        (self.interfaces, self.networks) = (interfaces, networks);
        let Some(local) = &mut self.local else { return };
        local.listen(&self.registry, &self.interfaces);
        self.look = Some(Instant::now() + LOOK);
        if changed {
            local.handle(LocalEvent::NetworkChanged);
        }
    }

    /// Datagrams have come to that socket.
    pub(super) fn receive(&mut self, token: Token, torrents: &Torrents) {
        for _ in 0..datagrams::TURN {
            let mut buffer = std::mem::take(&mut self.datagram);
            let received = self.socket(token).and_then(|socket| datagrams::receive(socket, &mut buffer));
            if let Some((length, from)) = received {
                self.received(token, from, &buffer[..length], torrents);
            }
            self.datagram = buffer;
            if received.is_none() {
                return;
            }
        }
        self.ready.push_back(token);
    }

    fn received(&mut self, token: Token, from: SocketAddr, datagram: &[u8], torrents: &Torrents) {
        match (token, &mut self.dht, &mut self.local) {
            (DHT, Some(dht), _) => dht.handle(DhtEvent::Received(from, datagram)),
            (Token(LOCAL..LOCAL_END), _, Some(local)) => local.handle(LocalEvent::Received(from, datagram)),
            _ => self.trackers.received(from, datagram, torrents),
        }
    }

    fn socket(&self, token: Token) -> Option<&UdpSocket> {
        match token {
            DHT => self.dht.as_ref().map(|dht| &dht.socket),
            Token(LOCAL..LOCAL_END) => self.local.as_ref().and_then(|local| local.socket(token)),
            _ => self.trackers.sockets.socket(token),
        }
    }

    /// A torrent was added that has these trackers, in tiers, and names these nodes of the DHT and these peers.
    pub(super) fn add(
        &mut self,
        torrent: TorrentKey,
        trackers: &[Vec<Url>],
        nodes: &[Contact],
        peers: Vec<Contact>,
    ) {
        if !trackers.is_empty() {
            self.trackers.add(torrent, trackers);
        }
        if self.dht.is_some() && !nodes.is_empty() {
            let (nodes, mailbox) = (nodes[..nodes.len().min(dht::NAMES)].to_vec(), Arc::clone(&self.mailbox));
            self.trackers.spawn(move || mailbox.send(Message::Nodes(dht::look_up(&nodes))));
        }
        if !peers.is_empty() {
            let mailbox = Arc::clone(&self.mailbox);
            let tell = move || mailbox.send(Message::News(torrent, News::Peers(dht::look_up(&peers))));
            self.trackers.spawn(tell);
        }
    }

    /// The torrent is ready for peers: its trackers are told of it.
    pub(super) fn announce(&mut self, torrent: TorrentKey, torrents: &Torrents) {
        self.trackers.start(torrent, torrents);
    }

    /// The torrent is not known to be private: the own networks and the DHT are told of it.
    pub(super) fn publish(&mut self, torrent: InfoHash) {
        if let Some(local) = &mut self.local {
            local.handle(LocalEvent::Add(torrent));
        }
        if let Some(dht) = &mut self.dht {
            dht.join(torrent);
        }
    }

    /// Only its trackers are told of the torrent from now on.
    pub(super) fn hide(&mut self, torrent: InfoHash) {
        if let Some(local) = &mut self.local {
            local.handle(LocalEvent::Remove(torrent));
        }
        if let Some(dht) = &mut self.dht {
            dht.leave(torrent);
        }
    }

    /// The last piece of the torrent has come.
    pub(super) fn completed(&mut self, torrent: TorrentKey, torrents: &Torrents) {
        self.trackers.handle(torrent, AnnouncerEvent::Completed, torrents);
    }

    /// The torrent ends: its trackers are told so, and nothing else is told of it.
    pub(super) fn stop(&mut self, torrent: TorrentKey, torrents: &Torrents) {
        self.trackers.stop(torrent, torrents);
        self.hide(torrent.0);
    }

    /// There may be nodes of the DHT at these addresses.
    pub(super) fn meet(&mut self, nodes: &[SocketAddr]) {
        if let Some(dht) = &mut self.dht {
            for node in nodes {
                dht.handle(DhtEvent::Meet(*node));
            }
        }
    }

    /// A thread has something to say to a question to a tracker.
    pub(super) fn heard_of_tracker(&mut self, asked: Asked, news: TrackerNews, torrents: &Torrents) {
        self.trackers.heard(asked, news, torrents);
    }

    /// Whether the trackers know of the end of every torrent that has ended.
    pub(super) fn are_quiet(&self) -> bool {
        self.trackers.are_quiet()
    }

    /// Lets the threads go without waiting for what they do, and saves the nodes of the DHT.
    pub(super) fn end(&mut self) -> Option<dht::Saving> {
        self.trackers.abandon();
        self.dht.as_mut().and_then(Dht::save)
    }

    /// The nodes of the DHT, when it is time to save them.
    pub(super) fn due_saving(&mut self, now: Instant) -> Option<dht::Saving> {
        self.dht.as_mut().filter(|dht| dht.is_saving_due(now)).and_then(Dht::save)
    }
}
