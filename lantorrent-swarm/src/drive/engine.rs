//! The loop: one thread that moves bytes between sockets and state machines. It waits for nothing but the poll.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use lantorrent_core::runtime::{Mailbox, Timers, Workers};
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use super::alert::Alert;
use super::announce::Trackers;
use super::connections::Connections;
use super::datagrams;
use super::dht::Dht;
use super::disk::Disk;
use super::http::Client;
use super::interfaces::Interface;
use super::local::Local;
use super::message::Message;
use super::running::{TorrentKey, Torrents};
use super::settings::Settings;
use super::web_fetches::WebFetches;
use crate::dht::DhtEvent;
use crate::files::Records;
use crate::local::LocalEvent;
use crate::random::Random;
use crate::swarm::Network;
use crate::tracker::{AnnouncerEvent, UdpEvent};
use crate::{InfoHash, PeerId};

/// The poll wakes up for other threads.
pub(super) const WAKER: Token = Token(0);
/// A peer connects.
pub(super) const LISTENER: Token = Token(1);
/// The first connection. Before it are sockets for datagrams.
pub(super) const LINKS: usize = 64;
/// Bytes of the longest datagram.
const DATAGRAM: usize = 64 << 10;

/// Whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Who {
    Torrent(InfoHash),
    /// A torrent announces itself to its trackers.
    Herald(TorrentKey),
    /// What was asked by UDP is asked again.
    Questions,
    /// The own networks are told of torrents.
    Discovery,
    /// Networks may have come or gone.
    Networks,
    Dht,
    /// The nodes of the DHT are written down.
    Saving,
}

pub(super) struct Engine {
    pub(super) settings: Settings,
    pub(super) peer_id: PeerId,
    pub(super) port: u16,
    pub(super) poll: Poll,
    pub(super) mailbox: Arc<Mailbox<Message>>,
    pub(super) alerts: Sender<Alert>,
    pub(super) connections: Connections,
    pub(super) torrents: Torrents,
    pub(super) timers: Timers<Who>,
    /// Sockets for datagrams with more to read than their turn allowed.
    pub(super) ready_datagrams: VecDeque<Token>,
    /// Room for any datagram.
    pub(super) datagram: Vec<u8>,
    pub(super) trackers: Trackers,
    pub(super) local: Option<Local>,
    pub(super) dht: Option<Dht>,
    pub(super) disk: Disk,
    pub(super) web: WebFetches,
    pub(super) client: Client,
    /// The networks that this host is in.
    pub(super) networks: Vec<Network>,
    pub(super) interfaces: Vec<Interface>,
    chance: Random,
    /// Torrents that were ever added.
    pub(super) added: u64,
    pub(super) stopping: bool,
}

/// What an engine is made of that can fail to be had.
pub(super) struct Parts {
    pub(super) settings: Settings,
    pub(super) peer_id: PeerId,
    pub(super) poll: Poll,
    pub(super) mailbox: Arc<Mailbox<Message>>,
    pub(super) alerts: Sender<Alert>,
    pub(super) listener: TcpListener,
    pub(super) port: u16,
    pub(super) disk: Workers,
    pub(super) web: Workers,
    pub(super) client: Client,
    pub(super) trackers: Trackers,
    pub(super) local: Option<Local>,
    pub(super) dht: Option<Dht>,
    pub(super) records: Option<Records>,
    /// For all choices that are left to chance.
    pub(super) seed: u64,
}

impl Engine {
    pub(super) fn new(mut parts: Parts) -> io::Result<Self> {
        if let Some(dht) = &mut parts.dht {
            parts.poll.registry().register(&mut dht.socket, datagrams::DHT, Interest::READABLE)?;
        }
        let registry = parts.poll.registry().try_clone()?;
        let connections = Connections::new(parts.listener, registry, &parts.settings)?;
        let web = WebFetches::new(parts.web, parts.client.clone(), Arc::clone(&parts.mailbox));
        let disk = Disk::new(&parts.settings, parts.disk, parts.records, Arc::clone(&parts.mailbox));
        Ok(Self {
            settings: parts.settings,
            peer_id: parts.peer_id,
            port: parts.port,
            poll: parts.poll,
            mailbox: parts.mailbox,
            alerts: parts.alerts,
            connections,
            torrents: Torrents::new(),
            timers: Timers::default(),
            ready_datagrams: VecDeque::new(),
            datagram: vec![0; DATAGRAM],
            trackers: parts.trackers,
            local: parts.local,
            dht: parts.dht,
            disk,
            web,
            client: parts.client,
            networks: Vec::new(),
            interfaces: Vec::new(),
            chance: Random::new(parts.seed),
            added: 0,
            stopping: false,
        })
    }

    /// A number for choices that are left to chance.
    pub(super) fn random(&mut self) -> u64 {
        self.chance.next()
    }

    /// Until it is told to stop.
    pub(super) fn run(mut self) -> io::Result<()> {
        let ended = self.turn_until_over();
        self.save_nodes();
        // Servers that do not answer are not waited for: what is queued is dropped, and what is under way cut off.
        self.trackers.abandon();
        self.web.abandon();
        self.disk.finish();
        ended
    }

    fn turn_until_over(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        self.look_around();
        self.begin_dht();
        while !self.is_over() {
            match self.poll.poll(&mut events, self.wait()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    WAKER => {}
                    LISTENER => self.connections.accept(),
                    Token(..LINKS) => self.receive(event.token()),
                    _ => {
                        let served = self.connections.woken(event, &mut self.torrents);
                        self.served(served);
                    }
                }
            }
            for message in self.mailbox.take() {
                self.heard(message);
            }
            self.look_at_the_clock();
            let closed = self.connections.close_overflown(&mut self.torrents);
            self.served_all(closed);
            for token in self.connections.take_ready() {
                let served = self.connections.serve(token, &mut self.torrents);
                self.served(served);
            }
            for token in std::mem::take(&mut self.ready_datagrams) {
                self.receive(token);
            }
        }
        Ok(())
    }

    /// How long nothing has to be done unless something happens. None: for ever.
    fn wait(&self) -> Option<Duration> {
        let now = Instant::now();
        let datagrams = (!self.ready_datagrams.is_empty()).then_some(now);
        let next =
            [self.timers.next(), self.connections.deadline(now), datagrams].into_iter().flatten().min();
        next.map(|at| at.saturating_duration_since(now))
    }

    fn is_over(&self) -> bool {
        self.stopping && self.torrents.is_empty() && self.trackers.are_quiet()
    }

    fn look_at_the_clock(&mut self) {
        let now = Instant::now();
        for token in self.connections.due(now) {
            let served = self.connections.serve_due(token, &mut self.torrents);
            self.served(served);
        }
        for who in self.timers.due(now) {
            match who {
                Who::Torrent(hash) => self.tick(now, hash),
                Who::Herald(torrent) => self.announce(torrent, AnnouncerEvent::Tick),
                Who::Questions => self.ask_by_udp(UdpEvent::Tick),
                Who::Discovery => self.discover(LocalEvent::Tick),
                Who::Networks => self.look_around(),
                Who::Dht => self.drive_dht(DhtEvent::Tick),
                Who::Saving => self.save_nodes(),
            }
        }
    }
}
