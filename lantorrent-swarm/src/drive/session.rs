//! The session: the handle on the engine's threads.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lantorrent_core::runtime::socket::{self, Families};
use lantorrent_core::runtime::{Mailbox, Workers, random};
use mio::net::TcpListener;
use mio::{Poll, Waker};

use super::alert::Alert;
use super::announce::{self, Trackers};
use super::datagrams::Pair;
use super::dht;
use super::engine::{self, Engine, Parts};
use super::error::SessionError;
use super::handle::{Remote, TorrentHandle};
use super::http::Client;
use super::local::Local;
use super::message::Message;
use super::settings::{AddTorrent, Bounds, Settings};
use super::status::Status;
use crate::files::Records;
use crate::{InfoHash, PeerId, Seed};

/// Web servers that are asked at the same time, for all torrents.
const FETCHES: usize = 8;

/// Fetches and serves torrents, in threads of its own. Stopped when dropped.
pub struct Session {
    remote: Remote,
    alerts: Receiver<Alert>,
    thread: Option<JoinHandle<()>>,
    port: u16,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Session {
    /// Starts with no torrent.
    pub fn start(settings: Settings) -> Result<Self, SessionError> {
        let (listener, port, datagrams) = listen(&settings)?;
        let records = settings.records.as_deref().map(Records::open).transpose()?;
        let client = Client::new(settings.proxy.as_deref())?;
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), engine::WAKER)?;
        let mailbox = Arc::new(Mailbox::new(move || waker.wake()));
        let (to, alerts) = mpsc::channel();
        let peer_id = PeerId::ours(random()?);
        let asking = (Workers::start("trackers", announce::ASKED)?, Pair::bind(poll.registry()));
        let trackers =
            Trackers::new(asking, (peer_id, port), (client.clone(), Arc::clone(&mailbox)), seed()?);
        let seeds = (random()?, seed()?);
        let dht = settings.dht.as_ref().zip(datagrams).map(|(settings, socket)| {
            let socket = mio::net::UdpSocket::from_std(socket);
            dht::Dht::new(settings, (socket, port), seeds, Instant::now())
        });
        let local = if settings.local { Some(Local::new(settings.listen, port, seed()?)) } else { None };
        let engine = Engine::new(Parts {
            peer_id,
            disk: Workers::start("disk", settings.workers.max(1))?,
            web: Workers::start("web", FETCHES)?,
            trackers,
            local,
            dht,
            seed: u64::from_be_bytes(random()?),
            mailbox: Arc::clone(&mailbox),
            alerts: to,
            settings,
            poll,
            listener,
            port,
            client,
            records,
        })?;
        let alive = Arc::new(());
        let remote = Remote::new(mailbox, &alive);
        let run = move || {
            if let Err(error) = engine.run() {
                log::error!("the session has ended: {error}");
            }
            drop(alive);
        };
        let thread = thread::Builder::new().name("swarm".into()).spawn(run)?;
        Ok(Self { remote, alerts, thread: Some(thread), port })
    }

    /// The TCP port at which it listens for peers, and the UDP port of the DHT.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Adds a torrent: finds out what there is of it, fetches the rest and serves it. [`next_alert`](Self::next_alert) tells
    /// what comes of it.
    ///
    /// A torrent that has failed begins anew. One that is in the session already gets a warning, and counts as used.
    pub fn add(&self, torrent: AddTorrent) -> TorrentHandle {
        let handle = self.handle(torrent.source.info_hash());
        self.remote.send(Message::Add(Box::new(torrent)));
        handle
    }

    /// The handle of the torrent of that info hash, whether it was added already or not.
    pub fn handle(&self, info_hash: InfoHash) -> TorrentHandle {
        TorrentHandle::new(info_hash, self.remote.clone())
    }

    /// Replaces the bounds. Rates are changed by their own [`Limit`](lantorrent_core::Limit)s, which are shared.
    pub fn adjust(&self, bounds: Bounds) {
        self.remote.send(Message::Adjust(bounds));
    }

    /// Waits for the next alert. None after `timeout` without one, or once the session has ended.
    pub fn next_alert(&mut self, timeout: Duration) -> Option<Alert> {
        // The clock has no room for all durations.
        self.alerts.recv_timeout(timeout.min(Duration::from_secs(1 << 30))).ok()
    }

    /// State, progress and rates of all torrents, in no order. None of them if the session has ended.
    pub fn statuses(&self) -> Vec<Status> {
        self.remote.ask(Message::Statuses).unwrap_or_default()
    }

    /// Closes all connections, tells the trackers, makes durable what was written, and ends. Waits for that.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.remote.send(Message::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the session has panicked");
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
    }
}

/// Listens at the first port that is free: for peers, and for nodes of the DHT if we are one.
fn listen(settings: &Settings) -> Result<(TcpListener, u16, Option<UdpSocket>), SessionError> {
    let (first, last) = settings.ports.clone().into_inner();
    let mut cause = io::Error::from(io::ErrorKind::InvalidInput);
    // Of any free port for connections the one for datagrams may be taken; the next one is another.
    let tries = |port| std::iter::repeat_n(port, if port == 0 { 8 } else { 1 });
    for port in settings.ports.clone().flat_map(tries) {
        let address = SocketAddr::new(settings.listen, port);
        let both = socket::listen(address, Families::Both, None).and_then(|listener| {
            let port = listener.local_addr()?.port();
            let datagrams = settings.dht.as_ref().map(|_| dht::bind(settings.listen, port)).transpose()?;
            Ok((TcpListener::from_std(listener), port, datagrams.flatten()))
        });
        match both {
            Ok(both) => return Ok(both),
            Err(error) => cause = error,
        }
    }
    Err(SessionError::Listen { address: settings.listen, first, last, cause })
}

fn seed() -> io::Result<Seed> {
    random().map(Seed)
}
