//! A swarm under way: sockets, files and threads around the state machines.
//!
//! A [`Swarm`] is one thread that waits for all sockets at once, and some that hash, write and ask web servers. It is told
//! of torrents, says what happens to them, and answers how they are.
//!
//! ```no_run
//! use lantorrent_swarm::drive::{Adding, Notice, Settings, Swarm, Wanted};
//! use lantorrent_swarm::metainfo::Metainfo;
//!
//! let metainfo = Metainfo::read(&std::fs::read("package.torrent")?)?;
//! let mut swarm = Swarm::start(Settings::default())?;
//! swarm.add(Adding::new(Wanted::Metainfo(Box::new(metainfo)), "packages".into()));
//! while let Some(notice) = swarm.notice(std::time::Duration::MAX) {
//!     match notice {
//!         Notice::Whole(torrent) => println!("{torrent} is there"),
//!         Notice::Failed(torrent, why) => println!("{torrent}: {why}"),
//!         _ => continue,
//!     }
//!     break;
//! }
//! swarm.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adjusting;
mod announce;
mod assembly;
mod connections;
mod connector;
mod datagrams;
mod dht;
mod door;
mod engine;
mod finding;
mod heads;
mod http;
mod intake;
mod interfaces;
mod keeping;
mod link;
mod local;
mod lookup;
mod membership;
mod message;
mod opening;
mod outgoing;
mod paced;
mod paces;
mod packing;
mod parts;
mod piece;
mod pool;
mod proxies;
mod quota;
mod recheck;
mod retry;
mod running;
mod settings;
mod sources;
mod status;
#[cfg(feature = "tls")]
mod tls;
mod torrents;
mod trees;
mod warnings;
mod web;
mod web_answer;
mod web_file;
mod web_name;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use announce::Trackers;
#[doc(hidden)] // For the other program of ours that uses ureq.
pub use connector::Dialer;
use datagrams::Pair;
use engine::{Engine, Parts};
#[doc(hidden)]
pub use heads::Heads;
use http::Client;
use lantorrent_core::runtime::socket::{self, Families};
use lantorrent_core::runtime::{Mailbox, Workers, random};
use local::Local;
#[doc(hidden)]
pub use lookup::Lookup;
use message::Message;
pub use message::Notice;
use mio::net::TcpListener;
use mio::{Poll, Waker};
#[doc(hidden)]
pub use retry::retry_after;
pub use running::Phase;
pub use settings::{Adding, Bounds, Dht, Existing, Settings, Trust, Wanted};
pub use status::Status;
use thiserror::Error;
pub use web_answer::WebError;
pub use web_file::{Page, Web, WebFile, WebProgress};

use crate::files::{FilesError, Records};
use crate::swarm::Limits;
use crate::{InfoHash, PeerId, Seed};

/// Web servers that are asked at the same time, for all torrents.
const FETCHES: usize = 8;
/// How often it is looked whether the loop is still there to answer.
const WATCH: Duration = Duration::from_millis(200);

/// Why a swarm cannot be started.
#[derive(Debug, Error)]
pub enum SwarmError {
    /// None of the ports is free, or they may not be listened at.
    #[error("cannot listen at {address}, ports {first} to {last}: {cause}; give other ports")]
    Listen {
        /// Where.
        address: std::net::IpAddr,
        /// The first port.
        first: u16,
        /// The last port.
        last: u16,
        /// What the system says about the last one.
        cause: io::Error,
    },
    /// The folder of the records cannot be used.
    #[error(transparent)]
    Records(#[from] FilesError),
    /// The proxy is none.
    #[error("{0:?} is no proxy; one looks like http://proxy:3128, or socks5h://proxy:1080")]
    Proxy(String),
    /// The system lacks something: threads, descriptors or random numbers.
    #[error("the system lacks what a swarm takes: {0}")]
    System(#[from] io::Error),
}

/// Torrents that are fetched and served, by threads of their own. Stopped when dropped.
pub struct Swarm {
    mailbox: Arc<Mailbox<Message>>,
    notices: Receiver<Notice>,
    thread: Option<JoinHandle<()>>,
    port: u16,
}

impl std::fmt::Debug for Swarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Swarm").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Swarm {
    /// Starts with no torrent.
    pub fn start(settings: Settings) -> Result<Self, SwarmError> {
        let (listener, port, datagrams) = listen(&settings)?;
        let records = settings.records.as_deref().map(Records::open).transpose()?;
        let client = Client::new(settings.proxy.as_deref())?;
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), engine::WAKER)?;
        let mailbox = Arc::new(Mailbox::new(move || waker.wake()));
        let (to, notices) = mpsc::channel();
        let trackers =
            Trackers::new(Workers::start("trackers", announce::ASKED)?, Pair::bind(poll.registry()), seed()?);
        let seeds = (random()?, seed()?);
        let dht = settings.dht.as_ref().zip(datagrams).map(|(settings, socket)| {
            dht::Dht::new(settings, mio::net::UdpSocket::from_std(socket), seeds, Instant::now())
        });
        let local = if settings.local { Some(Local::new(settings.listen, port, seed()?)) } else { None };
        let engine = Engine::new(Parts {
            peer_id: PeerId::ours(random()?),
            disk: Workers::start("disk", settings.workers.max(1))?,
            web: Workers::start("web", FETCHES)?,
            trackers,
            local,
            dht,
            seed: u64::from_be_bytes(random()?),
            mailbox: Arc::clone(&mailbox),
            notices: to,
            settings,
            poll,
            listener,
            port,
            client,
            records,
        })?;
        let run = move || {
            if let Err(error) = engine.run() {
                log::error!("the swarm has ended: {error}");
            }
        };
        let thread = thread::Builder::new().name("swarm".into()).spawn(run)?;
        Ok(Self { mailbox, notices, thread: Some(thread), port })
    }

    /// Where peers are awaited.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Looks what there is of the torrent, fetches the rest and serves it. What comes of it is said by
    /// [`notice`](Self::notice). One that has failed is begun anew; one that is there already is warned of, and counts as
    /// used.
    pub fn add(&self, adding: Adding) {
        self.mailbox.send(Message::Add(Box::new(adding)));
    }

    /// Lets a torrent go. Its files stay as they are.
    pub fn remove(&self, torrent: InfoHash) {
        self.mailbox.send(Message::Remove(torrent));
    }

    /// Never evicts that torrent, whether it is there already or added later, until it is [unpinned](Self::unpin).
    pub fn pin(&self, torrent: InfoHash) {
        self.mailbox.send(Message::Pin(torrent));
    }

    /// The torrent may be evicted when others need room ([`Bounds::quota`]).
    pub fn unpin(&self, torrent: InfoHash) {
        self.mailbox.send(Message::Unpin(torrent));
    }

    /// From now on these are the bounds. Rates are changed by their own [`Limit`](lantorrent_core::Limit)s, which are
    /// shared.
    pub fn adjust(&self, bounds: Bounds) {
        self.mailbox.send(Message::Adjust(bounds));
    }

    /// From now on these are the limits of that torrent. How fast it may be received is for its own
    /// [`Limit`](lantorrent_core::Limit), [`Adding::download`], to say: [`Limits::download`](crate::swarm::Limits::download)
    /// changes nothing here.
    pub fn limit(&self, torrent: InfoHash, limits: Limits) {
        self.mailbox.send(Message::Limit(torrent, limits));
    }

    /// Hashes all of the torrent again, whatever journal and records say. Meanwhile it has no peers. It ends with
    /// [`Notice::Whole`] if all is right; what is wrong is fetched again, or is a failure with [`Existing::Serve`]. One
    /// that is just being looked at is looked at again; of one that could not be opened nothing comes but a warning.
    pub fn recheck(&self, torrent: InfoHash) {
        self.mailbox.send(Message::Recheck(torrent));
    }

    /// The next thing that has happened. None if that is nothing for so long, or if the swarm has ended.
    pub fn notice(&mut self, within: Duration) -> Option<Notice> {
        // The clock has no room for all durations.
        self.notices.recv_timeout(within.min(Duration::from_secs(1 << 30))).ok()
    }

    /// How things are with all torrents.
    pub fn status(&self) -> Vec<Status> {
        let (to, from) = mpsc::channel();
        self.mailbox.send(Message::Tell(to));
        loop {
            match from.recv_timeout(WATCH) {
                Ok(all) => return all,
                // The question lies there for ever if nobody takes it any more.
                Err(RecvTimeoutError::Timeout) if self.is_alive() => {}
                Err(_) => return Vec::new(),
            }
        }
    }

    fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Says goodbye to all peers, makes durable what was written, and ends.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.mailbox.send(Message::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the swarm has panicked");
        }
    }
}

impl Drop for Swarm {
    fn drop(&mut self) {
        self.end();
    }
}

/// Listens at the first port that is free: for peers, and for nodes of the DHT if we are one.
fn listen(settings: &Settings) -> Result<(TcpListener, u16, Option<UdpSocket>), SwarmError> {
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
    Err(SwarmError::Listen { address: settings.listen, first, last, cause })
}

fn seed() -> io::Result<Seed> {
    random().map(Seed)
}
