//! The loop: one thread that moves bytes between sockets and state machines. It waits for nothing but the poll.

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
use super::local::Local;
use super::message::Message;
use super::peer_sources::PeerSources;
use super::running::Torrents;
use super::settings::Settings;
use super::web_fetches::WebFetches;
use crate::files::Records;
use crate::random::Random;
use crate::{InfoHash, PeerId};

/// The poll wakes up for other threads.
pub(super) const WAKER: Token = Token(0);
/// A peer connects.
pub(super) const LISTENER: Token = Token(1);
/// The first connection. Before it are sockets for datagrams.
pub(super) const LINKS: usize = 64;

/// Routes between the torrents and the parts that work for them: connections, sources of peers, disk and web seeds.
pub(super) struct Engine {
    pub(super) settings: Settings,
    pub(super) peer_id: PeerId,
    pub(super) port: u16,
    poll: Poll,
    mailbox: Arc<Mailbox<Message>>,
    pub(super) alerts: Sender<Alert>,
    pub(super) connections: Connections,
    pub(super) torrents: Torrents,
    /// When torrents have something to do.
    pub(super) timers: Timers<InfoHash>,
    pub(super) sources: PeerSources,
    pub(super) disk: Disk,
    pub(super) web: WebFetches,
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
        let web = WebFetches::new(parts.web, parts.client, Arc::clone(&parts.mailbox));
        let registry = parts.poll.registry().try_clone()?;
        let sources = (parts.trackers, parts.local, parts.dht);
        let sources = PeerSources::new(sources, registry, Arc::clone(&parts.mailbox));
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
            sources,
            disk,
            web,
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
        // Servers that do not answer are not waited for: what is queued is dropped, and what is under way cut off.
        if let Some(saving) = self.sources.end() {
            self.disk.spawn(move || saving.write());
        }
        self.web.abandon();
        self.disk.finish();
        ended
    }

    fn turn_until_over(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        self.sources.begin();
        self.hear_sources();
        while !self.is_over() {
            match self.poll.poll(&mut events, self.wait()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                match event.token() {
                    WAKER => {}
                    LISTENER => self.connections.accept(),
                    Token(..LINKS) => {
                        self.sources.receive(event.token(), &self.torrents);
                        self.hear_sources();
                    }
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
        }
        Ok(())
    }

    /// How long nothing has to be done unless something happens. None: for ever.
    fn wait(&self) -> Option<Duration> {
        let now = Instant::now();
        let parts = [self.timers.next(), self.connections.deadline(now), self.sources.deadline(now)];
        parts.into_iter().flatten().min().map(|at| at.saturating_duration_since(now))
    }

    fn is_over(&self) -> bool {
        self.stopping && self.torrents.is_empty() && self.sources.are_quiet()
    }

    fn look_at_the_clock(&mut self) {
        let now = Instant::now();
        for token in self.connections.due(now) {
            let served = self.connections.serve_due(token, &mut self.torrents);
            self.served(served);
        }
        for hash in self.timers.due(now) {
            self.tick(now, hash);
        }
        self.sources.tick(now, &self.torrents);
        self.hear_sources();
        if let Some(saving) = self.sources.due_saving(now) {
            self.disk.spawn(move || saving.write());
        }
    }
}
